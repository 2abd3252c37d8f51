"""Messages that their next host takes before they are in the queue."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import fields, replace
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from tests.unit.mail.conftest import World
from tests.unit.mail.queue.test_manager import FakeRelay
from tests.unit.mail.test_transaction import post

from pennypost.mail.limit_settings import SendingSettings
from pennypost.mail.queue.manager import QueueManager
from pennypost.mail.queue.outbox import Outbox
from pennypost.mail.queue.routing import Router
from pennypost.mail.queue.settings import QueueSettings
from pennypost.mail.receive import Receiver
from pennypost.mail.reception import Acceptance, Language, SmtpClient
from pennypost.mail.sending import SendingGuard
from pennypost.mail.submit import Submitter
from pennypost.model.address import Address
from pennypost.model.authentication import Authenticated
from pennypost.model.envelope import Envelope, Notify, Recipient
from pennypost.model.errors import SendingLimit, StorageFull
from pennypost.model.peer import Peer
from pennypost.model.relaying import RelayState
from pennypost.store import junk, queue_view, sending, timeline
from pennypost.store.check import check
from pennypost.store.queue_view import Delivery
from pennypost.store.timeline import EventKind, trace_number

CLIENT = SmtpClient(Peer(None, 0), "client.example", Language.ESMTP, None, None)
TEXT = b"From: x@y.example\r\nMessage-ID: <1@y.example>\r\nSubject: hello\r\n\r\nA body.\r\n"


class Passing:
    """A backup MX whose next host is the fake relay."""

    def __init__(self, world: World, settings: QueueSettings) -> None:
        self.world, self.relay = world, FakeRelay()
        router = Router(settings)
        self.manager = QueueManager(
            world.store, settings, self.relay, "mail.penny.test", router, chance=lambda: 0.5, observe=self.observe
        )
        self.observed: list[str] = []
        self.intake = Receiver(replace(post(world), outbox=Outbox(router, self.manager)))

        self.router = router

    def observe(self, state: str, seconds: float) -> None:
        self.observed.append(state)

    async def receive(self, *to: str | Recipient, client: SmtpClient = CLIENT) -> Acceptance:
        reception = self.intake.begin(client)
        await reception.sender(Envelope(Address("x", "y.example")))
        for one in to or ("r@far.example",):
            await reception.recipient(Recipient(Address(*one.split("@"))) if isinstance(one, str) else one)
        reception.write(TEXT)
        return await reception.accept()

    async def settled(self) -> None:
        async with asyncio.timeout(10):
            while self.manager._tasks or self.manager._settler._waiting or self.manager._settler._tasks:  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    async def become_quick(self) -> None:
        """Let the hop be known: the first message goes by the queue."""
        assert (await self.receive()).stored
        async with asyncio.timeout(10):
            while not self.observed:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        await self.settled()

    async def queued(self) -> Sequence[Delivery]:
        return await self.world.store.read(lambda tx: queue_view.deliveries(tx, queue_view.Filter(), 100))

    async def kinds(self, acceptance: Acceptance) -> list[EventKind]:
        self.manager.write_along()
        await self.settled()
        traces = [trace_number(acceptance.id)]
        return [event.kind for event in await self.world.store.scan(lambda tx: timeline.story(tx, traces))]


@asynccontextmanager
async def passing(world: World, **settings: Any) -> AsyncIterator[Passing]:
    settings.setdefault("pass_on_within", timedelta(seconds=0.5))
    p = Passing(world, QueueSettings(backup_for=("far.example",), **settings))
    running = asyncio.create_task(p.manager.run())
    try:
        yield p
    finally:
        await p.manager.stop(timedelta(seconds=1))
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert [one async for one in check(world.store, world.store.blobs)] == []


async def test_a_quick_host_takes_it_before_it_is_queued(world: World) -> None:
    async with passing(world) as p:
        await p.become_quick()
        acceptance = await p.receive("r@far.example", "s@far.example")
        assert acceptance.stored == ()
        assert acceptance.outcomes == (None, None)
        assert await p.queued() == []
        _, message, octets = p.relay.given[-1]
        assert [str(r.address) for r in message.envelope.recipients] == ["r@far.example", "s@far.example"]
        assert octets.startswith(b"Received: from client.example")
        assert octets.endswith(TEXT)
        assert await p.kinds(acceptance) == [EventKind.RECEIVED, EventKind.ATTEMPTED]
        assert p.observed == ["sent"] * 3


@pytest.mark.parametrize("settings", [{"pass_on_within": timedelta(0)}, {"verp": ("y.example",)}])
async def test_what_is_put_into_the_queue_first(world: World, settings: dict[str, Any]) -> None:
    async with passing(world, **settings) as p:
        await p.become_quick()
        assert (await p.receive()).stored
        await p.settled()
        assert len(p.relay.given) == 2


async def test_who_asks_for_a_report_is_put_into_the_queue_first(world: World) -> None:
    async with passing(world) as p:
        await p.become_quick()
        assert (await p.receive(Recipient(Address("r", "far.example"), Notify.SUCCESS))).stored
        await p.settled()


async def test_more_recipients_than_go_in_one_transaction(world: World) -> None:
    async with passing(world, transaction_recipients=2) as p:
        await p.become_quick()
        assert not (await p.receive("r@far.example", "s@far.example")).stored
        assert (await p.receive("r@far.example", "s@far.example", "t@far.example")).stored
        await p.settled()
        sizes = [len(message.envelope.recipients) for _, message, _ in p.relay.given]
        assert sorted(sizes) == [1, 1, 2, 2]


async def test_a_bug_on_the_way_leaves_the_message_to_the_queue(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with passing(world) as p:
        await p.become_quick()

        def broken(*_: Any) -> None:
            raise ZeroDivisionError

        with monkeypatch.context() as patch:
            patch.setattr(p.manager._attempts, "pass_on", broken)
            assert (await p.receive()).stored
        await p.settled()
        (waiting,) = await p.queued()
        assert waiting.attempts == 1


async def test_recipients_of_two_hosts_and_local_ones(world: World) -> None:
    async with passing(world) as p:
        await p.become_quick()
        acceptance = await p.receive("r@far.example", "anna@penny.test")
        assert len(acceptance.stored) == 2
        await p.settled()
        assert len(p.relay.given) == 2


async def test_what_is_refused_goes_the_way_of_the_queue(world: World) -> None:
    """Some were sent to: they are not sent to again."""
    async with passing(world) as p:
        await p.become_quick()
        p.relay.answers["later@far.example"] = (RelayState.DEFERRED, "450 4.2.1 later")
        acceptance = await p.receive("r@far.example", "later@far.example")
        assert len(acceptance.stored) == 1
        await p.settled()
        left = await p.queued()
        assert [(str(d.recipient.address), d.attempts) for d in left] == [("later@far.example", 1)]
        assert len(p.relay.given) == 2
        assert await p.kinds(acceptance) == [EventKind.RECEIVED, EventKind.ATTEMPTED]


async def test_what_takes_long_is_queued_and_sent_once(world: World) -> None:
    async with passing(world, pass_on_within=timedelta(seconds=0.05)) as p:
        await p.become_quick()
        p.relay.gate = asyncio.Event()
        acceptance = await p.receive()
        assert len(acceptance.stored) == 1
        assert len(await p.queued()) == 1
        p.relay.gate.set()
        await p.settled()
        assert await p.queued() == []
        assert len(p.relay.given) == 2
        assert (await p.receive()).stored, "the hop is not quick any more"
        await p.settled()


@pytest.mark.parametrize("problem", [StorageFull, KeyError])
@pytest.mark.parametrize("went_well", [True, False])
async def test_a_store_that_takes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, *, went_well: bool, problem: type[Exception]
) -> None:
    """A sender is refused who would send again what has not left."""
    async with passing(world, pass_on_within=timedelta(seconds=0.05)) as p:
        await p.become_quick()
        gate = p.relay.gate = asyncio.Event()

        async def full(_: object) -> object:
            if went_well:
                gate.set()
                await asyncio.sleep(0.01)
            raise problem

        with monkeypatch.context() as patched:
            patched.setattr(p.world.store, "write", full)
            if went_well:
                assert (await p.receive()).stored == ()
            else:
                with pytest.raises(problem):
                    await p.receive()
        gate.set()
        await p.settled()
        assert await p.queued() == []
        assert all(channel.busy == 0 for channel in p.manager._channels.values())


async def test_a_stop_while_it_is_under_way(world: World) -> None:
    async with passing(world, pass_on_within=timedelta(seconds=0.1)) as p:
        await p.become_quick()
        p.relay.gate = asyncio.Event()
        receiving = asyncio.create_task(p.receive())
        await asyncio.sleep(0.02)
        await p.manager.stop(timedelta(milliseconds=20))
        acceptance = await receiving
        assert len(acceptance.stored) == 1
        await p.settled()
        assert len(await p.queued()) == 1


async def test_a_sender_that_goes_away(world: World) -> None:
    async with passing(world) as p:
        await p.become_quick()
        p.relay.gate = asyncio.Event()
        receiving = asyncio.create_task(p.receive())
        await asyncio.sleep(0.02)
        receiving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await receiving
        p.relay.gate.set()
        await p.settled()
        assert await p.queued() == []
        assert all(channel.busy == 0 for channel in p.manager._channels.values())
        p.manager.write_along()
        await p.settled()
        events = await world.store.read(lambda tx: tx.fetch_all("SELECT kind FROM event ORDER BY id"))
        assert [kind for (kind,) in events][-2:] == [EventKind.RECEIVED, EventKind.ATTEMPTED], (
            "it was sent all the same"
        )


async def test_what_is_queued_when_all_else_has_stopped_is_settled(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its next host has it: after the next start it would be sent again."""
    async with passing(world, pass_on_within=timedelta(seconds=0.05)) as p:
        await p.become_quick()
        p.relay.gate = asyncio.Event()
        writing, stopped = asyncio.Event(), asyncio.Event()
        write = world.store.write

        async def slow(operation: Any) -> Any:
            writing.set()
            await stopped.wait()
            return await write(operation)

        with monkeypatch.context() as patch:
            patch.setattr(world.store, "write", slow)
            receiving = asyncio.create_task(p.receive())
            await writing.wait()
            p.relay.gate.set()
            await p.manager.stop(timedelta(seconds=1))
        stopped.set()
        assert (await receiving).stored
        await p.manager.finish()
        assert await p.queued() == []
        assert len(p.relay.given) == 2


