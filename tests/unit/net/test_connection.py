"""Connections over real sockets, on both event loops: reading, backpressure, timeouts, interruption, TLS, half-closed
peers.
"""

import asyncio
import functools
import inspect
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
import uvloop

from pennypost.net.busy_poll import QUICK_READS, BusyPoll
from pennypost.net.connection import READ_LIMIT, WRITE_HIGH_WATER, Connection, PeerGone, PeerTimeout, TlsFailed
from pennypost.net.listener import Listener, bind_tcp
from pennypost.net.self_signed import ensure_self_signed
from pennypost.net.settings import ListenerLimits, TlsSettings
from pennypost.net.tls import ServerTls

SHORT = timedelta(seconds=0.05)


def on_both_loops(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run an asynchronous test on the loop of the standard library, and on uvloop."""

    @pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
    @functools.wraps(test)
    def run(new_loop, **fixtures):
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(asyncio.wait_for(test(**fixtures), 20))

    own = inspect.signature(test)
    new_loop = inspect.Parameter("new_loop", inspect.Parameter.KEYWORD_ONLY)
    run.__signature__ = own.replace(parameters=[*own.parameters.values(), new_loop])
    return run


@pytest.fixture(scope="module")
def server_tls(tmp_path_factory):
    files = ensure_self_signed(tmp_path_factory.mktemp("tls"), "mail.example.org")
    return ServerTls(TlsSettings(handshake_timeout=timedelta(seconds=2)), (files,))


def trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


Handler = Callable[[Connection], Awaitable[None]]


@asynccontextmanager
async def served(handler: Handler, **options):
    options.setdefault("limits", ListenerLimits())
    listener = Listener("test", handler, refusal=b"no\r\n", **options)
    for sock in bind_tcp("127.0.0.1", 0):
        await listener.open(sock)
    try:
        yield listener.addresses[0]
    finally:
        await listener.stop(timedelta(seconds=1))


async def connect(address, **options):
    return await asyncio.open_connection(*address, **options)


@on_both_loops
async def test_octets_go_both_ways_and_the_end_is_empty():
    async def upper(connection: Connection) -> None:
        assert str(connection.peer) == "127.0.0.1"
        assert connection.tls is None
        assert not connection.can_start_tls
        while data := await connection.read():
            connection.write(data.upper())
        connection.write(b"bye")

    async with served(upper) as address:
        reader, writer = await connect(address)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"HELLO"
        writer.write_eof()  # half-closed: what follows is still received
        assert await reader.read() == b"bye"
        writer.close()


@on_both_loops
async def test_a_silent_peer_times_out_at_the_time_that_is_set():
    async def session(connection: Connection) -> None:
        connection.timeout = timedelta(hours=1)
        await connection.read()
        connection.timeout = SHORT  # shorter than the timer that is armed already
        with pytest.raises(PeerTimeout):
            await connection.read()
        connection.write(b"too slow")

    async with served(session) as address:
        reader, writer = await connect(address)
        writer.write(b"x")
        assert await reader.read() == b"too slow"
        writer.close()


@on_both_loops
async def test_an_interrupt_wakes_the_read_and_loses_nothing():
    async def session(connection: Connection) -> None:
        assert await connection.read() == b"one"
        asyncio.get_running_loop().call_soon(connection.interrupt)
        assert await connection.read() is None
        connection.interrupt()
        connection.interrupt()
        assert await connection.read() is None
        connection.write(b"go on")
        assert await connection.read() == b"two"
        connection.write(b"done")

    async with served(session) as address:
        reader, writer = await connect(address)
        writer.write(b"one")
        assert await reader.readexactly(5) == b"go on"
        writer.write(b"two")
        assert await reader.readexactly(4) == b"done"
        writer.close()


@on_both_loops
async def test_what_waits_to_be_read_is_bounded():
    arrived = asyncio.Event()
    sizes = []

    async def session(connection: Connection) -> None:
        await arrived.wait()
        total = 0
        while data := await connection.read():
            sizes.append(len(data))
            total += len(data)
        connection.write(b"%d" % total)

    async with served(session) as address:
        reader, writer = await connect(address)
        size = 256 * READ_LIMIT  # more than the kernel keeps for both ends
        writer.write(b"x" * size)
        await asyncio.sleep(0.1)
        assert writer.transport.get_write_buffer_size() > 0, "the sender was not made to wait"
        arrived.set()
        writer.write_eof()
        assert await reader.read() == b"%d" % size
        assert max(sizes) <= READ_LIMIT + 256 * 1024
        writer.close()


@on_both_loops
async def test_a_slow_reader_costs_bounded_memory_then_times_out():
    outcome = asyncio.get_running_loop().create_future()

    async def session(connection: Connection) -> None:
        connection.timeout = SHORT
        written = 0
        try:
            while written < 2**26:
                connection.write(b"x" * 65536)
                written += 65536
                await connection.drain()
        except PeerTimeout:
            outcome.set_result(connection._transport.get_write_buffer_size())
            connection.abort()

    async with served(session) as address:
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.setblocking(False)
            await asyncio.get_running_loop().sock_connect(slow, address)
            assert WRITE_HIGH_WATER <= await asyncio.wait_for(outcome, 5) <= WRITE_HIGH_WATER + 65536 * 2


@on_both_loops
async def test_drain_tells_that_the_peer_is_gone():
    outcome = asyncio.get_running_loop().create_future()

    async def session(connection: Connection) -> None:
        try:
            while True:
                connection.write(b"x" * 65536)
                await connection.drain()
        except PeerGone:
            outcome.set_result(await connection.read())

    async with served(session) as address:
        _, writer = await connect(address)
        writer.transport.abort()
        assert await asyncio.wait_for(outcome, 5) == b""


@on_both_loops
async def test_closing_with_unread_octets_still_brings_the_last_words():
    async def session(connection: Connection) -> None:
        await asyncio.sleep(0.02)
        connection.write(b"421 go away\r\n")

    async with served(session) as address:
        reader, writer = await connect(address)
        writer.write(b"x" * 300_000)
        assert await reader.read() == b"421 go away\r\n"
        writer.close()


@on_both_loops
async def test_starttls_drops_what_came_in_clear(server_tls):
    heard = asyncio.Event()

    async def session(connection: Connection) -> None:
        assert await connection.read() == b"STARTTLS\r\n"
        heard.set()
        # More clear text arrives, and waits; nothing tells of that.
        while not connection._inbox.size_octets:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        assert connection.can_start_tls
        connection.write(b"go\r\n")
        await connection.start_tls()
        data = await connection.read()
        info = connection.tls
        assert not connection.can_start_tls
        connection.write(b"%b under %b" % (data, info.version.encode()))

    async with served(session, tls=server_tls) as address:
        reader, writer = await connect(address)
        writer.write(b"STARTTLS\r\n")
        await heard.wait()
        writer.write(b"INJECTED\r\n")
        assert await reader.readline() == b"go\r\n"
        await writer.start_tls(trusting(), server_hostname="mail.example.org")
        writer.write(b"secret")
        assert await reader.read() == b"secret under TLSv1.3"
        writer.close()


@on_both_loops
async def test_implicit_tls_carries_large_data_both_ways(server_tls):
    async def echo(connection: Connection) -> None:
        assert connection.tls.server_name == "mail.example.org"
        assert len(connection.tls.server_end_point) == 32
        while data := await connection.read():
            connection.write(data)
            await connection.drain()

    size = 3_000_001
    async with served(echo, tls=server_tls, implicit_tls=True) as address:
        reader, writer = await connect(address, ssl=trusting(), server_hostname="mail.example.org")
        payload = bytes(range(256)) * (size // 256)
        writer.write(payload)
        assert await asyncio.wait_for(reader.readexactly(len(payload)), 10) == payload
        writer.close()


@on_both_loops
async def test_tls_1_2_and_the_end_by_close_notify(server_tls):
    ended = asyncio.get_running_loop().create_future()

    async def session(connection: Connection) -> None:
        assert connection.tls.version == "TLSv1.2"
        connection.write(b"hi")
        while await connection.read():
            pass
        ended.set_result(True)

    context = trusting()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with served(session, tls=server_tls, implicit_tls=True) as address:
        reader, writer = await connect(address, ssl=context)
        assert await reader.readexactly(2) == b"hi"
        writer.close()
        assert await asyncio.wait_for(ended, 5)


@on_both_loops
async def test_older_versions_than_tls_1_2_are_refused(server_tls):
    """RFC 8996 §4, §5: TLS 1.0 and 1.1 must not be negotiated. The hello is one of TLS 1.1, made by hand."""
    ciphers = bytes.fromhex("c009c013c00ac014002f0035")
    body = b"\x03\x02" + bytes(32) + b"\0" + len(ciphers).to_bytes(2, "big") + ciphers + b"\x01\0"
    handshake = b"\x01" + len(body).to_bytes(3, "big") + body
    record = b"\x16\x03\x01" + len(handshake).to_bytes(2, "big") + handshake

    async def never(connection: Connection) -> None:
        raise AssertionError("the handler ran")

    async with served(never, tls=server_tls, implicit_tls=True) as address:
        reader, writer = await connect(address)
        writer.write(record)
        answer = await asyncio.wait_for(reader.read(), 5)
        assert answer[0] == 21  # an alert
        assert answer[-1] == 70  # protocol_version
        writer.close()


@pytest.mark.parametrize("hello", [b"EHLO x\r\n" * 10, b"\x16\x03\x01\x00\x05hello", b""])
@on_both_loops
async def test_a_bad_handshake_ends_the_connection_only(server_tls, hello):
    async def never(connection: Connection) -> None:
        raise AssertionError("the handler ran")

    async with served(never, tls=server_tls, implicit_tls=True) as address:
        reader, writer = await connect(address)
        writer.write(hello)
        writer.write_eof()
        await asyncio.wait_for(reader.read(), 5)
        writer.close()


@on_both_loops
async def test_an_endless_handshake_times_out(tmp_path):
    files = ensure_self_signed(tmp_path, "mail.example.org")
    tls = ServerTls(TlsSettings(handshake_timeout=SHORT), (files,))
    outcome = asyncio.get_running_loop().create_future()

    async def session(connection: Connection) -> None:
        connection.write(b"go")
        try:
            await connection.start_tls()
        except TlsFailed as failure:
            outcome.set_result(str(failure))

    async with served(session, tls=tls) as address:
        _, writer = await connect(address)
        assert "too long" in await asyncio.wait_for(outcome, 5)
        writer.close()


@on_both_loops
async def test_a_client_that_writes_in_two_steps_is_not_held_up_by_delayed_acknowledgements():
    """What comes in two small segments, and is answered when both are there, must not take 40 ms."""

    async def session(connection: Connection) -> None:
        line = b""
        while data := await connection.read():
            line += data
            if line.endswith(b"\r\n"):
                connection.write(b"ok\r\n")
                line = b""

    def talk(address) -> float:
        with socket.create_connection(address) as client:
            began = time.perf_counter()
            for _ in range(40):
                client.sendall(b"x" * 100)
                client.sendall(b"\r\n")
                assert client.recv(4) == b"ok\r\n"
            return time.perf_counter() - began

    async with served(session) as address:
        assert await asyncio.to_thread(talk, address) < 40 * 0.02


# -- A client that is quick


@pytest.fixture
def poll(monkeypatch):
    """To this every client is quick."""
    monkeypatch.setattr("pennypost.net.busy_poll.POLL_SECONDS", 60.0)
    monkeypatch.setattr("pennypost.net.inbox.POLL_SECONDS", 60.0)
    return BusyPoll()


@asynccontextmanager
async def lines_answered(poll: BusyPoll, server_tls: ServerTls | None):
    """A client of a server that answers each line, and how often that has read."""
    reads: asyncio.Queue[bytes] = asyncio.Queue()

    async def session(connection: Connection) -> None:
        line = b""
        while data := await connection.read():
            reads.put_nowait(data)
            line += data
            if line.endswith(b"\n"):
                connection.write(b"ok\n")
                line = b""

    options = {"ssl": trusting()} if server_tls else {}
    async with served(session, busy_poll=poll, tls=server_tls, implicit_tls=server_tls is not None) as address:
        reader, writer = await connect(address, **options)
        try:
            yield reader, writer, reads
        finally:
            writer.close()


@pytest.mark.parametrize("tls", [False, True])
@on_both_loops
async def test_a_client_that_is_quick_after_each_answer_is_looked_for(poll, server_tls, tls):
    async with lines_answered(poll, server_tls if tls else None) as (reader, writer, _):
        due = []
        for _ in range(QUICK_READS + 3):
            due.append(poll.is_due(time.monotonic()))
            writer.write(b"NOOP\n")
            assert await reader.readline() == b"ok\n"
        assert due.index(True) >= QUICK_READS
        assert poll.is_due(time.monotonic())


@pytest.mark.parametrize("tls", [False, True])
@on_both_loops
async def test_octets_that_follow_each_other_quickly_are_not(poll, server_tls, tls):
    """A message that is sent from far away comes in such pieces, too."""
    async with lines_answered(poll, server_tls if tls else None) as (reader, writer, reads):
        for _ in range(3 * QUICK_READS):
            writer.write(b"piece")
            assert await reads.get() == b"piece"
        assert not poll.is_due(time.monotonic())
        writer.write(b"\n")
        assert await reader.readline() == b"ok\n"
        assert not poll.is_due(time.monotonic())
