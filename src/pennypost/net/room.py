"""How much may be held in memory at the same time: large things wait for each other, small ones for nobody."""

import asyncio
from collections import deque
from contextlib import suppress

SMALL = 1024
"""What takes less than this part of the room does not wait: few large things, which take long, would hold up all."""


class Room:
    """So many octets. Who finds no room waits, first come first served; what is larger than all of it goes alone."""

    def __init__(self, octets: int) -> None:
        self._octets = octets
        self._used = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def taken(self, octets: int) -> "Share":
        """Take room for as long as an `async with` runs."""
        return Share(self, min(octets, self._octets))

    def try_take(self, octets: int) -> bool:
        """Take room if nobody has to be waited for."""
        if octets * SMALL > self._octets and (self._waiting or self._used + octets > self._octets):
            return False
        self._used += octets
        return True

    async def take(self, octets: int) -> None:
        """Wait for room."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((octets, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back(octets)
            else:
                with suppress(ValueError):  # it was passed over already
                    self._waiting.remove((octets, turn))
                self._admit()
            raise

    def give_back(self, octets: int) -> None:
        """Give room back."""
        self._used -= octets
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self._used + self._waiting[0][0] <= self._octets:
            octets, turn = self._waiting.popleft()
            if not turn.done():
                self._used += octets
                turn.set_result(None)


class Share:
    """A part of a room, for as long as an `async with` runs."""

    __slots__ = ("_octets", "_room")

    def __init__(self, room: Room, octets: int) -> None:
        self._room = room
        self._octets = octets

    async def __aenter__(self) -> None:
        if not self._room.try_take(self._octets):
            await self._room.take(self._octets)

    async def __aexit__(self, *_: object) -> None:
        self._room.give_back(self._octets)
