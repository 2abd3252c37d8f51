"""Connections that we make to others, in clear or under TLS."""

import asyncio
import ssl
from collections.abc import Iterable
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from cryptography import x509

from pennypost.model.peer import TlsInfo
from pennypost.net.connection import TlsFailed
from pennypost.net.endpoint import Endpoint, UnixEndpoint
from pennypost.net.sockets import SocketConnection
from pennypost.net.tls import server_end_point
from pennypost.net.tls_stream import TlsStream

MAX_CHAIN = 10
"""Certificates of a peer that are looked at."""


class OutboundConnection(SocketConnection):
    """A connection to a server, over TCP or a Unix socket. `become_client` sets its `tls`."""

    __slots__ = ()

    def __init__(self, timeout: timedelta) -> None:
        super().__init__(None, timeout, lambda _: None, lambda _: None)

    @property
    def quiet(self) -> bool:
        """Whether it is open and nothing has come that was not read: an idle connection that can be used again."""
        return not self._lost and not self._closing and not self._inbox.ended and not self._inbox.size_octets

    async def become_client(self, context: ssl.SSLContext, server_name: str | None, patience: timedelta) -> None:
        """Do the TLS handshake. What came in clear and was not read is dropped (RFC 3207 §4.2).

        Raises TlsFailed, whose cause is the ssl.SSLError, if there is one; the connection is of no use then.
        """
        if self._stream is not None:
            raise RuntimeError("TLS under TLS")
        self._inbox.discard()
        if self._inbox.ended or self._transport is None:
            raise TlsFailed("the peer is gone")
        self._stream = TlsStream(context, server_side=False, server_name=server_name)
        self._handshake = asyncio.get_running_loop().create_future()
        self._transport.write(self._stream.begin())
        self._resume()
        self._alarm.set(patience.total_seconds())
        try:
            await self._handshake
        finally:
            self._handshake = None
            self._alarm.clear()
        cipher = self._stream.ssl_object.cipher()
        assert cipher is not None
        chain = self.peer_chain()
        end_point = server_end_point(x509.load_der_x509_certificate(chain[0])) if chain else b""
        self.tls = TlsInfo(self._stream.ssl_object.version() or "", cipher[0], cipher[2], end_point, server_name)

    def peer_chain(self) -> list[bytes]:
        """Give the certificates that the peer sent, DER, its own first; nobody has vouched for them."""
        assert self._stream is not None
        stream = self._stream.ssl_object
        if hasattr(stream, "get_unverified_chain"):  # Python 3.13 made it public
            return list(stream.get_unverified_chain())[:MAX_CHAIN]
        chain = stream._sslobj.get_unverified_chain() or []  # type: ignore[attr-defined]  # what 3.13 made public
        return [certificate.public_bytes(2) for certificate in chain[:MAX_CHAIN]]  # 2: DER


def lies_in(address: IPv4Address | IPv6Address, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Whether an address is in one of some networks. An IPv4 address that is written as IPv6 is an IPv4 address: the
    system takes it for one, too."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address.version == network.version and address in network for network in networks)


async def connect(
    host: str, port: int, *, patience: timedelta, read_patience: timedelta, source: str = ""
) -> OutboundConnection:
    """Connect. `host`: an IP address, or the path of a Unix socket. `source`: the local address, "" is any.

    Raises OSError, also when it takes too long.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(patience.total_seconds()):
        if host.startswith("/"):
            _, connection = await loop.create_unix_connection(lambda: OutboundConnection(read_patience), host)
        else:
            local = (source, 0) if source else None
            _, connection = await loop.create_connection(
                lambda: OutboundConnection(read_patience), host, port, local_addr=local
            )
    return connection


async def connect_to(endpoint: Endpoint, patience: timedelta) -> OutboundConnection:
    """Connect to a program of the administrator's. `patience`: for the connection, and for each read. Raises
    OSError."""
    host, port = (str(endpoint.path), 0) if isinstance(endpoint, UnixEndpoint) else (endpoint.host, endpoint.port)
    return await connect(host, port, patience=patience, read_patience=patience)
