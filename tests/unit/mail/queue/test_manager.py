"""The queue manager over a real store, with a relay that answers as it is told and a clock that tests turn."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.mail.conftest import World

from pennypost.mail import bounce
from pennypost.mail.queue import manager
from pennypost.mail.queue.manager import QueueManager
from pennypost.mail.queue.outbox import Outbox, Outgoing
from pennypost.mail.queue.routing import Router
from pennypost.mail.queue.settings import QueueSettings, Smarthost, Suppress
from pennypost.model.address import Address
from pennypost.model.envelope import DeliverBy, DeliverByMode, Envelope, Notify, Recipient, ReturnContent
from pennypost.model.errors import OverQuota
from pennypost.model.ids import QueuedId
from pennypost.model.relaying import (
    HopKind,
    NextHop,
    OutgoingMessage,
    RecipientResult,
    RelayOutcome,
    RelayState,
    TlsFacts,
)
from pennypost.store import blobs, directory, dispatch, mailboxes, queue, queue_view, suppression, timeline
from pennypost.store import sending as accounts_sending
from pennypost.store.blob_files import DamagedFile
from pennypost.store.check import check
from pennypost.store.engine import Transaction
from pennypost.store.queue import QueuedMessage
from pennypost.store.queue_view import Delivery
from pennypost.store.timeline import EventKind, trace_number

HEADER = b"From: Anna <anna@penny.test>\r\nSubject: hello\r\nMessage-ID: <1@penny.test>\r\n\r\n"
BODY = b"A body.\r\n" * 40
ANNA = Address("anna", "penny.test")
TRACE = "00000000000000aa"
REMOTE = "mx.example [192.0.2.1]"

Answer = Callable[[NextHop, OutgoingMessage], Awaitable[list[tuple[RelayState, str]]]]


def sent(*_: object) -> tuple[RelayState, str]:
    return RelayState.SENT, "250 2.0.0 taken"


class FakeRelay:
    """Remembers what it was given. `answer`: gives state and reply for every recipient; replies begin as SMTP's do.

    A reply that begins with "-" is one of ours: nobody was reached.
    """

    def __init__(self) -> None:
        self.given: list[tuple[NextHop, OutgoingMessage, bytes]] = []
        self.answers: dict[str, tuple[RelayState, str]] = {}
        self.whole: dict[str, str] = {}
        self.gate: asyncio.Event | None = None
        self.busy = 0
        self.most_busy = 0
        self.dsn = False

    async def __call__(self, hop: NextHop, message: OutgoingMessage) -> RelayOutcome:
        self.busy += 1
        self.most_busy = max(self.busy, self.most_busy)
        try:
            self.given.append((hop, message, await message.octets()))
            if self.gate is not None:
                await self.gate.wait()
            await asyncio.sleep(0)
            return RelayOutcome(tuple(self._result(hop, one) for one in message.envelope.recipients))
        finally:
            self.busy -= 1

    def _result(self, hop: NextHop, recipient: Recipient) -> RecipientResult:
        if (whole := self.whole.get(hop.domain or hop.host)) is not None:
            return self._of(recipient, RelayState.DEFERRED, whole, failed=True)
        state, reply = self.answers.get(str(recipient.address), (RelayState.SENT, "250 2.0.0 taken"))
        return self._of(recipient, state, reply, failed=False)

    def _of(self, recipient: Recipient, state: RelayState, reply: str, *, failed: bool) -> RecipientResult:
        if reply.startswith("-"):
            return RecipientResult(recipient, state, "4.4.1", reply[1:], transaction_failed=failed)
        status = reply.split()[1]
        tls = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", "dane")
        return RecipientResult(recipient, state, status, reply, REMOTE, tls, self.dsn, failed)

    @property
    def to(self) -> list[list[str]]:
        return [[str(r.address) for r in message.envelope.recipients] for _, message, _ in self.given]


class Sending:
    """A queue at work."""

    def __init__(self, world: World, settings: QueueSettings) -> None:
        self.world = world
        self.relay = FakeRelay()
        self.router = Router(settings)
        self.manager = QueueManager(
            world.store, settings, self.relay, "mail.penny.test", self.router, chance=lambda: 0.5, observe=self.observe
        )
        self.outbox = Outbox(self.router, self.manager)
        self.observed: list[str] = []

    def observe(self, state: str, seconds: float) -> None:
        self.observed.append(state)

    async def submit(self, *recipients: str | Recipient, sender: Address | None = ANNA, **more: Any) -> QueuedId:
        """Put a message into the queue as a submission does. Gives its number."""
        store = self.world.store
        to = tuple(Recipient(Address(*r.split("@"))) if isinstance(r, str) else r for r in recipients)
        envelope = Envelope(sender, to, **more)
        now = store.clock()
        account = self.world.anna if sender == ANNA else None
        places = self.outbox.places(envelope, account, now)
        draft = store.blobs.draft(BODY)

        async def operation(tx: Transaction) -> Outgoing:
            blob = await blobs.put(tx, draft)
            message = QueuedMessage(account, blob, HEADER, len(BODY), envelope, now, trace_number(TRACE))
            return Outgoing(await self.outbox.put(tx, message, places), places, message, draft)

        outgoing = await store.write(operation)
        self.outbox.committed([outgoing])
        return outgoing.enqueued.queued

    async def until(self, look: Callable[[], object]) -> None:
        """Let the loop go round until `look` gives something true."""
        async with asyncio.timeout(10):
            for _ in itertools.count():
                if look():
                    return
                await asyncio.sleep(0.001)

    async def settled(self) -> None:
        """Wait until nothing is on its way."""
        await self.until(lambda: not self.busy())

    def busy(self) -> bool:
        channels = self.manager._channels.values()
        return bool(self.manager._tasks) or any(channel.jobs or channel.active for channel in channels)

    async def emptied(self) -> None:
        """Let time pass until nothing is queued."""
        async with asyncio.timeout(10):
            for _ in itertools.count():
                if not await self.queued():
                    return
                self.world.clock.forward(timedelta(minutes=5))
                self.manager.wake()
                await asyncio.sleep(0.005)

    async def queued(self) -> list[Delivery]:
        return await self.world.store.read(queue_view.deliveries)

    async def forward(self, by: timedelta) -> None:
        """Let time pass, and all that is due be done."""
        self.world.clock.forward(by)
        before = len(self.observed)
        self.manager.wake()
        await self.until(lambda: len(self.observed) > before)
        await self.settled()

    async def inbox(self) -> list[bytes]:
        store, account = self.world.store, self.world.anna

        async def operation(tx: Transaction) -> list[bytes]:
            inbox = await mailboxes.require(tx, account, "INBOX")
            found = []
            for (message,) in await tx.fetch_all(
                "SELECT message FROM entry WHERE account = ? AND mailbox = ? ORDER BY uid", account, inbox.id
            ):
                row = await tx.fetch_one(
                    "SELECT header, blob FROM message WHERE account = ? AND id = ?", account, message
                )
                assert row is not None
                found.append(row[0] + await store.blobs.read(tx, row[1]))
            return found

        return await store.scan(operation)


@asynccontextmanager
async def sending(world: World, **settings: Any) -> AsyncIterator[Sending]:
    queue_at_work = Sending(world, QueueSettings(**settings))
    running = asyncio.create_task(queue_at_work.manager.run())
    try:
        yield queue_at_work
        assert [one async for one in check(world.store, world.store.blobs)] == []
    finally:
        await queue_at_work.manager.stop(timedelta(seconds=1))
        await running


async def test_a_message_is_sent_and_gone(world: World) -> None:
    async with sending(world) as q:
        number = await q.submit("x@a.example", "y@b.example", "z@a.example")
        await q.until(lambda: len(q.relay.given) == 2)
        await q.settled()
        assert sorted(q.relay.to) == [["x@a.example", "z@a.example"], ["y@b.example"]]
        hop, message, octets = q.relay.given[0]
        assert (hop.kind, message.id, octets) == (HopKind.MX, TRACE, HEADER + BODY)
        assert message.size == len(octets)
        assert await q.queued() == []
        assert await world.store.read(lambda tx: queue.message(tx, number)) is None
        assert q.observed == ["sent"] * 3
        story = await world.store.read(lambda tx: timeline.story(tx, [trace_number(TRACE)]))
        assert [event.kind for event in story] == [EventKind.ATTEMPTED] * 2
        assert story[0].facts["tls"] == "TLSv1.3 TLS_AES_256_GCM_SHA384 dane"
        assert story[0].facts["results"][0] == ["x@a.example", "sent", "2.0.0", "250 2.0.0 taken", REMOTE]


async def test_new_mail_for_a_hop_that_is_known_is_sent_by_who_took_it_in(world: World) -> None:
    async with sending(world) as q:
        await q.submit("x@a.example")
        await q.until(lambda: q.relay.given)
        await q.settled()
        q.relay.gate = asyncio.Event()
        await q.submit("y@a.example")
        (delivery,) = await q.queued()
        assert (delivery.state, delivery.holder) == (queue.DeliveryState.LEASED, q.manager.holder)
        await q.until(lambda: len(q.relay.given) == 2)
        q.relay.gate.set()
        await q.settled()
        assert await q.queued() == []


async def test_what_fails_is_tried_again_by_the_schedule(world: World) -> None:
    async with sending(world) as q:
        q.relay.answers["x@a.example"] = (RelayState.DEFERRED, "450 4.2.1 greylisted")
        await q.submit("x@a.example", "y@a.example")
        await q.until(lambda: q.relay.given)
        await q.settled()
        (delivery,) = await q.queued()
        assert str(delivery.recipient.address) == "x@a.example"
        assert delivery.last_reply == f"{REMOTE}: 450 4.2.1 greylisted"
        waits = []
        for _ in range(4):
            (delivery,) = await q.queued()
            wait = delivery.next_attempt_at - world.clock.now
            waits.append(wait / timedelta(minutes=1))
            await q.forward(wait)
        assert waits == [5, 10, 20, 40]
        assert (await q.queued())[0].attempts == 5
        del q.relay.answers["x@a.example"]
        await q.forward(timedelta(hours=2))
        assert await q.queued() == []


async def test_a_failure_is_told_to_its_sender_here_in_the_same_commit(world: World) -> None:
    async with sending(world) as q:
        q.relay.answers["x@a.example"] = (RelayState.FAILED, "550 5.1.1 No such user")
        await q.submit("x@a.example", "y@a.example", envelope_id="id-7")
        await q.until(lambda: q.relay.given)
        await q.settled()
        assert await q.queued() == []
        (report,) = await q.inbox()
    assert report.startswith(b"Return-Path: <>\r\nDelivered-To: anna@penny.test\r\n")
    assert b"multipart/report; report-type=delivery-status" in report
    assert b"Auto-Submitted: auto-replied" in report
    assert b"References: <1@penny.test>" in report
    assert b"There is no such address there." in report
    for field in (
        b"Original-Envelope-Id: id-7",
        b"Final-Recipient: rfc822; x@a.example",
        b"Action: failed",
        b"Status: 5.1.1",
        b"Remote-MTA: dns; mx.example",
        b"Diagnostic-Code: smtp; 550 5.1.1 No such user",
    ):
        assert b"\r\n" + field + b"\r\n" in report
    assert b"y@a.example" not in report.partition(HEADER)[0]
    assert HEADER + BODY in report


async def test_what_had_to_go_under_tls_comes_back_without_its_body(world: World) -> None:
    """RFC 8689 §5: whatever RET says."""
    async with sending(world) as q:
        q.relay.answers["x@a.example"] = (RelayState.FAILED, "550 5.1.1 No such user")
        await q.submit("x@a.example", require_tls=True, return_content=ReturnContent.FULL)
        await q.until(lambda: q.relay.given)
        await q.settled()
        (report,) = await q.inbox()
        await q.submit("x@a.example", sender=Address("far", "b.example"), require_tls=True)
        await q.until(lambda: len(q.relay.given) == 3)
        await q.settled()
        assert q.relay.given[-1][1].envelope.require_tls
    assert b"text/rfc822-headers" in report
    assert BODY not in report


async def test_mail_for_a_domain_called_local_goes_there(world: World) -> None:
    """This server's name among the next hops is another one: what was taken for it went round for ever."""
    async with sending(world) as q:
        q.relay.answers["x@local"] = (RelayState.FAILED, "550 5.1.1 No such user")
        await q.submit("x@local", sender=Address("y", "local"))
        await q.until(lambda: len(q.relay.given) == 2)
        await q.settled()
        assert q.relay.to == [["x@local"], ["y@local"]]
        assert [hop.domain for hop, _, _ in q.relay.given] == ["local", "local"]
        assert await q.queued() == []


