"""A deadline that is cheap to move.

Theory of operation. A connection waits for its peer thousands of times and times out once at most, so a timer for
each wait would be made and cancelled thousands of times. An alarm keeps one timer: moving the deadline later only
writes a number, and the timer, when it fires too early, arms itself again for what is left.
"""

import asyncio
from collections.abc import Callable


class Alarm:
    """Calls `ring` once when the loop's clock passes the deadline."""

    __slots__ = ("_deadline", "_handle", "_loop", "_ring")

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._loop = loop
        self._ring = ring
        self._deadline = 0.0
        self._handle: asyncio.TimerHandle | None = None

    def set(self, seconds: float) -> None:
        """Ring in `seconds`, instead of whatever was set before."""
        deadline = self._loop.time() + seconds
        self._deadline = deadline
        handle = self._handle
        if handle is not None:
            if handle.when() <= deadline:
                return
            handle.cancel()
        self._handle = self._loop.call_at(deadline, self._fire)

    def clear(self) -> None:
        """Do not ring. The timer stays armed, for the next wait."""
        self._deadline = 0.0

    def cancel(self) -> None:
        """Do not ring, and give the timer back."""
        self._deadline = 0.0
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _fire(self) -> None:
        self._handle = None
        if not self._deadline:
            return
        if self._loop.time() < self._deadline:
            self._handle = self._loop.call_at(self._deadline, self._fire)
            return
        self._deadline = 0.0
        self._ring()
