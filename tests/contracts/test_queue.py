"""The queue: what is put in, taken by lease, settled, and seen by an administrator."""

from datetime import timedelta

from tests.contracts.world import NOW, World, header, put

from pennypost.model.address import Address
from pennypost.model.envelope import (
    BodyType,
    DeliverBy,
    DeliverByMode,
    Envelope,
    Notify,
    Recipient,
    ReturnContent,
)
from pennypost.model.ids import DeliveryId
from pennypost.store import dispatch, queue, queue_view, suppression, timeline
from pennypost.store.dispatch import Deferral, HopWork, Pace
from pennypost.store.engine import Transaction, to_microseconds
from pennypost.store.queue import DeliveryState, Enqueued, Place, QueuedMessage
from pennypost.store.queue_view import Delivery, Filter
from pennypost.store.timeline import EventKind

MINUTE = timedelta(minutes=1)
LEASE = timedelta(seconds=30)


def recipient(address: str) -> Recipient:
    return Recipient(Address(*address.split("@")), Notify.FAILURE | Notify.DELAY, "rfc822;" + address)


async def enqueue(
    world: World, *recipients: str, sender: str | None = "ann@example.org", places: list[Place] | None = None
) -> Enqueued:
    async def operation(tx: Transaction) -> Enqueued:
        blob = await put(tx, b"Body\r\n")
        reverse_path = None if sender is None else Address(*sender.split("@"))
        to = tuple(map(recipient, recipients))
        envelope = Envelope(
            reverse_path,
            to,
            BodyType.EIGHT_BIT_MIME,
            True,
            False,
            ReturnContent.HEADERS,
            "id-1",
            deliver_by=DeliverBy(timedelta(hours=1), DeliverByMode.RETURN, True),
            priority=3,
        )
        return await queue.enqueue(tx, QueuedMessage(None, blob, header(), 6, envelope, NOW, -5), places)

    return await world.engine.write(operation)


def place(hop: str, *addresses: str, turn: int = 0, **more: object) -> Place:
    return Place(hop, tuple(map(recipient, addresses)), turn, **more)  # type: ignore[arg-type]


async def listed(world: World, **wanted: object) -> list[Delivery]:
    return await world.read(queue_view.deliveries, Filter(**wanted))  # type: ignore[arg-type, no-any-return]


async def look(world: World, holder: str, hops: int = 10, each: int = 10) -> list[HopWork]:
    async def operation(tx: Transaction) -> list[HopWork]:
        while await dispatch.recover(tx):
            pass
        await dispatch.promote(tx, 100)
        await dispatch.stay(tx, holder, LEASE)
        return await dispatch.take_due(tx, holder, hops, each)

    return await world.engine.write(operation)


def ids(work: list[HopWork]) -> list[int]:
    return [delivery.id for one in work for delivery in one.deliveries]


async def defer(world: World, holder: str, delivery: DeliveryId, hop: str, wait: timedelta = MINUTE) -> bool:
    done = Deferral(delivery, world.clock.now + wait, "451 4.3.0 later", hop, warned=False)
    return bool(await world.write(dispatch.defer, holder, done))


async def test_what_is_queued_is_listed(world: World) -> None:
    made = await enqueue(world, "x@Far.example", "y@far.example")
    await enqueue(world, "z@near.example", sender=None)
    found = await listed(world)
    assert [d.id for d in found][:2] == list(made.deliveries[0])
    assert [(str(d.recipient.address), d.hop, d.attempts, d.state) for d in found] == [
        ("x@Far.example", "far.example", 0, DeliveryState.READY),
        ("y@far.example", "far.example", 0, DeliveryState.READY),
        ("z@near.example", "near.example", 0, DeliveryState.READY),
    ]
    assert (found[0].recipient.notify, found[0].recipient.original_recipient) == (
        Notify.FAILURE | Notify.DELAY,
        "rfc822;x@Far.example",
    )
    assert [d.reverse_path for d in found] == [Address("ann", "example.org")] * 2 + [None]
    assert {(d.size, d.trace, d.priority) for d in found} == {(len(header()) + 6, -5, 3)}
    assert await world.read(queue_view.deliveries, None, found[1].id) == found[2:]
    assert await listed(world, domain="FAR.example") == found[:2]
    assert await listed(world, recipient="X@far.example") == found[:1]
    assert await listed(world, sender="") == found[2:]
    assert await listed(world, queued=made.queued, hop="far.example") == found[:2]
    assert await listed(world, state=DeliveryState.HELD) == []
    count = await world.read(queue_view.count)
    assert (count.waiting, count.held, count.due, count.oldest) == (3, 0, 3, NOW)


