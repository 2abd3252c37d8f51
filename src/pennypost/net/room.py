"""How much may be held in memory at the same time: large things wait for each other, small ones for nobody."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

SMALL = 1024
"""What takes less than this part of the room does not wait: few large things, which take long, would hold up all."""


class Room:
    """So many octets. Who finds no room waits, first come first served; what is larger than all of it goes alone."""

    def __init__(self, octets: int) -> None:
        self._octets = octets
        self._used = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def taken(self, octets: int) -> AsyncIterator[None]:
        """Take room for as long as the block runs."""
        octets = min(octets, self._octets)
        if octets * SMALL > self._octets and (self._waiting or self._used + octets > self._octets):
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append((octets, turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._give_back(octets)
                else:
                    with suppress(ValueError):  # it was passed over already
                        self._waiting.remove((octets, turn))
                    self._admit()
                raise
        else:
            self._used += octets
        try:
            yield
        finally:
            self._give_back(octets)

    def _give_back(self, octets: int) -> None:
        self._used -= octets
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self._used + self._waiting[0][0] <= self._octets:
            octets, turn = self._waiting.popleft()
            if not turn.done():
                self._used += octets
                turn.set_result(None)
