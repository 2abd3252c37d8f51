"""Mailboxes that others may see: rights, names, each reader's own seen state, messages between accounts."""

import pytest
from tests.contracts.world import World, append

from pennypost.model.errors import (
    BadMailboxName,
    NoSuchAccount,
    NoSuchMailbox,
    NotPermitted,
    OverQuota,
)
from pennypost.model.flags import Flags
from pennypost.model.ids import AccountId, MailboxId, ModSeq, Uid
from pennypost.model.rights import ALL_RIGHTS, Rights, format_rights, parse_rights
from pennypost.store import acl, across, changes, directory, mailboxes, messages, places, removal, seen, url_keys
from pennypost.store.acl import AclMode, Action
from pennypost.store.across import Source
from pennypost.store.flag_change import StoreMode
from pennypost.store.places import Reached
from pennypost.store.view import Views

ANN_INBOX = "Other Users/ann@example.org/INBOX"


async def two(world: World) -> tuple[AccountId, AccountId, MailboxId]:
    ann, bob = await world.account(), await world.account("bob@example.org")
    return ann, bob, await world.inbox(ann)


async def grant(world: World, owner: AccountId, mailbox: MailboxId, who: str, letters: str) -> None:
    await world.write(acl.change, owner, mailbox, who, AclMode.SET, parse_rights(letters))


async def reach(world: World, user: AccountId, name: str, action: Action = Action.SEE) -> Reached:
    found: Reached = await world.read(places.reach, user, name, action)
    return found


async def rights(world: World, user: AccountId, owner: AccountId, mailbox: MailboxId) -> str:
    return format_rights(await world.read(acl.rights_of, user, owner, mailbox))


async def test_rights_add_up_and_what_is_denied_goes(world: World) -> None:
    ann, bob, inbox = await two(world)
    assert await rights(world, ann, ann, inbox) == format_rights(ALL_RIGHTS)
    assert await rights(world, bob, ann, inbox) == ""
    await grant(world, ann, inbox, "bob@example.org", "lr")
    await grant(world, ann, inbox, "anyone", "ip")
    await grant(world, ann, inbox, "authenticated", "s")
    assert await rights(world, bob, ann, inbox) == "lrsip"
    await world.write(acl.change, ann, inbox, "anyone", AclMode.SET, parse_rights("rp"), negative=True)
    assert await rights(world, bob, ann, inbox) == "lsi"
    await world.write(acl.change, ann, inbox, "bob@example.org", AclMode.ADD, parse_rights("d"))
    await world.write(acl.change, ann, inbox, "bob@example.org", AclMode.REMOVE, parse_rights("et"))
    assert await rights(world, bob, ann, inbox) == "lsi"


async def test_anyone_is_anyone_of_the_domain(world: World) -> None:
    ann, bob, inbox = await two(world)
    stranger = await world.account("eve@example.com")
    await grant(world, ann, inbox, "anyone", "lr")
    assert await rights(world, bob, ann, inbox) == "lr"
    assert await rights(world, stranger, ann, inbox) == ""
    assert await world.read(places.others, stranger) == []
    await grant(world, ann, inbox, "eve@example.com", "l")
    assert [reached.name for reached in await world.read(places.others, stranger)] == [ANN_INBOX]


async def test_the_owner_keeps_all_rights(world: World) -> None:
    ann, _, inbox = await two(world)
    for negative in (False, True):
        with pytest.raises(NotPermitted):
            await world.write(acl.change, ann, inbox, "ann@example.org", AclMode.SET, Rights.LOOKUP, negative=negative)
    await grant(world, ann, inbox, "ann@example.org", "lrswipkxtea")
    assert await world.read(acl.entries, ann, inbox) == []
    with pytest.raises(NoSuchAccount):
        await grant(world, ann, inbox, "nobody@example.org", "l")
    with pytest.raises(NoSuchAccount):
        await grant(world, ann, inbox, "no address", "l")


async def test_what_may_not_be_looked_up_is_not_there(world: World) -> None:
    ann, bob, inbox = await two(world)
    for name in (ANN_INBOX, "Other Users/nobody@example.org/INBOX", "Other Users", "Shared/ann@example.org/INBOX"):
        with pytest.raises(NoSuchMailbox):
            await reach(world, bob, name)
    with pytest.raises(NoSuchMailbox):
        await reach(world, ann, ANN_INBOX)
    await grant(world, ann, inbox, "bob@example.org", "l")
    assert (await reach(world, bob, "Other Users/ann@example.org/inbox")).name == ANN_INBOX
    with pytest.raises(NotPermitted):
        await reach(world, bob, ANN_INBOX, Action.READ)
    with pytest.raises(NoSuchMailbox):
        await world.write(places.create, bob, "Other Users/bob@example.org/Mine")


async def test_names_of_others_are_nobodys_own(world: World) -> None:
    ann, _, _ = await two(world)
    for name in ("Shared", "Shared/x", "Other Users/bob@example.org/x"):
        with pytest.raises(BadMailboxName):
            await world.write(mailboxes.create, ann, name)
        with pytest.raises(BadMailboxName):
            await world.write(mailboxes.rename, ann, "Archive", name)


