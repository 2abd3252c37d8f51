"""MemoryConnection keeps the contract that SocketConnection keeps."""

import asyncio
from datetime import timedelta

import pytest

from pennypost.net.connection import WRITE_HIGH_WATER, PeerGone, PeerTimeout, TlsFailed
from pennypost.net.memory import MemoryConnection


async def test_octets_go_both_ways_and_the_end_is_empty():
    connection = MemoryConnection()
    connection.send(b"a")
    connection.send(b"b")
    assert await connection.read() == b"ab"
    connection.write(b"c")
    assert await connection.receive() == b"c"
    connection.send_end()
    assert await connection.read() == b""
    connection.write(b"d")  # half-closed
    connection.close()
    assert await connection.receive() == b"d"
    assert await connection.receive() == b""
    await connection.closed()


async def test_interrupt_and_timeout():
    connection = MemoryConnection(timeout=timedelta(seconds=0.02))
    connection.interrupt()
    assert await connection.read() is None
    with pytest.raises(PeerTimeout):
        await connection.read()
    connection.send(b"still here")
    assert await connection.read() == b"still here"


async def test_a_slow_reader_is_waited_for_then_given_up():
    connection = MemoryConnection(timeout=timedelta(seconds=0.02))
    connection.write(b"x" * (WRITE_HIGH_WATER + 1))
    with pytest.raises(PeerTimeout):
        await connection.drain()
    drained = asyncio.ensure_future(connection.drain())
    await asyncio.sleep(0)
    await connection.receive()
    await drained
    connection.abort()
    with pytest.raises(PeerGone):
        await connection.drain()


async def test_pretended_tls_drops_what_came_before_it():
    connection = MemoryConnection()
    connection.send(b"clear")
    assert connection.can_start_tls
    starting = asyncio.ensure_future(connection.start_tls())
    await connection.handshake()
    await starting
    assert connection.tls is not None
    assert not connection.can_start_tls
    connection.send(b"secret")
    assert await connection.read() == b"secret"


async def test_clear_text_in_place_of_a_handshake_fails_it():
    connection = MemoryConnection()
    starting = asyncio.ensure_future(connection.start_tls())
    await asyncio.sleep(0)
    connection.send(b"EHLO again\r\n")
    with pytest.raises(TlsFailed):
        await starting
