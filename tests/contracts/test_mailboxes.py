"""Mailboxes: RFC 9051 §6.3.4–6.3.9, RFC 6154 §2, RFC 3501 §2.3.2."""

import pytest
from tests.contracts.world import World

from pennypost.model.errors import (
    BadMailboxName,
    MailboxExists,
    MailboxHasChildren,
    MailboxLimit,
    MailboxNotPermitted,
    NoSuchMailbox,
)
from pennypost.model.flags import Flags
from pennypost.model.mailbox import MailboxRole
from pennypost.store import changes, mailboxes, removal
from pennypost.store.changes import ChangeKind


async def names(world: World, account: int) -> list[str]:
    return [mailbox.name for mailbox in await world.read(mailboxes.list_all, account)]


async def test_an_account_has_its_mailboxes_with_roles(world: World) -> None:
    account = await world.account()
    listed = await world.read(mailboxes.list_all, account)
    assert {(m.name, m.role) for m in listed} == {
        ("INBOX", MailboxRole.INBOX),
        ("Sent", MailboxRole.SENT),
        ("Drafts", MailboxRole.DRAFTS),
        ("Junk", MailboxRole.JUNK),
        ("Trash", MailboxRole.TRASH),
        ("Archive", MailboxRole.ARCHIVE),
    }
    assert all(m.subscribed and m.selectable and m.uid_next == 1 and m.total == 0 for m in listed)
    assert len({m.uid_validity for m in listed}) == 6
    assert (await world.read(mailboxes.by_role, account, MailboxRole.SENT)).name == "Sent"
    assert await world.read(mailboxes.by_role, account, MailboxRole.FLAGGED) is None


async def test_create_makes_what_is_above(world: World) -> None:
    account = await world.account()
    made = await world.write(mailboxes.create, account, "a/b/c")
    assert made.name == "a/b/c"
    assert not made.subscribed
    assert {"a", "a/b", "a/b/c"} <= set(await names(world, account))
    assert (await world.write(mailboxes.create, account, "a/d/")).name == "a/d"
    for taken in ("a", "a/b/c", "inbox", "iNbOx"):
        with pytest.raises(MailboxExists):
            await world.write(mailboxes.create, account, taken)
    with pytest.raises(MailboxExists):
        await world.write(mailboxes.create, account, "Sent 2", MailboxRole.SENT)
    with pytest.raises(BadMailboxName):
        await world.write(mailboxes.create, account, "a//b")


async def test_names_are_compared_in_nfc_and_inbox_in_any_case(world: World) -> None:
    account = await world.account()
    await world.write(mailboxes.create, account, "Cafe\u0301")
    assert (await world.mailbox(account, "Caf\u00e9")).name == "Caf\u00e9"
    assert (await world.mailbox(account, "Inbox")).name == "INBOX"
    assert await world.read(mailboxes.find, account, "caf\u00e9") is None
    assert (await world.write(mailboxes.create, account, "inbox/Sub")).name == "INBOX/Sub"


async def test_the_number_of_mailboxes_is_bounded(world: World) -> None:
    account = await world.account()
    await world.write(mailboxes.create, account, "one", None, 7)
    with pytest.raises(MailboxLimit):
        await world.write(mailboxes.create, account, "two", None, 7)
    assert "two" not in await names(world, account)


async def test_rename_takes_children_ids_and_messages_along(world: World) -> None:
    account = await world.account()
    deep = await world.write(mailboxes.create, account, "Work/2026/Q1")
    await world.write(mailboxes.subscribe, account, "Work/2026")
    await world.fill(account, deep.id, 2)
    before = {m.id: m for m in await world.read(mailboxes.list_all, account)}
    await world.write(mailboxes.rename, account, "Work", "Old/Play")
    assert {"Old", "Old/Play", "Old/Play/2026", "Old/Play/2026/Q1"} <= set(await names(world, account))
    moved = await world.mailbox(account, "Old/Play/2026/Q1")
    assert (moved.id, moved.uid_validity, moved.uid_next, moved.total) == (deep.id, deep.uid_validity, 3, 2)
    assert (await world.mailbox(account, "Old/Play/2026")).subscribed
    assert await world.uids(account, deep.id) == [1, 2]
    assert await world.read(mailboxes.find, account, "Work") is None
    assert "Old/Play" not in {m.name for m in before.values()}


