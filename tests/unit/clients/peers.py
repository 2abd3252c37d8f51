"""Servers on loopback that behave, or misbehave, as a test tells them."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address

from pennypost.clients.screening.shape import Specimen, Visit
from pennypost.model.address import Address
from pennypost.model.envelope import Envelope, Recipient
from pennypost.model.peer import Peer
from pennypost.net.endpoint import TcpEndpoint

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

VISIT = Visit(Peer(ip_address("192.0.2.7"), 4711), "mx.example", "mail.penny.test", "0123456789abcdef")
HEADER = b"From: carl@example.org\r\nTo: anna@penny.test\r\nSubject: hello\r\n\r\n"


@asynccontextmanager
async def listening(
    handler: Handler, port: int = 0, context: ssl.SSLContext | None = None
) -> AsyncIterator[TcpEndpoint]:
    """Serve connections with `handler` until the end of the `with`; those still open are cut off."""
    tasks: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        writers.append(writer)
        try:
            await handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, ssl=context)
    try:
        yield TcpEndpoint("127.0.0.1", server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()
        await server.wait_closed()
        await asyncio.sleep(0)  # the transports come to their end
        await asyncio.sleep(0)


def specimen(body: bytes = b"A body.\r\n", header: bytes = HEADER) -> Specimen:
    """Make a message from Carl to Anna."""
    envelope = Envelope(Address("carl", "example.org"), (Recipient(Address("anna", "penny.test")),))
    return Specimen(envelope, header, memoryview(body))


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take everything and say nothing."""
    while await reader.read(65536):
        pass
    await asyncio.Event().wait()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reset the connection as soon as something came."""
    await reader.read(1)
    writer.transport.abort()


async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer without an end."""
    while True:
        writer.write(b"\xff" * 65536)
        await writer.drain()


async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer what makes no sense, and go."""
    await reader.read(10)
    writer.write(b"\x00\x00\x00\x05what?\r\n\0")
    await writer.drain()


FAULTS = {"hang": hang, "hang up": hang_up, "babble": babble, "garbage": garbage}
