"""Sending messages before they are in the queue, in one worker: to whom, and how many. See `passage`."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from datetime import timedelta

from pennypost.mail.queue.attempt import Attempts, not_now
from pennypost.mail.queue.capacity import Capacity
from pennypost.mail.queue.channel import Channel, Job
from pennypost.mail.queue.outbox import Passed
from pennypost.mail.queue.passage import Passage
from pennypost.mail.queue.settings import QueueSettings
from pennypost.model.envelope import Envelope
from pennypost.store.queue import Place

QUICK_SHARE = 5
"""A next hop is quick that takes messages, on the whole, in this part of the time that their senders may wait."""


class Passages:
    """The `outbox.Passages` of a worker. `ended`: hears of each job that is over."""

    def __init__(
        self,
        channels: Mapping[str, Channel],
        capacity: Capacity,
        settings: QueueSettings,
        attempts: Attempts,
        stopping: Callable[[], bool],
        spawn: Callable[[Coroutine[object, object, None]], None],
        ended: Callable[[Job], None],
    ) -> None:
        self._channels = channels
        self._capacity = capacity
        self._patience = settings.pass_on_within / timedelta(seconds=1)
        self._most = settings.transaction_recipients
        self._attempts = attempts
        self._stopping = stopping
        self._spawn = spawn
        self._ended = ended
        self._loop = asyncio.get_running_loop()

    def may_begin(self, place: Place, envelope: Envelope) -> bool:
        """Whether a hop is known to be quick, nothing waits for it, and it may have one more connection; and whether
        what is to go there would go as one transaction."""
        channel = self._channels.get(place.hop)
        if (
            self._stopping()
            or len(place.recipients) > self._most
            or channel is None
            or channel.seconds is None
            or QUICK_SHARE * channel.seconds > self._patience
        ):
            return False
        if channel.jobs or channel.serving or channel.busy >= channel.pace.connections or not channel.pace.easy:
            return False
        return not self._capacity.of(channel).full and self._attempts.may_pass(envelope)

    def begin(self, place: Place, name: str, envelope: Envelope, octets: bytes) -> Passage | None:
        """Begin to send a message, if it still may be."""
        if not self.may_begin(place, envelope) or place.holder is None:
            return None
        channel = self._channels[place.hop]
        job = Job(channel, place.holder, ())
        channel.active.add(job)
        self._capacity.begin(job, self._loop.time())
        passage = Passage(job, self._loop, self._patience)
        self._spawn(self._send(passage, name, envelope, octets))
        return passage

    async def _send(self, passage: Passage, name: str, envelope: Envelope, octets: bytes) -> None:
        outcome = not_now(envelope.recipients)
        try:
            outcome = await self._attempts.pass_on(passage.job.channel, name, envelope, octets)
        finally:
            passage.end(outcome)  # whatever happened: somebody waits for it

    def taken(self, passage: Passage, message: Passed) -> None:
        """Take note of a message that went well, and is not in the queue."""
        assert passage.outcome is not None
        self._attempts.passed(passage.job.channel, passage.outcome, message)
        self._ended(passage.job)

    def forsake(self, passage: Passage, message: Passed) -> None:
        """Let a passage come to its end whose message nobody puts into the queue; take note if it goes well."""
        self._spawn(self._await_end(passage, message))

    async def _await_end(self, passage: Passage, message: Passed) -> None:
        try:
            outcome = await passage.ended()
            if passage.went_well:
                self._attempts.passed(passage.job.channel, outcome, message)
        finally:
            self._ended(passage.job)