async def test_lists_follow_mailboxes(world: World) -> None:
    ann, bob, _ = await two(world)
    await world.write(mailboxes.create, ann, "Work")
    work = (await world.mailbox(ann, "Work")).id
    await grant(world, ann, work, "bob@example.org", "lrk")
    await world.write(places.create, bob, "Other Users/ann@example.org/Work/Plans")
    plans = (await world.mailbox(ann, "Work/Plans")).id
    assert await rights(world, bob, ann, plans) == "lrkc"
    await world.write(mailboxes.rename, ann, "Work", "Job")
    assert await rights(world, bob, ann, work) == await rights(world, bob, ann, plans) == "lrkc"
    await world.write(mailboxes.create, ann, "Alone")
    assert await rights(world, bob, ann, (await world.mailbox(ann, "Alone")).id) == ""
    await world.write(mailboxes.remove, ann, "Job/Plans")
    assert await world.sql("SELECT COUNT(*) FROM acl WHERE mailbox = ?", plans) == [(0,)]


async def test_a_shared_account_hands_its_list_down(world: World) -> None:
    support = await world.account("support@example.org", shared=True)
    bob = await world.account("bob@example.org")
    await grant(world, support, await world.inbox(support), "bob@example.org", "lrswik")
    await world.write(places.create, bob, "Shared/support@example.org/Done")
    assert (await reach(world, bob, "Shared/support@example.org/Done", Action.INSERT)).account == support


async def test_accounts_that_go_leave_no_rights_behind(world: World) -> None:
    ann, bob, inbox = await two(world)
    await world.append(ann, inbox)
    await grant(world, ann, inbox, "bob@example.org", "lrs")
    await grant(world, bob, await world.inbox(bob), "ann@example.org", "lrs")
    await world.write(seen.mark, ann, inbox, bob, [Uid(1)], True)
    await world.write(directory.remove_account, bob)
    assert await world.read(acl.entries, ann, inbox) == []
    assert await world.problems() == []
    await removal.finish(world.engine)
    assert await world.sql("SELECT (SELECT COUNT(*) FROM acl), (SELECT COUNT(*) FROM seen)") == [(0, 0)]


# -- Seen


async def test_each_reader_has_seen_what_they_have_seen(world: World) -> None:
    ann, bob, inbox = await two(world)
    for flags in (Flags.SEEN, Flags.NONE, Flags.FLAGGED):
        await world.append(ann, inbox, flags=flags)
    views = Views(world.engine)
    own, read = await views.open(ann, inbox), await views.open(ann, inbox, bob)
    assert [state.flags for state in read.states()] == [Flags.NONE, Flags.NONE, Flags.FLAGGED]
    allowed = Rights.SEEN | Rights.READ
    result = await world.write(
        seen.store, ann, inbox, bob, allowed, [1, 2], StoreMode.SET, Flags.SEEN | Flags.DELETED, ("word",)
    )
    assert [(stored.uid, stored.flags, stored.keywords) for stored in result.changed] == [
        (1, Flags.SEEN, ()),
        (2, Flags.SEEN, ()),
    ]
    change = await read.refresh()
    assert change.updated == [1, 2]
    assert change.highest_modseq == result.modseq
    assert [state.flags for state in read.states()] == [Flags.SEEN, Flags.SEEN, Flags.FLAGGED]
    assert not await own.refresh()
    assert [state.flags for state in own.states()] == [Flags.SEEN, Flags.NONE, Flags.FLAGGED]
    assert await world.read(seen.unseen, ann, inbox, bob) == 1
    assert (await world.mailbox(ann)).unseen == 2
    assert await world.read(changes.since, ann, ModSeq(result.modseq - 1)) == []
    again = await views.open(ann, inbox, bob)
    assert [state.modseq for state in again.states()][:2] == [result.modseq] * 2
    # what changed since is refused, by the reader's count
    refused = await world.write(
        seen.store, ann, inbox, bob, allowed, [1, 3], StoreMode.REMOVE, Flags.SEEN, (), result.modseq - 1
    )
    assert refused.refused == [1]
    assert [stored.uid for stored in refused.unchanged] == [3]


async def test_rights_let_flags_through_one_by_one(world: World) -> None:
    ann, _, inbox = await two(world)
    await world.append(ann, inbox, flags=Flags.SEEN | Flags.DRAFT, keywords=("kept",))
    expected = {
        "w": (Flags.SEEN | Flags.FLAGGED, ("new",)),
        "t": (Flags.SEEN | Flags.FLAGGED | Flags.DELETED, ("new",)),
        "s": (Flags.FLAGGED | Flags.DELETED, ("new",)),
    }
    for letter, (flags, keywords) in expected.items():
        given = Flags.FLAGGED | Flags.DELETED
        await world.write(seen.store, ann, inbox, None, parse_rights(letter), [1], StoreMode.SET, given, ("new",))
        (entry,) = await world.entries(ann, inbox)
        assert (entry.flags, tuple((entry.keywords or "").split())) == (flags, keywords)


