"""Who is at the other end of a connection."""

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address


@dataclass(frozen=True, slots=True)
class TlsInfo:
    """The TLS layer of a connection. `version`: "TLSv1.3". `cipher`: the standard name. `bits`: of the session key.

    `server_end_point`: the hash of our certificate for the `tls-server-end-point` channel binding (RFC 5929 §4.1);
    empty when the certificate's signature algorithm defines none. `server_name`: the SNI the client sent, or None.
    """

    version: str
    cipher: str
    bits: int
    server_end_point: bytes
    server_name: str | None


@dataclass(frozen=True, slots=True)
class Peer:
    """The remote end. `ip` and `port` are None and 0 on a Unix socket."""

    ip: IPv4Address | IPv6Address | None
    port: int
    _written: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Asked for several times a message, and slow to make.
        object.__setattr__(self, "_written", str(self.ip) if self.ip is not None else "unix")

    def __str__(self) -> str:
        return self._written
