"""The SMTP envelope: what travels beside the message (RFC 5321 §2.3.1)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, Flag, auto

from pennypost.model.address import Address


class BodyType(Enum):
    """What MAIL FROM declared of the body (RFC 6152 §2, RFC 3030 §3)."""

    SEVEN_BIT = "7BIT"
    EIGHT_BIT_MIME = "8BITMIME"
    BINARY_MIME = "BINARYMIME"


class Notify(Flag):
    """When the sender wants to hear of a recipient (RFC 3461 §4.1). No bit set: NOTIFY was not given."""

    UNSPECIFIED = 0
    NEVER = auto()
    SUCCESS = auto()
    FAILURE = auto()
    DELAY = auto()


class ReturnContent(Enum):
    """How much of the message a failure report brings back (RFC 3461 §4.3)."""

    FULL = "FULL"
    HEADERS = "HDRS"


class DeliverByMode(Enum):
    """What is to happen to a message that was not delivered in time (RFC 2852 §4)."""

    RETURN = "R"
    """It is returned, and goes to no host that does not heed this."""
    NOTIFY = "N"
    """Its sender is told, and it goes on."""


@dataclass(frozen=True, slots=True)
class DeliverBy:
    """A message that has to be delivered soon (RFC 2852). `within`: counted from the present, whole seconds.

    `trace`: the sender wants to hear of each host on the way.
    """

    within: timedelta
    mode: DeliverByMode
    trace: bool = False


@dataclass(frozen=True, slots=True)
class Recipient:
    """One forward-path with its DSN wishes (RFC 3461 §4.1–4.2).

    `original_recipient`: the ORCPT value, decoded, as "addr-type;address", or None.
    """

    address: Address
    notify: Notify = Notify.UNSPECIFIED
    original_recipient: str | None = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who sent a message, to whom, and how it may travel.

    `reverse_path` None is the null reverse-path `<>` (RFC 5321 §4.5.5). `envelope_id`: the decoded ENVID.
    `declared_size`: octets of the SIZE parameter, None if it was not given. `hold`: for how long, or until when, it is
    not to be sent (RFC 4865). `priority`: -9 to 9 (RFC 6710).
    """

    reverse_path: Address | None
    recipients: tuple[Recipient, ...] = ()
    body: BodyType = BodyType.SEVEN_BIT
    smtputf8: bool = False
    require_tls: bool = False
    return_content: ReturnContent | None = None
    envelope_id: str | None = None
    declared_size: int | None = None
    hold: timedelta | datetime | None = None
    deliver_by: DeliverBy | None = None
    priority: int = 0
