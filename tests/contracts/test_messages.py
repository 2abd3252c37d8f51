"""Messages: APPEND, EXPUNGE, COPY, MOVE (RFC 9051 §6.3.12, §6.4.3, §6.4.7–6.4.9; RFC 4315; RFC 6851)."""

import pytest
from tests.contracts.world import NOW, World, append, header, put

from pennypost.message import structure
from pennypost.message.digest import digest
from pennypost.message.imap_form import sent_envelope
from pennypost.model.errors import (
    MailboxExists,
    NoSuchAccount,
    NoSuchMailbox,
    OverQuota,
    TooManyKeywords,
)
from pennypost.model.flags import Flags
from pennypost.model.ids import MAX_UID, AccountId, MailboxId
from pennypost.store import changes, counters, directory, mailboxes, messages, transfer
from pennypost.store.changes import ChangeKind
from pennypost.store.engine import Transaction
from pennypost.store.messages import Appended, Column, NewMessage


async def test_append(world: World) -> None:
    account = await world.account()
    inbox = await world.mailbox(account)
    one = await world.append(account, inbox.id)
    two = await world.append(account, inbox.id, flags=Flags.SEEN, keywords=("$Work", "alpha"))
    assert (one.uid, two.uid, one.uid_validity) == (1, 2, inbox.uid_validity)
    assert two.message > one.message
    assert two.modseq > one.modseq
    entries = await world.entries(account, inbox.id)
    assert [(e.uid, e.message, e.flags, e.keywords, e.modseq) for e in entries] == [
        (1, one.message, 0, None, one.modseq),
        (2, two.message, 1, "$Work alpha", two.modseq),
    ]
    used = (await world.read(directory.account, account)).used_octets
    assert used == 2 * (len(header()) + len(b"Hello.\r\n")) == sum(e.size for e in entries)
    assert await world.sql("SELECT COUNT(*) FROM blob") == [(2,)]  # small ones are not shared
    for _ in range(2):
        await world.append(account, inbox.id, body=b"Hello.\r\n" * 1000)
    assert await world.sql("SELECT COUNT(*) FROM blob") == [(3,)]


async def test_append_is_refused_whole(world: World) -> None:
    account = await world.account()
    with pytest.raises(NoSuchMailbox):
        await world.append(account, MailboxId(999))
    with pytest.raises(NoSuchAccount):
        await world.append(account + 1, await world.inbox(account))
    with pytest.raises(TooManyKeywords):
        await world.append(account, await world.inbox(account), keywords=tuple(f"k{n}" for n in range(200)))
    assert await world.sql("SELECT COUNT(*) FROM message") == [(0,)]
    assert await world.sql("SELECT message_count FROM account") == [(0,)]


async def append_named(tx: Transaction, account: AccountId, name: str) -> Appended | None:
    head, body = header(), b"Hello.\r\n"
    figures = counters.of_entry(int(Flags.SEEN), len(head + body))
    named = await counters.reserve_named(tx, account, name, figures)
    if named is None:
        return None
    blob = await put(tx, body)
    new = NewMessage(head, blob, len(body), digest(head, body), NOW, Flags.SEEN)
    return await messages.append(tx, account, named.mailbox, new, named.reserved)


async def test_append_by_name(world: World) -> None:
    account = await world.account()
    inbox = await world.mailbox(account)
    await world.append(account, inbox.id)
    appended = await world.write(append_named, account, "INBOX")
    assert (appended.uid, appended.uid_validity) == (2, inbox.uid_validity)
    found = await world.mailbox(account)
    assert (found.highest_modseq, found.uid_next, found.total, found.unseen) == (appended.modseq, 3, 2, 1)
    assert [entry.modseq for entry in await world.entries(account, inbox.id)][1] == appended.modseq


