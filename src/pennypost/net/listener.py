"""Bind, count, accept, start a handler for each connection, stop gracefully."""

import asyncio
import errno
import os
import socket
import stat
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import structlog

from pennypost.model.peer import Peer
from pennypost.net.busy_poll import BusyPoll
from pennypost.net.connection import Connection, ConnectionEnded
from pennypost.net.incident import log_incident
from pennypost.net.settings import ListenerLimits
from pennypost.net.sockets import SocketConnection, set_keepalive
from pennypost.net.spread import Share
from pennypost.net.tls import ServerTls

_log = structlog.stdlib.get_logger("pennypost.listener")

Handler = Callable[[Connection], Awaitable[None]]
"""What a door is: serves one connection until it ends. It need not close it, and may let ConnectionEnded pass."""


class Admission:
    """How many connections there are, in all and from each address. Several listeners may share one."""

    def __init__(self, limits: ListenerLimits) -> None:
        self._limits = limits
        self._by_network: Counter[int | IPv4Address] = Counter()
        self.total = 0

    def enter(self, peer: Peer, gate: Callable[[Peer], bool] | None = None) -> bool:
        """Count `peer` in, or answer False and do not. `gate`: says whether it may come in at all."""
        network = _network(peer)
        if self.total >= self._limits.connections:
            return False
        if gate is not None and not gate(peer):
            return False
        if network is not None:
            if self._by_network[network] >= self._limits.connections_per_address:
                return False
            self._by_network[network] += 1
        self.total += 1
        return True

    def leave(self, peer: Peer) -> None:
        """Undo `enter`."""
        self.total -= 1
        network = _network(peer)
        if network is not None:
            self._by_network[network] -= 1
            if not self._by_network[network]:
                del self._by_network[network]


def _network(peer: Peer) -> int | IPv4Address | None:
    """Whom a connection counts for: an IPv4 address, or the /64 that one IPv6 host has to itself (RFC 6177 §2)."""
    if isinstance(peer.ip, IPv6Address):
        return int(peer.ip) >> 64
    return peer.ip