async def test_a_bounce_is_never_bounced(world: World) -> None:
    async with sending(world) as q:
        q.relay.answers["x@a.example"] = (RelayState.FAILED, "550 5.1.1 No such user")
        await q.submit("x@a.example", sender=None)
        await q.until(lambda: q.relay.given)
        await q.settled()
        assert await q.queued() == []
        assert await q.inbox() == []
        story = await world.store.read(lambda tx: timeline.story(tx, [trace_number(TRACE)]))
        assert story[-1].facts["problem"] == "nobody wants to hear of it"


async def test_a_failure_is_told_to_a_sender_elsewhere(world: World) -> None:
    async with sending(world) as q:
        q.relay.answers["x@a.example"] = (RelayState.FAILED, "550 5.7.1 go away")
        await q.submit("x@a.example", sender=Address("far", "b.example"))
        await q.until(lambda: len(q.relay.given) == 2)
        await q.settled()
        assert await q.queued() == []
    _, message, octets = q.relay.given[1]
    assert message.envelope.reverse_path is None
    assert message.envelope.recipients == (Recipient(Address("far", "b.example"), Notify.NEVER),)
    assert b"The other mail server refused the message" in octets


async def test_whoever_wants_to_hear_nothing_hears_nothing(world: World) -> None:
    async with sending(world) as q:
        q.relay.answers["x@a.example"] = (RelayState.FAILED, "550 5.1.1 No such user")
        await q.submit(Recipient(Address("x", "a.example"), Notify.NEVER))
        await q.until(lambda: q.relay.given)
        await q.settled()
        assert (await q.inbox(), await q.queued()) == ([], [])


