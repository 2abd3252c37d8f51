"""What can be set of listeners and TLS."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

MODERN_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:!aNULL:!MD5:!DSS"
"""For TLS 1.2, in OpenSSL's notation: forward secrecy and authenticated encryption (RFC 9325 §4.2)."""


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """One certificate. `chain`: PEM, ours first, then the intermediates. `key`: PEM, not encrypted."""

    chain: Path
    key: Path


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """How connections are encrypted.

    `certificates`: chosen by the name the client asks for; the first is the default. Empty: a self-signed one is made
    in the data folder. `minimum_version`: "TLSv1.2" or "TLSv1.3". `ciphers`: for TLS 1.2, in OpenSSL's notation.
    `handshake_timeout`: from the first octet due to the last. `recheck`: how often the files are looked at for a
    change. `ca_file`: PEM with the authorities outbound connections trust; None is the system's.
    """

    certificates: tuple[CertificateFiles, ...] = ()
    minimum_version: str = "TLSv1.2"
    ciphers: str = MODERN_CIPHERS
    handshake_timeout: timedelta = timedelta(seconds=30)
    recheck: timedelta = timedelta(seconds=15)
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class ListenerLimits:
    """How many connections a door takes at once.

    `connections`: in one process. `connections_per_address`: from one IPv4 address or one IPv6 /64, in one process;
    Unix sockets are not counted by address. `backlog`: connections the kernel holds until they are accepted.
    """

    connections: int = 10_000
    connections_per_address: int = 100
    backlog: int = 1024
