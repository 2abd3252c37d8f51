"""The PROXY protocol, versions 1 and 2: a proxy in front of us says who its client is.

The header comes before everything else, TLS too. Whoever may send one must: nothing is guessed, so that no client of a
proxy can pass itself off as another. The text is HAProxy's proxy-protocol.txt.
"""

import struct
from ipaddress import IPv4Address, IPv6Address

from pennypost.model.peer import Peer

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
"""How a header of version 2 begins."""

MAX_V1_OCTETS = 107
"""The longest line of version 1, CRLF included."""
MAX_V2_OCTETS = 4096
"""The longest header of version 2 that is read, with what it may add about TLS and names."""

_V2_HEAD = struct.Struct("!12sBBH")
_LOCAL, _PROXY = 0x20, 0x21
_TCP4, _TCP6 = 0x11, 0x21


class BadHeader(ValueError):
    """The peer should have sent a header, and did not, or sent one that makes no sense."""


class ProxyHeader:
    """Reads one header from octets in any cut. `rest`: what came behind it, once it is complete."""

    __slots__ = ("_data", "rest")

    def __init__(self) -> None:
        self._data = b""
        self.rest = b""

    def receive_data(self, data: bytes, proxy: Peer) -> Peer | None:
        """Take octets. Gives who the client is once the header is complete, else None.

        `proxy`: who sent them; the client itself where the header says so (LOCAL, UNKNOWN). Raises BadHeader.
        """
        self._data += data
        if self._data[:12] == SIGNATURE[: len(self._data)]:
            return self._version_2(proxy)
        if self._data[:6] == b"PROXY "[: len(self._data)]:
            return self._version_1(proxy)
        raise BadHeader("no PROXY header")

    def _version_1(self, proxy: Peer) -> Peer | None:
        end = self._data.find(b"\r\n", 0, MAX_V1_OCTETS)
        if end < 0:
            if len(self._data) >= MAX_V1_OCTETS:
                raise BadHeader("the line is too long")
            return None
        self.rest = self._data[end + 2 :]
        words = self._data[:end].split(b" ")
        if words[1:2] == [b"UNKNOWN"]:
            return proxy
        if len(words) != 6:
            raise BadHeader("not six words")
        try:
            texts = [word.decode("ascii") for word in words]
            if texts[1] == "TCP4":
                ip: IPv4Address | IPv6Address = IPv4Address(texts[2])
                IPv4Address(texts[3])
            elif texts[1] == "TCP6":
                ip = IPv6Address(texts[2])
                IPv6Address(texts[3])
            else:
                raise BadHeader("neither TCP4 nor TCP6")
        except ValueError as error:
            raise BadHeader("a bad address") from error
        _port(texts[5])
        return _peer(ip, _port(texts[4]))

    def _version_2(self, proxy: Peer) -> Peer | None:
        if len(self._data) < _V2_HEAD.size:
            return None
        _, command, family, length = _V2_HEAD.unpack_from(self._data)
        end = _V2_HEAD.size + length
        if command not in (_LOCAL, _PROXY) or end > MAX_V2_OCTETS:
            raise BadHeader("not a version or a length we know")
        if len(self._data) < end:
            return None
        self.rest = self._data[end:]
        addresses = self._data[_V2_HEAD.size : end]
        if command == _LOCAL:
            return proxy
        if family == _TCP4 and length >= 12:
            return Peer(IPv4Address(addresses[:4]), int.from_bytes(addresses[8:10]))
        if family == _TCP6 and length >= 36:
            return _peer(IPv6Address(addresses[:16]), int.from_bytes(addresses[32:34]))
        if family in (_TCP4, _TCP6):
            raise BadHeader("the addresses are cut off")
        return proxy  # neither TCP over IPv4 nor IPv6: the specification has it used as if it were LOCAL


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5) or int(text) > 65535:
        raise BadHeader("a bad port")
    return int(text)


def _peer(ip: IPv4Address | IPv6Address, port: int) -> Peer:
    """An IPv4 address that is written as IPv6 is an IPv4 address."""
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        return Peer(ip.ipv4_mapped, port)
    return Peer(ip, port)
