"""SocketConnection: a Connection over an asyncio transport, in clear or under TLS."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from ipaddress import IPv6Address, ip_address
from typing import cast

from pennypost.model.peer import Peer
from pennypost.net.alarm import Alarm
from pennypost.net.busy_poll import BusyPoll
from pennypost.net.connection import (
    READ_LIMIT,
    WRITE_HIGH_WATER,
    WRITE_LOW_WATER,
    Connection,
    PeerGone,
    PeerTimeout,
    TlsFailed,
)
from pennypost.net.inbox import Inbox
from pennypost.net.proxy import BadHeader, ProxyHeader
from pennypost.net.tls import ServerTls
from pennypost.net.tls_stream import TlsStream

_LINGER = timedelta(seconds=10)
"""How long a closed connection may take to send its last octets, or to notice that we ended."""

_CAN_ACKNOWLEDGE = hasattr(socket, "TCP_QUICKACK")
"""Linux has it."""

_UNIX = Peer(None, 0)


def peer_of(transport: asyncio.BaseTransport) -> Peer | None:
    """Who is at the other end; None when it is gone already and nobody knows.

    An IPv4 address that came over an IPv6 socket is an IPv4 address.
    """
    if transport.get_extra_info("socket").family == socket.AF_UNIX:
        return _UNIX
    name = transport.get_extra_info("peername")
    if not name:
        return None
    ip = ip_address(str(name[0]).partition("%")[0])
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return Peer(ip, int(name[1]))


class SocketConnection(Connection, asyncio.Protocol):
    """A connection over a transport. `made` is called when there is a peer, `lost` when the connection is over.

    `server_tls`: None where `start_tls` is never called. `hand_over`: given the descriptor of a connection just made,
    says whether another process serves it: then it is over here, without a word. `busy_poll`: of its event loop.
    """

    __slots__ = (
        "_alarm",
        "_closing",
        "_drain_waiter",
        "_hand_over",
        "_handshake",
        "_inbox",
        "_lost",
        "_lost_waiters",
        "_made",
        "_on_lost",
        "_proxies",
        "_proxy_header",
        "_proxy_timeout",
        "_reading_paused",
        "_server_tls",
        "_stream",
        "_transport",
        "_unanswered",
        "_writing_paused",
    )

    def __init__(
        self,
        server_tls: ServerTls | None,
        timeout: timedelta,
        made: Callable[["SocketConnection"], None],
        lost: Callable[["SocketConnection"], None],
        hand_over: Callable[[int], bool] | None = None,
        busy_poll: BusyPoll | None = None,
    ) -> None:
        super().__init__(_UNIX, timeout)
        self._hand_over = hand_over
        self._server_tls = server_tls
        self._made = made
        self._on_lost = lost
        self._inbox = Inbox(busy_poll)
        self._alarm = Alarm(asyncio.get_running_loop(), self._timed_out)
        self._transport: asyncio.Transport | None = None
        self._stream: TlsStream | None = None
        self._handshake: asyncio.Future[None] | None = None
        self._drain_waiter: asyncio.Future[None] | None = None
        self._lost_waiters: list[asyncio.Future[None]] = []
        self._reading_paused = False
        self._writing_paused = False
        self._unanswered = False
        self._closing = False
        self._lost = False
        self._proxies: Callable[[Peer], bool] | None = None
        self._proxy_header: ProxyHeader | None = None
        self._proxy_timeout = timeout

    # -- What a door calls

    async def read(self) -> bytes | None:
        inbox = self._inbox
        if not inbox.ready:
            if self._unanswered:
                self._acknowledge()
            self._alarm.set(self.timeout.total_seconds())
            try:
                await inbox.wait()
            finally:
                self._alarm.clear()
        data = inbox.take()
        if self._reading_paused and not inbox.size_octets:
            self._resume()
        return data

    def interrupt(self) -> None:
        self._inbox.interrupt()

    def write(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or self._closing or not data:
            return
        self._unanswered = False
        self._inbox.answered = True
        if self._stream is None:
            transport.write(data)
            return
        try:
            records = self._stream.encrypt(data)
        except ssl.SSLError:
            self.abort()
        else:
            transport.write(records)

    async def drain(self) -> None:
        if self._lost:
            raise PeerGone
        if not self._writing_paused:
            return
        self._drain_waiter = asyncio.get_running_loop().create_future()
        self._alarm.set(self.timeout.total_seconds())
        try:
            await self._drain_waiter
        finally:
            self._drain_waiter = None
            self._alarm.clear()

    @property
    def can_start_tls(self) -> bool:
        return self._server_tls is not None and self._stream is None

    async def start_tls(self) -> None:
        if self._handshake is None:
            self.expect_tls()
        assert self._handshake is not None
        assert self._server_tls is not None
        assert self._stream is not None
        self._alarm.set(self._server_tls.settings.handshake_timeout.total_seconds())
        try:
            await self._handshake
        finally:
            self._handshake = None
            self._alarm.clear()
        self.tls = self._server_tls.describe(self._stream.ssl_object)

    def expect_tls(self) -> None:
        """Take all octets from now on for TLS; `start_tls` has to follow. Drops what was not read."""
        if self._server_tls is None:
            raise RuntimeError("TLS without a certificate")
        if self._stream is not None:
            raise RuntimeError("TLS under TLS")
        self._inbox.discard()
        if self._inbox.ended:
            raise TlsFailed("the peer is gone")
        self._stream = TlsStream(self._server_tls.context())
        self._handshake = asyncio.get_running_loop().create_future()
        self._resume()

    def expect_proxy(self, proxies: Callable[[Peer], bool], timeout: timedelta) -> None:
        """Before there is a transport: those of whom `proxies` is true have to send a PROXY header first. `made` is
        called after it, and `peer` is then the client."""
        self._proxies = proxies
        self._proxy_timeout = timeout

    def close(self) -> None:
        transport = self._transport
        if transport is None or self._closing:
            return
        if self._stream is not None:
            transport.write(self._stream.end())
        self._closing = True
        unread = bool(self._inbox.size_octets) or self._reading_paused
        if unread and not self._inbox.ended and transport.can_write_eof():
            # Closing a socket with unread octets resets it, and the peer may never see our last words (RFC 9293
            # §3.6.1): end our side, and throw away what still comes until the peer ends its own.
            self._inbox.discard()
            self._resume()
            with suppress(OSError):
                transport.write_eof()
        else:
            transport.close()
        self._alarm.set(min(self.timeout, _LINGER).total_seconds())

    def abort(self) -> None:
        self._closing = True
        if self._transport is not None:
            self._transport.abort()

    async def closed(self) -> None:
        if self._lost:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._lost_waiters.append(waiter)
        await waiter

    def refuse(self, line: bytes) -> None:
        """Send one line in clear and end, without a reader ever."""
        self.write(line)
        self.close()

    # -- What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._hand_over is not None and self._hand_over(transport.get_extra_info("socket").fileno()):
            self.abort()
            return
        self._transport.set_write_buffer_limits(high=WRITE_HIGH_WATER, low=WRITE_LOW_WATER)
        peer = peer_of(transport)
        if peer is None:
            self.abort()
            return
        self.peer = peer
        if self._proxies is not None and self._proxies(peer):
            self._proxy_header = ProxyHeader()
            self._alarm.set(self._proxy_timeout.total_seconds())
            return
        self._made(self)

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        if self._proxy_header is not None:
            data = self._heed_proxy(self._proxy_header, data)
            if not data:
                return
        self._unanswered = True
        if self._stream is None:
            self._deliver(data)
        else:
            self._decrypt(self._stream, data)

    def eof_received(self) -> bool:
        """Keep our side open: a peer that ended its own may still want the answers (a half-closed connection)."""
        if self._proxy_header is not None:
            return False
        if self._handshake is not None and not self._handshake.done():
            self._handshake.set_exception(TlsFailed("the peer ended the connection"))
        self._inbox.feed_end()
        return not self._closing

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        if self._drain_waiter is not None and not self._drain_waiter.done():
            self._drain_waiter.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = self._closing = True
        self._transport = None
        self._alarm.cancel()
        self._inbox.feed_end()
        if self._handshake is not None and not self._handshake.done():
            self._handshake.set_exception(TlsFailed("the connection was lost"))
        if self._drain_waiter is not None and not self._drain_waiter.done():
            self._drain_waiter.set_exception(PeerGone())
        for waiter in self._lost_waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._lost_waiters.clear()
        self._on_lost(self)

    # -- Inside

    def _heed_proxy(self, header: ProxyHeader, data: bytes) -> bytes:
        """Read on in the PROXY header. Gives what came behind it; b"" while it is not complete, or is none."""
        try:
            client = header.receive_data(data, self.peer)
        except BadHeader:
            self.abort()
            return b""
        if client is None:
            return b""
        self._proxy_header = None
        self._alarm.clear()
        self.peer = client
        self._made(self)
        return header.rest

    def _deliver(self, data: bytes) -> None:
        self._inbox.feed(data)
        if self._inbox.size_octets >= READ_LIMIT and not self._reading_paused and self._transport is not None:
            self._reading_paused = True
            self._transport.pause_reading()

    def _decrypt(self, stream: TlsStream, data: bytes) -> None:
        transport = self._transport
        assert transport is not None
        try:
            clear, ended = stream.receive(data)
        except ssl.SSLError as problem:
            transport.write(stream.output())
            if self._handshake is not None and not self._handshake.done():
                failure = TlsFailed(problem.reason or "handshake failure")
                failure.__cause__ = problem
                self._handshake.set_exception(failure)
            self._inbox.feed_end()
            if stream.established:
                self.abort()
            else:
                transport.close()  # after the alert that says why
            return
        if output := stream.output():
            transport.write(output)
        if self._handshake is not None and stream.established and not self._handshake.done():
            self._handshake.set_result(None)
        if clear:
            self._deliver(clear)
        if ended:
            self._inbox.feed_end()

    def _acknowledge(self) -> None:
        """Tell the peer now that its octets arrived, since there is no answer yet that could.

        The kernel waits 40 ms for one, and Nagle's algorithm at the other end keeps back what is still missing: the
        CRLF behind a literal, say. A client that writes in two steps would get no further than 25 messages a second.
        """
        self._unanswered = False
        if self._transport is None or self.peer.ip is None or not _CAN_ACKNOWLEDGE:
            return
        family = socket.AF_INET if self.peer.ip.version == 4 else socket.AF_INET6
        sock = socket.socket(family, socket.SOCK_STREAM, fileno=self._transport.get_extra_info("socket").fileno())
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        except OSError:
            pass  # it is gone already
        finally:
            sock.detach()  # it is the transport's

    def _resume(self) -> None:
        if self._reading_paused:
            self._reading_paused = False
            if self._transport is not None:
                self._transport.resume_reading()

    def _timed_out(self) -> None:
        if self._closing or self._proxy_header is not None:
            self.abort()
        elif self._handshake is not None and not self._handshake.done():
            self._handshake.set_exception(TlsFailed("the handshake took too long"))
        elif self._drain_waiter is not None and not self._drain_waiter.done():
            self._drain_waiter.set_exception(PeerTimeout())
        else:
            self._inbox.fail(PeerTimeout())


def set_keepalive(sock: socket.socket) -> None:
    """Let the kernel find out that a silent peer is gone."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
