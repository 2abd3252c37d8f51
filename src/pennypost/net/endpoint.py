"""Where a listener listens, and where a server we ask is."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?")
"""A name as hosts have them, A-labels; nothing in it needs a quote anywhere."""


@dataclass(frozen=True, slots=True)
class TcpEndpoint:
    """An IP address or host name, and a port; port 0 lets the system choose. `host` has no brackets; "*" is every
    address of the machine."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixEndpoint:
    """A Unix socket."""

    path: Path

    def __str__(self) -> str:
        return f"unix:{self.path}"


Endpoint = TcpEndpoint | UnixEndpoint

_EXPECTED_TCP = 'expected an address and a port, as "127.0.0.1:2525" or "[::1]:2525"'
_EXPECTED = 'expected an address, as "127.0.0.1:2525", "[::]:25" or "unix:/run/pennypost/lmtp.sock"'


def parse_tcp_endpoint(text: str, expected: str = _EXPECTED_TCP) -> TcpEndpoint:
    """Read `host:port`; an IPv6 address is in brackets. Raises ValueError, with the text `expected` mostly."""
    host, separator, port = text.rpartition(":")
    if not separator or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(expected)
    if host == "*":
        return TcpEndpoint("*", int(port))
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if ":" not in host:
            raise ValueError(expected)
    elif ":" in host:
        raise ValueError('an IPv6 address is written in brackets, as "[::1]:25"')
    if ":" in host:
        try:
            ip_address(host)
        except ValueError:
            raise ValueError(expected) from None
    elif not HOST_NAME.fullmatch(host):
        raise ValueError(expected)
    return TcpEndpoint(host, int(port))


def parse_endpoint(text: str, base: Path) -> Endpoint:
    """Read `host:port` or `unix:path`; a relative path is below `base`."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path:
            raise ValueError(_EXPECTED)
        return UnixEndpoint(base / path)
    return parse_tcp_endpoint(text, _EXPECTED)
