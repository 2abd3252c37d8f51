"""The SMTP envelope: what travels beside the message (RFC 5321 §2.3.1)."""

from dataclasses import dataclass
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
    `declared_size`: octets of the SIZE parameter, None if it was not given.
    """

    reverse_path: Address | None
    recipients: tuple[Recipient, ...] = ()
    body: BodyType = BodyType.SEVEN_BIT
    smtputf8: bool = False
    require_tls: bool = False
    return_content: ReturnContent | None = None
    envelope_id: str | None = None
    declared_size: int | None = None