async def test_seen_rows_of_gone_messages_are_swept(world: World) -> None:
    ann, bob, inbox = await two(world)
    await world.fill(ann, inbox, 3)
    await world.write(seen.mark, ann, inbox, bob, [1, 2, 3], True)
    await world.write(messages.remove, ann, inbox, [1, 3])
    assert await world.read(seen.unseen, ann, inbox, bob) == 0
    assert await world.write(seen.sweep, seen.START) is None
    assert await world.sql("SELECT uid FROM seen") == [(2,)]


# -- Between accounts


async def test_copy_takes_what_rights_let_it_take(world: World) -> None:
    ann, bob, inbox = await two(world)
    await grant(world, ann, inbox, "bob@example.org", "lrsi")
    theirs = await world.inbox(bob)
    await world.append(bob, theirs, flags=Flags.SEEN | Flags.FLAGGED, keywords=("word",))
    await world.append(bob, theirs)
    target = await reach(world, bob, ANN_INBOX, Action.INSERT)
    copied = await world.write(across.copy, Source(bob, theirs, None), [1, 2, 9], target)
    assert copied.pairs == ((1, 1), (2, 2))
    found = await world.entries(ann, inbox)
    assert [(entry.flags, entry.keywords, entry.modseq) for entry in found] == [(0, None, copied.modseq)] * 2
    assert await world.read(seen.unseen, ann, inbox, bob) == 1
    rows = await world.sql("SELECT account, COUNT(DISTINCT blob), COUNT(*) FROM message GROUP BY account")
    assert rows == [(ann, 2, 2), (bob, 2, 2)]
    assert await world.sql("SELECT COUNT(*) FROM blob") == [(2,)]


async def test_move_out_of_anothers_mailbox_keeps_what_the_reader_saw(world: World) -> None:
    ann, bob, inbox = await two(world)
    await grant(world, ann, inbox, "bob@example.org", "lrste")
    await world.fill(ann, inbox, 3)
    await world.write(seen.mark, ann, inbox, bob, [2], True)
    target = await reach(world, bob, "Archive", Action.INSERT)
    moved = await world.write(across.move, Source(ann, inbox, bob), [2, 3], target)
    assert [uid for uid, _ in moved.pairs] == [2, 3]
    assert await world.uids(ann, inbox) == [1]
    assert [entry.flags for entry in await world.entries(bob, target.id)] == [Flags.SEEN, Flags.NONE]


async def test_the_owner_of_the_target_pays(world: World) -> None:
    ann, bob = await world.account(quota_octets=10), await world.account("bob@example.org")
    await grant(world, ann, await world.inbox(ann), "bob@example.org", "lri")
    await world.append(bob, await world.inbox(bob))
    target = await reach(world, bob, ANN_INBOX, Action.INSERT)
    with pytest.raises(OverQuota):
        await world.write(across.move, Source(bob, await world.inbox(bob), None), [1], target)
    assert await world.uids(bob, await world.inbox(bob)) == [1]


async def test_check_sees_rights_to_nothing(world: World) -> None:
    ann, _, inbox = await two(world)
    await world.write(append, ann, inbox)
    await world.sql("INSERT INTO acl VALUES (?, 999, 0, 77, 1, 0)", ann)
    await world.sql("INSERT INTO acl VALUES (?, ?, 1, 77, 1, 0)", ann, inbox)
    await world.sql("INSERT INTO url_key VALUES (?, ?, 999, x'00')", ann, ann)
    await world.sql("INSERT INTO seen VALUES (?, 999, 77, 1, 1, 1)", ann)
    world.broken = True
    assert sorted(problem.detail for problem in await world.problems()) == [
        "a URL key of no mailbox",
        "an access right of no account",
        "an access right of no domain",
        "an access right to no mailbox",
        "what no account has seen",
        "what was seen in no mailbox",
    ]


async def test_url_keys_are_one_for_a_mailbox_and_go_with_it(world: World) -> None:
    ann, bob, inbox = await two(world)
    assert await world.read(url_keys.find, ann, ann, inbox) is None
    assert await world.write(url_keys.keep, ann, ann, inbox, b"first") == b"first"
    assert await world.write(url_keys.keep, ann, ann, inbox, b"second") == b"first"
    await world.write(url_keys.keep, bob, ann, inbox, b"of bob")
    await world.write(url_keys.reset, ann, (ann, inbox))
    assert await world.read(url_keys.find, ann, ann, inbox) is None
    assert await world.read(url_keys.find, bob, ann, inbox) == b"of bob"
    sent = (await world.mailbox(ann, "Sent")).id
    await world.write(url_keys.keep, ann, ann, sent, b"sent")
    await world.write(mailboxes.remove, ann, "Sent")
    await world.write(directory.remove_account, bob)
    assert await world.sql("SELECT COUNT(*) FROM url_key") == [(0,)]
