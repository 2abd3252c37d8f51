"""STORE: RFC 9051 §6.4.6, RFC 7162 §3.1.3."""

from collections.abc import Sequence

import pytest
from tests.contracts.world import World

from pennypost.model.errors import NoSuchMailbox, TooManyKeywords
from pennypost.model.flags import Flags
from pennypost.model.ids import ModSeq
from pennypost.store import changes, flags, messages
from pennypost.store.changes import ChangeKind
from pennypost.store.flag_change import StoreMode
from pennypost.store.flags import StoreResult


async def store(
    world: World,
    account: int,
    mailbox: int,
    uids: Sequence[int],
    mode: StoreMode,
    wanted: Flags,
    keywords: Sequence[str] = (),
    unchanged_since: int | None = None,
) -> StoreResult:
    result: StoreResult = await world.write(
        flags.store, account, mailbox, uids, mode, wanted, keywords, unchanged_since
    )
    return result


async def test_add_remove_set(world: World) -> None:
    account = await world.account()
    inbox = await world.inbox(account)
    await world.fill(account, inbox, 3, flags=Flags.SEEN)
    added = await store(world, account, inbox, [1, 3, 9], StoreMode.ADD, Flags.FLAGGED, ["Work"])
    assert added.changed == [(1, Flags.SEEN | Flags.FLAGGED, ("Work",)), (3, Flags.SEEN | Flags.FLAGGED, ("Work",))]
    assert (added.unchanged, added.refused) == ([], [])
    removed = await store(world, account, inbox, [1, 2], StoreMode.REMOVE, Flags.SEEN, ["WORK"])
    assert removed.changed == [(1, Flags.FLAGGED, ()), (2, Flags.NONE, ())]
    replaced = await store(world, account, inbox, [1, 2, 3], StoreMode.SET, Flags.DELETED, ["work", "b", "A"])
    assert replaced.changed == [
        (1, Flags.DELETED, ("A", "b", "work")),
        (2, Flags.DELETED, ("A", "b", "work")),
        (3, Flags.DELETED, ("A", "b", "Work")),
    ]
    mailbox = await world.mailbox(account)
    assert (mailbox.unseen, mailbox.deleted, mailbox.highest_modseq) == (3, 3, replaced.modseq)
    assert {e.modseq for e in await world.entries(account, inbox)} == {replaced.modseq}


async def test_what_does_not_change_keeps_its_modseq(world: World) -> None:
    account = await world.account()
    inbox = await world.inbox(account)
    made = await world.fill(account, inbox, 2)
    first = await store(world, account, inbox, [1], StoreMode.ADD, Flags.SEEN)
    state = await world.read(changes.state, account)
    again = await store(world, account, inbox, [1], StoreMode.ADD, Flags.SEEN)
    assert (again.changed, again.unchanged) == ([], [(1, Flags.SEEN, ())])
    assert again.modseq == first.modseq
    assert await world.read(changes.state, account) == state
    both = await store(world, account, inbox, [1, 2], StoreMode.ADD, Flags.SEEN)
    assert [one.uid for one in both.changed] == [2]
    assert [e.modseq for e in await world.entries(account, inbox)] == [first.modseq, both.modseq]
    log = await world.read(changes.since, account, made[-1].modseq)
    assert [(c.kind, c.uids) for c in log] == [(ChangeKind.UPDATED, "1"), (ChangeKind.UPDATED, "2")]


async def test_unchanged_since(world: World) -> None:
    """RFC 7162 §3.1.3: what others changed meanwhile is left alone and reported."""
    account = await world.account()
    inbox = await world.inbox(account)
    made = await world.fill(account, inbox, 3)
    since = made[-1].modseq
    await store(world, account, inbox, [2], StoreMode.ADD, Flags.FLAGGED)
    result = await store(world, account, inbox, [1, 2, 3], StoreMode.SET, Flags.SEEN, (), since)
    assert [one.uid for one in result.changed] == [1, 3]
    assert result.refused == [2]
    assert [e.flags for e in await world.entries(account, inbox)] == [1, 4, 1]
    refused = await store(world, account, inbox, [1, 2, 3], StoreMode.SET, Flags.NONE, (), 0)
    assert refused == StoreResult(result.modseq, [], [], [1, 2, 3])


