"""The other side of a client of ours, played from a transcript."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

PATIENCE_SECONDS = 10


@dataclass(frozen=True)
class Says:
    """The peer says this; nothing: it closes the connection."""

    octets: bytes


@dataclass(frozen=True)
class Hears:
    """It has to be told exactly this."""

    octets: bytes


class Peer:
    """Plays one connection. `piece`: octets that are sent at a time. `problem`: what was not as it should be."""

    def __init__(self, steps: Sequence[Says | Hears], piece: int) -> None:
        self.steps, self.piece = steps, piece
        self.problem: str | None = None
        self._done = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        expected = b""
        try:
            for step in self.steps:
                if isinstance(step, Says):
                    if not step.octets:
                        break
                    await self._say(writer, step.octets)
                    continue
                expected = step.octets
                heard = await reader.readexactly(len(expected))
                if heard != expected:
                    self.problem = f"expected {expected!r}, heard {heard!r}"
                    break
        except asyncio.IncompleteReadError as error:
            self.problem = f"expected {expected!r}, heard {error.partial!r} and the end"
        finally:
            writer.close()
            self._done.set()

    async def _say(self, writer: asyncio.StreamWriter, octets: bytes) -> None:
        for start in range(0, len(octets), self.piece):
            writer.write(octets[start : start + self.piece])
            await writer.drain()
            await asyncio.sleep(0)

    async def finished(self) -> str | None:
        """Wait for the end, and give the problem."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._done.wait()
        return self.problem
