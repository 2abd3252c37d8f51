"""What was to be sent later is taken back, and what is taken back is not sent."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.mail.conftest import World
from tests.unit.mail.queue.test_manager import Sending, sending
from tests.unit.mail.test_transaction import STRANGER, address, post, run, stored

from pennypost.mail.queue import by_hand, recall
from pennypost.mail.queue.recall import Recalled, draft_header
from pennypost.mail.settings import DeliverySettings
from pennypost.mail.submit import Submitter
from pennypost.message.headers import split, value, values
from pennypost.model.address import Address
from pennypost.model.authentication import Authenticated
from pennypost.model.envelope import Envelope
from pennypost.model.errors import OverQuota
from pennypost.model.flags import Flags
from pennypost.model.ids import QueuedId
from pennypost.model.mailbox import MailboxRole
from pennypost.model.units import Octets
from pennypost.store import directory, flags, mailboxes, messages, queue_view, removal, scheduled, timeline, transfer
from pennypost.store.check import check
from pennypost.store.engine import Transaction
from pennypost.store.flag_change import StoreMode
from pennypost.store.queue import DeliveryState
from pennypost.store.queue_view import Filter
from pennypost.store.timeline import EventKind

MESSAGE = (
    b"From: Anna <anna@penny.test>\r\nTo: X <x@a.example>\r\nBcc: y@b.example\r\nSubject: later\r\n\r\nA body.\r\n"
)
HOUR = timedelta(hours=1)


class Later:
    """A queue at work, and a user who has submitted a message that is to be sent in an hour."""

    def __init__(self, world: World, q: Sending, queued: QueuedId, trace: int) -> None:
        self.world, self.q, self.queued, self.trace = world, q, queued, trace

    async def names(self) -> dict[str, int]:
        """Give the mailboxes that hold something."""
        listed = await self.world.store.read(lambda tx: mailboxes.list_all(tx, self.world.anna))
        return {box.name: box.total for box in listed if box.total}

    async def box(self, name: str) -> Any:
        return await self.world.store.read(lambda tx: mailboxes.require(tx, self.world.anna, name))

    async def uid(self) -> Any:
        box = await self.box("Scheduled")
        rows = await self.world.store.read(
            lambda tx: tx.fetch_all("SELECT uid FROM entry WHERE account = ? AND mailbox = ?", self.world.anna, box.id)
        )
        return rows[0][0]

    async def time_comes(self) -> list[list[str]]:
        """Gives to whom it was sent."""
        self.world.clock.forward(HOUR + timedelta(seconds=3))
        self.q.manager.wake()
        async with asyncio.timeout(10):
            for _ in itertools.count():
                if not await self.left():
                    break
                await asyncio.sleep(0.001)
        await self.q.settled()
        return sorted(self.q.relay.to)

    async def take_back(self) -> Recalled | None:
        store, anna = self.world.store, self.world.anna
        return await store.write_large(lambda tx: recall.recall(tx, store, anna, self.queued))

    async def story(self) -> list[EventKind]:
        return [event.kind for event in await self.world.store.scan(lambda tx: timeline.story(tx, [self.trace]))]

    async def left(self) -> list[str]:
        waiting = await self.world.store.read(queue_view.deliveries)
        return [str(one.recipient.address) for one in waiting]


@asynccontextmanager
async def later(world: World, *to: str, settings: DeliverySettings | None = None) -> AsyncIterator[Later]:
    async with sending(world) as q:
        posting = replace(post(world, settings), outbox=q.outbox)
        client = replace(STRANGER, authenticated=Authenticated(world.anna, "anna@penny.test"))
        envelope = Envelope(address("anna@penny.test"), hold=HOUR)
        accepted = await run(Submitter(posting).begin(client), envelope, to or ("x@a.example", "y@b.example"), MESSAGE)
        queued = QueuedId(int(accepted.stored[-1].removeprefix("q")))
        yield Later(world, q, queued, timeline.trace_number(accepted.id))
    async for found in check(world.store.engine, world.store.blobs):
        pytest.fail(str(found))


async def test_it_is_shown_until_it_leaves(world: World) -> None:
    async with later(world) as message:
        assert (await message.box("Scheduled")).role is MailboxRole.SCHEDULED
        assert (await message.box("Scheduled")).subscribed
        (octets,) = await stored(world, world.anna, "Scheduled")
        header, body = split(octets)
        assert value(header, b"bcc") == b"<y@b.example>"
        assert values(header, b"received") == []
        assert body == b"A body.\r\n"
        rows = await world.store.read(lambda tx: tx.fetch_all("SELECT flags FROM entry WHERE account = ?", world.anna))
        assert rows == [(int(Flags.SEEN | Flags.DRAFT),)]
        assert await message.time_comes() == [["x@a.example"], ["y@b.example"]]
        assert await message.names() == {}
        assert all(b"Bcc" not in sent for _, _, sent in message.q.relay.given)


@pytest.mark.parametrize("how", ["moved", "deleted", "marked", "mailbox"])
async def test_who_takes_it_away_takes_it_back(world: World, how: str) -> None:
    """In every mail program, whatever it does to a message that is deleted."""
    async with later(world) as message:
        box, uid, anna = await message.box("Scheduled"), await message.uid(), world.anna
        drafts = await message.box("Drafts")

        async def act(tx: Transaction) -> None:
            match how:
                case "moved":
                    await transfer.move(tx, anna, box.id, [uid], drafts.id)
                case "deleted":
                    await messages.remove(tx, anna, box.id, [uid])
                case "marked":
                    await flags.store(tx, anna, box.id, [uid], StoreMode.ADD, Flags.DELETED)
                case "mailbox":
                    await mailboxes.remove(tx, anna, "Scheduled")

        await world.store.write(act)
        await removal.finish(world.store.engine)
        assert await message.time_comes() == []
        assert await message.left() == []
        assert await message.story() == [EventKind.SUBMITTED, EventKind.RECALLED]
        assert await message.names() == {"moved": {"Drafts": 1}, "marked": {"Scheduled": 1}}.get(how, {})


async def test_a_mailbox_of_another_name_stays_what_it_is(world: World) -> None:
    async with later(world) as message:
        await world.store.write(lambda tx: mailboxes.rename(tx, world.anna, "Scheduled", "Soon"))
        assert await message.names() == {"Soon": 1}
        assert await message.time_comes() == [["x@a.example"], ["y@b.example"]]
        assert await message.names() == {}


async def test_recipients_here_wait_too(world: World) -> None:
    async with later(world, "bert@penny.test") as message:
        box, uid = await message.box("Scheduled"), await message.uid()
        await world.store.write(lambda tx: messages.remove(tx, world.anna, box.id, [uid]))
        await message.time_comes()
        assert await stored(world, world.bert) == []


async def test_at_once(world: World) -> None:
    async with later(world) as message:
        recalled = await message.take_back()
        assert recalled == Recalled((Address("x", "a.example"), Address("y", "b.example")), (), "Drafts")
        assert await message.names() == {"Drafts": 1}
        assert await message.left() == []
        assert await message.take_back() is None
        assert await message.time_comes() == []
        assert await message.story() == [EventKind.SUBMITTED, EventKind.RECALLED]


async def test_another_account_takes_back_nothing(world: World) -> None:
    async with later(world) as message:
        store = world.store
        assert await store.write_large(lambda tx: recall.recall(tx, store, world.bert, message.queued)) is None
        assert len(await message.left()) == 2
        owned = Filter(account=world.anna)
        assert len(await store.read(lambda tx: queue_view.deliveries(tx, owned))) == 2
        assert await store.read(lambda tx: queue_view.deliveries(tx, Filter(account=world.bert))) == []


async def test_what_is_being_sent_is_not_taken_back(world: World) -> None:
    async with later(world) as message:
        await world.store.write(
            lambda tx: tx.execute(
                "UPDATE delivery SET state = ?, lease_holder = 'x' WHERE hop = 'a.example'", int(DeliveryState.LEASED)
            )
        )
        recalled = await message.take_back()
        assert recalled == Recalled((Address("y", "b.example"),), (Address("x", "a.example"),), "Drafts")
        assert await message.left() == ["x@a.example"]
        assert await message.take_back() == Recalled((), (Address("x", "a.example"),), "")
        await world.store.write(lambda tx: queue_view.drop(tx, message.queued))


async def test_what_waits_for_another_attempt_comes_back_as_a_draft(world: World) -> None:
    async with sending(world) as q:
        q.relay.whole["a.example"] = "450 4.2.0 later"
        queued = await q.submit("x@a.example", "hidden@a.example")
        await q.until(lambda: q.relay.given)
        await q.settled()
        store = world.store
        recalled = await store.write_large(lambda tx: recall.recall(tx, store, world.anna, queued))
        assert recalled is not None
        assert len(recalled.recipients) == 2
        (octets,) = await stored(world, world.anna, "Drafts")
        assert octets.startswith(b"Bcc: <x@a.example>,\r\n\t<hidden@a.example>\r\nFrom: Anna")


async def test_without_room_it_goes_on(world: World) -> None:
    async with sending(world) as q:
        q.relay.whole["a.example"] = "450 4.2.0 later"
        queued = await q.submit("x@a.example")
        await q.until(lambda: q.relay.given)
        await q.settled()
        store = world.store
        await store.write(lambda tx: directory.set_quota(tx, world.anna, Octets(10)))
        with pytest.raises(OverQuota):
            await store.write_large(lambda tx: recall.recall(tx, store, world.anna, queued))
        assert len(await store.read(queue_view.deliveries)) == 1


async def test_without_room_it_is_not_shown_and_leaves(world: World) -> None:
    await world.store.write(lambda tx: directory.set_quota(tx, world.anna, Octets(10)))
    async with later(world) as message:
        assert await message.names() == {}
        assert await message.time_comes() == [["x@a.example"], ["y@b.example"]]


async def test_where_it_is_not_wanted_it_is_not_shown(world: World) -> None:
    async with later(world, settings=DeliverySettings(scheduled_mailbox="")) as message:
        assert await message.names() == {}
        assert await message.time_comes() == [["x@a.example"], ["y@b.example"]]


async def test_what_a_removed_account_has_sent_leaves(world: World) -> None:
    async with later(world) as message:
        await world.store.write(lambda tx: directory.remove_account(tx, world.anna))
        assert await message.time_comes() == [["x@a.example"], ["y@b.example"]]
        await removal.finish(world.store.engine)
    assert await world.store.read(lambda tx: scheduled.find(tx, message.queued)) is None


async def test_an_administrator_who_removes_it_removes_its_copy(world: World) -> None:
    async with later(world) as message:
        waiting = await world.store.read(queue_view.deliveries)
        await world.store.write(lambda tx: by_hand.change(tx, "removed", waiting[:1]))
        assert await message.names() == {"Scheduled": 1}
        await world.store.write(lambda tx: by_hand.change(tx, "removed", waiting[1:]))
        assert await message.names() == {}


async def test_copies_of_what_was_given_up_are_swept(world: World) -> None:
    async with later(world) as message:
        assert await world.store.write(recall.sweep) == 0
        await world.store.write(lambda tx: queue_view.drop(tx, message.queued))
        assert await world.store.write(recall.sweep) == 1
        assert await message.names() == {}


def test_a_draft_says_whom_it_is_for() -> None:
    own = b"To: G: a@x.test, <B@x.test>;\r\nCc: c@x.test\r\nSubject: s\r\n\r\n"
    header = b"DKIM-Signature: v=1\r\n\tb=x\r\nReceived: from a\r\n" + own
    to = [Address(name, "x.test") for name in "abcd"]
    assert draft_header(header, to) == b"Bcc: <d@x.test>\r\n" + own
    assert draft_header(header, to[:3]) == own
