"""One attempt at one message: send it, judge what came of it, write it down."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

import structlog

from pennypost.mail.forwarding import Forwarder
from pennypost.mail.queue import recall, verp
from pennypost.mail.queue.channel import Channel, Job, octets_of, split
from pennypost.mail.queue.local import deliver_here, digest_of
from pennypost.mail.queue.outbox import Passed
from pennypost.mail.queue.pacing import complaint
from pennypost.mail.queue.passage import Passage
from pennypost.mail.queue.persist import TRY_AGAIN, persist
from pennypost.mail.queue.routing import Router
from pennypost.mail.queue.schedule import deadlines
from pennypost.mail.queue.settings import QueueSettings
from pennypost.mail.queue.settlement import Clerk, facts_of
from pennypost.mail.queue.settler import Sent, Settler
from pennypost.mail.queue.verdict import Judge
from pennypost.model.address import Address
from pennypost.model.envelope import Envelope, Recipient
from pennypost.model.errors import ShuttingDown
from pennypost.model.ids import ModSeq
from pennypost.model.relaying import NextHop, OutgoingMessage, RecipientResult, Relay, RelayOutcome, RelayState
from pennypost.net.incident import log_incident
from pennypost.store import dispatch, queue
from pennypost.store.dispatch import Deferral, Leased
from pennypost.store.engine import Transaction
from pennypost.store.queue import LOCAL_HOP, QUEUE, QueuedMessage
from pennypost.store.store import Store
from pennypost.store.timeline import EventKind, Step, trace_id

LOGGED_RESULTS = 20

SHARED_AT_A_TIME = 1000
"""Deliveries that are put off, or given up, with one that found nobody: what waits for a dead host grows old, too."""

_BUG = "internal error, see the log: incident {}"

_log = structlog.stdlib.get_logger("pennypost.queue")

Observer = Callable[[str, float], None]
"""Called with what came of a recipient ("sent", "deferred", "failed") and the seconds since the message came."""


def unobserved(_state: str, _seconds: float) -> None:
    """Count nothing."""


class Living(Protocol):
    """The sender whose attempts these are."""

    @property
    def holder(self) -> str: ...

    @property
    def has_enough(self) -> bool:
        """Whether so much is leased that of each hop only a little more should be."""

    async def stay(self, tx: Transaction, holder: str) -> None:
        """Prolong the lease if it is time: an operation."""


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What an attempt leads to besides. `over`: other jobs of the hop that are settled or given back with it. `taken`:
    further deliveries for the hop."""

    over: tuple[Job, ...] = ()
    taken: tuple[Leased, ...] = ()


@dataclass(frozen=True, slots=True)
class _Company:
    """What else an attempt is about: jobs of the hop that share its fate, those to give back untried, and whether what
    is ready in the store shares it, too."""

    sharing: tuple[Job, ...] = ()
    returned: tuple[Job, ...] = ()
    dead: bool = False

    @property
    def jobs(self) -> tuple[Job, ...]:
        return self.sharing + self.returned


