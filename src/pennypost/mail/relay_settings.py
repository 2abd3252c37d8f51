"""What an administrator can set about sending to other hosts."""

from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Literal

from pennypost.clients.smtp.oauth import OAuthClient
from pennypost.clients.smtp.pool import PoolSettings
from pennypost.clients.smtp.settings import SmtpTimeouts
from pennypost.model.bounds import bounded, positive_times, sizes
from pennypost.model.secret import Secret
from pennypost.model.units import MIB, Octets

NOT_ROUTED: tuple[IPv4Network | IPv6Network, ...] = tuple(
    map(
        ip_network,
        ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/127", "fe80::/10", "ff00::/8"),
    )
)
"""Where no mail host of another domain can be: this machine, this link, everybody."""


@dataclass(frozen=True, slots=True)
class LoginSettings:
    """What to log in with at a smarthost: a password, or `oauth`."""

    user: str
    password: Secret | None = None
    oauth: OAuthClient | None = None

    def __post_init__(self) -> None:
        if (self.password is None) is (self.oauth is None):
            raise ValueError("expected either a password or oauth")


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """How mail goes to other hosts."""

    hello_name: str = ""
    """Our name in EHLO (RFC 5321 §4.1.1.1); it should lead back to the address we send from. Empty: server.hostname."""

    port: int = 25
    """Where hosts that are found by MX records listen."""

    https_port: int = 443
    """Where hosts of MTA-STS policies listen (RFC 8461 §3.3: on 443)."""

    chunking: bool = True
    """Send with BDAT where it is announced (RFC 3030): a small message then takes one round trip."""

    max_recipients: int = 100
    """Recipients of one transaction; a host that announces fewer gets fewer (RFC 9422)."""

    max_addresses: int = 5
    """Addresses that are tried in one attempt."""

    max_time: timedelta = timedelta(minutes=15)
    """After that an attempt tries no further host."""

    max_memory: Octets = Octets(256 * MIB)
    """Messages that are sent at the same time, by one worker; past it they wait for each other. A message takes about
    three times its size."""

    refuse_networks: tuple[IPv4Network | IPv6Network, ...] = NOT_ROUTED
    """Addresses that hosts found by MX records must not have: mail for another domain never goes to this machine."""

    dane: bool = True
    """Heed TLSA records (RFC 7672). They say something only where the resolver validates: see dns.trust_ad."""

    mta_sts: Literal["enforce", "testing", "off"] = "enforce"
    """Heed MTA-STS policies (RFC 8461). "testing": note and report what they forbid, and send all the same."""

    tls_memory: timedelta = timedelta(days=30)
    """How long we remember that a domain takes mail under TLS. Meanwhile mail does not go there in clear: it waits."""

    tls_patience: timedelta = timedelta(days=2)
    """How long mail waits for TLS to come back. After that it goes in clear, with a warning in the log."""

    timeouts: SmtpTimeouts = field(default_factory=SmtpTimeouts)
    pool: PoolSettings = field(default_factory=PoolSettings)
    logins: dict[str, LoginSettings] = field(default_factory=dict)
    """By name: what to log in with at smarthosts."""

    def __post_init__(self) -> None:
        bounded(self, "max_recipients", "max_addresses", least=1)
        bounded(self, "port", "https_port", least=1, most=65535)
        positive_times(self, "max_time")
        sizes(self, "max_memory")
        if not self.hello_name.isascii() or any(c.isspace() for c in self.hello_name):
            raise ValueError('hello_name: expected a host name in ASCII, as "mx.example.org"')
