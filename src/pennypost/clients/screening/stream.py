"""Send large messages without holding up the loop, and read short answers without holding much."""

import asyncio
from collections.abc import AsyncIterator, Iterable

from pennypost.clients.screening.shape import ScreenerFailed
from pennypost.net.connection import Connection

PIECE = 64 * 1024
"""Octets that are sent at a time."""

_TURN = 1024 * 1024
"""Octets after which others have their turn, even if the peer takes them as fast as they come."""


async def in_turns(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Give pieces one by one, and others their turn in between."""
    given = 0
    for piece in pieces:
        yield piece
        given += len(piece)
        if given >= _TURN:
            given = 0
            await asyncio.sleep(0)


async def pour(connection: Connection, pieces: Iterable[bytes]) -> None:
    """Send pieces. Raises PeerTimeout, PeerGone."""
    async for piece in in_turns(pieces):
        connection.write(piece)
        await connection.drain()


async def read_until(connection: Connection, end: bytes, most: int) -> bytes:
    """Read up to and without `end`. Raises ScreenerFailed when there is more than that, or the peer ends before."""
    answer = b""
    while end not in answer:
        if len(answer) > most:
            raise ScreenerFailed("its answer has no end")
        piece = await connection.read()
        if not piece:
            raise ScreenerFailed("it hung up" if not answer else "it hung up within its answer")
        answer += piece
    return answer.partition(end)[0]