class Attempts:
    """Makes the attempts of one worker. `chance`: gives 0 ≤ x < 1."""

    def __init__(
        self,
        store: Store,
        settings: QueueSettings,
        relay: Relay,
        router: Router,
        clerk: Clerk,
        living: Living,
        settler: Settler,
        chance: Callable[[], float],
        observe: Observer,
        forwarder: Forwarder | None = None,
    ) -> None:
        self._store = store
        self._forwarder = forwarder
        self._settings = settings
        self._relay = relay
        self._router = router
        self._clerk = clerk
        self._living = living
        self._settler = settler
        self._chance = chance
        self._observe = observe
        self._judge = Judge(settings, router, chance)
        self._loop = asyncio.get_running_loop()

    async def make(self, job: Job, passage: Passage | None = None) -> Aftermath:
        """Send a job's message; on return what came of it is durable. `passage`: it is under way already. Raises
        MailError when the store fails before it is sent: nothing has happened then. A bug is no reason to try again at
        once, or to send it twice."""
        deliveries: Sequence[Leased] = job.deliveries
        outcome: RelayOutcome | None = None
        try:
            if passage is not None:
                outcome = await passage.ended()
                assert job.message is not None
                return await self._settle(job, job.message, deliveries, outcome)
            message = job.message or await recall.leaving(self._store, job.queued)
            if message is None:
                return Aftermath()  # it was removed, or taken back
            deliveries, hop = await self._stay_or_reroute(job, message)
            if not deliveries:
                return Aftermath()
            if job.channel.hop == LOCAL_HOP:
                return await self._deliver(job, message, deliveries)
            outcome = self._too_late(message, deliveries)
            if outcome is None and len(deliveries) > 1 and self._has_own_paths(message.envelope.reverse_path):
                return await self._one_by_one(job, message, deliveries, hop)
            outcome = outcome or await self._send(job, message, deliveries, hop)
            return await self._settle(job, message, deliveries, outcome)
        except (*TRY_AGAIN, ShuttingDown):
            raise
        except Exception as problem:
            await self._mend(job, deliveries, outcome, problem)
            return Aftermath()

    def _too_late(self, message: QueuedMessage, deliveries: Sequence[Leased]) -> RelayOutcome | None:
        """Give up what its sender wants back by now (RFC 2852)."""
        limits = deadlines(self._settings, message.envelope, message.tried_since, message.seen_at or message.created_at)
        if limits.hard and limits.expire_at <= self._store.clock():
            return _all([delivery.recipient for delivery in deliveries], "4.4.7", "it would have come too late")
        return None

    async def _mend(
        self, job: Job, deliveries: Sequence[Leased], outcome: RelayOutcome | None, problem: Exception
    ) -> None:
        """Settle what a bug has kept from being settled: what was sent is done, all else waits longer each time, and in
        the end, or where its sender would have to be told, for the administrator. `outcome`: None before it was sent.
        """
        incident = log_incident("queue", problem, queue=f"q{job.queued}", hop=job.channel.hop)
        reply, waits, now = _BUG.format(incident), self._settings.retry_after, self._store.clock()
        states = [r.state for r in outcome.results] if outcome is not None else [RelayState.DEFERRED] * len(deliveries)

        async def operation(tx: Transaction) -> None:
            for delivery, state in zip(deliveries, states, strict=True):
                if state is RelayState.SENT:
                    await dispatch.finish(tx, job.holder, delivery.id)
                elif state is RelayState.DEFERRED and delivery.attempts < len(waits):
                    at = now + waits[delivery.attempts]
                    await dispatch.defer(tx, job.holder, Deferral(delivery.id, at, reply, job.channel.hop, warned=True))
                else:
                    await dispatch.set_aside(tx, job.holder, delivery.id, reply)
            await dispatch.drop_if_done(tx, job.queued)

        await persist(self._store, operation, len(deliveries))

    def _has_own_paths(self, sender: Address | None) -> bool:
        """Whether each recipient of a sender's mail has a reverse-path of its own."""
        return verp.wanted(sender, self._settings.verp, self._store.settings.subaddress_separator)

    async def _one_by_one(
        self, job: Job, message: QueuedMessage, deliveries: Sequence[Leased], hop: NextHop
    ) -> Aftermath:
        """Send to one recipient after the other, and write down what came of each before the next one's turn. While the
        hop does not work, those that are left share the fate of the one that was tried."""
        over: list[Job] = []
        left, taken = list(deliveries), tuple[Leased, ...]()
        while left and job.holder == self._living.holder:
            outcome = await self._send(job, message, left[:1], hop)
            tried = left if complaint(outcome) is not None else left[:1]
            left = left[len(tried) :]
            shared = RelayOutcome(tuple(replace(outcome.results[0], recipient=one.recipient) for one in tried))
            try:
                after = await self._settle(job, message, tried, shared, more=not left)
            except ShuttingDown:
                raise
            except Exception as problem:
                await self._mend(job, tried, shared, problem)
            else:
                over += after.over
                taken = after.taken
        return Aftermath((*over,), taken)

    async def _send(self, job: Job, message: QueuedMessage, deliveries: Sequence[Leased], hop: NextHop) -> RelayOutcome:
        name = trace_id(message.trace) if message.trace else f"q{job.queued}"
        envelope, recipients = message.envelope, tuple(delivery.recipient for delivery in deliveries)
        if recipients != envelope.recipients:
            envelope = replace(envelope, recipients=recipients)
        if len(recipients) == 1 and envelope.reverse_path is not None and self._has_own_paths(envelope.reverse_path):
            own = await verp.reverse_path(self._store, envelope.reverse_path, recipients[0].address, message.trace)
            envelope = replace(envelope, reverse_path=own)

        async def octets() -> bytes:
            return await octets_of(self._store, message, job.draft)

        return await self._relayed(job.channel, hop, OutgoingMessage(name, envelope, message.size, octets))

    async def _relayed(self, channel: Channel, hop: NextHop, message: OutgoingMessage) -> RelayOutcome:
        """Send. Raises nothing."""
        begun = self._loop.time()
        try:
            outcome = await self._relay(hop, message)
        except Exception as problem:
            incident = log_incident("relay", problem, id=message.id, hop=channel.hop)
            return _all(message.envelope.recipients, "4.3.0", _BUG.format(incident))
        channel.took(self._loop.time() - begun)
        return outcome

    # -- What is not in the queue

    def may_pass(self, envelope: Envelope) -> bool:
        """Whether a message may be sent as it is."""
        return not self._has_own_paths(envelope.reverse_path)

    async def pass_on(self, channel: Channel, name: str, envelope: Envelope, message: bytes) -> RelayOutcome:
        """Send a message that is not in the queue. What came of it is not written down. Raises nothing."""
        _, hop = self._router.find(envelope.reverse_path, envelope.recipients[0].address)

        async def octets() -> bytes:
            return message

        return await self._relayed(channel, hop, OutgoingMessage(name, envelope, len(message), octets))

    def passed(self, channel: Channel, outcome: RelayOutcome, message: Passed) -> None:
        """Write down that such a message was sent, to everybody: soon, and nobody waits for it."""
        channel.pace.succeeded()
        facts = facts_of(None, channel.hop, outcome.results)
        came: Step = (message.trace, *message.came)
        self._settler.note([came, (message.trace, EventKind.ATTEMPTED, facts)], message.more)
        self._log(channel, outcome, message.trace, None, message.sender, message.created_at)

    async def _deliver(self, job: Job, message: QueuedMessage, deliveries: Sequence[Leased]) -> Aftermath:
        """File a message here that was to be held, and settle it in the same transaction."""
        found = digest_of(message, await octets_of(self._store, message, job.draft))
        now = self._store.clock()

        async def operation(tx: Transaction) -> list[RecipientResult]:
            ours = [delivery for delivery in deliveries if await dispatch.holds(tx, job.holder, delivery.id)]
            recipients = [delivery.recipient for delivery in ours]
            results = await deliver_here(tx, self._store, message, recipients, found, self._forwarder)
            verdict = self._judge.judge(message, ours, results, now, hop=LOCAL_HOP)
            await self._clerk.write(tx, job.holder, job.queued, message, verdict, results, LOCAL_HOP)
            return results

        results = await self._store.write_rows(operation, len(deliveries))
        if results:
            self._tell(message, job, RelayOutcome(tuple(results)))
        return Aftermath()

    async def _stay_or_reroute(self, job: Job, message: QueuedMessage) -> tuple[list[Leased], NextHop]:
        """Give what is still to go by this hop. The configuration may say something else than when it was queued."""
        found = [
            (delivery, *self._router.find(message.envelope.reverse_path, delivery.recipient.address, delivery.attempts))
            for delivery in job.deliveries
        ]
        if job.channel.hop == LOCAL_HOP:
            return list(job.deliveries), found[0][2]
        mine = [delivery for delivery, name, _ in found if name == job.channel.hop]
        if len(mine) < len(found):

            async def operation(tx: Transaction) -> None:
                for delivery, name, _ in found:
                    if name != job.channel.hop:
                        await dispatch.reroute(tx, job.holder, [delivery.id], name)
                tx.changed(QUEUE, ModSeq(0))

            await self._store.write(operation)
        return mine, next((hop for _, name, hop in found if name == job.channel.hop), found[0][2])

    async def _settle(
        self,
        job: Job,
        message: QueuedMessage,
        deliveries: Sequence[Leased],
        outcome: RelayOutcome,
        *,
        more: bool = True,
    ) -> Aftermath:
        """Judge an attempt, and write down what came of it and of what shares its fate. `more`: further deliveries for
        the hop may be taken along."""
        channel, now = job.channel, self._store.clock()
        company = self._note_pace(job, outcome, now)
        if not channel.serving and not channel.pace.changed and self._is_plain(message, deliveries, outcome, now):
            facts = facts_of(job.queued, channel.hop, outcome.results)
            ids = [delivery.id for delivery in deliveries]
            await self._settler.settle(Sent(job.holder, job.queued, ids, message.trace, facts))
            self._tell(message, job, outcome)
            return Aftermath()
        try:
            return await self._write(job, message, deliveries, outcome, company, now, more=more)
        except BaseException:
            for other in company.jobs:  # they are still ours
                channel.add(other)
            raise

    def _is_plain(
        self, message: QueuedMessage, deliveries: Sequence[Leased], outcome: RelayOutcome, now: datetime
    ) -> bool:
        """Whether everybody was sent to, and nobody is to be told of it."""
        if any(result.state is not RelayState.SENT for result in outcome.results):
            return False
        return not self._judge.judge(message, deliveries, outcome.results, now).fates

    async def _write(
        self,
        job: Job,
        message: QueuedMessage,
        deliveries: Sequence[Leased],
        outcome: RelayOutcome,
        company: _Company,
        now: datetime,
        *,
        more: bool,
    ) -> Aftermath:
        channel, holder, pace = job.channel, job.holder, job.channel.pace
        serving = channel.serving and not pace.held(now) and holder == self._living.holder
        changed = pace.changed
        wanted = 2 * pace.connections - len(channel.jobs)
        if not more:
            wanted = 0
        elif self._living.has_enough:
            wanted = 1 - len(channel.jobs)
        elif len(channel.jobs) >= pace.connections:
            wanted = 0
        verdict = self._judge.judge(message, deliveries, outcome.results, now)

        async def operation(tx: Transaction) -> tuple[tuple[Leased, ...], bool]:
            await self._clerk.write(tx, holder, job.queued, message, verdict, outcome.results, channel.hop)
            for other in company.sharing:
                await self._share(tx, holder, channel.hop, other.deliveries, outcome.results[0], now, other.message)
            if company.dead:
                ready, _ = await dispatch.take(tx, holder, channel.hop, SHARED_AT_A_TIME)
                for group in split(ready, SHARED_AT_A_TIME):
                    await self._share(tx, holder, channel.hop, group, outcome.results[0], now)
            for other in company.returned:
                await dispatch.give_back(tx, holder, [delivery.id for delivery in other.deliveries])
            if changed:
                await dispatch.set_pace(tx, holder, channel.hop, pace.state)
            if company.returned:
                await queue.make_due(tx, channel.hop)
            await self._living.stay(tx, self._living.holder)
            if serving and wanted > 0:
                return await dispatch.take_more(tx, holder, channel.hop, wanted, serving=True)
            return (), serving

        rows = sum(len(one.deliveries) for one in (job, *company.jobs)) + (SHARED_AT_A_TIME if company.dead else 0)
        taken, still = await persist(self._store, operation, rows)
        if holder == self._living.holder:
            channel.serving = still if serving else channel.serving and not pace.held(now)
        pace.changed = pace.changed and not changed
        self._tell(message, job, outcome)
        return Aftermath(company.jobs, taken)

    def _note_pace(self, job: Job, outcome: RelayOutcome, now: datetime) -> _Company:
        """Let the hop's pace follow. Gives what else it is about."""
        channel = job.channel
        trouble = complaint(outcome)
        if trouble is None:
            if any(result.remote for result in outcome.results):
                channel.pace.succeeded()
            return _Company()
        if not channel.pace.slowed(trouble, now, self._chance()):
            return _Company()
        waiting = tuple(channel.jobs)
        channel.jobs.clear()
        until = channel.pace.state.held_until
        _log.info("hop left alone", hop=channel.hop, until=until and until.isoformat(), reason=trouble.reason)
        return _Company(returned=waiting) if trouble.reachable else _Company(sharing=waiting, dead=True)

    async def _share(
        self,
        tx: Transaction,
        holder: str,
        hop: str,
        deliveries: Sequence[Leased],
        result: RecipientResult,
        now: datetime,
        message: QueuedMessage | None = None,
    ) -> None:
        """Let deliveries of one message that were not tried have the result of one that was: an operation."""
        queued = deliveries[0].queued
        message = message or await queue.message(tx, queued, recipients=False)
        if message is None:
            return
        results = [replace(result, recipient=delivery.recipient) for delivery in deliveries]
        verdict = self._judge.judge(message, deliveries, results, now)
        await self._clerk.write(tx, holder, queued, message, verdict, results, hop)

    def _tell(self, message: QueuedMessage, job: Job, outcome: RelayOutcome) -> None:
        sender = message.envelope.reverse_path
        self._log(job.channel, outcome, message.trace, f"q{job.queued}", sender, message.created_at)

    def _log(
        self,
        channel: Channel,
        outcome: RelayOutcome,
        trace: int,
        queued: str | None,
        sender: Address | None,
        created_at: datetime,
    ) -> None:
        age = (self._store.clock() - created_at).total_seconds()
        for result in outcome.results:
            self._observe(result.state.value, age)
        first = outcome.results[0]
        _log.info(
            "attempt",
            id=trace_id(trace),
            queue=queued,
            hop=channel.hop,
            remote=first.remote,
            tls=f"{first.tls.version} {first.tls.cipher}" if first.tls is not None else None,
            sender=f"<{sender or ''}>",
            results=[f"{r.recipient.address}: {r.state.value} {r.reply}" for r in outcome.results[:LOGGED_RESULTS]],
            age=round(age, 3),
        )


def not_now(recipients: Sequence[Recipient]) -> RelayOutcome:
    """Give the outcome of an attempt that was broken off."""
    return _all(recipients, "4.3.2", "the server was stopped")


def _all(recipients: Sequence[Recipient], status: str, reply: str) -> RelayOutcome:
    """Give a transient failure of ours for every recipient; it says nothing of the hop."""
    return RelayOutcome(tuple(RecipientResult(r, RelayState.DEFERRED, status, reply) for r in recipients))
