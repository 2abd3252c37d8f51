"""What a mail transaction works with: what all of a worker share, and what becomes of one message."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from pennypost.mail.forwarding import Forwarder
from pennypost.mail.prepare import Prepared, Preparer
from pennypost.mail.queue.outbox import Outbox, Outgoing
from pennypost.mail.queue.routing import Router
from pennypost.mail.queue.settings import QueueSettings
from pennypost.mail.route import Route
from pennypost.mail.sending import SendingGuard
from pennypost.mail.settings import DeliverySettings
from pennypost.mail.signing import Signer
from pennypost.mail.trace import DateStamp
from pennypost.model.address import Address
from pennypost.model.envelope import Envelope, Recipient
from pennypost.model.ids import AccountId
from pennypost.store.directory_memory import DirectoryMemory
from pennypost.store.queue import Place
from pennypost.store.store import Store
from pennypost.verify.authentication_results import without_ours


@dataclass(frozen=True, slots=True)
class Post:
    """What all transactions of one worker share. `hostname`: who we say we are in Received (RFC 5321 §4.4). `outbox`:
    where mail for other hosts goes. `check_domain`: raises NullMx for a domain that takes no mail (RFC 7505).
    `sending`: holds our users to what they may send; None holds nobody. `signer`: signs what they send, or None.
    `forwarder`: readies what aliases send on, or None. `authserv_id`: who we are in Authentication-Results, in which
    nobody else may speak; empty: nobody looks."""

    store: Store
    preparer: Preparer
    settings: DeliverySettings
    hostname: str
    stamp: DateStamp
    outbox: Outbox = field(default_factory=lambda: Outbox(Router(QueueSettings())))
    check_domain: Callable[[str], Awaitable[None]] | None = None
    sending: SendingGuard | None = None
    signer: Signer | None = None
    forwarder: Forwarder | None = None
    authserv_id: str = ""

    routes: DirectoryMemory[Address, Route] = field(init=False)
    """Plain ones, by the address as it was written."""
    senders: DirectoryMemory[tuple[AccountId, Address | None], bool] = field(init=False)
    """Accounts that may be used, and the reverse-paths that are theirs."""

    def __post_init__(self) -> None:
        """Remember nothing yet."""
        object.__setattr__(self, "routes", DirectoryMemory(self.store.engine))
        object.__setattr__(self, "senders", DirectoryMemory(self.store.engine))

    def without_our_results(self, header: bytes) -> bytes:
        """Take out results that others wrote in our name (RFC 8601 §5), where a message is not verified here."""
        return without_ours(header, self.authserv_id) if self.authserv_id else header


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message ready to be stored. `received`: our Received field; `now`: when the last octet came."""

    id: str
    now: datetime
    received: bytes
    prepared: Prepared


@dataclass(frozen=True, slots=True)
class Destination:
    """A recipient that was accepted, and where it leads."""

    recipient: Recipient
    route: Route


@dataclass(frozen=True, slots=True)
class Sending:
    """A message for other hosts, on behalf of some recipients. `mark`: a seal and Delivered-To, if an alias sends it
    on."""

    mark: bytes
    envelope: Envelope
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Stored:
    """What one operation has stored. `names`: as `Acceptance.stored`."""

    names: list[str]
    outgoing: list[Outgoing]
