"""What every door reads from and writes to, and the ways in which a connection ends early.

Doors see no socket, transport or TLS object, only this: so that one test drives a door in memory and over a real
socket.
"""

from abc import ABC, abstractmethod
from datetime import timedelta

from pennypost.model.peer import Peer, TlsInfo


class ConnectionEnded(Exception):
    """The connection is of no more use. A handler may let it pass: its listener then closes the connection silently."""


class PeerTimeout(ConnectionEnded):
    """The peer sent nothing, or took nothing, for `Connection.timeout`. What was written may still be flushed."""


class PeerGone(ConnectionEnded):
    """The connection was lost while octets were still to be taken by the peer."""


class TlsFailed(ConnectionEnded):
    """The TLS handshake did not succeed. Nothing can be said to the peer any more (RFC 3207 §4.1)."""


class Connection(ABC):
    """A stream of octets to a peer and back. One coroutine reads; it also is the one that drains.

    `peer`, `tls`: who it is, and its TLS layer, or None in clear.
    `timeout`: how long a read or a drain may wait for the peer. It can be set at any time, for the waits that follow.
    `shutting_down`: set by the listener before it interrupts: the session should say goodbye and end.
    """

    __slots__ = ("peer", "shutting_down", "timeout", "tls")

    def __init__(self, peer: Peer, timeout: timedelta) -> None:
        self.peer = peer
        self.timeout = timeout
        self.tls: TlsInfo | None = None
        self.shutting_down = False

    @abstractmethod
    async def read(self) -> bytes | None:
        """Give some octets; b"" at the end (also when the connection was lost); None when `interrupt` was called.

        Raises PeerTimeout. The octets of one call are bounded (`READ_LIMIT` plus what one system call brought).
        """

    @abstractmethod
    def interrupt(self) -> None:
        """Wake the pending read, or else the next one, with None. Nothing that arrived is lost."""

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Send, or keep to be sent. Never blocks; after the connection was lost nothing happens.

        Memory is bounded only if `drain` follows before much more is written.
        """

    @abstractmethod
    async def drain(self) -> None:
        """Return once little enough (`WRITE_HIGH_WATER`) waits to be sent. Raises PeerTimeout, PeerGone."""

    @property
    @abstractmethod
    def can_start_tls(self) -> bool:
        """Whether `start_tls` may be called: there is a certificate, and no TLS yet."""

    @abstractmethod
    async def start_tls(self) -> None:
        """Become encrypted, as the server. All that came in clear and was not read is dropped (RFC 3207 §4.2).

        Write the go-ahead and call this with nothing awaited between, or the peer's hello may be dropped too.
        Raises TlsFailed; the connection is of no use then.
        """

    @abstractmethod
    def close(self) -> None:
        """Send what was written, then end. A peer that does not take it in time is cut off."""

    @abstractmethod
    def abort(self) -> None:
        """End at once; what was not sent is lost."""

    @abstractmethod
    async def closed(self) -> None:
        """Return once the connection is over."""


READ_LIMIT = 128 * 1024
"""Octets that may wait to be read before the peer is made to wait."""

WRITE_HIGH_WATER = 128 * 1024
"""Octets that may wait to be sent before `drain` waits."""

WRITE_LOW_WATER = 32 * 1024
"""`drain` returns once no more than these wait."""