async def test_what_rename_refuses(world: World) -> None:
    account = await world.account()
    await world.write(mailboxes.create, account, "a/b")
    with pytest.raises(NoSuchMailbox):
        await world.write(mailboxes.rename, account, "none", "some")
    with pytest.raises(MailboxExists):
        await world.write(mailboxes.rename, account, "a", "Sent")
    with pytest.raises(MailboxNotPermitted):
        await world.write(mailboxes.rename, account, "a", "a/b/c")
    with pytest.raises(BadMailboxName):
        await world.write(mailboxes.rename, account, "a", "x\ny")
    await world.write(mailboxes.rename, account, "a", "ab")
    assert "ab/b" in await names(world, account)


async def test_renaming_inbox_moves_its_messages(world: World) -> None:
    """RFC 9051 §6.3.6: a new mailbox gets the messages, INBOX stays, what is below INBOX stays."""
    account = await world.account()
    await world.write(mailboxes.create, account, "INBOX/Sub")
    inbox = await world.inbox(account)
    made = await world.fill(account, inbox, 3)
    await world.write(mailboxes.rename, account, "INBOX", "Saved")
    emptied, saved = await world.mailbox(account), await world.mailbox(account, "Saved")
    assert (emptied.id, emptied.total, emptied.uid_next) == (inbox, 0, 4)
    assert emptied.role is MailboxRole.INBOX
    assert saved.total == 3
    assert [e.message for e in await world.entries(account, saved.id)] == [one.message for one in made]
    assert "INBOX/Sub" in await names(world, account)
    assert "Saved/Sub" not in await names(world, account)


async def test_remove(world: World) -> None:
    account = await world.account()
    made = await world.write(mailboxes.create, account, "Gone")
    await world.write(mailboxes.subscribe, account, "Gone")
    await world.fill(account, made.id, 3)
    await world.write(mailboxes.remove, account, "Gone")
    assert await world.read(mailboxes.find, account, "Gone") is None
    assert await world.read(mailboxes.subscriptions, account) == sorted(
        ["Archive", "Drafts", "Gone", "INBOX", "Junk", "Sent", "Trash"]
    )
    assert await world.sql("SELECT used_octets, message_count, entry_count FROM account") == [(0, 0, 0)]
    again = await world.write(mailboxes.create, account, "Gone")
    assert again.id != made.id
    assert again.uid_validity > made.uid_validity
    with pytest.raises(MailboxNotPermitted):
        await world.write(mailboxes.remove, account, "inbox")
    with pytest.raises(NoSuchMailbox):
        await world.write(mailboxes.remove, account, "Nothing")
    await world.write(mailboxes.remove, account, "Sent")
    assert await world.read(mailboxes.by_role, account, MailboxRole.SENT) is None


async def test_a_removed_mailbox_with_children_leaves_a_name(world: World) -> None:
    """RFC 9051 §6.3.5: the messages go, the name becomes \\Noselect; deleting that again is an error."""
    account = await world.account()
    parent = await world.write(mailboxes.create, account, "p")
    await world.fill(account, parent.id, 2)
    await world.write(mailboxes.create, account, "p/q/r")
    await world.write(mailboxes.remove, account, "p")
    left = await world.mailbox(account, "p")
    assert not left.selectable
    assert left.id != parent.id
    assert left.total == 0
    with pytest.raises(MailboxHasChildren):
        await world.write(mailboxes.remove, account, "p")
    with pytest.raises(MailboxNotPermitted):
        await world.read(mailboxes.require, account, "p")
    with pytest.raises(MailboxNotPermitted):
        await world.append(account, left.id)
    revived = await world.write(mailboxes.create, account, "p")
    assert revived.selectable
    assert revived.uid_validity > left.uid_validity > parent.uid_validity
    await world.append(account, revived.id)