class Listener:
    """Serves every connection to its sockets with `handler`.

    `name`: what it is called in the log. `tls`: certificates, needed for `implicit_tls` and for Connection.start_tls.
    `refusal`: the line that a connection beyond the limits is sent (not under implicit TLS) before it is closed; no
    task is made for it. `gate`: says of a peer whether it may come in at all. `timeout`: what `Connection.timeout`
    begins with. `share`: hands connections to workers that have fewer. `busy_poll`: of this event loop. An exception
    out of the handler is logged as an incident and ends that connection only.

    A lack of descriptors while accepting is left to the event loop: stdlib's waits a second and tries again, libuv
    closes the connection at once.
    """

    def __init__(
        self,
        name: str,
        handler: Handler,
        *,
        limits: ListenerLimits,
        refusal: bytes,
        tls: ServerTls | None = None,
        implicit_tls: bool = False,
        admission: Admission | None = None,
        gate: Callable[[Peer], bool] | None = None,
        timeout: timedelta = timedelta(minutes=5),
        share: Share | None = None,
        busy_poll: BusyPoll | None = None,
    ) -> None:
        if implicit_tls and tls is None:
            raise ValueError("implicit TLS needs a certificate")
        self.name = name
        self._handler = handler
        self._limits = limits
        self._refusal = b"" if implicit_tls else refusal
        self._tls = tls
        self._implicit_tls = implicit_tls
        self._admission = admission or Admission(limits)
        self._gate = gate
        self._timeout = timeout
        self._share = share
        self._busy_poll = busy_poll
        self._adoptions: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []
        self._tasks: dict[SocketConnection, asyncio.Task[None]] = {}
        self._connections: set[SocketConnection] = set()
        self._all_gone = asyncio.Event()
        self._stopping = False
        self.addresses: list[tuple[str, int] | str] = []

    @property
    def connection_count(self) -> int:
        return len(self._connections)

    async def open(self, sock: socket.socket) -> None:
        """Accept connections to a bound stream socket (`bind_tcp`, `bind_unix`, or inherited), which becomes ours."""
        loop = asyncio.get_running_loop()
        if sock.family == socket.AF_UNIX:
            server = await loop.create_unix_server(self._own_connection, sock=sock, backlog=self._limits.backlog)
            self.addresses.append(str(sock.getsockname()))
        else:
            set_keepalive(sock)  # accepted sockets inherit it
            server = await loop.create_server(self._new_connection, sock=sock, backlog=self._limits.backlog)
            host, port = sock.getsockname()[:2]
            self.addresses.append((host, port))
        self._servers.append(server)

    async def stop(self, grace: timedelta) -> None:
        """Accept no more; let sessions say goodbye, for at most `grace`; then cut off those that remain."""
        self._stopping = True
        for server in self._servers:
            server.close()
        self._all_gone.clear()
        for connection in self._connections:
            connection.shutting_down = True
            connection.interrupt()
        if self._connections:
            try:
                await asyncio.wait_for(self._all_gone.wait(), grace.total_seconds())
            except TimeoutError:
                if self._connections:
                    _log.info("connections cut off", listener=self.name, count=len(self._connections))
        remaining = list(self._tasks.values())
        for connection in list(self._connections):
            connection.abort()
        for task in remaining:
            task.cancel()
        if remaining:
            await asyncio.wait(remaining)
        for adoption in list(self._adoptions):
            adoption.cancel()
        self._servers.clear()

    def adopt(self, sock: socket.socket) -> None:
        """Serve a connection that another worker has accepted and handed over."""
        if self._stopping:
            sock.close()
            return
        task = asyncio.get_running_loop().create_task(self._take_up(sock))
        self._adoptions.add(task)
        task.add_done_callback(self._adoptions.discard)

    async def _take_up(self, sock: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._own_connection, sock)
        except OSError:
            sock.close()  # the peer is gone

    def _own_connection(self) -> SocketConnection:
        return self._connection(None)

    def _new_connection(self) -> SocketConnection:
        return self._connection(self._share.hand_over if self._share is not None and not self._stopping else None)

    def _connection(self, hand_over: Callable[[int], bool] | None) -> SocketConnection:
        connection = SocketConnection(self._tls, self._timeout, self._made, self._lost, hand_over, self._busy_poll)
        if self._limits.proxies:
            connection.expect_proxy(self._is_proxy, self._limits.proxy_timeout)
        return connection

    def _is_proxy(self, peer: Peer) -> bool:
        return peer.ip is not None and any(
            peer.ip.version == network.version and peer.ip in network for network in self._limits.proxies
        )

    def _made(self, connection: SocketConnection) -> None:
        if self._stopping:
            connection.abort()
            return
        if not self._admission.enter(connection.peer, self._gate):
            _log.warning("connection refused: banned, or too many", listener=self.name, peer=str(connection.peer))
            connection.refuse(self._refusal)
            return
        self._connections.add(connection)
        if self._share is not None:
            self._share.entered()
        if self._implicit_tls:
            connection.expect_tls()  # at once: the hello may be read before the task runs
        task = asyncio.get_running_loop().create_task(self._serve(connection))
        self._tasks[connection] = task

    def _lost(self, connection: SocketConnection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
            if self._share is not None:
                self._share.left()
            self._admission.leave(connection.peer)
            if not self._connections:
                self._all_gone.set()

    async def _serve(self, connection: SocketConnection) -> None:
        try:
            if self._implicit_tls:
                await connection.start_tls()
            await self._handler(connection)
        except ConnectionEnded as end:
            _log.debug("connection ended", listener=self.name, peer=str(connection.peer), why=repr(end))
        except Exception as problem:
            log_incident(f"{self.name}.connection", problem, peer=str(connection.peer))
        finally:
            connection.close()
            del self._tasks[connection]


def bind_tcp(host: str, port: int, *, reuse_port: bool = True) -> list[socket.socket]:
    """Bind stream sockets for `host`: a name or an address; "" or "*" is every address, IPv4 and IPv6 apart.

    `reuse_port`: other processes may bind the same (SO_REUSEPORT), and the kernel spreads connections over them. Port 0
    is a free one, the same for all. A host without IPv6 is served over IPv4. Raises OSError.
    """
    wanted = None if host in ("", "*") else host
    found = socket.getaddrinfo(wanted, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    bound: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            if port == 0 and bound:
                address = (address[0], bound[0].getsockname()[1], *address[2:])
            try:
                bound.append(_bind(family, address, reuse_port))
            except OSError as problem:
                unusable = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
                if family == socket.AF_INET6 and problem.errno in unusable and len(found) > 1:
                    continue
                raise
    except BaseException:
        for sock in bound:
            sock.close()
        raise
    return bound


def _bind(family: int, address: tuple[object, ...], reuse_port: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock


def bind_unix(path: Path, mode: int = 0o660) -> socket.socket:
    """Bind a stream socket in the file system. One that nobody listens on any more is replaced. Raises OSError."""
    if path.exists() and stat.S_ISSOCK(path.stat().st_mode):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()
            else:
                raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), str(path))
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.bind(str(path))
        path.chmod(mode)
    except BaseException:
        sock.close()
        raise
    return sock
