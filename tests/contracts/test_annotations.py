"""What is said about mailboxes, and the limits of accounts."""

import pytest
from tests.contracts.world import World

from pennypost.model.errors import MailboxExists, MailboxNotPermitted, OverQuota, TooManyAnnotations
from pennypost.model.ids import AccountId
from pennypost.model.mailbox import MailboxRole
from pennypost.store import annotations, directory, mailboxes, messages, quota, removal
from pennypost.store.annotations import EVERYBODY, SERVER, Depth
from pennypost.store.quota import Limits


async def test_entries_are_found_by_depth(world: World) -> None:
    ann = await world.account()
    inbox = await world.inbox(ann)
    said = ["/a", "/a/b", "/a/b/c", "/a0", "/ab"]
    await world.write(annotations.change, ann, inbox, [(ann, entry, b"x") for entry in said])
    for depth, expected in ((Depth.NONE, said[:1]), (Depth.ONE, said[:2]), (Depth.ALL, said[:3])):
        found = await world.read(annotations.find, ann, inbox, ann, "/a", depth)
        assert [entry for entry, _ in found] == expected
    found = await world.read(annotations.find, ann, inbox, ann, "", Depth.ONE)
    assert [entry for entry, _ in found] == ["/a", "/a0", "/ab"]
    assert await world.read(annotations.find, ann, inbox, EVERYBODY, "", Depth.ALL) == []


async def test_entries_are_bounded_in_number_and_octets(world: World) -> None:
    ann = await world.account()
    inbox = await world.inbox(ann)
    many = [(ann, f"/e{number}", b"") for number in range(annotations.MAX_ENTRIES)]
    await world.write(annotations.change, ann, inbox, many)
    with pytest.raises(TooManyAnnotations):
        await world.write(annotations.change, ann, inbox, [(ann, "/one-more", b"")])
    await world.write(annotations.change, ann, inbox, [(ann, entry, None) for _, entry, _ in many])
    await world.write(quota.limit, ann, Limits(annotation_octets=10))
    await world.write(annotations.change, ann, inbox, [(EVERYBODY, "/four", b"12345")])
    with pytest.raises(OverQuota):
        await world.write(annotations.change, ann, inbox, [(EVERYBODY, "/four", b"123456")])
    counts = await world.read(quota.counts, ann)
    assert (counts.annotation_octets, counts.mailboxes) == (10, 6)


async def test_who_may_read_cannot_use_up_what_the_owner_has(world: World) -> None:
    ann, bob = await world.account(), await world.account("bob@example.org")
    inbox = await world.inbox(ann)
    many = [(bob, f"/e{number}", b"") for number in range(annotations.MAX_FOREIGN)]
    await world.write(annotations.change, ann, inbox, many)
    with pytest.raises(TooManyAnnotations):
        await world.write(annotations.change, ann, inbox, [(bob, "/one-more", b"")])
    await world.write(annotations.change, ann, inbox, [(ann, "/mine", b"")])


async def test_what_goes_takes_along_what_is_said(world: World) -> None:
    ann, bob = await world.account(), await world.account("bob@example.org")
    sent = (await world.mailbox(ann, "Sent")).id
    archive = (await world.mailbox(ann, "Archive")).id
    for mailbox in (sent, archive):
        await world.write(annotations.change, ann, mailbox, [(bob, "/x", b"bob"), (EVERYBODY, "/x", b"all")])
    await world.write(annotations.change, bob, SERVER, [(bob, "/x", b"server")])
    await world.write(mailboxes.remove, ann, "Sent")
    assert await world.sql("SELECT mailbox, reader FROM annotation ORDER BY 1, 2") == [
        (SERVER, bob),
        (archive, EVERYBODY),
        (archive, bob),
    ]
    await world.write(directory.remove_account, bob)
    assert await world.problems() == []
    assert await world.sql("SELECT mailbox, reader FROM annotation") == [(archive, EVERYBODY)]
    await world.write(directory.remove_account, ann)
    await removal.finish(world.engine)
    assert await world.sql("SELECT COUNT(*) FROM annotation") == [(0,)]


async def test_limits_of_messages_and_mailboxes(world: World) -> None:
    ann = await world.account()
    inbox = await world.inbox(ann)
    await world.write(quota.limit, ann, Limits(messages=2, mailboxes=8))
    await world.fill(ann, inbox, 2)
    with pytest.raises(OverQuota):
        await world.append(ann, inbox)
    with pytest.raises(OverQuota):
        await world.read(quota.check, ann, 1)
    await world.write(messages.move, ann, inbox, [1], (await world.mailbox(ann, "Sent")).id)
    await world.write(mailboxes.create, ann, "One/Two")
    with pytest.raises(OverQuota):
        await world.write(mailboxes.create, ann, "Three")
    await world.write(quota.limit, ann, Limits())
    await world.write(mailboxes.create, ann, "Three")
    await world.append(ann, inbox)


async def test_roles_are_given_once(world: World) -> None:
    ann: AccountId = await world.account()
    sent, archive = await world.mailbox(ann, "Sent"), await world.mailbox(ann, "Archive")
    with pytest.raises(MailboxExists):
        await world.write(mailboxes.set_role, ann, archive.id, MailboxRole.SENT)
    await world.write(mailboxes.set_role, ann, sent.id, None)
    await world.write(mailboxes.set_role, ann, archive.id, MailboxRole.SENT)
    assert (await world.mailbox(ann, "Archive")).role is MailboxRole.SENT
    with pytest.raises(MailboxNotPermitted):
        await world.write(mailboxes.set_role, ann, await world.inbox(ann), None)


async def test_check_sees_what_is_said_of_nothing(world: World) -> None:
    ann = await world.account()
    await world.sql("INSERT INTO annotation VALUES (?, 999, 77, '/x', x'00')", ann)
    world.broken = True
    assert sorted(problem.detail for problem in await world.problems()) == [
        "what is said for no account",
        "what is said of no mailbox",
    ]
