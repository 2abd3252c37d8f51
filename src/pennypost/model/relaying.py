"""What the queue hands to the relay, and what it hears back.

`mail.queue` decides what is due, and what becomes of it afterwards; `mail.relay` finds the hosts and speaks to them.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum

from pennypost.model.envelope import Envelope, Recipient


class HopKind(Enum):
    """How the next host is found and spoken to."""

    MX = "mx"
    """By the MX records of `NextHop.domain` (RFC 5321 §5.1)."""
    SMARTHOST = "smarthost"
    """`NextHop.host`, over SMTP, whoever the recipients are."""
    LMTP = "lmtp"
    """`NextHop.host`, over LMTP (RFC 2033): a reply for each recipient."""


class TlsMode(Enum):
    """How much TLS a next hop is to have at the least. MX hops find more out by themselves (DANE, MTA-STS, memory)."""

    OFF = "off"
    OPPORTUNISTIC = "opportunistic"
    REQUIRED = "required"
    """STARTTLS, any certificate."""
    VERIFIED = "verified"
    """STARTTLS, a certificate that is valid for the host."""
    IMPLICIT = "implicit"
    """TLS from the first octet, a certificate that is valid for the host."""


@dataclass(frozen=True, slots=True)
class NextHop:
    """Where a message goes next: what shares connections, pace and limits. Hashable.

    `domain`: of the recipients, lower case, A-labels, or an address literal; "" for a smarthost that takes all domains.
    `host`, `port`: of a smarthost or LMTP server; `port` None is the usual one. `login`: the name of the credentials to
    log in with, as the configuration calls them; "" is none. `source`: the local address to connect from, "" is any.
    """

    kind: HopKind
    domain: str
    host: str = ""
    port: int | None = None
    tls: TlsMode = TlsMode.OPPORTUNISTIC
    login: str = ""
    source: str = ""
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        known = (self.kind.value, self.domain, self.host, self.port, self.tls.value, self.login, self.source)
        object.__setattr__(self, "_hash", hash(known))

    def __hash__(self) -> int:
        """A hop is looked up several times for each message."""
        return self._hash

    def __str__(self) -> str:
        if self.kind is HopKind.MX:
            return self.domain
        return f"{self.kind.value}:{self.host}" + (f":{self.port}" if self.port is not None else "")


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message for one next hop. `id`: for logs. `envelope.recipients`: those to try now.

    `size`: octets of header and body. `octets`: gives header and body, CRLF lines, not dot-stuffed; may be called more
    than once.
    """

    id: str
    envelope: Envelope
    size: int
    octets: Callable[[], Awaitable[bytes]]


class RelayState(Enum):
    """What came of one recipient."""

    SENT = "sent"
    """The next host has taken the responsibility."""
    DEFERRED = "deferred"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """The TLS layer that was used. `authenticated_by`: "dane", "mta-sts", "pki", or "" when nothing vouched for the
    peer."""

    version: str
    cipher: str
    authenticated_by: str = ""


@dataclass(frozen=True, slots=True)
class RecipientResult:
    """What came of one recipient at one attempt.

    `status`: the enhanced status code, the remote one or ours. `reply`: what the remote said ("550 5.1.1 No such
    user"), or in our words why there was nothing to hear; printable, one line. `remote`: "mx1.example.org [192.0.2.1]",
    "" when nobody was reached. `dsn_passed_on`: the next host announced DSN and took the wishes over (RFC 3461 §5.2.3).
    `transaction_failed`: the reply was not about this recipient but about the connection or the message: what else
    waits for the same hop would probably meet the same.
    """

    recipient: Recipient
    state: RelayState
    status: str
    reply: str
    remote: str = ""
    tls: TlsFacts | None = None
    dsn_passed_on: bool = False
    transaction_failed: bool = False


@dataclass(frozen=True, slots=True)
class RelayOutcome:
    """What came of one attempt: a result for each recipient, in the order of the envelope."""

    results: tuple[RecipientResult, ...]


Relay = Callable[[NextHop, OutgoingMessage], Awaitable[RelayOutcome]]
"""Try to send a message to a next hop. Never raises for what the network or a remote host does: that is a result."""