async def test_append_by_a_name_that_no_mailbox_has(world: World) -> None:
    account, other = await world.account(), await world.account("eve@example.org")
    await world.write(mailboxes.create, account, "Work/Old")
    await world.write(mailboxes.create, other, "Hers")
    await world.write(mailboxes.remove, account, "Work")  # a name that cannot be selected is left
    await world.write(mailboxes.rename, account, "Sent", "Gone")
    await world.sql("UPDATE mailbox SET uid_next = ? WHERE account = ? AND name = 'Drafts'", MAX_UID + 1, account)
    before = await world.sql("SELECT * FROM mailbox ORDER BY account, id")
    for name in ("Work", "Hers", "Sent", "Drafts", "inbox", "Nowhere"):
        assert await world.write(append_named, account, name) is None
    assert await world.sql("SELECT * FROM mailbox ORDER BY account, id") == before
    assert (await world.write(append_named, account, "Gone")).uid == 1
    await world.sql("UPDATE mailbox SET uid_next = ? WHERE account = ? AND name = 'Drafts'", MAX_UID, account)
    assert (await world.write(append_named, account, "Drafts")).uid == MAX_UID


async def test_messages_in_the_order_in_which_they_are_named(world: World) -> None:
    account = await world.account()
    inbox = await world.inbox(account)
    ids = [
        (await world.append(account, inbox, header(f"Topic {n}", f"id{n}@x"), body=b"%d\r\n" % n)).message
        for n in range(30)
    ]

    async def subjects(wanted: list[int]) -> list[tuple[str, int, bytes | None] | None]:
        columns = (Column.BASE_SUBJECT,)
        rows = await world.read(messages.fetch_in_order, account, wanted, columns, bodies=True)
        return [row and (row[0], row[-1], row[3]) for row in rows]

    known = {message: (f"topic {n}", message, b"%d\r\n" % n) for n, message in enumerate(ids)}
    for wanted in (ids, ids[::-1], ids[5:6], [], [*ids[:4], *ids[10:20], ids[25]], [ids[3], ids[3], ids[1]]):
        assert await subjects(wanted) == [known[message] for message in wanted]
    assert await subjects([ids[0], 77777, ids[2]]) == [known[ids[0]], None, known[ids[2]]]
    # One message with two entries, and another that is gone: as many rows as were asked for.
    columns = "uid, message, slot, flags, keywords, modseq, received_at, size, saved_at"
    await world.sql(
        f"INSERT INTO entry (account, mailbox, {columns}) SELECT account, mailbox + 1, {columns} FROM entry "
        f"WHERE message = {ids[0]}"
    )
    await world.sql(f"DELETE FROM entry WHERE message = {ids[1]}")
    assert await subjects(ids[:3]) == [known[ids[0]], None, known[ids[2]]]
    world.broken = True


async def test_columns_that_are_asked(world: World) -> None:
    account = await world.account()
    inbox = await world.inbox(account)
    made = [await world.append(account, inbox, header(f"Re: Topic {n}", f"id{n}@x")) for n in range(5)]
    ids = [one.message for one in made]
    columns = (Column.HEADER, Column.SIZE, Column.BASE_SUBJECT, Column.SORT_FROM, Column.MESSAGE_ID_FIELD)
    found = await world.read(messages.fetch, account, [ids[3], ids[1], 77777], columns)
    assert set(found) == {ids[1], ids[3]}
    head, size, subject, sender, message_id = found[ids[3]]
    assert head == header("Re: Topic 3", "id3@x")
    assert (size, subject, sender, message_id) == (len(head) + 8, "topic 3", "bob", b"id3@x")
    rows = await world.read(messages.fetch_by_uid, account, inbox, 2, 4, (Column.MIME_INDEX, Column.ENVELOPE))
    assert [row[:2] for row in rows] == [(one.uid, one.message) for one in made[1:4]]
    index = structure.decode(rows[0][2])
    assert (index.type, index.subtype, index.size) == (b"text", b"plain", 8)
    assert sent_envelope(rows[0][3]).startswith(b"(")
    assert len(await world.read(messages.fetch_by_uid, account, inbox, 1, 9, (Column.SIZE,), 2)) == 2
    assert await world.read(messages.find_by_message_id_field, account, b"id2@x") == [ids[2]]
    assert await world.read(messages.thread_of, account, ids[0]) == ids[0]
    assert await world.read(messages.thread_of, account, 77777) is None


