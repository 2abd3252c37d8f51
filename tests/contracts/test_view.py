"""Open mailboxes: what sessions see of what others do (RFC 9051 §5.2, §7.5.1; RFC 7162 §3.1.1)."""

from array import array

import pytest
from tests.contracts.world import World

from pennypost.model.errors import NoSuchMailbox
from pennypost.model.flags import Flags
from pennypost.model.ids import MailboxId
from pennypost.store import changes, flags, mailboxes, messages, snapshot
from pennypost.store.engine import Operation, T
from pennypost.store.flag_change import StoreMode
from pennypost.store.view import MailboxView, ViewChange, Views


async def seen(world: World, account: int, mailbox: int, uids: list[int]) -> None:
    await world.write(flags.store, account, mailbox, uids, StoreMode.ADD, Flags.SEEN, ["k"])


def shown(view: MailboxView) -> list[tuple[int, int, int]]:
    return [(state.uid, int(state.flags), state.message) for state in view.states()]


def listed(change: ViewChange) -> ViewChange:
    """The same with lists, whatever it came in."""
    appended, updated, expunged, numbers, highest = change
    return ViewChange(list(appended), list(updated), list(expunged), list(numbers), highest)


async def truth(world: World, account: int, mailbox: int) -> list[tuple[int, int, int]]:
    return [(e.uid, e.flags, e.message) for e in await world.entries(account, mailbox)]


async def test_open(world: World) -> None:
    account = await world.account()
    inbox = await world.inbox(account)
    await world.fill(account, inbox, 3, flags=Flags.SEEN, keywords=("b", "A"))
    last = await world.append(account, inbox)
    views = Views(world.engine)
    with await views.open(account, inbox) as view:
        assert list(view.uids) == [1, 2, 3, 4]
        assert (len(view), view.account, view.mailbox, view.highest_modseq) == (4, account, inbox, last.modseq)
        assert shown(view) == await truth(world, account, inbox)
        state = view.get(2)
        entry = (await world.entries(account, inbox))[1]
        assert state is not None
        assert (state.keywords, state.modseq, state.size, state.received_at) == (
            ("A", "b"),
            entry.modseq,
            entry.size,
            entry.received_at,
        )
        assert view.keywords_in_use() == ("A", "b")
        assert view.first_unseen() == 4
        assert (view.number_of(3), view.number_of(9)) == (3, 0)
        assert list(view.numbers_between(2, 99)) == [2, 3, 4]
        assert not await view.refresh()
        assert len(views) == 1
    assert len(views) == 0
    with pytest.raises(NoSuchMailbox):
        await views.open(account, MailboxId(999))
    assert len(views) == 0


async def test_sessions_learn_of_changes_each_at_its_own_pace(world: World) -> None:
    account = await world.account()
    inbox = await world.inbox(account)
    await world.fill(account, inbox, 5)
    views = Views(world.engine)
    one, two = await views.open(account, inbox), await views.open(account, inbox)
    assert one.uids is two.uids
    await seen(world, account, inbox, [2, 4])
    assert listed(await one.refresh()).updated == [2, 4]
    await world.write(messages.remove, account, inbox, [2, 3])
    change = listed(await one.refresh())
    assert (change.expunged, change.expunged_numbers, change.appended, change.updated) == ([2, 3], [2, 3], [], [])
    await world.append(account, inbox)
    await world.append(account, inbox)
    await world.write(messages.remove, account, inbox, [6])
    change = listed(await one.refresh())
    assert (change.appended, change.expunged) == ([7], [])
    assert list(two.uids) == [1, 2, 3, 4, 5]
    assert two.get(2) is None
    change = listed(await two.refresh())
    assert (change.appended, change.updated, change.expunged, change.expunged_numbers) == ([7], [4], [2, 3], [2, 3])
    assert one.uids is two.uids
    assert list(one.uids) == [1, 4, 5, 7]
    assert shown(one) == await truth(world, account, inbox)
    assert not await one.refresh()
    assert one.highest_modseq == (await world.mailbox(account)).highest_modseq


async def test_expunges_can_be_held_back(world: World) -> None:
    account = await world.account()
    inbox = await world.inbox(account)
    await world.fill(account, inbox, 4)
    view = await Views(world.engine).open(account, inbox)
    await world.write(messages.remove, account, inbox, [1, 3])
    await world.append(account, inbox)
    change = listed(await view.refresh(expunge=False))
    assert (change.appended, change.expunged) == ([5], [])
    assert list(view.uids) == [1, 2, 3, 4, 5]
    assert [state.uid for state in view.states()] == [2, 4, 5]
    assert view.first_unseen() == 2
    await world.append(account, inbox)
    await world.write(messages.remove, account, inbox, [5])
    await seen(world, account, inbox, [4])
    change = listed(await view.refresh(expunge=False))
    assert (change.appended, change.updated, change.expunged) == ([6], [4], [])
    assert list(view.uids) == [1, 2, 3, 4, 5, 6]
    change = listed(await view.refresh())
    assert (change.appended, change.updated) == ([], [])
    assert (change.expunged, change.expunged_numbers) == ([1, 3, 5], [1, 3, 5])
    assert list(view.uids) == [2, 4, 6]
    assert not await view.refresh()


