"""Writing down what was sent, for several messages at once.

Most attempts end well, and leave nothing to be decided: their rows go, and the timeline tells of them. What ended so
waits a moment for others, or for new mail, whose transaction costs the sync that it needs, too. Until it is written a
message counts as under way; a worker that is killed in that moment has it sent again by others, so the moment is short.
"""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from pennypost.mail.queue.persist import persist
from pennypost.model.errors import MailError
from pennypost.model.ids import DeliveryId, QueuedId
from pennypost.store import dispatch, timeline
from pennypost.store.engine import Operation, Transaction
from pennypost.store.store import Store
from pennypost.store.timeline import EventKind, Step

LINGER_SECONDS = 0.002
"""How long what was sent waits for others to be written down with."""

NOTE_SECONDS = 0.02
"""The same of what only the timeline tells, for which nobody waits."""

MOST_TOGETHER = 50
"""Deliveries that are written down together."""


_log = structlog.stdlib.get_logger("pennypost.queue")


class Living(Protocol):
    """The sender whose messages these are."""

    @property
    def holder(self) -> str: ...

    async def stay(self, tx: Transaction, holder: str) -> None:
        """Prolong the lease if it is time: an operation."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that some recipients' next host has taken. `holder`: as whom we had them leased. `facts`: what the
    timeline tells of it."""

    holder: str
    queued: QueuedId
    deliveries: Sequence[DeliveryId]
    trace: int
    facts: Mapping[str, object]


class Settler:
    """Writes down what was sent by one worker."""

    def __init__(self, store: Store, living: Living) -> None:
        self._store = store
        self._living = living
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[Sent, asyncio.Future[None]]] = []
        self._notes: list[Step] = []
        self._more: list[Operation[None]] = []
        self._rows = 0
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def settle(self, sent: Sent) -> asyncio.Future[None]:
        """Have it written down. The future is done when that is durable; its errors are those of `persist`."""
        future = self._loop.create_future()
        self._waiting.append((sent, future))
        self._rows += len(sent.deliveries)
        self._linger(LINGER_SECONDS)
        return future

    def note(self, steps: Sequence[Step], more: Operation[None] | None = None) -> None:
        """Have the timeline tell of something, soon. `more`: what else is to be written. What the store cannot take is
        lost."""
        self._notes += steps
        if more is not None:
            self._more.append(more)
        self._rows += len(steps)
        self._linger(NOTE_SECONDS)

    def _linger(self, seconds: float) -> None:
        if self._rows >= MOST_TOGETHER:
            self.flush()
            return
        at = self._loop.time() + seconds
        if self._timer is not None:
            if self._timer.when() <= at:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(at, self.flush)

    def flush(self) -> None:
        """Wait no longer for others."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            self._begin(self._write(self._waiting))
        if self._notes:
            self._begin(self._write_notes(self._notes, self._more))
        self._waiting, self._notes, self._more, self._rows = [], [], [], 0

    def _begin(self, work: Coroutine[object, object, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Write all that waits."""
        self.flush()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _write_notes(self, notes: Sequence[Step], more: Sequence[Operation[None]]) -> None:
        async def operation(tx: Transaction) -> None:
            await timeline.record_many(tx, notes)
            for one in more:
                await one(tx)

        try:
            await self._store.write(operation)
        except MailError as problem:
            _log.error("the timeline does not tell of what was sent", steps=len(notes), reason=str(problem))

    async def _write(self, all_sent: Sequence[tuple[Sent, asyncio.Future[None]]]) -> None:
        leased = [(delivery, sent.holder) for sent, _ in all_sent for delivery in sent.deliveries]
        messages = [sent.queued for sent, _ in all_sent]
        events = [(sent.trace, EventKind.ATTEMPTED, sent.facts) for sent, _ in all_sent]

        async def operation(tx: Transaction) -> None:
            await dispatch.finish_many(tx, leased)
            await dispatch.drop_done(tx, messages)
            await timeline.record_many(tx, events)
            await self._living.stay(tx, self._living.holder)

        failure: BaseException | None = None
        try:
            await persist(self._store, operation, len(leased))
        except BaseException as problem:
            failure = problem
        for _, future in all_sent:
            if future.done():
                continue
            if failure is None:
                future.set_result(None)
            else:
                future.set_exception(failure)
