"""The PROXY protocol: headers in any cut, and listeners that ask for one from those who must send it."""

import asyncio
import contextlib
import struct
from collections.abc import Awaitable, Callable
from datetime import timedelta
from ipaddress import ip_address, ip_network

import pytest

from pennypost.model.peer import Peer
from pennypost.net.connection import Connection
from pennypost.net.listener import Listener, bind_tcp
from pennypost.net.proxy import SIGNATURE, BadHeader, ProxyHeader
from pennypost.net.settings import ListenerLimits

PROXY = Peer(ip_address("127.0.0.1"), 5)
V4 = SIGNATURE + struct.pack("!BBH4s4sHH", 0x21, 0x11, 12, b"\xc0\x00\x02\x01", b"\xc0\x00\x02\x02", 4711, 25)
V6 = (
    SIGNATURE
    + struct.pack("!BBH16s16sHH", 0x21, 0x21, 39, ip_address("2001:db8::7").packed, ip_address("::1").packed, 4711, 25)
    + b"\x04\x00\x00"
)
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 25\r\n", Peer(ip_address("192.0.2.1"), 4711)),
        (b"PROXY TCP6 2001:db8::7 ::1 4711 25\r\n", Peer(ip_address("2001:db8::7"), 4711)),
        (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 4711 25\r\n", Peer(ip_address("192.0.2.1"), 4711)),
        (b"PROXY UNKNOWN\r\n", PROXY),
        (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", PROXY),
        (V4, Peer(ip_address("192.0.2.1"), 4711)),
        (V6, Peer(ip_address("2001:db8::7"), 4711)),
        (LOCAL, PROXY),
        (SIGNATURE + b"\x21\x00\x00\x03abc", PROXY),
    ],
)
def test_a_header_says_who_the_client_is(header: bytes, client: Peer) -> None:
    whole = ProxyHeader()
    assert whole.receive_data(header + b"EHLO x\r\n", PROXY) == client
    assert whole.rest == b"EHLO x\r\n"
    octetwise = ProxyHeader()
    for octet in header[:-1]:
        assert octetwise.receive_data(bytes([octet]), PROXY) is None
    assert octetwise.receive_data(header[-1:], PROXY) == client
    assert octetwise.rest == b""


@pytest.mark.parametrize(
    "header",
    [
        b"EHLO x\r\n",
        b"\x16\x03\x01",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 4711\r\n",
        b"PROXY TCP4 2001:db8::7 ::1 4711 25\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 99999 25\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 -1 25\r\n",
        b"PROXY UDP4 192.0.2.1 192.0.2.2 1 25\r\n",
        b"PROXY TCP4  192.0.2.1 192.0.2.2 1 25\r\n",
        b"PROXY " + b"x" * 110,
        SIGNATURE + b"\x31\x11\x00\x0c" + b"x" * 12,
        SIGNATURE + b"\x21\x11\x00\x04" + b"x" * 4,
        SIGNATURE + b"\x21\x11\xff\xff",
    ],
)
def test_anything_else_is_refused(header: bytes) -> None:
    with pytest.raises(BadHeader):
        ProxyHeader().receive_data(header, PROXY)


async def listening(handler: Callable[[Connection], Awaitable[None]], *proxies: str) -> Listener:
    limits = ListenerLimits(proxies=tuple(ip_network(p) for p in proxies), proxy_timeout=timedelta(milliseconds=200))
    listener = Listener("test", handler, refusal=b"", limits=limits)
    for sock in bind_tcp("127.0.0.1", 0):
        await listener.open(sock)
    return listener


async def tell_peer(connection: Connection) -> None:
    connection.write(f"{connection.peer.ip}\r\n".encode())
    data = await connection.read()
    connection.write(data or b"")


async def test_a_listed_proxy_speaks_for_its_client() -> None:
    listener = await listening(tell_peer, "127.0.0.0/8")
    reader, writer = await asyncio.open_connection(*listener.addresses[0])
    writer.write(V4[:20])
    await writer.drain()
    writer.write(V4[20:] + b"and on")
    assert await reader.read() == b"192.0.2.1\r\nand on"
    writer.close()
    await listener.stop(timedelta(seconds=1))


@pytest.mark.parametrize("sent", [b"EHLO x\r\n", b"", b"PROXY TCP4 "])
async def test_a_listed_proxy_that_sends_no_header_is_cut_off(sent: bytes) -> None:
    served: list[Connection] = []

    async def handler(connection: Connection) -> None:
        served.append(connection)

    listener = await listening(handler, "127.0.0.1/32")
    reader, writer = await asyncio.open_connection(*listener.addresses[0])
    writer.write(sent)
    with contextlib.suppress(ConnectionResetError):
        assert await reader.read() == b""
    writer.close()
    assert served == []
    await listener.stop(timedelta(seconds=1))


async def test_a_stranger_who_sends_a_header_is_himself() -> None:
    listener = await listening(tell_peer, "192.0.2.0/24")
    reader, writer = await asyncio.open_connection(*listener.addresses[0])
    writer.write(V4)
    assert (await reader.read()).startswith(b"127.0.0.1\r\n")
    writer.close()
    await listener.stop(timedelta(seconds=1))
