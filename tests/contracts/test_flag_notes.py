"""Changes of flags of many entries, noted as one row: nobody but the table of notes sees that they are."""

import pytest
from tests.contracts.world import World

from pennypost.model.flags import Flags
from pennypost.model.ids import AccountId, MailboxId
from pennypost.model.rights import ALL_RIGHTS
from pennypost.store import across, aftermath, changes, flag_notes, flags, mailboxes, messages
from pennypost.store.flag_change import FlagChange, StoreMode
from pennypost.store.places import Reached
from pennypost.store.view import Views

NOTES = "SELECT uids, kept, given, mode, named FROM flag_note ORDER BY account, mailbox, modseq"
ROWS = "SELECT uid, flags, keywords FROM entry ORDER BY account, mailbox, uid"


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flag_notes, "NOTED_FROM", 3)
    monkeypatch.setattr(flag_notes, "MOST_NOTES", 2)


async def filled(world: World, count: int = 4) -> tuple[AccountId, MailboxId]:
    account = await world.account()
    inbox = await world.inbox(account)
    await world.fill(account, inbox, count)
    return account, inbox


async def add(world: World, account: int, mailbox: int, uids: list[int], flag: Flags, *keywords: str) -> int:
    result = await world.write(flags.store, account, mailbox, uids, StoreMode.ADD, flag, keywords)
    return int(result.modseq)


async def states(world: World, account: AccountId, mailbox: MailboxId) -> list[tuple[int, int, str | None, int]]:
    return [(e.uid, e.flags, e.keywords, e.modseq) for e in await world.entries(account, mailbox)]


async def test_many_are_one_row_and_few_are_written(world: World) -> None:
    account, inbox = await filled(world)
    made = [e.modseq for e in await world.entries(account, inbox)]
    noted = await add(world, account, inbox, [1, 2, 3], Flags.SEEN, "k")
    assert await world.sql(NOTES) == [("1:3", 255, 1, "+", "k")]
    assert await world.sql(ROWS) == [(1, 0, None), (2, 0, None), (3, 0, None), (4, 0, None)]
    everything = [(1, 1, "k", noted), (2, 1, "k", noted), (3, 1, "k", noted), (4, 0, None, made[3])]
    assert await states(world, account, inbox) == everything
    mailbox = await world.mailbox(account)
    assert (mailbox.unseen, mailbox.highest_modseq) == (1, noted)
    log = await world.read(changes.since, account, made[3])
    assert [(change.uids, change.modseq) for change in log] == [("1:3", noted)]
    few = await add(world, account, inbox, [2, 4], Flags.FLAGGED)
    assert await world.sql(ROWS) == [(1, 0, None), (2, 5, "k"), (3, 0, None), (4, 4, None)]
    assert await states(world, account, inbox) == [everything[0], (2, 5, "k", few), everything[2], (4, 4, None, few)]
    assert await world.problems() == []


async def test_what_has_it_already_is_not_written_again(world: World) -> None:
    """Entries with a change that was noted count as having it, when a later one looks which do not."""
    account, inbox = await filled(world)
    first = await add(world, account, inbox, [1, 2, 3], Flags.SEEN)
    await world.write(flags.store, account, inbox, [2], StoreMode.REMOVE, Flags.SEEN)
    again = await world.write(flags.store, account, inbox, [1, 2], StoreMode.ADD, Flags.SEEN)
    assert [one.uid for one in again.changed] == [2]
    assert [e.modseq for e in await world.entries(account, inbox)][:3] == [first, again.modseq, first]
    assert await world.problems() == []


async def test_notes_are_written_into_entries_in_steps(world: World) -> None:
    account, inbox = await filled(world, 5)
    await add(world, account, inbox, [1, 2, 3, 5], Flags.SEEN)
    await world.write(flags.store, account, inbox, [1, 2, 4], StoreMode.SET, Flags.DRAFT, ["b", "a"])
    await world.write(messages.remove, account, inbox, [5])
    before = await states(world, account, inbox)
    steps = 0
    while await world.write(flag_notes.fold, 2):
        steps += 1
        assert await states(world, account, inbox) == before
        assert await world.problems() == []
    assert steps == 4
    assert await world.sql(NOTES) == []
    assert await world.sql(ROWS) == [(1, 16, "a b"), (2, 16, "a b"), (3, 1, None), (4, 16, "a b")]


async def test_changes_of_the_same_entries_become_one(world: World) -> None:
    account, inbox = await filled(world)
    every = [1, 2, 3, 4]
    await add(world, account, inbox, every, Flags.SEEN, "k")
    await world.write(flags.store, account, inbox, every, StoreMode.REMOVE, Flags.SEEN)
    last = await add(world, account, inbox, every, Flags.FLAGGED)
    assert await world.sql(NOTES) == [("1:4", 254, 4, "+", "k")]
    assert await states(world, account, inbox) == [(uid, 4, "k", last) for uid in every]
    await world.append(account, inbox)  # something else: the next is not told from it by its number alone
    await add(world, account, inbox, every, Flags.SEEN)
    assert [row[0] for row in await world.sql(NOTES)] == ["1:4", "1:4"]
    await add(world, account, inbox, [1, 2, 3], Flags.ANSWERED)
    assert [row[0] for row in await world.sql(NOTES)] == ["1:4", "1:3"]  # the oldest was written
    assert [row[1:] for row in await world.sql(ROWS)][:4] == [(4, "k")] * 4
    assert [e.flags for e in await world.entries(account, inbox)] == [7, 7, 7, 5, 0]
    assert await world.problems() == []