async def test_a_delay_is_told_once_and_giving_up_at_the_end(world: World) -> None:
    async with sending(world) as q:
        q.relay.answers["x@a.example"] = (RelayState.DEFERRED, "451 4.3.2 later")
        await q.submit("x@a.example")
        await q.until(lambda: q.relay.given)
        await q.settled()
        told = []
        begun = world.clock.now
        while await q.queued():
            (delivery,) = await q.queued()
            await q.forward(delivery.next_attempt_at - world.clock.now)
            if len(await q.inbox()) > len(told):
                told.append((world.clock.now - begun, (await q.inbox())[-1]))
    (first, delay), (second, failure) = told
    assert (first, second) == (timedelta(hours=4), timedelta(days=5))
    assert b"Action: delayed" in delay
    assert b"Will-Retry-Until: Sat, 28 Nov 2026 12:00:00 +0000" in delay
    assert b"still on its way" in delay
    assert b"Action: failed" in failure
    assert b"Status: 5.4.7" in failure
    assert 30 < len(q.relay.given) < 50


async def test_success_is_told_when_the_next_host_will_not(world: World) -> None:
    asks = Recipient(Address("x", "a.example"), Notify.SUCCESS)
    async with sending(world) as q:
        await q.submit(asks)
        await q.until(lambda: q.relay.given)
        await q.settled()
        (report,) = await q.inbox()
        assert b"Action: relayed" in report
        assert BODY not in report
        q.relay.dsn = True
        await q.submit(asks)
        await q.until(lambda: len(q.relay.given) == 2)
        await q.settled()
        assert len(await q.inbox()) == 1