async def submit(p: Passing, guard: SendingGuard, *, header: bytes = b"Message-ID: <7@penny.test>\r\n") -> Acceptance:
    world = p.world
    user = Authenticated(world.anna, "anna@penny.test")
    client = SmtpClient(Peer(ip_address("192.0.2.7"), 1), "laptop", Language.ESMTP, None, user)
    posting = replace(post(world), outbox=Outbox(p.router, p.manager), sending=guard)
    reception = Submitter(posting).begin(client)
    try:
        await reception.sender(Envelope(Address("anna", "penny.test")))
        await reception.recipient(Recipient(Address("r", "far.example")))
        reception.write(b"From: anna@penny.test\r\n" + header + b"\r\nhello\r\n")
        return await reception.accept()
    finally:
        reception.discard()


async def counted(world: World) -> int:
    return (await world.store.read(lambda tx: sending.usage(tx, world.anna))).hour.messages


async def test_a_submission_is_counted_before_it_leaves(world: World) -> None:
    guard = SendingGuard(world.store, SendingSettings(messages_per_hour=2), "mail.penny.test")
    async with passing(world) as p:
        await p.become_quick()
        acceptance = await submit(p, guard)
        assert acceptance.stored == ()
        assert await counted(world) == 1
        p.relay.answers["r@far.example"] = (RelayState.FAILED, "550 5.1.1 no such user")
        assert (await submit(p, guard)).stored
        assert await counted(world) == 2, "once, though it was put into the queue afterwards"
        with pytest.raises(SendingLimit):
            await submit(p, guard)
        assert len(p.relay.given) == 3
        assert await p.kinds(acceptance) == [EventKind.SUBMITTED, EventKind.ATTEMPTED]
        assert await world.store.read(lambda tx: junk.has_sent(tx, world.anna, [junk.hash_of_id(b"7@penny.test")]))


async def test_where_there_is_no_limit_nothing_is_counted(world: World) -> None:
    none = {field.name: 0 for field in fields(SendingSettings) if field.type == "int" or field.type is int}
    guard = SendingGuard(world.store, SendingSettings(**none), "mail.penny.test")
    async with passing(world) as p:
        await p.become_quick()
        acceptance = await submit(p, guard)
        assert acceptance.stored == ()
        assert await counted(world) == 0
        assert await p.kinds(acceptance) == [EventKind.SUBMITTED, EventKind.ATTEMPTED]
        assert await world.store.read(lambda tx: junk.has_sent(tx, world.anna, [junk.hash_of_id(b"7@penny.test")]))
