"""The queue manager of one worker: takes what is due, sends it, writes down what came of it.

Theory of operation
-------------------
What is to be sent comes in two ways. New mail is leased to this worker by the transaction that accepted it, if there is
room (`outbox`). All else is found by `_look`: it runs when the store says that something is due, by a notice or because
its time has come, and takes a few deliveries for each of some next hops. There is one timer, set to when the next thing
will be due; nobody polls.

Each next hop has a `_Channel`: jobs that wait, and how many are on their way, which `pacing` bounds. A job is one
message for one hop: one SMTP transaction. It is sent by a task of its own through a `Relay`; what came of it is judged
and written down in one transaction, which may take the hop's next deliveries along. While a hop does not answer, what
was taken for it shares the fate of the one message that was tried.

How many messages are on their way, and who comes next, is `capacity`'s to say.

What is leased to us stays so while we say that we are alive (`_renew`): by a timer that runs only while there is
something. Should that fail for too long (the machine slept, the disk was full), what has not been begun is forgotten,
and we go on under another name: who we were is dead for everybody, us included, and what it had is free.
"""

import asyncio
import random
import secrets
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime, timedelta

import structlog

from pennypost.mail.forwarding import Forwarder
from pennypost.mail.queue.attempt import Attempts, Observer, unobserved
from pennypost.mail.queue.capacity import Capacity, Pool
from pennypost.mail.queue.channel import Channel, Job, split
from pennypost.mail.queue.outbox import Outgoing
from pennypost.mail.queue.pacing import HopPace
from pennypost.mail.queue.passage import Passage
from pennypost.mail.queue.passages import Passages
from pennypost.mail.queue.persist import persist
from pennypost.mail.queue.routing import Router
from pennypost.mail.queue.settings import QueueSettings
from pennypost.mail.queue.settlement import Clerk
from pennypost.mail.queue.settler import Settler
from pennypost.mail.signing import Signer
from pennypost.model.errors import MailError, ShuttingDown
from pennypost.model.ids import DeliveryId, ModSeq
from pennypost.model.relaying import Relay
from pennypost.net.incident import log_incident
from pennypost.store import dispatch
from pennypost.store.blob_drafts import BlobDraft
from pennypost.store.dispatch import HopWork, Leased
from pennypost.store.engine import Transaction
from pennypost.store.queue import QUEUE, QueuedMessage
from pennypost.store.store import Store

LEAST_WAIT_SECONDS = 0.01
"""A difference of two instants may be too small to make the clock move on."""

RECLAIM_SECONDS = 0.5
"""Longer than it takes from a commit until those who wait for it hear of it."""

FINISH_SECONDS = 5.0
"""How long what is done already may take to be written down when the server stops."""

LEASED_SHARE = 100
"""How many times `max_connections` deliveries may be leased."""

HOPS_AT_A_TIME = 50
PROMOTED_AT_A_TIME = 500
"""Bounds of one look: a few milliseconds' work."""

AT_FIRST = 2
"""Deliveries that are taken for a hop at first: when one is sent, as many follow as it may have connections for."""

PROMOTION_PAUSE = timedelta(seconds=2)
"""What has waited for minutes may wait for others whose time comes at about the same moment: one transaction for
all."""

LONGEST_SLEEP = timedelta(minutes=5)
"""A notice from another process may get lost: past this somebody looks all the same."""

KEPT_CHANNELS = 4096
"""Channels with nothing to do that are kept, since new mail for their hops can be sent at once."""

AT_HAND_OCTETS = 16 * 1024 * 1024
"""Bodies of new mail that are kept in memory until they are sent; past this they are read from the store."""

_log = structlog.stdlib.get_logger("pennypost.queue")


