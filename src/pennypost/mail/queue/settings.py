"""What an administrator can set about sending."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from ipaddress import ip_address

from pennypost.model.bounds import bounded, positive_times
from pennypost.model.relaying import TlsMode
from pennypost.model.units import KIB, Octets


class SmarthostLanguage(Enum):
    SMTP = "smtp"
    LMTP = "lmtp"


class Suppress(Enum):
    """Whose mail is not sent to recipients that bounced for good."""

    OFF = "off"
    BULK = "bulk"
    ON = "on"


@dataclass(frozen=True, slots=True)
class Smarthost:
    """A host that takes mail from us for others.

    `host`: a name or an address. `port`: "none" is the usual one. `protocol`: "smtp" or "lmtp". `tls`: "off",
    "opportunistic", "required", "verified" or "implicit". `login`: the name of the credentials to log in with; empty:
    no login. `senders`: domains whose mail goes there; empty: all. `recipients`: domains to which mail goes there;
    empty: all. `after_failures`: attempts to deliver directly that have to fail first; 0 sends everything there at
    once.
    """

    host: str
    port: int | None = None
    protocol: SmarthostLanguage = SmarthostLanguage.SMTP
    tls: TlsMode = TlsMode.VERIFIED
    login: str = ""
    senders: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    after_failures: int = 0

    def __post_init__(self) -> None:
        bounded(self, "port", least=1, most=65535)
        bounded(self, "after_failures", least=0)


_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """How mail for other hosts is sent."""

    retry_after: tuple[timedelta, ...] = (
        5 * _MINUTE,
        10 * _MINUTE,
        20 * _MINUTE,
        40 * _MINUTE,
        80 * _MINUTE,
        160 * _MINUTE,
        240 * _MINUTE,
    )
    """How long to wait after the first attempt that failed, after the second, …; the last one goes for all further
    ones."""

    expire_after: timedelta = timedelta(days=5)
    """When a message is given up and returned (RFC 5321 §4.5.4.1: at least 4–5 days)."""

    warn_after: timedelta = timedelta(hours=4)
    """When the sender of a message that is still waiting is told so, once."""

    max_connections: int = 200
    """Messages one worker sends at the same time; those that take long count less."""

    hop_connections: int = 20
    """Messages one worker sends to one next hop at the same time, at the most."""

    hop_connections_at_first: int = 5
    """As many for a next hop of which nothing is known. It rises with success and falls when the hop asks for it."""

    transaction_recipients: int = 100
    """Recipients of one message that are sent together to one next hop (RFC 5321 §4.5.3.1.8)."""

    lease_time: timedelta = timedelta(seconds=30)
    """How soon others send what a worker that was killed had begun to send."""

    pass_on_within: timedelta = timedelta(milliseconds=100)
    """How long a sender waits for a next host that is known to be quick to take a message, which then needs no place in
    the queue. Past this, and for hosts that take longer than a fifth of it on the whole, it is put into the queue
    first. 0 puts everything there."""

    smarthosts: tuple[Smarthost, ...] = ()
    """Hosts that take mail from us; the first one that fits is used. Mail that fits none is delivered directly."""

    sources: dict[str, str] = field(default_factory=dict)
    """Local addresses to connect from, by the sender's domain."""

    backup_for: tuple[str, ...] = ()
    """Domains whose mail is taken from anybody and passed on to their other MX hosts, as their backup MX."""

    verp: tuple[str, ...] = ()
    """Sender domains whose mail has a reverse-path of its own for each recipient (VERP):
    `lists+user=example.org=tag@ours`. A bounce names the recipient, and the message, then by the address it comes to.
    Recipients are no longer sent to together."""

    suppress: Suppress = Suppress.BULK
    """Which mail to recipients that bounced for good is refused from then on (`pennypost suppression`): "off", none;
    "on", all; "bulk", what goes to many: it has a List-Id, List-Unsubscribe or another List- field, `Precedence: bulk`,
    `list` or `junk`, or a negative MT-PRIORITY (RFC 6710). Only bounces of such mail are learnt from."""

    max_future_release: timedelta = timedelta(days=30)
    """How long a message may wait for the time that its sender wants it to leave (RFC 4865). 0 does not offer it."""

    return_size: Octets = Octets(50 * KIB)
    """Messages above this size are returned with their header only."""

    def __post_init__(self) -> None:
        if not self.retry_after or any(wait < timedelta(seconds=1) for wait in self.retry_after):
            raise ValueError("retry_after: expected at least one time, of 1 s or more")
        positive_times(self, "expire_after", "warn_after")
        bounded(self, "lease_time", least=timedelta(seconds=5))
        connections = ("max_connections", "hop_connections", "hop_connections_at_first")
        bounded(self, *connections, "transaction_recipients", least=1)
        bounded(self, "max_future_release", "pass_on_within", least=timedelta(0))
        if any(domain != domain.lower() for domain in self.verp):
            raise ValueError('verp: expected domains in lower case, as "example.org"')
        for domain, source in self.sources.items():
            try:
                ip_address(source)
            except ValueError:
                raise ValueError(f'sources: expected an IP address for {domain}, as "192.0.2.1"') from None