async def test_many_states_at_once(world: World) -> None:
    account = await world.account()
    inbox = await world.inbox(account)
    await world.fill(account, inbox, 100)
    for step, flag in ((2, Flags.SEEN), (3, Flags.FLAGGED), (5, Flags.DELETED)):
        await store(world, account, inbox, range(step, 101, step), StoreMode.ADD, flag)
    await store(world, account, inbox, range(7, 101, 7), StoreMode.ADD, Flags.NONE, ["seven"])
    result = await store(world, account, inbox, range(1, 101), StoreMode.REMOVE, Flags.SEEN, ["seven"])
    assert [one.uid for one in result.changed] == [uid for uid in range(1, 101) if uid % 2 == 0 or uid % 7 == 0]
    for entry in await world.entries(account, inbox):
        assert entry.flags == (entry.uid % 3 == 0) * 4 + (entry.uid % 5 == 0) * 8
        assert entry.keywords is None


async def test_all_entries_of_a_message_agree(world: World) -> None:
    account = await world.account()
    inbox, archive = await world.inbox(account), (await world.mailbox(account, "Archive")).id
    made = await world.fill(account, inbox, 3)
    await world.write(messages.place, account, made[2].message, archive)
    await world.write(messages.place, account, made[0].message, archive)
    result = await store(world, account, inbox, [1, 2, 3], StoreMode.ADD, Flags.SEEN | Flags.DELETED, ["x"])
    assert [(e.uid, e.flags, e.keywords, e.modseq) for e in await world.entries(account, archive)] == [
        (1, 9, "x", result.modseq),
        (2, 9, "x", result.modseq),
    ]
    mailbox = await world.mailbox(account, "Archive")
    assert (mailbox.unseen, mailbox.deleted, mailbox.highest_modseq) == (0, 2, result.modseq)
    log = await world.read(changes.since, account, ModSeq(result.modseq - 1), archive)
    assert [(c.kind, c.uids) for c in log] == [(ChangeKind.UPDATED, "1:2")]


async def test_what_store_refuses(world: World) -> None:
    account = await world.account()
    inbox = await world.inbox(account)
    await world.fill(account, inbox, 1, keywords=tuple(f"k{n}" for n in range(100)))
    with pytest.raises(NoSuchMailbox):
        await store(world, account, 999, [1], StoreMode.ADD, Flags.SEEN)
    with pytest.raises(TooManyKeywords):
        await store(world, account, inbox, [1], StoreMode.ADD, Flags.NONE, [f"m{n}" for n in range(100)])
    with pytest.raises(ValueError, match="no keyword"):
        await store(world, account, inbox, [1], StoreMode.ADD, Flags.NONE, ["two words"])
    assert (await world.entries(account, inbox))[0].flags == 0


def expected(mode: StoreMode, flag: Flags, words: set[str], given: Flags, more: set[str]) -> tuple[Flags, set[str]]:
    match mode:
        case StoreMode.SET:
            return given, more
        case StoreMode.ADD:
            return flag | given, words | more
        case StoreMode.REMOVE:
            return flag & ~given, words - more


@pytest.mark.parametrize("mode", StoreMode)
@pytest.mark.parametrize(("given", "more"), [(Flags.SEEN, set()), (Flags.NONE, {"k"}), (Flags.FLAGGED, {"k", "m"})])
async def test_every_state_becomes_what_it_should(world: World, mode: StoreMode, given: Flags, more: set[str]) -> None:
    """Also those that another state becomes: no entry is written twice."""
    account = await world.account()
    inbox = await world.inbox(account)
    await world.fill(account, inbox, 96)
    before: dict[int, tuple[Flags, set[str]]] = {}
    for uid in range(1, 97):
        bits, words = Flags(uid % 8), [{"k"}, {"k", "m"}, {"m"}, set[str]()][uid // 8 % 4]
        before[uid] = bits, words
        await store(world, account, inbox, [uid], StoreMode.SET, bits, sorted(words))
    asked = range(3, 92)
    result = await store(world, account, inbox, asked, mode, given, sorted(more))
    after = {uid: expected(mode, *before[uid], given, more) if uid in asked else before[uid] for uid in before}
    changed = [uid for uid in asked if after[uid] != before[uid]]
    assert [(one.uid, one.flags, set(one.keywords)) for one in result.changed] == [(u, *after[u]) for u in changed]
    assert [one.uid for one in result.unchanged] == [uid for uid in asked if uid not in changed]
    for entry in await world.entries(account, inbox):
        assert (entry.flags, set((entry.keywords or "").split())) == after[entry.uid]
        assert (entry.modseq == result.modseq) is (entry.uid in changed)
    mailbox = await world.mailbox(account)
    assert mailbox.unseen == sum(not bits & Flags.SEEN for bits, _ in after.values())