class QueueManager:
    """Sends what is in the queue. `run` it as a task; `stop` ends it. It is the `outbox.Attendant` of its worker."""

    def __init__(
        self,
        store: Store,
        settings: QueueSettings,
        relay: Relay,
        hostname: str,
        router: Router,
        *,
        chance: Callable[[], float] = random.random,
        observe: Observer = unobserved,
        signer: Signer | None = None,
        forwarder: Forwarder | None = None,
    ) -> None:
        self._store = store
        self._settings = settings
        clerk = Clerk(store, settings, hostname, signer)
        self._settler = Settler(store, self)
        self._attempts = Attempts(
            store, settings, relay, router, clerk, self, self._settler, chance, observe, forwarder
        )
        self._holder = self._new_name()
        self._loop = asyncio.get_running_loop()
        self._channels: dict[str, Channel] = {}
        self._capacity = Capacity(settings.max_connections)
        self.passages = Passages(
            self._channels, self._capacity, settings, self._attempts, lambda: self._stopping, self._spawn, self._ended
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._leased = 0
        self._at_hand = 0
        self._alive_until = store.clock()
        self._looked_at = self._alive_until - PROMOTION_PAUSE
        self._asked_until = self._alive_until
        self._renewal: asyncio.TimerHandle | None = None
        self._aging: asyncio.TimerHandle | None = None
        self._something = asyncio.Event()
        self._stopping = False
        self._unsubscribe = store.subscribe(QUEUE, self._noticed)

    def _new_name(self) -> str:
        return f"{self._store.worker}-{secrets.token_hex(6)}"

    # -- Its life

    async def run(self) -> None:
        """Send what is due, for ever. What goes wrong with the store is tried again."""
        pause = 1.0
        while not self._stopping:
            try:
                await self._round()
                pause = 1.0
            except ShuttingDown:
                return
            except MailError as error:
                _log.warning("queue put off", reason=str(error))
            except Exception as problem:
                log_incident("queue", problem)
            else:
                continue
            await asyncio.sleep(pause)
            pause = min(2 * pause, 60.0)

    async def stop(self, grace: timedelta) -> None:
        """Begin nothing more, let what is under way end for as long as `grace`, and give back the rest."""
        self._stopping = True
        self._unsubscribe()
        self._something.set()
        self._alive_until = self._store.clock()  # what is yet leased to us, of mail on its way in, runs out by itself
        end = self._loop.time() + grace.total_seconds()
        while self._tasks and (left := end - self._loop.time()) > 0:
            await asyncio.wait(set(self._tasks), timeout=left)
        await self._settler.close()
        for task in set(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks))
        for timer in (self._renewal, self._aging, *(channel.timer for channel in self._channels.values())):
            if timer is not None:
                timer.cancel()
        try:
            await self._store.write_large(lambda tx: dispatch.leave(tx, self._holder))
        except MailError as error:  # the leases run out by themselves
            _log.warning("leases not given back", reason=str(error))

    async def finish(self) -> None:
        """When no mail comes in any more, and before the store closes: let what came in while we stopped be settled."""
        end = self._loop.time() + FINISH_SECONDS
        while self._tasks and (left := end - self._loop.time()) > 0:
            await asyncio.wait(set(self._tasks), timeout=left)
        await self._settler.close()

    def wake(self) -> None:
        """Look now: something may be due."""
        self._something.set()

    def _noticed(self, _: ModSeq) -> None:
        self.wake()

    async def _round(self) -> None:
        """Look what is due, or wait for it."""
        store = self._store
        self._something.clear()
        if self._leased >= LEASED_SHARE * self._settings.max_connections:
            await self._something.wait()
            return
        soon, deferred = await store.glance(lambda tx: dispatch.next_due(tx, self._holder))
        now = store.clock()
        due = soon
        if deferred is not None:
            if self._looked_at > now:  # the clock was set back
                self._looked_at = now - PROMOTION_PAUSE
            deferred = max(deferred, self._looked_at + PROMOTION_PAUSE)
            due = deferred if soon is None else min(soon, deferred)
        if due is not None and due <= now:
            self._looked_at = now
            self._see_whether_alive(now)
            holder = self._holder
            work = await store.write(lambda tx: self._look(tx, holder))
            if work:
                self._alive_until = max(self._alive_until, now + self._settings.lease_time)
            for one in work:
                self._take(one)
            return
        if not self._leased and await store.glance(lambda tx: dispatch.serves(tx, self._holder)):
            holder = self._holder  # a transaction of ours was cut off after it had made us the server of a hop
            await store.write(lambda tx: dispatch.stop_serving(tx, holder))
            return
        wait = LONGEST_SLEEP if due is None else min(due - now, LONGEST_SLEEP)
        timer = self._loop.call_later(wait.total_seconds(), self._something.set)
        try:
            await self._something.wait()
        finally:
            timer.cancel()

    async def _look(self, tx: Transaction, holder: str) -> list[HopWork]:
        """Free what the dead have, make ready what has waited, and take some of what is ready: an operation."""
        await dispatch.recover(tx)
        await dispatch.promote(tx, PROMOTED_AT_A_TIME)
        work = await dispatch.take_due(tx, holder, HOPS_AT_A_TIME, 1 if self.has_enough else AT_FIRST)
        if work:
            await dispatch.stay(tx, holder, self._settings.lease_time)
        return work

    def _take(self, work: HopWork) -> None:
        channel = self._channels.get(work.hop)
        if channel is None:
            channel = self._open(work.hop, HopPace(self._settings, work.pace))
        elif not channel.busy:
            channel.pace = HopPace(self._settings, work.pace)
        channel.serving = channel.serving or work.more
        self._add(channel, work.deliveries)

    # -- The attendant of new mail

    @property
    def holder(self) -> str:
        """Our name as a sender."""
        return self._holder

    def has_room(self, hop: str, *, light: bool) -> bool:
        """Whether something new for a hop can be sent at once. While more waits in the store, that is for those who
        send little: they go before what is left of the others."""
        if self._stopping or (self._leased >= LEASED_SHARE * self._settings.max_connections and not light):
            return False
        self._see_whether_alive(self._store.clock())
        channel = self._channels.get(hop)
        if channel is None or channel.pace.failing or (channel.serving and not light):
            return False
        return len(channel.jobs) <= 4 * channel.pace.connections

    @property
    def has_enough(self) -> bool:
        """Whether so much is leased that of each hop only a little more should be."""
        return self._leased >= LEASED_SHARE // 4 * self._settings.max_connections

    async def stay(self, tx: Transaction, holder: str) -> None:
        """Prolong our lease when half of it is over: an operation. `take_over` hears when it is committed."""
        if holder != self._holder or self._alive_until - tx.now < self._settings.lease_time / 2:
            await dispatch.stay(tx, holder, self._settings.lease_time)
            if holder == self._holder:
                self._asked_until = tx.now + self._settings.lease_time

    def write_along(self) -> None:
        """Have written what waits for a transaction to be part of."""
        self._settler.flush()

    def take_over(self, outgoing: Sequence[Outgoing], passage: Passage | None = None) -> None:
        """Send what was leased to us when it came in. `passage`: it is under way already."""
        for one in outgoing:
            for place, ids in zip(one.places, one.enqueued.deliveries, strict=True):
                if place.holder != self._holder and passage is None:
                    continue
                self._alive_until = max(self._alive_until, self._asked_until)
                channel = self._channels.get(place.hop)
                if channel is None:
                    channel = self._open(place.hop, HopPace(self._settings, dispatch.Pace()))
                queued = one.enqueued.queued
                leased = [
                    Leased(i, queued, r, 0, False, place.turn - place.precedence)
                    for i, r in zip(ids, place.recipients, strict=True)
                ]
                if passage is not None:
                    self._adopt(passage, leased, one.message)
                    return
                near = self._at_hand + one.draft.size <= AT_HAND_OCTETS
                self._add(channel, leased, one.message, one.draft if near else None)

    def _adopt(self, passage: Passage, leased: Sequence[Leased], message: QueuedMessage) -> None:
        """Let an attempt that is under way be one at a message in the queue."""
        job = passage.job
        job.deliveries, job.message = leased, message
        self._leased += len(leased)
        self._stay_soon()
        self._spawn(self._work(job, passage))

    def reclaim(self) -> None:
        """Free what was leased to us without our knowing."""
        self._spawn(self._reclaim())

    async def _reclaim(self) -> None:
        """Find what nobody told us of. A moment lies between two looks: what was committed just now is told by then."""
        holder = self._holder
        leased = await self._store.scan(lambda tx: dispatch.leased_to(tx, holder))
        suspects = set(leased) - self._known()
        if suspects:
            await asyncio.sleep(RECLAIM_SECONDS)
            unknown = sorted(suspects - self._known())
            await persist(self._store, lambda tx: dispatch.reclaim(tx, holder, unknown), len(unknown))

    def _known(self) -> set[DeliveryId]:
        return {d.id for channel in self._channels.values() for job in channel.all_jobs() for d in job.deliveries}

    # -- Channels

    def _open(self, hop: str, pace: HopPace) -> Channel:
        if len(self._channels) >= KEPT_CHANNELS:
            for name in [name for name, known in self._channels.items() if known.idle][: KEPT_CHANNELS // 8]:
                del self._channels[name]
        channel = self._channels[hop] = Channel(hop, pace)
        return channel

    def _add(
        self,
        channel: Channel,
        deliveries: Sequence[Leased],
        message: QueuedMessage | None = None,
        draft: BlobDraft | None = None,
    ) -> None:
        """Make jobs of deliveries: one for each message, no larger than a transaction may be."""
        self._leased += len(deliveries)
        for part in split(deliveries, self._settings.transaction_recipients):
            channel.add(Job(channel, self._holder, part, message, draft))
            self._at_hand += draft.size if draft is not None else 0
        self._stay_soon()
        self._pump(channel)

    def _drop(self, job: Job) -> None:
        """Forget a job: its deliveries are not leased to us any more."""
        job.done = True
        self._leased -= len(job.deliveries)
        if job.draft is not None:
            self._at_hand -= job.draft.size
            job.draft = None

    def _pump(self, channel: Channel) -> None:
        """Begin what may be begun for a hop."""
        while channel.jobs and not self._stopping and channel.timer is None:
            if channel.busy >= channel.pace.connections:
                return
            now = self._store.clock()
            start = channel.pace.next_start(now)
            if start > now:
                channel.timer = self._loop.call_later((start - now).total_seconds(), self._resume, channel)
                return
            pool = self._capacity.of(channel)
            if pool.full:
                self._age()
            if pool.full:
                pool.wait(channel)
                return
            self._begin(channel, now)

    def _resume(self, channel: Channel) -> None:
        channel.timer = None
        self._pump(channel)

    def _age(self) -> None:
        """Let what has taken long not count against what is quick, now and when the next one has."""
        now = self._loop.time()
        at = self._capacity.age(now)
        if at is not None and self._aging is None:
            self._aging = self._loop.call_later(max(at - now, LEAST_WAIT_SECONDS), self._aged)

    def _aged(self) -> None:
        self._aging = None
        self._age()
        self._pump_waiting(self._capacity.quick)

    def _pump_waiting(self, pool: Pool) -> None:
        """Begin what waits for capacity, one message of a hop at a time, by their turns."""
        while (channel := pool.next()) is not None:
            now = self._store.clock()
            free = channel.timer is None and channel.busy < channel.pace.connections and not self._stopping
            if channel.jobs and free and channel.pace.next_start(now) <= now and self._capacity.of(channel) is pool:
                self._begin(channel, now)
                if channel.jobs:
                    pool.wait(channel)
            else:
                self._pump(channel)

    def _begin(self, channel: Channel, now: datetime) -> None:
        job = channel.jobs.pop(0)
        channel.active.add(job)
        channel.pace.begin(now)
        self._capacity.begin(job, self._loop.time())
        self._spawn(self._work(job))

    def _ended(self, job: Job) -> None:
        channel, capacity = job.channel, self._capacity
        crowded = self._leased >= LEASED_SHARE * self._settings.max_connections
        self._drop(job)
        channel.active.discard(job)
        pool = capacity.quick if job.recent else capacity.slow
        capacity.end(job, self._loop.time())
        if crowded:
            self._something.set()
        if self._stopping:
            return
        if channel.jobs:
            capacity.of(channel).wait(channel)  # those who have waited for longer come first
        self._pump_waiting(pool)
        self._pump_waiting(capacity.of(channel))

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            if isinstance(problem, MailError):
                _log.warning("queue put off", reason=str(problem))
            else:
                log_incident("queue", problem)

    # -- Staying alive

    def _see_whether_alive(self, now: datetime) -> None:
        """When our lease has run out: forget what waits, and be somebody else from now on."""
        if now < self._alive_until or not self._leased:
            return
        if all(job.holder != self._holder for channel in self._channels.values() for job in channel.all_jobs()):
            return
        _log.warning("leases ran out", holder=self._holder)
        self._holder = self._new_name()
        for channel in self._channels.values():
            for job in channel.jobs:
                self._drop(job)
            channel.jobs.clear()
            channel.serving = False
        self._something.set()

    def _stay_soon(self) -> None:
        if self._renewal is None and self._leased and not self._stopping:
            self._renewal = self._loop.call_later(self._settings.lease_time.total_seconds() / 3, self._renew)

    def _renew(self) -> None:
        self._renewal = None
        if self._leased and not self._stopping:
            self._stay_soon()
            self._spawn(self._stay_alive())

    async def _stay_alive(self) -> None:
        now, time, holder = self._store.clock(), self._settings.lease_time, self._holder
        if now < self._alive_until:
            await self._store.write(lambda tx: dispatch.stay(tx, holder, time))
            if holder == self._holder:
                self._alive_until = max(self._alive_until, now + time)

    # -- One job

    async def _work(self, job: Job, passage: Passage | None = None) -> None:
        """Send one message. Whatever goes wrong on the way, no delivery stays leased to us unknown. `passage`: it is
        under way already."""
        settled = False
        try:
            self._see_whether_alive(self._store.clock())
            if job.holder != self._holder and passage is None:
                settled = True  # the lease ran out: others send it
                return
            after = await self._attempts.make(job, passage)
            settled = True
        finally:
            self._ended(job)
            if not settled and not self._stopping:
                self.reclaim()
        self._alive_until = max(self._alive_until, self._asked_until)
        for other in after.over:
            self._drop(other)
        if after.taken:
            self._add(job.channel, after.taken)
        self._check_service(job.channel)

    def _check_service(self, channel: Channel) -> None:
        """See to it that we go on with a hop that we serve."""
        if channel.serving and not channel.jobs and not channel.active and not self._stopping:
            self._spawn(self._refill(channel))

    async def _refill(self, channel: Channel) -> None:
        """Take more of what the store has for a hop, or stop being its server."""
        wanted, holder = 2 * channel.pace.connections, self._holder
        channel.serving = False

        async def operation(tx: Transaction) -> tuple[tuple[Leased, ...], bool]:
            await self.stay(tx, holder)
            return await dispatch.take_more(tx, holder, channel.hop, wanted, serving=True)

        taken, serving = await persist(self._store, operation, wanted)
        if holder == self._holder:
            channel.serving = serving
            self._alive_until = max(self._alive_until, self._asked_until)
            self._add(channel, taken)
