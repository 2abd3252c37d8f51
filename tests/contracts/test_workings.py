"""Quota, threads, the log, leases, delays, the queue, figures: what the rest of the server leans on."""

from datetime import timedelta

import pytest
from tests.contracts.world import NOW, World, header, put

from pennypost.model.address import Address
from pennypost.model.envelope import BodyType, Envelope, Notify, Recipient, ReturnContent
from pennypost.model.errors import NoSuchAccount, OverQuota
from pennypost.store import changes, directory, leases, mailboxes, messages, queue, quota, stats, threads, throttle
from pennypost.store.changes import ChangeKind
from pennypost.store.engine import Operation, T, Transaction
from pennypost.store.queue import DeliveryState, QueuedMessage
from pennypost.store.throttle import ThrottlePolicy

# -- Quota (RFC 9208)


async def test_quota_of_an_account(world: World) -> None:
    size = len(header()) + 8
    account = await world.account(quota_octets=2 * size)
    inbox = await world.inbox(account)
    await world.append(account, inbox)
    await world.read(quota.check, account, size)
    with pytest.raises(OverQuota):
        await world.read(quota.check, account, size + 1)
    await world.append(account, inbox)
    with pytest.raises(OverQuota):
        await world.append(account, inbox)
    with pytest.raises(OverQuota):
        await world.read(quota.check, account, 0)
    usage = await world.read(quota.usage, account)
    assert (usage.used_octets, usage.message_count, usage.quota_octets) == (2 * size, 2, 2 * size)
    assert (usage.domain_used_octets, usage.domain_quota_octets) == (None, None)
    assert await world.uids(account, inbox) == [1, 2]
    await world.write(messages.remove, account, inbox, [1])
    await world.append(account, inbox)
    with pytest.raises(NoSuchAccount):
        await world.read(quota.usage, 99)


async def test_quota_of_a_domain(world: World) -> None:
    size = len(header()) + 8
    ann, bob = await world.account(), await world.account("bob@example.org")
    eve = await world.account("eve@example.com")
    await world.write(directory.set_domain_quota, "example.org", 2 * size)
    await world.append(ann, await world.inbox(ann))
    await world.append(eve, await world.inbox(eve))
    await world.append(bob, await world.inbox(bob))
    for account in (ann, bob):
        with pytest.raises(OverQuota):
            await world.append(account, await world.inbox(account))
        with pytest.raises(OverQuota):
            await world.read(quota.check, account, 1)
    usage = await world.read(quota.usage, ann)
    assert (usage.domain_used_octets, usage.domain_quota_octets) == (2 * size, 2 * size)
    await world.append(eve, await world.inbox(eve))


# -- Threads (RFC 8621 §3)


async def thread(world: World, account: int, head: bytes) -> tuple[int, int]:
    appended = await world.append(account, await world.inbox(account), head)
    return appended.message, await world.read(messages.thread_of, account, appended.message)


async def test_threads(world: World) -> None:
    account = await world.account()
    first, of_first = await thread(world, account, header("Plan", "1@x"))
    assert of_first == first
    _, of_reply = await thread(world, account, header("Re: Plan", "2@x", ["1@x"]))
    assert of_reply == first
    _, of_deep = await thread(world, account, header("Re: Re: plan", "3@x", ["0@x", "2@x"]))
    assert of_deep == first
    other, of_other = await thread(world, account, header("Another subject", "4@x", ["1@x", "2@x"]))
    assert of_other == other
    # A message that others referred to before it came.
    _, of_early = await thread(world, account, header("Plan", "0@x"))
    assert of_early == first
    lone, of_lone = await thread(world, account, header("Plan"))
    assert of_lone == lone


async def test_a_thread_is_one_account_s(world: World) -> None:
    ann, bob = await world.account(), await world.account("bob@example.org")
    await thread(world, ann, header("Plan", "1@x"))
    message, of_message = await thread(world, bob, header("Re: Plan", "2@x", ["1@x"]))
    assert of_message == message


async def test_the_latest_reference_decides(world: World) -> None:
    account = await world.account()
    _, one = await thread(world, account, header("S", "1@x"))
    _, two = await thread(world, account, header("S", "2@x"))
    assert one != two
    assert (await thread(world, account, header("S", "3@x", ["1@x", "2@x"])))[1] == two
    assert (await thread(world, account, header("S", "4@x", ["2@x", "1@x"])))[1] == one


async def test_keys_of_threads_that_are_gone_are_forgotten(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "PRUNE_STEP", 10)
    account = await world.account()
    await thread(world, account, header("A", "1@x", [f"{n}@old" for n in range(40)]))
    kept, _ = await thread(world, account, header("B", "2@x"))
    assert len(await world.sql("SELECT 1 FROM thread_key")) == threads.MAX_KEYS + 1
    await world.write(messages.remove, account, await world.inbox(account), [1])
    assert await threads.prune(world.engine, account) == 0  # few keys are no burden
    monkeypatch.setattr(threads, "SPARE_KEYS", 0)
    assert await threads.prune(world.engine, account) == threads.MAX_KEYS
    assert await world.sql("SELECT thread FROM thread_key") == [(kept,)]
    assert await threads.prune(world.engine, 99) == 0


