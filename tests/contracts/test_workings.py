"""Quota, threads, the log, leases, delays, the queue, figures: what the rest of the server leans on."""

from datetime import timedelta

import pytest
from tests.contracts.test_queue import enqueue
from tests.contracts.world import World, header

from pennypost.model.errors import NoSuchAccount, OverQuota
from pennypost.store import changes, directory, leases, mailboxes, messages, quota, stats, threads, throttle
from pennypost.store.changes import ChangeKind
from pennypost.store.engine import Operation, T
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
    assert await world.write(changes.prune, ann, timedelta(days=5)) == 0  # what was appended is not in it
    assert await world.read(changes.since, ann, old - 2) is None
    assert await world.read(changes.vanished, ann, 1, old - 2) is None
    assert [c.kind for c in await world.read(changes.since, ann, old - 1)] == [ChangeKind.APPENDED] * 2
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
    assert ThrottlePolicy(free=0, ban_after=10**9).delay(10**8) == ThrottlePolicy().ban, (
        "no delay is too long to be told"
    )
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


# -- Figures


async def test_stats(world: World) -> None:
    ann = await world.account(quota_octets=12345)
    await world.account("bob@example.org")
    await world.write(directory.add_alias, "all@example.org", ["ann@example.org", "bob@example.org"])
    await world.fill(ann, await world.inbox(ann), 3)
    await enqueue(world, "x@a.example")
    figures = await world.engine.scan(stats.stats)
    assert (figures.domains, figures.accounts, figures.aliases, figures.mailboxes) == (1, 2, 1, 12)
    assert (figures.messages, figures.entries, figures.blobs, figures.inline_blobs) == (3, 3, 4, 4)
    assert figures.blob_octets == figures.inline_octets == 3 * 8 + 6
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
