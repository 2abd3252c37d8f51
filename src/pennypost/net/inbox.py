"""Octets that arrived and were not read yet, and the one reader that waits for them."""

import asyncio
from collections import deque
from os import sched_yield
from time import monotonic

from pennypost.net.busy_poll import POLL_SECONDS, BusyPoll


class Inbox:
    """A queue of octets with one reader. `size_octets`: how many wait. Whoever feeds it keeps it bounded.

    `busy_poll`: what the event loop knows of who reads, if it is ever to look for octets without sleeping.
    `answered`: whether anything was said to the peer since octets of it were taken last. Who says it sets this.
    """

    __slots__ = ("_busy_poll", "_chunks", "_failure", "_interrupted", "_waiter", "answered", "ended", "size_octets")

    def __init__(self, busy_poll: BusyPoll | None = None) -> None:
        self._busy_poll = busy_poll
        self._chunks: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._interrupted = False
        self._failure: Exception | None = None
        self.answered = False
        self.ended = False
        self.size_octets = 0

    def feed(self, data: bytes) -> None:
        self._chunks.append(data)
        self.size_octets += len(data)
        self._wake()

    def feed_end(self) -> None:
        """No octet will follow."""
        self.ended = True
        self._wake()

    def interrupt(self) -> None:
        """The pending read, or else the next, gets None."""
        self._interrupted = True
        self._wake()

    def fail(self, failure: Exception) -> None:
        """The pending read raises `failure`; without one, nothing happens."""
        if self._waiter is not None:
            self._failure = failure
            self._wake()

    def discard(self) -> None:
        """Forget the octets that wait."""
        self._chunks.clear()
        self.size_octets = 0

    @property
    def ready(self) -> bool:
        """Whether `take` has an answer."""
        return bool(self._chunks) or self._interrupted or self.ended

    def take(self) -> bytes | None:
        """Give all octets that wait; b"" at the end; None after an interrupt. Only when `ready`."""
        if self._interrupted:
            self._interrupted = False
            return None
        self.answered = False
        chunks = self._chunks
        if len(chunks) == 1:
            self.size_octets = 0
            return chunks.popleft()
        data = b"".join(chunks)
        self.discard()
        return data

    async def wait(self) -> None:
        """Return once `ready`."""
        if self._waiter is not None:
            raise RuntimeError("a connection has one reader at a time")
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        try:
            if self._busy_poll is not None and self._busy_poll.is_alone(id(self)) and self.answered:
                await self._look(waiter, self._busy_poll)
            else:
                await waiter
        finally:
            self._waiter = None
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    async def _look(self, waiter: asyncio.Future[None], busy_poll: BusyPoll) -> None:
        """Wait, if it is due without sleeping at first."""
        since = now = monotonic()
        if busy_poll.is_due(now):
            while not waiter.done() and now - since < POLL_SECONDS:
                sched_yield()  # whoever else wants this processor, the client perhaps, has it first
                back = monotonic()
                if back - now > POLL_SECONDS:
                    busy_poll.crowded(back)
                await asyncio.sleep(0)
                now = monotonic()
        await waiter
        busy_poll.waited(id(self), monotonic() - since)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