async def test_keys_are_kept_when_mail_comes_meanwhile(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "SPARE_KEYS", -10)
    account = await world.account()
    await thread(world, account, header("A", "1@x", ["0@x"]))
    await world.write(messages.remove, account, await world.inbox(account), [1])

    class Interrupted:
        async def scan(self, operation: Operation[T]) -> T:
            found = await world.engine.scan(operation)
            await thread(world, account, header("A", "2@x", ["0@x"]))
            return found

        async def write(self, operation: Operation[T]) -> T:
            return await world.engine.write(operation)

    assert await threads.prune(Interrupted(), account) == 0
    assert len(await world.sql("SELECT 1 FROM thread_key")) == 3


# -- The log


async def test_the_log_is_per_account_and_pruned_by_age(world: World) -> None:
    ann, bob = await world.account(), await world.account("bob@example.org")
    await world.append(ann, await world.inbox(ann))
    await world.append(bob, await world.inbox(bob))
    old, _ = await world.read(changes.state, ann)
    world.clock.move(timedelta(days=10))
    await world.append(ann, await world.inbox(ann))
    assert await world.write(changes.prune, ann, timedelta(days=30)) == 0
    assert await world.write(changes.prune, ann, timedelta(days=5), 2) == 6  # those of one number go together
    assert await world.write(changes.prune, ann, timedelta(days=5)) == 1
    assert await world.read(changes.since, ann, old - 1) is None
    assert await world.read(changes.vanished, ann, 1, old - 1) is None
    assert [c.kind for c in await world.read(changes.since, ann, old)] == [ChangeKind.APPENDED]
    assert len(await world.read(changes.since, bob, 0)) > 1
    with pytest.raises(NoSuchAccount):
        await world.read(changes.since, 99, 0)


# -- Leases and delays


async def test_leases(world: World) -> None:
    minute = timedelta(minutes=1)
    assert await world.write(leases.acquire, "pop3:1:1", "a", minute)
    assert not await world.write(leases.acquire, "pop3:1:1", "b", minute)
    assert await world.write(leases.acquire, "pop3:1:2", "b", minute)
    assert await world.read(leases.holder_of, "pop3:1:1") == "a"
    world.clock.move(timedelta(seconds=40))
    assert await world.write(leases.renew, "pop3:1:1", "a", minute)
    world.clock.move(timedelta(seconds=40))
    assert not await world.write(leases.acquire, "pop3:1:1", "b", minute)
    world.clock.move(timedelta(seconds=40))
    assert await world.read(leases.holder_of, "pop3:1:1") is None
    assert await world.write(leases.acquire, "pop3:1:1", "b", minute)
    assert not await world.write(leases.renew, "pop3:1:1", "a", minute)
    await world.write(leases.release, "pop3:1:1", "a")
    assert await world.read(leases.holder_of, "pop3:1:1") == "b"
    await world.write(leases.release, "pop3:1:1", "b")
    assert await world.write(leases.acquire, "pop3:1:1", "c", minute)
    assert await world.write(leases.sweep) == 1


async def test_delays_grow_into_a_ban(world: World) -> None:
    policy = ThrottlePolicy(free=2, first_delay=timedelta(seconds=1), ban_after=6, ban=timedelta(minutes=5))
    delays = []
    for _ in range(7):
        until = await world.write(throttle.record_failure, "k", policy)
        delays.append(0 if until is None else (until - world.clock.now).total_seconds())
    assert delays == [0, 0, 1, 2, 4, 300, 300]
    ends = world.clock.now + timedelta(minutes=5)
    assert await world.read(throttle.blocked_until, ["other", "k"]) == ends
    assert await world.read(throttle.blocked_until, ["other"]) is None
    assert await world.read(throttle.failures, "k") == 7
    world.clock.move(timedelta(minutes=6))
    assert await world.read(throttle.blocked_until, ["k"]) is None
    assert await world.write(throttle.sweep, policy) == 0
    world.clock.move(timedelta(hours=2))
    assert await world.write(throttle.record_failure, "k", policy) is None
    assert await world.read(throttle.failures, "k") == 1
    assert await world.write(throttle.clear, "k")
    assert not await world.write(throttle.clear, "k")
    await world.write(throttle.record_failure, "k", policy)
    world.clock.move(timedelta(hours=2))
    assert await world.write(throttle.sweep, policy) == 1
    with pytest.raises(ValueError, match="keys"):
        await world.read(throttle.blocked_until, [])


# -- The queue


async def enqueue(world: World, *recipients: str, sender: str | None = "ann@example.org") -> list[int]:
    async def operation(tx: Transaction) -> list[int]:
        blob = await put(tx, b"Body\r\n")
        to = tuple(
            Recipient(Address(*one.split("@")), Notify.FAILURE | Notify.DELAY, "rfc822;" + one) for one in recipients
        )
        reverse_path = None if sender is None else Address(*sender.split("@"))
        envelope = Envelope(reverse_path, to, BodyType.EIGHT_BIT_MIME, True, False, ReturnContent.HEADERS, "id-1")
        return list(await queue.enqueue(tx, QueuedMessage(None, blob, header(), 6, envelope, NOW)))

    return await world.engine.write(operation)