async def test_what_waits_for_a_dead_host_shares_the_fate_of_one(world: World) -> None:
    async with sending(world, hop_connections_at_first=1) as q:
        q.relay.gate = asyncio.Event()
        q.relay.whole["dead.example"] = "-no route to host"
        for number in range(20):
            await q.submit(f"x{number}@dead.example")
        await q.until(lambda: q.relay.given)
        q.relay.gate.set()
        await q.settled()
        tried = len(q.relay.given)
        assert tried <= 3
        await q.submit("late@dead.example")
        await asyncio.sleep(0.02)
        assert len(q.relay.given) == tried  # the hop is left alone
        pace = await world.store.read(lambda tx: dispatch.pace_of(tx, "dead.example"))
        assert (pace.failures >= 1, pace.reason) == (True, "no route to host")
        q.relay.whole.clear()
        await q.forward(timedelta(minutes=7))
        await q.emptied()
        assert len({one for to in q.relay.to for one in to}) == 21
        assert (await world.store.read(lambda tx: dispatch.pace_of(tx, "dead.example"))).failures == 0


async def test_a_host_that_has_too_much_gets_less(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pennypost.mail.queue.pacing.FIRST_GAP", timedelta(milliseconds=1))
    async with sending(world, lease_time=timedelta(days=1)) as q:
        q.relay.whole["busy.example"] = "421 4.7.0 too many connections"
        for number in range(10):
            await q.submit(f"x{number}@busy.example")
        await q.until(lambda: q.relay.given)
        await q.settled()
        assert len(q.relay.given) <= 5
        pace = await world.store.read(lambda tx: dispatch.pace_of(tx, "busy.example"))
        assert (pace.connections, pace.reason) == (1, "421 4.7.0 too many connections")
        assert pace.held_until is not None
        waiting = {d.state for d in await q.queued()}
        assert queue.DeliveryState.READY in waiting  # what was not tried has lost nothing
        assert min(d.attempts for d in await q.queued()) == 0
        q.relay.whole.clear()
        await q.emptied()
        assert len({one for to in q.relay.to for one in to}) == 10


async def test_one_hop_has_no_more_connections_than_it_may(world: World) -> None:
    async with sending(world, hop_connections=4, hop_connections_at_first=2) as q:
        q.relay.gate = asyncio.Event()
        for number in range(3):
            await q.submit(f"first{number}@a.example")
        await q.until(lambda: q.relay.busy == 1)
        await asyncio.sleep(0.01)
        assert q.relay.most_busy == 1  # until it is known to answer
        q.relay.gate.set()
        await q.until(lambda: len(q.relay.given) == 3)
        await q.settled()
        q.relay.given.clear()
        q.relay.gate.clear()
        for number in range(30):
            await q.submit(f"x{number}@a.example")
        await q.until(lambda: q.relay.busy == 3)
        await asyncio.sleep(0.01)
        assert q.relay.most_busy == 3
        q.relay.gate.set()
        await q.until(lambda: len(q.relay.given) == 30)
        await q.settled()
        assert q.relay.most_busy == 4
        assert await q.queued() == []
        assert sorted(one for to in q.relay.to for one in to) == sorted(f"x{n}@a.example" for n in range(30))


async def test_workers_share_the_queue_and_send_nothing_twice(world: World) -> None:
    async with sending(world) as one, sending(world) as two:
        two.relay = one.relay
        two.manager._attempts._relay = one.relay
        for number in range(60):
            await (one if number % 2 else two).submit(f"x{number % 20}@h{number % 3}.example")
        await one.until(lambda: len(one.relay.given) >= 60)
        await one.settled()
        await two.settled()
        assert len(one.relay.given) == 60
        assert await one.queued() == []


async def test_a_message_larger_than_a_transaction_is_sent_in_parts(world: World) -> None:
    async with sending(world, transaction_recipients=10) as q:
        await q.submit(*(f"x{n}@a.example" for n in range(25)))
        await q.until(lambda: sum(map(len, q.relay.to)) == 25)
        await q.settled()
        assert max(map(len, q.relay.to)) <= 10


async def test_a_bug_of_the_relay_loses_nothing(world: World) -> None:
    async with sending(world) as q:

        async def broken(hop: NextHop, message: OutgoingMessage) -> RelayOutcome:
            raise ZeroDivisionError

        q.manager._attempts._relay = broken
        await q.submit("x@a.example")
        await q.until(lambda: q.observed)
        (delivery,) = await q.queued()
        assert delivery.last_reply is not None
        assert "incident" in delivery.last_reply


@pytest.mark.parametrize("problem", [ZeroDivisionError, OverQuota])
async def test_a_bug_in_settling_sends_nothing_twice(
    world: World, monkeypatch: pytest.MonkeyPatch, problem: type[Exception]
) -> None:
    """What was sent is done; what its sender would have to be told of is left to the administrator."""

    async def broken(*_: object) -> None:
        raise problem

    async with sending(world) as q:
        monkeypatch.setattr(bounce, "post", broken)
        q.relay.answers["y@a.example"] = (RelayState.FAILED, "550 5.1.1 No such user")
        q.relay.answers["z@a.example"] = (RelayState.DEFERRED, "451 4.3.2 later")
        await q.submit("x@a.example", "y@a.example", "z@a.example")
        await q.until(lambda: q.relay.given)
        await q.settled()
        await asyncio.sleep(manager.RECLAIM_SECONDS + 0.1)
        assert q.relay.to == [["x@a.example", "y@a.example"], ["z@a.example"]]
        y, z = await q.queued()
        assert (y.state, z.state, z.attempts) == (queue.DeliveryState.HELD, queue.DeliveryState.DEFERRED, 1)
        assert "incident" in (y.last_reply or "")
        monkeypatch.undo()
        await world.store.write(lambda tx: queue_view.release(tx, [y.id]))
        await q.until(lambda: len(q.relay.given) == 3)
        await q.settled()
        assert len(await q.inbox()) == 1


async def test_a_message_that_cannot_be_read_waits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(queue, "message", broken)
    async with sending(world) as q:
        await q.submit("x@a.example")
        await q.until(lambda: q.manager._tasks)
        await q.settled()
        (delivery,) = await q.queued()
        assert (delivery.state, delivery.attempts) == (queue.DeliveryState.DEFERRED, 1)
        for _ in range(20):
            if (await q.queued())[0].state is queue.DeliveryState.HELD:
                break
            world.clock.forward(timedelta(hours=4))
            q.manager.wake()
            before = (await q.queued())[0].attempts
            await q.until(lambda: q.manager._tasks)
            await q.settled()
            assert (await q.queued())[0].attempts <= before + 1
        assert (await q.queued())[0].state is queue.DeliveryState.HELD


async def test_a_body_that_is_lost_does_not_keep_its_sender_from_hearing_of_it(world: World) -> None:
    async with sending(world) as q:
        q.relay.answers["x@a.example"] = (RelayState.FAILED, "550 5.1.1 No such user")

        async def lost(tx: Transaction, blob: object) -> bytes:
            raise DamagedFile("missing")

        q.manager._store.blobs.read = lost  # type: ignore[method-assign]
        await q.submit("x@a.example")
        await q.until(lambda: q.relay.given)
        await q.settled()
        del q.manager._store.blobs.read
        assert await q.queued() == []
        (report,) = await q.inbox()
        assert b"Action: failed" in report


async def test_a_clock_that_is_set_back_holds_up_nothing(world: World) -> None:
    async with sending(world) as q:
        await q.submit("w@a.example")
        await q.until(lambda: q.relay.given)
        await q.settled()
        world.clock.forward(-timedelta(days=30))
        await q.submit("x@b.example", hold=timedelta(hours=1))
        world.clock.forward(timedelta(hours=2))
        q.manager.wake()
        await q.until(lambda: len(q.relay.given) == 2)


async def test_what_was_held_leaves_no_sooner_than_its_sender_wished(world: World) -> None:
    """RFC 4865 §5."""
    async with sending(world) as q:
        number = await q.submit("x@a.example", hold=timedelta(hours=3))
        (delivery,) = await q.queued()
        assert await world.store.write(lambda tx: queue_view.hold(tx, [delivery.id])) == [delivery.id]
        assert await world.store.write(lambda tx: queue_view.release(tx, [delivery.id])) == [delivery.id]
        assert (await q.queued())[0].state is queue.DeliveryState.DEFERRED
        await world.store.write(lambda tx: accounts_sending.freeze(tx, world.anna, "a test"))
        assert (await q.queued())[0].state is queue.DeliveryState.HELD
        await world.store.write(lambda tx: accounts_sending.unfreeze(tx, world.anna))
        assert (await q.queued())[0].next_attempt_at == world.clock.now + timedelta(hours=3)
        await asyncio.sleep(0.05)
        assert q.relay.given == []
        await q.forward(timedelta(hours=3))
        assert len(q.relay.given) == 1
        assert await world.store.read(lambda tx: queue.message(tx, number)) is None


async def test_what_was_held_for_long_is_tried_as_long_as_any_other(world: World) -> None:
    """RFC 4865 §5: its time begins when it is released."""
    async with sending(world) as q:
        q.relay.answers["x@a.example"] = (RelayState.DEFERRED, "450 4.2.1 greylisted")
        number = await q.submit("x@a.example", hold=timedelta(days=20))
        await q.forward(timedelta(days=20))
        assert len(q.relay.given) == 1
        assert len(await q.queued()) == 1
        assert await q.inbox() == []  # neither given up, nor late
        message = await world.store.read(lambda tx: queue.message(tx, number))
        assert message is not None
        assert message.tried_since == message.created_at + timedelta(days=20)
        await q.forward(timedelta(days=6))
        assert await q.queued() == []
        (report,) = await q.inbox()
        until = message.created_at + timedelta(days=20)
        assert f"\r\nFuture-Release-Request: until; {until:%Y-%m-%dT%H:%M:%SZ}\r\n".encode() in report


async def test_a_domain_with_little_room_is_no_reason_to_settle_for_ever(world: World) -> None:
    """Two accounts of a domain that is nearly full get one report: either both do, or nobody."""
    async with sending(world) as q:
        await world.store.write(
            lambda tx: directory.add_alias(tx, "both@penny.test", ["anna@penny.test", "bert@penny.test"])
        )
        await world.store.write(lambda tx: directory.set_domain_quota(tx, "penny.test", 3500))
        q.relay.answers["x@a.example"] = (RelayState.FAILED, "550 5.1.1 No such user")
        await q.submit("x@a.example", sender=Address("both", "penny.test"))
        await q.until(lambda: q.relay.given)
        await q.settled()
        assert await q.queued() == []
        assert await q.inbox() == []


async def test_a_scheduled_message_waits_and_can_be_taken_back(world: World) -> None:
    async with sending(world) as q:
        number = await q.submit("x@a.example", hold=timedelta(hours=3))
        await q.submit("y@a.example", hold=world.clock.now + timedelta(hours=2))
        await asyncio.sleep(0.01)
        assert q.relay.given == []
        await q.forward(timedelta(hours=2))
        assert q.relay.to == [["y@a.example"]]
        (left,) = await q.queued()
        assert left.queued == number
        assert await world.store.write(lambda tx: queue_view.remove(tx, [left.id])) == [left.id]
        assert await q.queued() == []


@pytest.mark.parametrize("mode", list(DeliverByMode))
async def test_deliver_by(world: World, mode: DeliverByMode) -> None:
    """RFC 2852 §4: R returns what is late, N tells and goes on."""
    async with sending(world) as q:
        q.relay.answers["x@a.example"] = (RelayState.DEFERRED, "451 4.3.2 later")
        await q.submit("x@a.example", deliver_by=DeliverBy(timedelta(minutes=12), mode))
        await q.until(lambda: q.relay.given)
        await q.settled()
        await q.forward(timedelta(minutes=5))
        assert await q.inbox() == []
        await q.forward(timedelta(minutes=7))
        (report,) = await q.inbox()
        if mode is DeliverByMode.RETURN:
            assert await q.queued() == []
            assert b"Status: 5.4.7" in report
        else:
            assert len(await q.queued()) == 1
            assert b"Action: delayed" in report


@pytest.mark.parametrize(
    ("mode", "wishes", "expected"),
    [
        (Suppress.OFF, {"priority": -3}, []),
        (Suppress.BULK, {}, []),
        (Suppress.BULK, {"priority": -3}, ["x@a.example"]),
        (Suppress.ON, {}, ["x@a.example"]),
    ],
)
async def test_suppression_of_those_who_are_gone(
    world: World, mode: Suppress, wishes: dict[str, int], expected: list[str]
) -> None:
    async with sending(world, suppress=mode) as q:
        q.relay.answers["x@a.example"] = (RelayState.FAILED, "550 5.1.1 No such user")
        q.relay.answers["y@a.example"] = (RelayState.FAILED, "550 5.7.1 spam")
        await q.submit("x@a.example", "y@a.example", **wishes)
        await q.until(lambda: q.relay.given)
        await q.settled()
        listed = await world.store.read(suppression.listed)
        assert [one.address for one in listed] == expected


async def test_a_smarthost_helps_out_after_failures(world: World) -> None:
    host = Smarthost("smart.example", 587, after_failures=2)
    async with sending(world, smarthosts=(host,)) as q:
        q.relay.answers["x@a.example"] = (RelayState.DEFERRED, "450 4.7.1 who are you")
        await q.submit("x@a.example")
        await q.until(lambda: q.relay.given)
        await q.settled()
        await q.forward(timedelta(minutes=6))
        await q.forward(timedelta(minutes=11))
        assert [hop.kind for hop, _, _ in q.relay.given] == [HopKind.MX, HopKind.MX, HopKind.SMARTHOST]
        assert (await q.queued())[0].hop == "smarthost:smart.example:587"


async def test_a_change_of_the_configuration_moves_what_waits(world: World) -> None:
    async with sending(world) as q:
        await q.submit("x@a.example", hold=timedelta(hours=1))
    hosts = (Smarthost("smart.example"),)
    async with sending(world, smarthosts=hosts) as q:
        await q.forward(timedelta(hours=1))
        assert [hop.host for hop, _, _ in q.relay.given] == ["smart.example"]
        assert await q.queued() == []


async def test_a_stop_gives_back_what_is_not_done(world: World) -> None:
    async with sending(world, hop_connections_at_first=1) as q:
        q.relay.gate = asyncio.Event()
        for number in range(5):
            await q.submit(f"x{number}@a.example")
        await q.until(lambda: q.relay.given)
        stopping = asyncio.create_task(q.manager.stop(timedelta(milliseconds=10)))
        await stopping
        assert {d.state for d in await q.queued()} == {queue.DeliveryState.READY}
        assert len(await q.queued()) == 5


async def test_what_nobody_was_told_of_is_found(world: World) -> None:
    async with sending(world) as q:
        await q.submit("w@a.example")
        await q.until(lambda: q.relay.given)
        await q.settled()
        q.outbox.attendant = q.manager
        committed = q.outbox.committed
        q.outbox.committed = lambda outgoing: None  # type: ignore[method-assign]
        await q.submit("x@a.example")
        q.outbox.committed = committed  # type: ignore[method-assign]
        assert [d.state for d in await q.queued()] == [queue.DeliveryState.LEASED]
        q.outbox.cut_off()
        await q.until(lambda: len(q.relay.given) == 2)
        await q.settled()
        assert await q.queued() == []
