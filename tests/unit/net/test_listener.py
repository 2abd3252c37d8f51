"""Listeners: limits before tasks, faults that stay in their connection, graceful stop, addresses and Unix sockets."""

import asyncio
import socket
from datetime import timedelta
from ipaddress import ip_address

import pytest

from pennypost.model.peer import Peer
from pennypost.net.connection import Connection
from pennypost.net.listener import Admission, Listener, bind_tcp, bind_unix
from pennypost.net.settings import ListenerLimits

GRACE = timedelta(seconds=2)


async def listening(handler, sock=None, **options):
    options.setdefault("limits", ListenerLimits())
    listener = Listener("test", handler, refusal=b"421 4.7.0 Too many connections\r\n", **options)
    for each in [sock] if sock else bind_tcp("127.0.0.1", 0):
        await listener.open(each)
    return listener


async def until_end(connection: Connection) -> None:
    connection.write(b"hello\r\n")
    while await connection.read():
        pass
    if connection.shutting_down:
        connection.write(b"bye\r\n")


@pytest.mark.parametrize(
    "limits",
    [ListenerLimits(connections=2), ListenerLimits(connections_per_address=2)],
)
async def test_connections_beyond_a_limit_are_refused_and_room_is_given_back(limits):
    listener = await listening(until_end, limits=limits)
    streams = [await asyncio.open_connection(*listener.addresses[0]) for _ in range(2)]
    for reader, _ in streams:
        assert await reader.readline() == b"hello\r\n"
    reader, writer = await asyncio.open_connection(*listener.addresses[0])
    assert await reader.read() == b"421 4.7.0 Too many connections\r\n"
    writer.close()
    streams[0][1].close()
    for _ in range(100):
        if listener.connection_count == 1:
            break
        await asyncio.sleep(0.01)
    reader, writer = await asyncio.open_connection(*listener.addresses[0])
    assert await reader.readline() == b"hello\r\n"
    writer.close()
    streams[1][1].close()
    await listener.stop(GRACE)
    assert listener.connection_count == 0


def test_one_ipv6_host_counts_by_its_64_bit_network():
    admission = Admission(ListenerLimits(connections_per_address=2))
    near = [Peer(ip_address(f"2001:db8::{n}"), 1) for n in (1, 2, 3)]
    far = Peer(ip_address("2001:db8:0:1::1"), 1)
    unix = Peer(None, 0)
    assert admission.enter(near[0])
    assert admission.enter(near[1])
    assert not admission.enter(near[2])
    assert admission.enter(far)
    assert all(admission.enter(unix) for _ in range(5))
    admission.leave(near[0])
    assert admission.enter(near[2])
    assert admission.total == 8


async def test_a_fault_in_a_handler_is_an_incident_and_ends_one_connection_only(capsys):
    async def faulty(connection: Connection) -> None:
        if await connection.read() == b"bad":
            raise KeyError("secret text")
        connection.write(b"fine")

    listener = await listening(faulty)
    reader, writer = await asyncio.open_connection(*listener.addresses[0])
    writer.write(b"bad")
    assert await reader.read() == b""
    writer.close()
    reader, writer = await asyncio.open_connection(*listener.addresses[0])
    writer.write(b"good")
    assert await reader.read() == b"fine"
    writer.close()
    await listener.stop(GRACE)
    logged = capsys.readouterr().out
    assert "incident" in logged
    assert "test.connection" in logged


async def test_a_graceful_stop_lets_idle_sessions_say_goodbye():
    listener = await listening(until_end)
    reader, writer = await asyncio.open_connection(*listener.addresses[0])
    assert await reader.readline() == b"hello\r\n"
    await listener.stop(GRACE)
    assert await reader.read() == b"bye\r\n"
    writer.close()
    with pytest.raises(OSError):  # noqa: PT011
        await asyncio.open_connection(*listener.addresses[0])


async def test_a_session_that_does_not_end_is_cut_off():
    started = asyncio.Event()
    cancelled = asyncio.get_running_loop().create_future()

    async def stubborn(connection: Connection) -> None:
        started.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set_result(True)
            raise

    listener = await listening(stubborn)
    reader, writer = await asyncio.open_connection(*listener.addresses[0])
    await started.wait()
    await listener.stop(timedelta(seconds=0.05))
    assert await asyncio.wait_for(cancelled, 1)
    assert await reader.read() == b""
    writer.close()


async def test_a_unix_socket_is_served_and_a_stale_one_replaced(tmp_path):
    path = tmp_path / "lmtp.sock"
    peers = []

    async def session(connection: Connection) -> None:
        peers.append(connection.peer)
        await until_end(connection)

    stale = bind_unix(path)
    stale.close()
    listener = await listening(session, bind_unix(path, 0o600))
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(OSError, match="in use"):
        bind_unix(path)
    reader, writer = await asyncio.open_unix_connection(str(path))
    assert await reader.readline() == b"hello\r\n"
    assert peers[-1] == Peer(None, 0)
    writer.close()
    await listener.stop(GRACE)


def test_every_address_is_ipv4_and_ipv6_apart_on_one_port_that_can_be_shared():
    first = bind_tcp("*", 0)
    ports = {sock.getsockname()[1] for sock in first}
    assert len(ports) == 1
    assert socket.AF_INET in {sock.family for sock in first}
    second = bind_tcp("*", ports.pop())
    assert len(second) == len(first)
    for sock in first + second:
        if sock.family == socket.AF_INET6:
            assert sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
        sock.close()