async def test_append_many(world: World) -> None:
    account = await world.account()
    inbox = await world.inbox(account)

    async def fail_half_way(tx: Transaction) -> None:
        await append(tx, account, inbox)
        await append(tx, account, MailboxId(4711))

    with pytest.raises(NoSuchMailbox):
        await world.engine.write(fail_half_way)
    assert await world.uids(account, inbox) == []
    assert [one.uid for one in await world.fill(account, inbox, 3)] == [1, 2, 3]


async def test_expunge(world: World) -> None:
    account = await world.account()
    inbox = await world.inbox(account)
    kept = await world.fill(account, inbox, 2)
    gone = await world.fill(account, inbox, 3, flags=Flags.DELETED)
    start, _ = await world.read(changes.state, account)
    assert (await world.write(messages.expunge, account, inbox, [1, 4]))[0] == [4]
    uids, modseq = await world.write(messages.expunge, account, inbox)
    assert uids == [3, 5]
    assert await world.uids(account, inbox) == [1, 2]
    assert await world.write(messages.expunge, account, inbox) == ([], modseq)
    assert {row[0] for row in await world.sql("SELECT id FROM message")} == {one.message for one in kept}
    log = await world.read(changes.since, account, start)
    assert [(c.kind, c.uids) for c in log] == [(ChangeKind.EXPUNGED, "4"), (ChangeKind.EXPUNGED, "3,5")]
    assert log[0].messages == str(gone[1].message)
    assert await world.read(changes.vanished, account, inbox, start) == [(3, 5)]
    assert (await world.append(account, inbox)).uid == 6
    with pytest.raises(NoSuchMailbox):
        await world.write(messages.expunge, account, 999)


async def test_remove_needs_no_flag(world: World) -> None:
    """RFC 1939 §6: POP3 removes what it marked itself."""
    account = await world.account()
    inbox = await world.inbox(account)
    await world.fill(account, inbox, 3)
    assert (await world.write(messages.remove, account, inbox, [1, 3, 9]))[0] == [1, 3]
    assert await world.uids(account, inbox) == [2]


async def test_copy(world: World) -> None:
    account = await world.account()
    inbox, target = await world.inbox(account), await world.mailbox(account, "Archive")
    made = await world.fill(account, inbox, 40, flags=Flags.FLAGGED, keywords=("k",))
    await world.write(messages.remove, account, inbox, [2, 5, 6])
    wanted = [1, 2, 3, 4, 7, *range(20, 35), 39, 500]
    copied = await world.write(messages.copy, account, inbox, wanted, target.id)
    there = [1, 3, 4, 7, *range(20, 35), 39]
    assert copied.uid_validity == target.uid_validity
    assert list(copied.pairs) == list(zip(there, range(1, len(there) + 1), strict=True))
    entries = await world.entries(account, target.id)
    assert {(e.flags, e.keywords, e.modseq) for e in entries} == {(4, "k", copied.modseq)}
    ids = [e.message for e in entries]
    assert ids == list(range(copied.modseq - len(there) + 1, copied.modseq + 1))
    columns = (Column.HEADER, Column.BLOB, Column.THREAD)
    old = await world.read(messages.fetch, account, [made[uid - 1].message for uid in there], columns)
    new = await world.read(messages.fetch, account, ids, columns)
    assert [old[m] for m in sorted(old)] == [new[m] for m in ids]
    log = await world.read(changes.since, account, copied.modseq - 1)
    assert [(c.kind, c.mailbox, c.uids) for c in log] == [(ChangeKind.APPENDED, target.id, f"1:{len(there)}")]


async def test_copy_within_a_mailbox_and_of_nothing(world: World) -> None:
    account = await world.account()
    inbox = await world.inbox(account)
    await world.fill(account, inbox, 2)
    assert (await world.write(messages.copy, account, inbox, [1, 2], inbox)).pairs == ((1, 3), (2, 4))
    assert (await world.write(messages.copy, account, inbox, [77], inbox)).pairs == ()
    with pytest.raises(NoSuchMailbox):
        await world.write(messages.copy, account, inbox, [1], 999)
    with pytest.raises(NoSuchMailbox):
        await world.write(messages.copy, account, inbox, [77], 999)
    assert await world.uids(account, inbox) == [1, 2, 3, 4]