async def test_a_session_that_fell_behind_the_log(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "LOG_LENGTH", 2)
    account = await world.account()
    inbox = await world.inbox(account)
    await world.fill(account, inbox, 6)
    views = Views(world.engine)
    ahead, behind, holding = [await views.open(account, inbox) for _ in range(3)]
    await world.write(messages.remove, account, inbox, [6])
    await holding.refresh(expunge=False)
    for uid in (1, 2):
        await seen(world, account, inbox, [uid])
        await ahead.refresh()
        await world.write(messages.remove, account, inbox, [uid + 2])
        await ahead.refresh()
    await seen(world, account, inbox, [2, 5])
    await world.append(account, inbox)
    await ahead.refresh()
    change = listed(await behind.refresh())
    assert (change.appended, change.updated, change.expunged, change.expunged_numbers) == (
        [7],
        [1, 2, 5],
        [3, 4, 6],
        [3, 4, 6],
    )
    change = listed(await holding.refresh())
    assert (change.appended, change.updated, change.expunged) == ([7], [1, 2, 5], [3, 4, 6])
    assert list(behind.uids) == list(holding.uids) == [1, 2, 5, 7]


class Counting:
    """An engine that counts what is run on it."""

    def __init__(self, world: World) -> None:
        self.engine = world.engine
        self.reads = self.scans = 0

    async def write(self, operation: Operation[T]) -> T:
        return await self.engine.write(operation)

    async def read(self, operation: Operation[T]) -> T:
        self.reads += 1
        return await self.engine.read(operation)

    async def glance(self, operation: Operation[T]) -> T:
        return await self.engine.glance(operation)

    async def scan(self, operation: Operation[T]) -> T:
        self.scans += 1
        return await self.engine.scan(operation)

    async def close(self) -> None:
        raise AssertionError


async def test_large_reads_leave_the_loop(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "LOOP_ROWS", 5)
    monkeypatch.setattr(snapshot, "READ_ROWS", 3)
    account = await world.account()
    inbox = await world.inbox(account)
    await world.fill(account, inbox, 5)
    engine = Counting(world)
    view = await Views(engine).open(account, inbox)
    await world.fill(account, inbox, 5)
    assert len(listed(await view.refresh()).appended) == 5
    assert engine.scans == 0
    await seen(world, account, inbox, list(range(1, 10)))
    change = listed(await view.refresh())
    assert change.updated == list(range(1, 10))
    assert engine.scans == 1
    again = await Views(engine).open(account, inbox)
    assert engine.scans == 2
    assert shown(again) == shown(view) == await truth(world, account, inbox)


async def test_a_log_that_was_pruned(world: World) -> None:
    account = await world.account()
    inbox = await world.inbox(account)
    await world.fill(account, inbox, 4)
    view = await Views(world.engine).open(account, inbox)
    await world.write(messages.remove, account, inbox, [1, 4])
    await seen(world, account, inbox, [2])
    await world.append(account, inbox)
    state, _ = await world.read(changes.state, account)
    await world.write(changes.prune, account, -world.clock.now.resolution)
    assert await world.read(changes.since, account, state - 2) is None
    change = listed(await view.refresh())
    assert (change.appended, change.updated, change.expunged) == ([5], [2], [1, 4])
    assert change.highest_modseq == state
    assert await world.read(changes.since, account, state) == []


async def test_a_mailbox_that_is_renamed_and_removed(world: World) -> None:
    account = await world.account()
    made = await world.write(mailboxes.create, account, "Here")
    await world.fill(account, made.id, 2)
    view = await Views(world.engine).open(account, made.id)
    await world.write(mailboxes.rename, account, "Here", "There")
    highest = view.highest_modseq
    assert not await view.refresh()
    assert view.highest_modseq == highest
    await world.write(mailboxes.remove, account, "There")
    for _ in range(2):
        with pytest.raises(NoSuchMailbox):
            await view.refresh()
    view.close()
    view.close()


async def test_what_is_done_in_another_mailbox_changes_nothing(world: World) -> None:
    account = await world.account()
    inbox, archive = await world.inbox(account), (await world.mailbox(account, "Archive")).id
    view = await Views(world.engine).open(account, inbox)
    await world.fill(account, archive, 2)
    assert not await view.refresh()
    await world.write(messages.move, account, archive, [1, 2], inbox)
    assert listed(await view.refresh()).appended == [1, 2]
    await world.write(messages.move, account, inbox, [1], inbox)
    change = listed(await view.refresh())
    assert (change.appended, change.expunged) == ([3], [1])