async def test_a_queued_message_is_given_back_whole(world: World) -> None:
    made = await enqueue(world, "x@far.example", "y@far.example")
    world.clock.move(timedelta(minutes=10))
    message: QueuedMessage = await world.read(queue.message, made.queued)
    assert (message.header, message.body_size, message.envelope.body) == (header(), 6, BodyType.EIGHT_BIT_MIME)
    assert [str(one.address) for one in message.envelope.recipients] == ["x@far.example", "y@far.example"]
    assert (message.envelope.envelope_id, message.envelope.return_content) == ("id-1", ReturnContent.HEADERS)
    assert message.envelope.deliver_by == DeliverBy(timedelta(minutes=50), DeliverByMode.RETURN, True)
    assert (message.envelope.priority, message.trace, message.seen_at) == (3, -5, world.clock.now)
    assert await world.read(queue.message, 99) is None


async def test_nobody_gets_what_another_has_leased(world: World) -> None:
    await enqueue(world, "x@a.example", "y@b.example", "z@c.example")
    first = await look(world, "one", hops=2)
    second = await look(world, "two")
    assert len(ids(first)) == 2
    assert sorted(ids(first) + ids(second)) == [d.id for d in await listed(world)]
    assert await look(world, "three") == []
    a, b = ids(first)
    assert await defer(world, "one", DeliveryId(a), "a.example")
    assert not await defer(world, "one", DeliveryId(a), "a.example")
    assert not await world.write(dispatch.finish, "two", b)
    assert await world.write(dispatch.finish, "one", b)
    left = {d.id: d for d in await listed(world)}
    assert b not in left
    assert (left[DeliveryId(a)].attempts, left[DeliveryId(a)].last_reply) == (1, "451 4.3.0 later")
    assert left[DeliveryId(a)].state is DeliveryState.DEFERRED


async def test_what_the_dead_had_is_free_again(world: World) -> None:
    await enqueue(world, *(f"x{n}@a.example" for n in range(5)))
    first = await look(world, "one", each=2)
    assert (len(ids(first)), first[0].more) == (2, True)
    assert await look(world, "two") == []  # the hop has its server
    world.clock.move(LEASE / 2)
    await world.write(dispatch.stay, "one", LEASE)
    world.clock.move(LEASE / 2)
    assert await look(world, "two") == []
    assert await world.read(dispatch.next_due, "two") == (world.clock.now + LEASE / 2, None)
    world.clock.move(LEASE / 2)
    assert len(ids(await look(world, "two"))) == 5
    assert not await world.write(dispatch.finish, "one", ids(first)[0])


async def test_a_sender_that_leaves_gives_all_back(world: World) -> None:
    await enqueue(world, *(f"x{n}@a.example" for n in range(5)))
    await look(world, "one", each=2)
    assert await world.write(dispatch.leave, "one") == 2
    assert len(ids(await look(world, "two"))) == 5
    assert await world.read(dispatch.next_due, "two") == (None, None)


async def test_a_server_goes_on_until_nothing_is_left(world: World) -> None:
    await enqueue(world, *(f"x{n}@a.example" for n in range(5)))
    (work,) = await look(world, "one", each=2)
    taken, serving = await world.write(dispatch.take_more, "one", "a.example", 2, serving=work.more)
    assert (len(taken), serving) == (2, True)
    await enqueue(world, "new@a.example")
    assert await look(world, "two") == []
    taken, serving = await world.write(dispatch.take_more, "one", "a.example", 9, serving=serving)
    assert (len(taken), serving) == (2, False)
    await enqueue(world, "late@a.example")
    assert len(ids(await look(world, "two"))) == 1


async def test_each_look_takes_a_little_of_each_hop(world: World) -> None:
    await enqueue(world, *(f"x{n}@huge.example" for n in range(20)))
    for hop in ("b", "c", "d"):
        world.clock.move(timedelta(seconds=1))
        await enqueue(world, f"x@{hop}.example")
    work = await look(world, "one", each=3)
    assert [(one.hop, len(one.deliveries), one.more) for one in work] == [
        ("huge.example", 3, True),
        ("b.example", 1, False),
        ("c.example", 1, False),
        ("d.example", 1, False),
    ]


async def test_turns_and_priorities_order_what_is_ready(world: World) -> None:
    now = to_microseconds(NOW)
    bulk = [place("a", f"bulk{n}@a.example", turn=now + n * 10**6) for n in range(5)]
    for one in bulk:
        await enqueue(world, places=[one])
    await enqueue(world, places=[place("a", "single@a.example", turn=now + 1)])
    await enqueue(world, places=[place("a", "urgent@a.example", turn=now + 2, precedence=9 * 10**6)])
    (work,) = await look(world, "one", each=3)
    assert [d.recipient.address.local_part for d in work.deliveries] == ["urgent", "bulk0", "single"]