async def test_what_is_queued_is_listed(world: World) -> None:
    made = await enqueue(world, "x@Far.example", "y@far.example")
    await enqueue(world, "z@near.example", sender=None)
    listed = await world.read(queue.deliveries)
    assert [d.id for d in listed][:2] == made
    assert [(str(d.recipient.address), d.domain, d.attempts, d.state) for d in listed] == [
        ("x@Far.example", "far.example", 0, DeliveryState.WAITING),
        ("y@far.example", "far.example", 0, DeliveryState.WAITING),
        ("z@near.example", "near.example", 0, DeliveryState.WAITING),
    ]
    assert (listed[0].recipient.notify, listed[0].recipient.original_recipient) == (
        Notify.FAILURE | Notify.DELAY,
        "rfc822;x@Far.example",
    )
    assert [d.reverse_path for d in listed] == [Address("ann", "example.org")] * 2 + [None]
    assert {d.size for d in listed} == {len(header()) + 6}
    assert await world.read(queue.deliveries, listed[1].id) == listed[2:]
    count = await world.read(queue.count)
    assert (count.waiting, count.held, count.due, count.oldest) == (3, 0, 3, NOW)
    message = await world.read(queue.message, listed[0].queued)
    assert (message.header, message.body_size, message.envelope.body) == (header(), 6, BodyType.EIGHT_BIT_MIME)
    assert [one.address for one in message.envelope.recipients] == [d.recipient.address for d in listed[:2]]
    assert (message.envelope.envelope_id, message.envelope.return_content) == ("id-1", ReturnContent.HEADERS)
    assert await world.read(queue.message, 99) is None


async def test_deliveries_are_taken_by_lease(world: World) -> None:
    await enqueue(world, "x@a.example", "y@b.example", "z@c.example")
    minute = timedelta(minutes=1)
    first = await world.write(queue.lease, "one", minute, 2)
    assert len(first) == 2
    second = await world.write(queue.lease, "two", minute)
    assert {d.id for d in first} | {d.id for d in second} == {d.id for d in await world.read(queue.deliveries)}
    assert await world.write(queue.lease, "three", minute) == []
    later = world.clock.now + timedelta(hours=1)
    assert await world.write(queue.defer, first[0].id, "one", later, "451 4.3.0 later")
    assert not await world.write(queue.defer, first[0].id, "one", later, "451 4.3.0 later")
    assert await world.write(queue.settle, first[1].id, "one", DeliveryState.SENT, "250 2.0.0 ok")
    world.clock.move(timedelta(minutes=2))
    taken = await world.write(queue.lease, "three", minute)
    assert [d.id for d in taken] == [second[0].id]
    assert not await world.write(queue.settle, second[0].id, "two", DeliveryState.SENT, "250 2.0.0 ok")
    assert await world.write(queue.release, "three") == 1
    listed = {d.id: d for d in await world.read(queue.deliveries)}
    assert (listed[first[0].id].attempts, listed[first[0].id].last_reply) == (1, "451 4.3.0 later")
    assert listed[first[1].id].state is DeliveryState.SENT
    assert (await world.read(queue.count)).due == 1
    assert await world.write(queue.remove_settled) == 0
    world.clock.move(timedelta(hours=2))
    for delivery in await world.write(queue.lease, "four", minute):
        await world.write(queue.settle, delivery.id, "four", DeliveryState.FAILED, "550 5.1.1 no")
    assert await world.write(queue.remove_settled) == 1
    assert await world.read(queue.deliveries) == []
    assert (await world.read(queue.count)).oldest is None


# -- Figures


async def test_stats(world: World) -> None:
    ann = await world.account(quota_octets=12345)
    await world.account("bob@example.org")
    await world.write(directory.add_alias, "all@example.org", ["ann@example.org", "bob@example.org"])
    await world.fill(ann, await world.inbox(ann), 3)
    await enqueue(world, "x@a.example")
    figures = await world.engine.scan(stats.stats)
    assert (figures.domains, figures.accounts, figures.aliases, figures.mailboxes) == (1, 2, 1, 12)
    assert (figures.messages, figures.entries, figures.blobs, figures.inline_blobs) == (3, 3, 2, 2)
    assert figures.blob_octets == figures.inline_octets == 8 + 6
    assert figures.queue.waiting == 1
    assert figures.being_removed == 0
    listed = await world.engine.scan(stats.by_account)
    assert [(one.name, one.mailboxes, one.messages, one.quota_octets) for one in listed] == [
        ("ann@example.org", 6, 3, 12345),
        ("bob@example.org", 6, 0, None),
    ]
    assert listed[0].used_octets == figures.message_octets


async def test_a_mailbox_in_removal_is_counted_as_such(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pennypost.store.removal.STEP", 1)
    ann = await world.account()
    made = await world.write(mailboxes.create, ann, "Big")
    await world.fill(ann, made.id, 3)
    await world.write(mailboxes.remove, ann, "Big")
    assert (await world.engine.scan(stats.stats)).being_removed == 1