async def test_a_name_goes_with_the_last_below_it(world: World) -> None:
    account = await world.account()
    await world.write(mailboxes.create, account, "p/q/r")
    await world.write(mailboxes.remove, account, "p")
    await world.write(mailboxes.remove, account, "p/q")
    await world.write(mailboxes.remove, account, "p/q/r")
    assert not [name for name in await names(world, account) if name.startswith("p")]
    await world.write(mailboxes.create, account, "p/q")
    await world.write(mailboxes.remove, account, "p")
    await world.write(mailboxes.rename, account, "p/q", "q")
    assert "p" not in await names(world, account)


async def test_a_large_mailbox_goes_in_steps(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "STEP", 3)
    account = await world.account()
    large = await world.write(mailboxes.create, account, "Large")
    await world.fill(account, large.id, 10)
    await world.write(mailboxes.remove, account, "Large")
    assert await world.read(mailboxes.find, account, "Large") is None
    assert await world.read(mailboxes.by_id, account, large.id) is None
    assert await world.sql("SELECT COUNT(*) FROM entry") == [(10,)]
    assert await world.problems() == []
    assert (await world.write(mailboxes.create, account, "Large")).id != large.id
    assert await world.write(removal.step, 4)
    assert await world.sql("SELECT message_count FROM account") == [(6,)]
    assert await world.problems() == []
    assert await removal.finish(world.engine) > 0
    assert await world.sql("SELECT COUNT(*) FROM message") == [(0,)]
    assert await world.sql("SELECT used_octets FROM account") == [(0,)]


async def test_subscriptions(world: World) -> None:
    account = await world.account()
    await world.write(mailboxes.subscribe, account, "Not/Yet")
    await world.write(mailboxes.unsubscribe, account, "Junk")
    await world.write(mailboxes.unsubscribe, account, "Never")
    found = await world.read(mailboxes.subscriptions, account)
    assert "Not/Yet" in found
    assert "Junk" not in found
    assert not (await world.mailbox(account, "Junk")).subscribed
    assert (await world.write(mailboxes.create, account, "Not/Yet")).subscribed


async def test_recent_is_claimed_once(world: World) -> None:
    account = await world.account()
    inbox = await world.inbox(account)
    await world.fill(account, inbox, 2)
    assert (await world.mailbox(account)).recent_floor == 1
    assert await world.write(mailboxes.claim_recent, account, inbox) == 1
    assert (await world.mailbox(account)).recent_floor == 3
    await world.append(account, inbox)
    assert await world.write(mailboxes.claim_recent, account, inbox) == 3
    assert await world.write(mailboxes.claim_recent, account, inbox) == 4
    with pytest.raises(NoSuchMailbox):
        await world.write(mailboxes.claim_recent, account, 12345)


async def test_counters_follow(world: World) -> None:
    account = await world.account()
    inbox = await world.inbox(account)
    first = await world.append(account, inbox, flags=Flags.SEEN | Flags.DELETED)
    await world.append(account, inbox)
    mailbox = await world.mailbox(account)
    assert (mailbox.total, mailbox.unseen, mailbox.deleted) == (2, 1, 1)
    assert mailbox.octets == sum(e.size for e in await world.entries(account, inbox))
    assert mailbox.highest_modseq > first.modseq


async def test_every_step_is_in_the_log(world: World) -> None:
    account = await world.account()
    start, _ = await world.read(changes.state, account)
    made = await world.write(mailboxes.create, account, "x/y")
    await world.write(mailboxes.rename, account, "x/y", "z")
    await world.write(mailboxes.remove, account, "z")
    log = await world.read(changes.since, account, start)
    assert [change.kind for change in log if change.mailbox == made.id] == [
        ChangeKind.MAILBOX_CREATED,
        ChangeKind.MAILBOX_UPDATED,
        ChangeKind.MAILBOX_REMOVED,
    ]
    assert [change.modseq for change in log] == sorted(change.modseq for change in log)


async def test_subscriptions_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailboxes, "MAX_SUBSCRIPTIONS", 8)
    ann = await world.account()
    for name in ("a", "b", "b"):
        await world.write(mailboxes.subscribe, ann, name)
    with pytest.raises(MailboxLimit):
        await world.write(mailboxes.subscribe, ann, "c")
    assert len(await world.read(mailboxes.subscriptions, ann)) == 8
    await world.write(mailboxes.unsubscribe, ann, "a")
    await world.write(mailboxes.subscribe, ann, "c")
