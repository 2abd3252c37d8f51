"""What can be set of listeners and TLS."""

from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal

from pennypost.model.bounds import bounded, positive_times

MAX_BACKLOG = 65_535
"""Kernels keep no more (`net.core.somaxconn` is less by default)."""


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """One certificate."""

    chain: Path
    """PEM: ours first, then the intermediates."""

    key: Path
    """PEM, not encrypted."""


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """How connections are encrypted."""

    certificates: tuple[CertificateFiles, ...] = ()
    """Chosen by the name the client asks for; the first is the default. Empty: a self-signed one is made."""

    minimum_version: Literal["TLSv1.2", "TLSv1.3"] = "TLSv1.2"
    """The oldest version that is spoken (RFC 8996)."""

    ciphers: str = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:!aNULL:!MD5:!DSS"
    """For TLS 1.2, in OpenSSL's notation: forward secrecy and authenticated encryption (RFC 9325 §4.2)."""

    handshake_timeout: timedelta = timedelta(seconds=30)
    """How long a handshake may take."""

    recheck: timedelta = timedelta(seconds=15)
    """How often the certificate files are looked at for a change."""

    ca_file: Path | None = None
    """PEM with the authorities that outbound connections trust; "none": the system's."""

    def __post_init__(self) -> None:
        positive_times(self, "handshake_timeout")


@dataclass(frozen=True, slots=True)
class ListenerLimits:
    """How many connections a door takes at once, in one process."""

    connections: int = 10_000
    """In all."""

    connections_per_address: int = 100
    """From one IPv4 address or one IPv6 /64. Unix sockets are not counted by address."""

    backlog: int = 1024
    """Connections the kernel holds until they are accepted."""

    proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """Networks whose connections begin with a PROXY header (version 1 or 2), which says who the client is. From there
    it must come, on every TCP door but HTTP's; from elsewhere it is not looked for."""

    proxy_timeout: timedelta = timedelta(seconds=5)
    """How long a proxy may take to send its header."""

    def __post_init__(self) -> None:
        positive_times(self, "proxy_timeout")
        bounded(self, "connections", "connections_per_address", least=1)
        bounded(self, "backlog", least=1, most=MAX_BACKLOG)


@dataclass(frozen=True, slots=True)
class ResolverSettings:
    """How names are asked for."""

    timeout: timedelta = timedelta(seconds=5)
    """How long one question may take, over all servers and attempts."""

    trust_ad: Literal["loopback", "always", "never"] = "loopback"
    """When a resolver is believed that it validated an answer with DNSSEC (the AD bit, RFC 4035 §4.9.3): when it is
    asked over a loopback address, always, or never. DANE needs it; anybody on the way could set the bit."""

    cache_entries: int = 10_000
    """Answers to keep, for as long as they hold; 0 keeps none."""

    def __post_init__(self) -> None:
        positive_times(self, "timeout")
        bounded(self, "cache_entries", least=0)
