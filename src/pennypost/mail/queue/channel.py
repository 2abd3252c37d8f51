"""One next hop as one worker sees it: what waits for it here, and what is on its way."""

import asyncio
from bisect import insort
from collections.abc import Iterator, Sequence

from pennypost.mail.queue.pacing import HopPace
from pennypost.model.ids import QueuedId
from pennypost.store.blob_drafts import BlobDraft
from pennypost.store.dispatch import Leased
from pennypost.store.queue import QueuedMessage
from pennypost.store.store import Store


class Job:
    """One message for some recipients at one next hop: what one transaction sends.

    `holder`: as whom we have leased it. `message`, `draft`: its header and body, when they are at hand; else they are
    read when it is begun. `recent`: it counts against the connections of the worker.
    """

    __slots__ = ("begun", "channel", "deliveries", "done", "draft", "holder", "message", "recent")

    def __init__(
        self,
        channel: "Channel",
        holder: str,
        deliveries: Sequence[Leased],
        message: QueuedMessage | None = None,
        draft: BlobDraft | None = None,
    ) -> None:
        self.channel = channel
        self.holder = holder
        self.deliveries = deliveries
        self.message = message
        self.draft = draft
        self.begun = 0.0
        self.recent = False
        self.done = False

    @property
    def queued(self) -> QueuedId:
        return self.deliveries[0].queued

    @property
    def turn(self) -> int:
        return self.deliveries[0].turn


def _turn(job: Job) -> int:
    return job.deliveries[0].turn


class Channel:
    """A next hop. `jobs` wait, by their turns, `active` are on their way. `serving`: we are its server in the store,
    which has more.

    `timer`: set while a gap between messages is waited for. `blocked_turn`: set while the worker's capacity is. `slow`:
    its last message took long. `seconds`: how long messages take to be sent, on the whole; None: nobody knows.
    """

    __slots__ = ("active", "blocked_turn", "hop", "jobs", "pace", "seconds", "serving", "slow", "timer")

    def __init__(self, hop: str, pace: HopPace) -> None:
        self.hop = hop
        self.pace = pace
        self.jobs: list[Job] = []
        self.active: set[Job] = set()
        self.serving = False
        self.slow = False
        self.seconds: float | None = None
        self.blocked_turn: int | None = None
        self.timer: asyncio.TimerHandle | None = None

    def add(self, job: Job) -> None:
        """Let a job wait, in its turn."""
        insort(self.jobs, job, key=_turn)

    @property
    def busy(self) -> int:
        return len(self.active)

    def took(self, seconds: float) -> None:
        """Note how long a message has taken to be sent."""
        self.seconds = seconds if self.seconds is None else (3 * self.seconds + seconds) / 4

    @property
    def idle(self) -> bool:
        """Whether it can be forgotten; what was learnt about it stands in the store."""
        return not self.jobs and not self.active and not self.serving and self.timer is None

    def all_jobs(self) -> Iterator[Job]:
        """Give all jobs, waiting or on their way."""
        yield from self.jobs
        yield from self.active


def split(deliveries: Sequence[Leased], most: int) -> Iterator[Sequence[Leased]]:
    """Group deliveries by message, in the order of their turns, in groups of at most `most`."""
    if len(deliveries) == 1:
        yield deliveries
        return
    groups: dict[QueuedId, list[Leased]] = {}
    for delivery in deliveries:
        groups.setdefault(delivery.queued, []).append(delivery)
    for group in groups.values():
        for start in range(0, len(group), most):
            yield group[start : start + most]


async def octets_of(store: Store, message: QueuedMessage, draft: BlobDraft | None) -> bytes:
    """Give header and body of a message, from what is at hand if it is. Large ones are read on a thread."""
    if draft is not None and draft.body is not None:
        return message.header + draft.body
    if draft is not None and draft.place is None and not draft.parts:
        return message.header + store.blobs.decode((draft.size, draft.codec, draft.data, None))
    reader = await store.read(lambda tx: store.blobs.open(tx, message.blob))
    try:
        body = reader.whole
        return message.header + (await reader.read_at(0, reader.size) if body is None else body)
    finally:
        reader.close()
