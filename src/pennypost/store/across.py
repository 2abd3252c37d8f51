r"""Messages that go into another account's mailbox, or out of one: COPY, MOVE and APPEND (RFC 4314 §4).

What a message is is copied row by row; its body is shared by both accounts. It gets an id, a thread and UIDs of the
target's account. Flags are taken as who copies sees them, those that their rights to the target allow; `\Seen` goes
where theirs is kept. Within one's own account `transfer` does it.
"""

from collections.abc import Sequence
from typing import NamedTuple

from pennypost.message.limits import MAX_HEADER_OCTETS
from pennypost.message.summary import scan_fields, summarize
from pennypost.model.flags import Flags, Keywords
from pennypost.model.ids import AccountId, MailboxId, MessageId, ModSeq, Uid
from pennypost.model.rights import Rights
from pennypost.store import acl, counters, flag_notes, messages, quota, seen, sets, threads
from pennypost.store.changes import ChangeKind, record
from pennypost.store.engine import Row, Transaction, to_microseconds
from pennypost.store.places import Reached
from pennypost.store.transfer import MESSAGE_COLUMNS, Copied

_BATCH = 256


class Source(NamedTuple):
    r"""The mailbox that messages come from. `reader`: whose `\Seen` counts; None: the mailbox's own."""

    account: AccountId
    mailbox: MailboxId
    reader: AccountId | None


class Landing(NamedTuple):
    r"""With which flags a message lands. `seen`: the reader of the target has seen it."""

    flags: Flags
    keywords: Keywords
    seen: bool


def landing(target: Reached, flags: Flags, keywords: Keywords) -> Landing:
    """Give the flags that a message may have in a mailbox, for who puts it there (RFC 4314 §4: COPY, APPEND)."""
    flags &= acl.changeable_flags(target.rights)
    keywords = keywords if target.rights & Rights.WRITE else ()
    if target.reader is None:
        return Landing(flags, keywords, seen=False)
    return Landing(flags & ~Flags.SEEN, keywords, bool(flags & Flags.SEEN))


async def copy(tx: Transaction, source: Source, uids: Sequence[Uid], target: Reached) -> Copied:
    """Copy messages. UIDs that are not there are left out. Raises OverQuota, NoSuchMailbox, MailboxNotPermitted."""
    found = await _entries(tx, source, uids)
    landings = {row[0]: landing(target, Flags(row[2]), tuple(row[3].split(" ")) if row[3] else ()) for row in found}
    figures = counters.total([(landings[row[0]].flags, row[4]) for row in found])
    count = len(found)
    if not found:
        return Copied(target.mailbox.uid_validity, (), target.mailbox.highest_modseq)
    modseq = await quota.charge(tx, target.account, numbers=count, octets=figures.octets, messages=count, entries=count)
    reserved = await counters.reserve(tx, target.account, target.id, modseq, figures)
    first_id = modseq - count + 1
    for start in range(0, count, _BATCH):
        batch = found[start : start + _BATCH]
        await _put(tx, source, batch, target, landings, first_id + start, reserved.first + start, modseq)
    new_uids = [Uid(reserved.first + position) for position in range(count)]
    new_ids = [MessageId(first_id + position) for position in range(count)]
    await record(tx, target.account, modseq, target.id, ChangeKind.APPENDED, new_uids, new_ids)
    seen_uids = [new for new, row in zip(new_uids, found, strict=True) if landings[row[0]].seen]
    await mark_seen(tx, target, seen_uids, modseq)
    return Copied(reserved.uid_validity, tuple(zip([row[0] for row in found], new_uids, strict=True)), modseq)


async def move(tx: Transaction, source: Source, uids: Sequence[Uid], target: Reached) -> Copied:
    """Copy messages, and remove them where they were, in one transaction (RFC 6851 §3)."""
    copied = await copy(tx, source, uids, target)
    if copied.pairs:
        await messages.remove(tx, source.account, source.mailbox, [uid for uid, _ in copied.pairs])
    return copied


async def mark_seen(tx: Transaction, target: Reached, uids: Sequence[Uid], modseq: ModSeq) -> None:
    r"""Set a reader's own `\Seen` of messages that were just put into a mailbox."""
    if uids and target.reader is not None:
        await seen.mark(tx, target.account, target.id, target.reader, uids, True, modseq)


async def _entries(tx: Transaction, source: Source, uids: Sequence[Uid]) -> list[Row]:
    """Give (uid, message, flags, keywords, size, received_at) of the entries that are there, ascending."""
    found: list[Row] = []
    chosen = sorted(set(uids))
    await flag_notes.settle(tx, source.account, source.mailbox, chosen)
    for piece in sets.pieces(chosen):
        found += await tx.fetch_all(
            "SELECT uid, message, flags, keywords, size, received_at FROM entry "
            f"WHERE account = ? AND mailbox = ? AND uid {piece.clause} ORDER BY uid",
            source.account,
            source.mailbox,
            *piece.values,
        )
    if source.reader is None:
        return found
    marks = await seen.marks(tx, source.account, source.mailbox, source.reader, [row[0] for row in found])
    has = int(Flags.SEEN)
    return [
        (row[0], row[1], row[2] & ~has | (has if marks.get(row[0], (False, 0))[0] else 0), *row[3:]) for row in found
    ]


_NAMES = [column for column in MESSAGE_COLUMNS.split(", ") if column != "thread"]
_COLUMNS = ", ".join(_NAMES)
_FROM_MESSAGE = ", ".join(f"m.{column}" for column in _NAMES)
_HEADER = _NAMES.index("header")
_INSERT = f"INSERT INTO message (account, id, thread, {_COLUMNS}) VALUES (?, ?, ?{', ?' * len(_NAMES)})"


async def _put(
    tx: Transaction,
    source: Source,
    entries: Sequence[Row],
    target: Reached,
    landings: dict[Uid, Landing],
    first_id: int,
    first_uid: int,
    modseq: ModSeq,
) -> None:
    """Insert messages and entries of one batch."""
    rows: dict[int, Row] = {}
    for piece in sets.pieces(sorted({row[1] for row in entries})):
        for row in await tx.fetch_all(
            f"SELECT e.message, {_FROM_MESSAGE} FROM entry e JOIN message m ON m.slot = e.slot "
            f"WHERE e.account = ? AND e.message {piece.clause}",
            source.account,
            *piece.values,
        ):
            rows[row[0]] = row[1:]
    now = to_microseconds(tx.now)
    for position, (uid, message, _, _, size, received_at) in enumerate(entries):
        columns = rows[message]
        identifier = MessageId(first_id + position)
        summary = summarize(scan_fields(columns[_HEADER][:MAX_HEADER_OCTETS]).fields)
        thread = await threads.assign(tx, target.account, identifier, summary)
        await tx.execute(_INSERT, target.account, identifier, thread, *columns)
        lands = landings[uid]
        await tx.execute(
            messages.INSERT_ENTRY,
            target.account,
            target.id,
            first_uid + position,
            identifier,
            int(lands.flags),
            " ".join(lands.keywords) or None,
            modseq,
            received_at,
            size,
            now,
        )
