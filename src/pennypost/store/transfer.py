"""COPY, MOVE and filing (RFC 9051 §6.4.7–6.4.8, RFC 6851, RFC 8621 §4): from mailbox to mailbox, in sets of rows.

COPY makes new messages on the same blobs (their flags go their own way from then on), MOVE takes the message itself to
a new entry, `place` gives a message one entry more. UIDs come out in the order of the source's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pennypost.model.errors import MailboxExists, NoSuchMailbox
from pennypost.model.ids import AccountId, MailboxId, MessageId, ModSeq, Uid, UidValidity
from pennypost.store import counters, flag_notes, quota, sets
from pennypost.store.changes import ChangeKind, record
from pennypost.store.engine import Row, Transaction, to_microseconds


@dataclass(frozen=True, slots=True)
class Copied:
    """What COPYUID says (RFC 4315 §3): `pairs` of source and target UID, ascending. Empty: nothing was there."""

    uid_validity: UidValidity
    pairs: tuple[tuple[Uid, Uid], ...]
    modseq: ModSeq
    """Of the target, and after a MOVE of the source too."""


MESSAGE_COLUMNS = (
    "blob, size, header_size, received_at, sent_at, thread, has_attachment, message_id_field, base_subject, "
    "sort_from, sort_to, sort_cc, header, envelope, bodystructure, mime_index, links, is_reply"
)
"""What a message is, but for its account and its id."""
_FROM_MESSAGE = ", ".join(f"m.{column.strip()}" for column in MESSAGE_COLUMNS.split(","))
_WHERE = "WHERE account = ? AND mailbox = ? AND uid "
_INSERT_ENTRIES = (
    "INSERT INTO entry (account, mailbox, uid, message, slot, flags, keywords, modseq, received_at, size, saved_at) "
)


async def copy(
    tx: Transaction, account: AccountId, source: MailboxId, uids: Sequence[Uid], target: MailboxId
) -> Copied:
    """Copy messages with their flags, keywords and dates (RFC 9051 §6.4.7). All or none; one change of the target.

    UIDs that are not there are left out. Raises OverQuota, NoSuchMailbox, MailboxNotPermitted (for the target).
    """
    found = await _entries(tx, account, source, uids)
    if not found:
        return await _nothing(tx, account, target)
    figures = counters.total([(flags, size) for _, _, flags, size in found])
    count = len(found)
    modseq = await quota.charge(tx, account, numbers=count, octets=figures.octets, messages=count, entries=count)
    first_uid, uid_validity = await counters.reserve(tx, account, target, modseq, figures)
    before_id, before_uid, before_slot = modseq - count, first_uid - 1, await _last_slot(tx)
    now = to_microseconds(tx.now)
    for piece in sets.pieces([entry[0] for entry in found]):
        await tx.execute(
            f"INSERT INTO message (slot, account, id, origin, {MESSAGE_COLUMNS}) "
            "SELECT ? + row_number() OVER (ORDER BY e.uid), m.account, ? + row_number() OVER (ORDER BY e.uid), "
            f"coalesce(m.origin, m.id), {_FROM_MESSAGE} FROM entry e JOIN message m ON m.slot = e.slot "
            f"WHERE e.account = ? AND e.mailbox = ? AND e.uid {piece.clause} ORDER BY e.uid",
            before_slot,
            before_id,
            account,
            source,
            *piece.values,
        )
        await tx.execute(
            f"{_INSERT_ENTRIES} SELECT account, ?, ? + row_number() OVER (ORDER BY uid), "
            "? + row_number() OVER (ORDER BY uid), ? + row_number() OVER (ORDER BY uid), flags, keywords, ?, "
            f"received_at, size, ? FROM entry {_WHERE} {piece.clause} ORDER BY uid",
            target,
            before_uid,
            before_id,
            before_slot,
            modseq,
            now,
            account,
            source,
            *piece.values,
        )
        before_id += len(piece.numbers)
        before_uid += len(piece.numbers)
        before_slot += len(piece.numbers)
    new_uids = [Uid(first_uid + position) for position in range(count)]
    new_ids = [MessageId(modseq - count + 1 + position) for position in range(count)]
    await record(tx, account, modseq, target, ChangeKind.APPENDED, new_uids, new_ids)
    return Copied(uid_validity, tuple(zip([entry[0] for entry in found], new_uids, strict=True)), modseq)


async def move(
    tx: Transaction, account: AccountId, source: MailboxId, uids: Sequence[Uid], target: MailboxId
) -> Copied:
    """Move messages (RFC 6851 §3): the same message ids in new entries, flags and keywords kept. All or none.

    Into the same mailbox they get new UIDs. A message that lies in the target already keeps one entry there, the new
    one. UIDs that are not there are left out. Raises NoSuchMailbox, MailboxNotPermitted (for the target).
    """
    found = await _entries(tx, account, source, uids)
    if not found:
        return await _nothing(tx, account, target)
    there = [] if source == target else await _in_target(tx, account, target, [entry[1] for entry in found])
    known = {entry[1]: entry for entry in found}
    doubles = [(uid, *known[message][1:]) for uid, message in there]
    modseq = await quota.charge(tx, account, numbers=1, octets=0, messages=0, entries=-len(doubles))
    if doubles:
        await _remove(tx, account, target, modseq, doubles)
    figures = counters.total([(flags, size) for _, _, flags, size in found])
    first_uid, uid_validity = await counters.reserve(tx, account, target, modseq, figures)
    before_uid = first_uid - 1
    now = to_microseconds(tx.now)
    for piece in sets.pieces([entry[0] for entry in found]):
        await tx.execute(
            f"{_INSERT_ENTRIES} SELECT account, ?, ? + row_number() OVER (ORDER BY uid), message, slot, flags, "
            f"keywords, ?, received_at, size, ? FROM entry {_WHERE} {piece.clause} ORDER BY uid",
            target,
            before_uid,
            modseq,
            now,
            account,
            source,
            *piece.values,
        )
        before_uid += len(piece.numbers)
    await _remove(tx, account, source, modseq, found)
    new_uids = [Uid(first_uid + position) for position in range(len(found))]
    await record(tx, account, modseq, target, ChangeKind.APPENDED, new_uids, [entry[1] for entry in found])
    return Copied(uid_validity, tuple(zip([entry[0] for entry in found], new_uids, strict=True)), modseq)


async def move_all(tx: Transaction, account: AccountId, source: MailboxId, target: MailboxId) -> Copied:
    """Move all messages of a mailbox, as renaming INBOX does (RFC 9051 §6.3.6)."""
    rows = await tx.fetch_all("SELECT uid FROM entry WHERE account = ? AND mailbox = ? ORDER BY uid", account, source)
    return await move(tx, account, source, [uid for (uid,) in rows], target)


async def place(tx: Transaction, account: AccountId, message: MessageId, mailbox: MailboxId) -> Uid:
    """Give a message one more entry, in a mailbox where it is not yet (RFC 8621 §4: `mailboxIds`).

    Raises MailboxExists when it lies there already, NoSuchMailbox (also when the message is gone), MailboxNotPermitted.
    """
    other = await tx.fetch_one(
        "SELECT mailbox, uid FROM entry WHERE account = ? AND message = ? LIMIT 1", account, message
    )
    if other is None:
        raise NoSuchMailbox("No such message")
    if await _in_target(tx, account, mailbox, [message]):
        raise MailboxExists("The message is in this mailbox already")
    await flag_notes.settle(tx, account, other[0], [other[1]])
    row = await tx.fetch_one(
        "SELECT slot, flags, keywords, received_at, size FROM entry WHERE account = ? AND mailbox = ? AND uid = ?",
        account,
        *other,
    )
    assert row is not None
    slot, flags, keywords, received_at, size = row
    modseq = await quota.charge(tx, account, numbers=1, octets=0, messages=0, entries=1)
    uid, _ = await counters.reserve(tx, account, mailbox, modseq, counters.of_entry(flags, size))
    await tx.execute(
        f"{_INSERT_ENTRIES} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        account,
        mailbox,
        uid,
        message,
        slot,
        flags,
        keywords,
        modseq,
        received_at,
        size,
        to_microseconds(tx.now),
    )
    await record(tx, account, modseq, mailbox, ChangeKind.APPENDED, (uid,), (message,))
    return uid


async def _entries(tx: Transaction, account: AccountId, mailbox: MailboxId, uids: Sequence[Uid]) -> list[Row]:
    """Give (uid, message, flags, size) of the entries that are there, ascending, with all that is noted of them."""
    found: list[Row] = []
    chosen = sorted(set(uids))
    await flag_notes.settle(tx, account, mailbox, chosen)
    for piece in sets.pieces(chosen):
        found += await tx.fetch_all(
            f"SELECT uid, message, flags, size FROM entry {_WHERE} {piece.clause} ORDER BY uid",
            account,
            mailbox,
            *piece.values,
        )
    return found


async def _last_slot(tx: Transaction) -> int:
    """Give the last slot of a message that is taken."""
    row = await tx.fetch_one("SELECT COALESCE(MAX(slot), 0) FROM message")
    return row[0] if row is not None else 0


async def _in_target(
    tx: Transaction, account: AccountId, target: MailboxId, messages: Sequence[MessageId]
) -> list[tuple[Uid, MessageId]]:
    """Give the entries that messages have in a mailbox already, ascending."""
    row = await tx.fetch_one("SELECT entry_count - message_count FROM account WHERE id = ?", account)
    if len(messages) > 1 and (row is None or not row[0]):
        return []  # each message has one entry
    found: list[tuple[Uid, MessageId]] = []
    for piece in sets.pieces(sorted(set(messages))):
        # Of all mailboxes: what the index alone tells is less than a walk through the target.
        rows = await tx.fetch_all(
            f"SELECT mailbox, uid, message FROM entry WHERE account = ? AND message {piece.clause}",
            account,
            *piece.values,
        )
        found += [(uid, message) for mailbox, uid, message in rows if mailbox == target]
    return sorted(found)


async def _remove(tx: Transaction, account: AccountId, mailbox: MailboxId, modseq: ModSeq, gone: Sequence[Row]) -> None:
    """Take entries, as (uid, message, flags, size), out of a mailbox; their messages live on elsewhere."""
    uids = [entry[0] for entry in gone]
    for piece in sets.pieces(uids):
        await tx.execute(f"DELETE FROM entry {_WHERE} {piece.clause}", account, mailbox, *piece.values)
    figures = counters.total([(flags, size) for _, _, flags, size in gone])
    await counters.add(tx, account, mailbox, modseq, figures.negated())
    await record(tx, account, modseq, mailbox, ChangeKind.EXPUNGED, uids, [entry[1] for entry in gone])


async def _nothing(tx: Transaction, account: AccountId, target: MailboxId) -> Copied:
    """Answer for no messages: the target must be there all the same."""
    row = await tx.fetch_one(
        "SELECT uid_validity, highest_modseq FROM mailbox WHERE account = ? AND id = ?", account, target
    )
    await counters.refuse(tx, account, target)
    assert row is not None
    return Copied(row[0], (), row[1])