async def test_a_mailbox_that_was_left_is_found_read(world: World) -> None:
    account = await world.account()
    inbox = await world.inbox(account)
    await world.fill(account, inbox, 2)
    views = Views(world.engine)
    with await views.open(account, inbox) as view:
        before = view.snapshot
    await world.append(account, inbox)
    with await views.open(account, inbox) as view:
        assert view.snapshot is before
        assert shown(view) == await truth(world, account, inbox)
        assert len(view) == 3


async def test_few_mailboxes_that_nobody_has_open_are_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pennypost.store.view.IDLE_MESSAGES", 3)
    account = await world.account()
    inbox = await world.inbox(account)
    await world.fill(account, inbox, 2)
    other = await world.engine.write(lambda tx: mailboxes.create(tx, account, "Other"))
    await world.fill(account, other.id, 2)
    views = Views(world.engine)
    with await views.open(account, inbox) as view:
        first = view.snapshot
    with await views.open(account, other.id) as view:
        second = view.snapshot
    with await views.open(account, inbox) as view:
        assert view.snapshot is not first
    with await views.open(account, other.id) as view:
        assert view.snapshot is not second


async def test_what_is_known_need_not_be_read(world: World) -> None:
    account = await world.account()
    inbox = await world.inbox(account)
    await world.fill(account, inbox, 20)
    views = Views(world.engine)
    with await views.open(account, inbox) as view, await views.open(account, inbox) as other:
        snapshot = view.snapshot
        for uids, flag, words in (
            ([3, 4, 5], Flags.SEEN, ["k"]),
            (range(1, 21), Flags.SEEN, ["k", "m"]),
            (range(2, 8), Flags.FLAGGED, []),
        ):
            known = snapshot.known(array("I", uids))
            assert known is not None
            result = await world.write(flags.store, account, inbox, list(uids), StoreMode.ADD, flag, words, known=known)
            snapshot.note(result)
            assert snapshot.modseq == result.modseq
            changed = [one.uid for one in result.changed]
            assert changed == list(uids)
            assert shown(view) == await truth(world, account, inbox)
            assert [s.keywords for s in view.states()] == [
                tuple((entry.keywords or "").split()) for entry in await world.entries(account, inbox)
            ]
            for one in (view, other):
                assert listed(await one.refresh()).updated == changed
        assert snapshot.known(array("I", [3, 5])) is None  # not side by side
        assert snapshot.known(array("I", [20, 21])) is None  # not there
        assert snapshot.known(array("I")) is None


async def test_keywords_follow_what_comes_and_goes(world: World) -> None:
    account = await world.account()
    inbox = await world.inbox(account)
    await world.fill(account, inbox, 9)
    with await Views(world.engine).open(account, inbox) as view:
        snapshot = view.snapshot
        assert snapshot.keywords is None

        async def store(uids: list[int], mode: StoreMode, words: list[str]) -> None:
            snapshot.note(await world.write(flags.store, account, inbox, uids, mode, Flags.SEEN, words))

        async def check() -> None:
            await view.refresh()
            entries = await world.entries(account, inbox)
            assert [(s.uid, s.flags, s.keywords, s.modseq) for s in view.states()] == [
                (e.uid, Flags(e.flags), tuple((e.keywords or "").split()), e.modseq) for e in entries
            ]

        await store([2, 5, 6, 9], StoreMode.ADD, [])
        assert snapshot.keywords is None
        await store([2, 5, 6, 9], StoreMode.ADD, ["k"])  # not side by side
        assert snapshot.keywords == [None, "k", None, None, "k", "k", None, None, "k"]
        await world.write(messages.remove, account, inbox, [1, 5, 7])
        await check()
        assert snapshot.keywords == ["k", None, None, "k", None, "k"]
        await world.fill(account, inbox, 2, keywords=("m",))
        await check()
        await store([2, 4, 6], StoreMode.REMOVE, ["k"])
        await check()
        await world.write(messages.remove, account, inbox, [9])
        await check()
        assert view.keywords_in_use() == ("m",)
        await world.write(messages.remove, account, inbox, [2, 3, 4, 6, 8, 10, 11])
        await check()
        assert len(view) == 0


async def test_what_is_known_and_old_is_not_believed(world: World) -> None:
    account = await world.account()
    inbox = await world.inbox(account)
    await world.fill(account, inbox, 4)
    views = Views(world.engine)
    with await views.open(account, inbox) as view:
        known = view.snapshot.known(array("I", [1, 2, 3]))
        await seen(world, account, inbox, [2])
        result = await world.write(
            flags.store, account, inbox, [1, 2, 3], StoreMode.ADD, Flags.SEEN, ["k"], known=known
        )
        assert [one.uid for one in result.changed] == [1, 3]
        view.snapshot.note(result)  # it is behind, so it reads
        change = listed(await view.refresh())
        assert change.updated == [1, 2, 3]
        assert shown(view) == await truth(world, account, inbox)
        mailbox = await world.mailbox(account)
        assert mailbox.unseen == 1
