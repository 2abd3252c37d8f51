"""Messages that their next host takes while their sender waits for `250`.

Theory of operation
-------------------
Whoever says 250 is responsible for a message (RFC 5321 §6.1). So has the next host, once it has said so: what it has
taken needs no place in the queue, no sync, and no transaction but that for the timeline. Where a next hop has turned
out to be quick, and nothing waits for it, a new message is offered to it before it is stored. If it is taken by all of
its recipients' hosts in time, that is all. If not, or if that takes too long, it is put into the queue as any other,
leased to us; the attempt that was begun goes on, and what comes of it is written down as that of an attempt from the
queue.

Nothing is lost: 250 is said when the next host has said it, or when the message is in the queue. If we die before that,
the sender has no reply and sends again, as when any reply is lost.
"""

import asyncio

from pennypost.mail.queue.channel import Job
from pennypost.model.relaying import RelayOutcome, RelayState


class Passage:
    """One message on its way before it is in the queue. `job`: it as what is under way to its hop; it has deliveries
    when it is in the queue."""

    __slots__ = ("_loop", "_over", "_timer", "_waiter", "job", "outcome")

    def __init__(self, job: Job, loop: asyncio.AbstractEventLoop, patience_seconds: float) -> None:
        self.job = job
        self.outcome: RelayOutcome | None = None
        self._loop = loop
        self._waiter: asyncio.Future[None] = loop.create_future()
        self._over: asyncio.Future[None] | None = None
        self._timer = loop.call_later(patience_seconds, self._wake)

    def end(self, outcome: RelayOutcome) -> None:
        """Say what came of it."""
        self.outcome = outcome
        self._timer.cancel()
        self._wake()
        if self._over is not None and not self._over.done():
            self._over.set_result(None)

    def _wake(self) -> None:
        if not self._waiter.done():
            self._waiter.set_result(None)

    @property
    def went_well(self) -> bool:
        """Whether every recipient was sent to."""
        outcome = self.outcome
        return outcome is not None and all(result.state is RelayState.SENT for result in outcome.results)

    async def taken(self) -> bool:
        """Wait for what comes of it, but not for long. Gives whether every recipient was sent to."""
        await self._waiter
        return self.went_well

    async def ended(self) -> RelayOutcome:
        """Wait for what comes of it."""
        if self.outcome is None:
            self._over = self._loop.create_future()
            await self._over
        assert self.outcome is not None
        return self.outcome