async def test_copy_over_quota_copies_nothing(world: World) -> None:
    account = await world.account()
    inbox = await world.inbox(account)
    await world.fill(account, inbox, 3)
    used = (await world.read(directory.account, account)).used_octets
    await world.write(directory.set_quota, account, used + 10)
    with pytest.raises(OverQuota):
        await world.write(messages.copy, account, inbox, [1, 2, 3], inbox)
    archive = await world.mailbox(account, "Archive")
    assert len((await world.write(messages.move, account, inbox, [1, 2, 3], archive.id)).pairs) == 3


async def test_move(world: World) -> None:
    account = await world.account()
    inbox, target = await world.inbox(account), await world.mailbox(account, "Archive")
    made = await world.fill(account, inbox, 12, keywords=("k",))
    moved = await world.write(messages.move, account, inbox, [2, *range(4, 13), 99], target.id)
    assert moved.pairs == ((2, 1), *((uid, uid - 2) for uid in range(4, 13)))
    assert await world.uids(account, inbox) == [1, 3]
    entries = await world.entries(account, target.id)
    assert [e.message for e in entries] == [made[uid - 1].message for uid, _ in moved.pairs]
    assert {(e.modseq, e.keywords) for e in entries} == {(moved.modseq, "k")}
    log = await world.read(changes.since, account, moved.modseq - 1)
    assert {(c.kind, c.mailbox) for c in log} == {(ChangeKind.EXPUNGED, inbox), (ChangeKind.APPENDED, target.id)}
    assert {c.modseq for c in log} == {moved.modseq}


async def test_move_within_a_mailbox_gives_new_uids(world: World) -> None:
    account = await world.account()
    inbox = await world.inbox(account)
    made = await world.fill(account, inbox, 3)
    assert (await world.write(messages.move, account, inbox, [1, 2], inbox)).pairs == ((1, 4), (2, 5))
    assert [(e.uid, e.message) for e in await world.entries(account, inbox)] == [
        (3, made[2].message),
        (4, made[0].message),
        (5, made[1].message),
    ]


async def test_a_message_in_two_mailboxes(world: World) -> None:
    """RFC 8621 §4: a message goes when its last mailbox lets go of it, and counts once."""
    account = await world.account()
    inbox, archive = await world.inbox(account), await world.mailbox(account, "Archive")
    made = await world.fill(account, inbox, 2)
    used = (await world.read(directory.account, account)).used_octets
    assert await world.write(messages.place, account, made[0].message, archive.id) == 1
    with pytest.raises(MailboxExists):
        await world.write(messages.place, account, made[0].message, archive.id)
    assert (await world.read(directory.account, account)).used_octets == used
    await world.write(messages.remove, account, inbox, [1, 2])
    assert [e.message for e in await world.entries(account, archive.id)] == [made[0].message]
    assert await world.sql("SELECT message_count, entry_count FROM account") == [(1, 1)]
    await world.write(messages.remove, account, archive.id, [1])
    assert await world.sql("SELECT used_octets, message_count, entry_count FROM account") == [(0, 0, 0)]


async def test_moving_to_where_it_is_already(world: World) -> None:
    account = await world.account()
    inbox, archive = await world.inbox(account), await world.mailbox(account, "Archive")
    made = await world.fill(account, inbox, 2)
    await world.write(transfer.place, account, made[1].message, archive.id)
    moved = await world.write(messages.move, account, inbox, [1, 2], archive.id)
    assert moved.pairs == ((1, 2), (2, 3))
    assert [(e.uid, e.message) for e in await world.entries(account, archive.id)] == [
        (2, made[0].message),
        (3, made[1].message),
    ]
    assert await world.sql("SELECT message_count, entry_count FROM account") == [(2, 2)]


async def test_removing_one_of_two_mailboxes_keeps_the_message(world: World) -> None:
    account = await world.account()
    inbox = await world.inbox(account)
    other = await world.write(mailboxes.create, account, "Other")
    made = await world.fill(account, inbox, 1)
    await world.write(messages.place, account, made[0].message, other.id)
    await world.write(mailboxes.remove, account, "Other")
    assert await world.uids(account, inbox) == [1]
    assert await world.sql("SELECT message_count, entry_count FROM account") == [(1, 1)]