async def test_what_is_leased_as_it_comes_in_is_nobody_elses(world: World) -> None:
    await world.write(dispatch.stay, "one", LEASE)
    made = await enqueue(world, places=[place("a", "x@a.example", "y@a.example", holder="one")])
    assert await look(world, "two") == []
    (group,) = made.deliveries
    assert await world.read(dispatch.leased_to, "one") == list(group)
    await world.write(dispatch.reclaim, "one", [group[1]])
    assert ids(await look(world, "two")) == [group[1]]


async def test_what_is_to_leave_later_waits(world: World) -> None:
    later = NOW + timedelta(hours=2)
    await enqueue(world, places=[place("a", "x@a.example", not_before=later, holder="one")])
    assert await look(world, "one") == []
    assert await world.read(dispatch.next_due, "one") == (None, later)
    world.clock.move(timedelta(hours=2))
    assert len(ids(await look(world, "one"))) == 1


async def test_a_hop_that_is_held_is_left_alone(world: World) -> None:
    await enqueue(world, *(f"x{n}@a.example" for n in range(3)))
    (work,) = await look(world, "one", each=1)
    until = world.clock.now + timedelta(minutes=3)
    pace = Pace(1, 2, timedelta(seconds=1), until, "421 4.7.0 too much")
    await world.write(dispatch.set_pace, "one", "a.example", pace)
    assert await world.read(dispatch.pace_of, "a.example") == pace
    await enqueue(world, "fresh@a.example")
    assert await look(world, "two") == []
    assert await world.read(dispatch.next_due, "one") == (min(until, world.clock.now + LEASE), None)
    await world.write(dispatch.give_back, "one", ids([work]))
    world.clock.move(timedelta(minutes=3))
    (again,) = await look(world, "two")
    assert (len(again.deliveries), again.pace.failures, again.pace.reason) == (4, 1, "421 4.7.0 too much")
    (counted,) = await world.read(queue_view.by_hop)
    assert (counted.deliveries, counted.ready, counted.connections, counted.pace) == (4, 4, 2, "421 4.7.0 too much")


async def test_a_message_goes_with_its_last_delivery(world: World) -> None:
    made = await enqueue(world, "x@a.example", "y@b.example")
    first, second = ids(await look(world, "one"))
    await world.write(dispatch.finish, "one", first)
    await world.write(dispatch.drop_if_done, made.queued)
    assert await world.read(queue.message, made.queued) is not None
    await world.write(dispatch.finish, "one", second)
    await world.write(dispatch.drop_if_done, made.queued)
    assert await world.read(queue.message, made.queued) is None


async def test_by_hand(world: World) -> None:
    made = await enqueue(world, "x@a.example", "y@a.example")
    x, y = made.deliveries[0]
    assert await world.write(queue_view.hold, [x]) == [x]
    (work,) = await look(world, "one")
    assert ids([work]) == [y]
    assert await world.write(queue_view.hold, [y]) == []  # it is being sent
    assert await world.write(queue_view.remove, [y]) == []
    assert (await world.read(queue_view.count)).held == 1
    assert await world.write(queue_view.release, [x, y]) == [x]
    assert ids(await look(world, "one")) == [x]
    await defer(world, "one", x, "a.example", timedelta(hours=4))
    await world.write(dispatch.set_pace, "one", "a.example", Pace(held_until=NOW + timedelta(hours=1)))
    assert await look(world, "one") == []
    assert await world.write(queue_view.retry, [x]) == [x]
    assert ids(await look(world, "one")) == [x]
    await world.write(dispatch.leave, "one")
    assert await world.write(queue_view.remove, [x, y]) == [x, y]
    assert await world.read(queue.message, made.queued) is None
    assert await world.read(queue_view.by_reason) == []


async def test_counts_by_reason(world: World) -> None:
    await enqueue(world, "x@a.example", "y@b.example", "z@c.example")
    first, second, _ = ids(await look(world, "one"))
    await defer(world, "one", DeliveryId(first), "a.example")
    await defer(world, "one", DeliveryId(second), "b.example")
    assert await world.read(queue_view.by_reason) == [("451 4.3.0 later", 2, NOW), ("", 1, NOW)]
    assert {c.hop: c.reason for c in await world.read(queue_view.by_hop)} == {
        "a.example": "451 4.3.0 later",
        "b.example": "451 4.3.0 later",
        "c.example": None,
    }


