"""MemoryConnection: a Connection between two coroutines of one process, for tests and for programs that embed us."""

import asyncio
from datetime import timedelta
from ipaddress import IPv4Address

from pennypost.model.peer import Peer, TlsInfo
from pennypost.net.alarm import Alarm
from pennypost.net.connection import WRITE_HIGH_WATER, Connection, PeerGone, PeerTimeout, TlsFailed
from pennypost.net.inbox import Inbox

_LOOPBACK = Peer(IPv4Address("127.0.0.1"), 49152)
_PRETENDED_TLS = TlsInfo("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256, b"", None)


class MemoryConnection(Connection):
    """The server's end is the Connection; the other end is `send`, `send_end` and `receive`.

    TLS is pretended: `start_tls` waits for the other end's `handshake`, and drops what came before it, as the real
    one does.
    """

    __slots__ = (
        "_alarm",
        "_closed",
        "_drained",
        "_handshake",
        "_inbox",
        "_out",
        "_out_arrived",
        "taken_limit_octets",
        "tls_after_handshake",
    )

    def __init__(self, peer: Peer = _LOOPBACK, timeout: timedelta = timedelta(seconds=5)) -> None:
        super().__init__(peer, timeout)
        self._inbox = Inbox()
        self._out = bytearray()
        self._out_arrived = asyncio.Event()
        self._drained = asyncio.Event()
        self._handshake: asyncio.Future[None] | None = None
        self._closed = asyncio.Event()
        self._alarm = Alarm(asyncio.get_running_loop(), self._timed_out)
        self.tls_after_handshake = _PRETENDED_TLS

    # -- The server's end

    async def read(self) -> bytes | None:
        if not self._inbox.ready:
            self._alarm.set(self.timeout.total_seconds())
            try:
                await self._inbox.wait()
            finally:
                self._alarm.clear()
        return self._inbox.take()

    def interrupt(self) -> None:
        self._inbox.interrupt()

    def write(self, data: bytes) -> None:
        if not self._closed.is_set():
            self._out += data
            self._out_arrived.set()

    async def drain(self) -> None:
        while len(self._out) > WRITE_HIGH_WATER and not self._closed.is_set():
            self._drained.clear()
            try:
                await asyncio.wait_for(self._drained.wait(), self.timeout.total_seconds())
            except TimeoutError:
                raise PeerTimeout from None
        if self._closed.is_set():
            raise PeerGone

    @property
    def can_start_tls(self) -> bool:
        return self.tls is None

    async def start_tls(self) -> None:
        self._inbox.discard()
        if self._inbox.ended:
            raise TlsFailed("the peer is gone")
        self._handshake = asyncio.get_running_loop().create_future()
        self._alarm.set(self.timeout.total_seconds())
        try:
            await self._handshake
        finally:
            self._handshake = None
            self._alarm.clear()
        self.tls = self.tls_after_handshake

    def close(self) -> None:
        self._alarm.cancel()
        self._closed.set()
        self._drained.set()
        self._out_arrived.set()
        self._inbox.feed_end()

    def abort(self) -> None:
        self._out.clear()
        self.close()

    async def closed(self) -> None:
        await self._closed.wait()

    # -- The other end

    def send(self, data: bytes) -> None:
        """Let the server read `data`. After it asked for TLS and before `handshake`: a failed handshake."""
        if self._handshake is not None and not self._handshake.done():
            self._handshake.set_exception(TlsFailed("clear text in place of a handshake"))
        elif not self._closed.is_set():
            self._inbox.feed(data)

    def send_end(self) -> None:
        """Let the server read the end."""
        if self._handshake is not None and not self._handshake.done():
            self._handshake.set_exception(TlsFailed("the peer ended the connection"))
        self._inbox.feed_end()

    async def handshake(self) -> None:
        """Complete the TLS handshake that the server asked for, or is about to ask for."""
        for _ in range(1000):
            if self._handshake is not None and not self._handshake.done():
                self._handshake.set_result(None)
                return
            await asyncio.sleep(0)
        raise TlsFailed("the server did not start a handshake")

    async def receive(self) -> bytes:
        """Take what the server wrote; b"" once it closed and all is taken."""
        while not self._out and not self._closed.is_set():
            self._out_arrived.clear()
            await self._out_arrived.wait()
        data = bytes(self._out)
        self._out.clear()
        self._drained.set()
        return data

    def _timed_out(self) -> None:
        if self._handshake is not None and not self._handshake.done():
            self._handshake.set_exception(TlsFailed("the handshake took too long"))
        else:
            self._inbox.fail(PeerTimeout())