def test_one_change_after_another() -> None:
    seen = FlagChange.of(StoreMode.ADD, Flags.SEEN, ("k",), Flags(31), True)
    only = FlagChange.of(StoreMode.SET, Flags.DRAFT, (), Flags.DRAFT | Flags.SEEN, False)
    both, other = seen.then(only), only.then(seen)
    assert both is not None
    assert other is not None
    for flag in range(32):
        old = bytes([flag])
        assert both.flags_of(old) == only.flags_of(seen.flags_of(old))
        assert other.flags_of(old) == seen.flags_of(only.flags_of(old))
    assert both.words_of("a") == other.words_of("a") == "a k"
    assert seen.then(seen) is None


async def test_expunge_sees_what_is_noted(world: World) -> None:
    account, inbox = await filled(world)
    await add(world, account, inbox, [1, 2, 3], Flags.DELETED | Flags.SEEN)
    await world.write(flags.store, account, inbox, [2], StoreMode.REMOVE, Flags.DELETED)
    assert (await world.write(messages.expunge, account, inbox, [1, 2, 4]))[0] == [1]
    assert (await world.write(messages.expunge, account, inbox, None))[0] == [3]
    mailbox = await world.mailbox(account)
    assert (mailbox.total, mailbox.unseen, mailbox.deleted) == (2, 1, 0)
    assert (await world.write(messages.remove, account, inbox, [2]))[0] == [2]
    assert await world.problems() == []


async def test_copies_and_what_is_moved_have_what_is_noted(world: World) -> None:
    account, inbox = await filled(world)
    other = (await world.write(mailboxes.create, account, "b")).id
    await add(world, account, inbox, [1, 2, 3, 4], Flags.SEEN, "k")
    await world.write(messages.copy, account, inbox, [1, 2], other)
    await world.write(messages.move, account, inbox, [3], other)
    await world.write(messages.place, account, (await world.entries(account, inbox))[2].message, other)
    assert [(e.flags, e.keywords) for e in await world.entries(account, other)] == [(1, "k")] * 4
    assert await world.problems() == []
    together = await add(world, account, inbox, [1, 2, 4], Flags.FLAGGED)  # one of them lies in both mailboxes
    assert [(e.flags, e.modseq) for e in await world.entries(account, other)][3] == (5, together)
    assert await world.problems() == []


async def test_a_mailbox_that_goes_takes_its_notes_along(world: World) -> None:
    account, _ = await filled(world)
    other = (await world.write(mailboxes.create, account, "b")).id
    await world.fill(account, other, 3)
    await add(world, account, other, [1, 2, 3], Flags.SEEN)
    await world.write(mailboxes.remove, account, "b")
    assert await world.sql(NOTES) == []


async def test_snapshots_are_read_with_notes(world: World) -> None:
    account, inbox = await filled(world)
    views = Views(world.engine)
    follower = await views.open(account, inbox)
    noted = await add(world, account, inbox, [1, 2, 4], Flags.SEEN, "k")
    change = await follower.refresh()
    assert list(change.updated) == [1, 2, 4]
    for view in (follower, await Views(world.engine).open(account, inbox)):
        state = view.get(change.updated[0])
        assert state is not None
        assert (state.flags, state.keywords, state.modseq) == (Flags.SEEN, ("k",), noted)
        view.close()


async def test_others_are_given_and_told_what_is_noted(world: World) -> None:
    account, inbox = await filled(world, 3)
    other = await world.account("bob@example.org")
    await add(world, account, inbox, [1, 2, 3], Flags.FLAGGED, "k")
    first = (await world.entries(account, inbox))[0]
    deeds = await world.read(aftermath.deeds, account, [first.message])
    assert [deed.facts for deed in deeds] == [{"flags": "changed: now \\Flagged k"}]
    target = Reached(other, await world.mailbox(other), "INBOX", ALL_RIGHTS)
    await world.write(across.copy, across.Source(account, inbox, None), [1, 2], target)
    entries = await world.entries(other, target.mailbox.id)
    assert [(e.flags, e.keywords) for e in entries] == [(4, "k")] * 2


async def test_check_finds_notes_of_no_mailbox(world: World) -> None:
    account, inbox = await filled(world)
    await add(world, account, inbox, [1, 2, 3], Flags.SEEN)
    world.broken = True
    await world.sql("UPDATE flag_note SET mailbox = 999")
    assert {problem.detail for problem in await world.problems()} >= {"flags noted of no mailbox"}