async def test_nothing_is_walked_over(world: World) -> None:
    """What a look and a settlement ask is found through an index, whatever else lies in the queue."""
    statements = [
        "SELECT hop FROM destination WHERE due_at <= 1 ORDER BY due_at LIMIT 1",
        "SELECT MIN(due_at) FROM destination WHERE due_at IS NOT NULL",
        "SELECT id FROM delivery WHERE state = 0 AND hop = 'a' ORDER BY turn, id LIMIT 1",
        "SELECT id FROM delivery WHERE state = 1 AND lease_holder = 'a' LIMIT 1",
        "SELECT id FROM delivery WHERE state = 2 AND next_attempt_at <= 1 ORDER BY next_attempt_at LIMIT 1",
        "SELECT MIN(next_attempt_at) FROM delivery WHERE state = 2",
        "UPDATE destination SET server = NULL WHERE server = 'a'",
        "SELECT 1 FROM delivery WHERE queued = 1",
    ]
    for statement in statements:
        plan = await world.sql(f"EXPLAIN QUERY PLAN {statement}")
        assert all("USING" in row[3] and "INDEX" in row[3] for row in plan), (statement, plan)
        assert not any("TEMP B-TREE" in row[3] for row in plan), (statement, plan)


async def test_idle_destinations_are_forgotten(world: World) -> None:
    await enqueue(world, "x@a.example")
    await look(world, "one")
    await enqueue(world, "x@b.example")
    world.clock.move(timedelta(days=2))
    assert await world.write(dispatch.forget_idle, timedelta(days=1)) == 1
    assert {work.hop for work in await look(world, "two")} == {"a.example", "b.example"}


# -- Suppression


async def test_a_domain_is_suppressed_however_it_is_written(world: World) -> None:
    await world.write(suppression.suppress, Address("Gone", "xn--bcher-kva.example"), "550 5.1.1 no")
    assert await world.read(suppression.find, Address("gone", "Bücher.example")) is not None
    assert await world.write(suppression.remove, Address("gone", "bücher.example"))
    assert await world.read(suppression.find, Address("gone", "xn--bcher-kva.example")) is None


async def test_suppression(world: World) -> None:
    gone = Address("Gone", "A.example")
    await world.write(suppression.suppress, gone, "550 5.1.1 no")
    await world.write(suppression.suppress, Address("x", "b.example"), "550 5.1.1 no such user")
    found = await world.read(suppression.find, Address("gone", "a.example"))
    assert (found.address, found.reply, found.created_at) == ("gone@a.example", "550 5.1.1 no", NOW)
    assert [s.address for s in await world.read(suppression.listed)] == ["gone@a.example", "x@b.example"]
    assert [s.address for s in await world.read(suppression.listed, "B.example")] == ["x@b.example"]
    assert await world.write(suppression.remove, gone)
    assert not await world.write(suppression.remove, gone)
    assert await world.read(suppression.find, gone) is None


# -- The timeline


async def test_a_story_is_found_by_what_stands_in_it(world: World) -> None:
    trace = timeline.trace_number("f00dfeed00000001")
    assert timeline.trace_id(trace) == "f00dfeed00000001"
    came = {"from": "Ann@example.org", "to": ["x@a.example"], "message-id": 'we"ird@id', "stored": ["1/204", "q7"]}
    await world.write(timeline.record, trace, EventKind.SUBMITTED, came)
    await world.write(timeline.record, 77, EventKind.RECEIVED, {"from": "eve@example.com", "to": ["y@b.example"]})
    await world.write(timeline.record, trace, EventKind.ATTEMPTED, {"queue": "q7", "hop": "a.example"})
    for text in ("ann@EXAMPLE.org", "x@a.example", 'we"ird@id', "q7"):
        assert await world.read(timeline.traces_of, text) == [trace]
    assert await world.read(timeline.traces_of, "nobody@example.org") == []
    story = await world.read(timeline.story, [trace])
    assert [event.kind for event in story] == [EventKind.SUBMITTED, EventKind.ATTEMPTED]
    assert story[0].facts == came
    assert await world.read(timeline.story, []) == []


async def test_the_timeline_is_bounded(world: World) -> None:
    for number in range(10):
        await world.write(timeline.record, number + 1, EventKind.RECEIVED, {"n": number})
        world.clock.move(timedelta(hours=1))
    day = timedelta(days=1)
    assert await world.write(timeline.prune, day, 100) == 0
    assert await world.write(timeline.prune, timedelta(hours=8), 100) == 2
    assert await world.write(timeline.prune, day, 5) == 3
    assert await world.write(timeline.prune, day, 1, 2) == 2
    assert [event.facts["n"] for event in await world.read(timeline.story, list(range(20)))] == [7, 8, 9]
