"""Changes of flags of many entries, each noted as one row until it is written into the entries.

Theory of operation
-------------------
What has to be on disk before a STORE of ten thousand messages is answered is what was asked for, not ten thousand
rows. So `flags.store` notes it here, if it concerns many entries (`NOTED_FROM`), and counts it in the mailbox and in
the log of changes as ever. Modification sequences make it simple: an entry with a smaller one than a note that names
it does not have that change yet; once it has, it has the note's number or a greater one, and the note is nothing to it.

- Who reads flags, keywords or modseqs of entries lays the notes over them: `of`, then `Notes.over`.
- Who writes entries, or copies them in SQL, settles them first, those it touches: `settle`.
- Housekeeping writes all notes into the entries, the oldest first, in steps of bounded size: `fold`.

An entry that was expunged is gone with whatever notes say of it: UIDs are never used twice.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from pennypost.model.ids import AccountId, MailboxId, ModSeq
from pennypost.store import sets
from pennypost.store.engine import Row, Transaction
from pennypost.store.flag_change import FlagChange, StoreMode

NOTED_FROM = 256
"""Entries that a change is noted for: fewer are written at once."""

MOST_NOTES = 16
"""Notes of one mailbox: when there are more, the oldest is written into the entries."""

FOLD_STEP = 2_000
"""Entries written in one transaction of `fold`."""


@dataclass(frozen=True, slots=True)
class _Note:
    modseq: ModSeq
    ranges: Sequence[tuple[int, int]]
    change: FlagChange

    def named(self, uids: Sequence[int]) -> Sequence[slice]:
        """Give where in ascending UIDs those are that it names."""
        if not uids:
            return ()
        start = bisect_left(self.ranges, uids[0], key=_last)
        end = bisect_right(self.ranges, uids[-1], key=_first)
        found = [slice(bisect_left(uids, first), bisect_right(uids, last)) for first, last in self.ranges[start:end]]
        return [part for part in found if part.start < part.stop]

    def count(self) -> int:
        return sum([last - first + 1 for first, last in self.ranges])


def _first(one: tuple[int, int]) -> int:
    return one[0]


def _last(one: tuple[int, int]) -> int:
    return one[1]


@dataclass(frozen=True, slots=True)
class Notes:
    """What is noted of a mailbox, the oldest first. False if nothing is."""

    notes: Sequence[_Note]

    def __bool__(self) -> bool:
        return bool(self.notes)

    def over(self, rows: list[Row]) -> list[Row]:
        """Give rows as they are with all changes. Rows begin with uid, message, flags, keywords and modseq, in this
        order, and ascend by UID."""
        if not self.notes or not rows:
            return rows
        uids = [row[0] for row in rows]
        rows = list(rows)
        for note in self.notes:
            kept, given, modseq = note.change.kept, note.change.given, note.modseq
            words: dict[str | None, str | None] = {}
            for part in note.named(uids):
                for at in range(part.start, part.stop):
                    uid, message, flags, keywords, had, *rest = rows[at]
                    if had >= modseq:
                        continue
                    if keywords not in words:
                        words[keywords] = note.change.words_of(keywords)
                    rows[at] = (uid, message, flags & kept | given, words[keywords], modseq, *rest)
        return rows

    def flags_over(self, uids: Sequence[int], flags: bytes, modseqs: Sequence[int]) -> bytes:
        """Give the flags, an octet each, that entries have with all changes; UIDs ascend."""
        if not self.notes:
            return flags
        now = bytearray(flags)
        for note in self.notes:
            for part in note.named(uids):
                had = now[part]
                fresh = note.change.flags_of(bytes(had))
                if max(modseqs[part]) < note.modseq:
                    now[part] = fresh
                else:
                    lacks = [modseq < note.modseq for modseq in modseqs[part]]
                    now[part] = bytes([new if lack else old for new, lack, old in zip(fresh, lacks, had, strict=True)])
        return bytes(now)


NONE = Notes(())

_COLUMNS = "SELECT modseq, uids, kept, given, mode, named "


def _read(row: Row) -> _Note:
    modseq, uids, kept, given, mode, named = row
    words = None if mode is None else StoreMode(mode)
    return _Note(ModSeq(modseq), sets.ranges(uids), FlagChange(kept, given, words, tuple((named or "").split())))


async def of(tx: Transaction, account: AccountId, mailbox: MailboxId) -> Notes:
    """Give what is noted of a mailbox."""
    rows = await tx.fetch_all(
        f"{_COLUMNS} FROM flag_note WHERE account = ? AND mailbox = ? ORDER BY modseq", account, mailbox
    )
    return Notes([_read(row) for row in rows] if rows else ())


async def has_room(tx: Transaction, account: AccountId, mailbox: MailboxId) -> bool:
    """Whether one more change can be noted without writing an older one."""
    row = await tx.fetch_one("SELECT COUNT(*) FROM flag_note WHERE account = ? AND mailbox = ?", account, mailbox)
    return row is None or row[0] < MOST_NOTES


async def mailboxes_with_notes(tx: Transaction, account: AccountId) -> list[MailboxId]:
    """Give those mailboxes of an account that something is noted of."""
    rows = await tx.fetch_all("SELECT DISTINCT mailbox FROM flag_note WHERE account = ? ORDER BY mailbox", account)
    return [MailboxId(mailbox) for (mailbox,) in rows]


async def add(
    tx: Transaction,
    account: AccountId,
    mailbox: MailboxId,
    modseq: ModSeq,
    change: FlagChange,
    uids: str,
) -> None:
    """Note a change of entries, as set text, all of which it changes."""
    newest = await tx.fetch_one(
        f"{_COLUMNS}, (SELECT COUNT(*) FROM flag_note WHERE account = ? AND mailbox = ?) "
        "FROM flag_note WHERE account = ? AND mailbox = ? ORDER BY modseq DESC LIMIT 1",
        account,
        mailbox,
        account,
        mailbox,
    )
    if newest is not None:
        before = _read(newest[:6])
        both = before.change.then(change)
        if before.modseq == modseq - 1 and newest[1] == uids and both is not None:
            change = both  # of the same entries, and nothing else was done to them in between
            await _remove(tx, account, mailbox, before)
        elif newest[6] >= MOST_NOTES:
            oldest = (await of(tx, account, mailbox)).notes[0]
            named = [uid for first, last in oldest.ranges for uid in range(first, last + 1)]
            await _write(tx, account, mailbox, oldest, named)
            await _remove(tx, account, mailbox, oldest)
    await tx.execute(
        "INSERT INTO flag_note (account, mailbox, modseq, uids, kept, given, mode, named) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        account,
        mailbox,
        modseq,
        uids,
        change.kept,
        change.given,
        None if change.mode is None else change.mode.value,
        " ".join(change.named) or None,
    )


async def settle(tx: Transaction, account: AccountId, mailbox: MailboxId, uids: Sequence[int]) -> None:
    """Write into some entries, ascending by UID, what is noted of them. Costs one look where nothing is."""
    for note in (await of(tx, account, mailbox)).notes:
        parts = [uids[part] for part in note.named(uids)]
        for part in parts:
            await _write(tx, account, mailbox, note, part)
        if sum(map(len, parts)) == note.count():
            await _remove(tx, account, mailbox, note)


async def fold(tx: Transaction, limit: int = FOLD_STEP) -> bool:
    """Write the oldest note of some mailbox into the next `limit` entries. Gives whether there was one."""
    row = await tx.fetch_one(f"{_COLUMNS}, account, mailbox FROM flag_note ORDER BY account, mailbox, modseq LIMIT 1")
    if row is None:
        return False
    note, account, mailbox = _read(row[:6]), AccountId(row[6]), MailboxId(row[7])
    numbers = list(sets.numbers(row[1]))
    await _write(tx, account, mailbox, note, numbers[:limit])
    if len(numbers) <= limit:
        await _remove(tx, account, mailbox, note)
    else:
        await tx.execute(
            "UPDATE flag_note SET uids = ? WHERE account = ? AND mailbox = ? AND modseq = ?",
            sets.to_text(numbers[limit:]),
            account,
            mailbox,
            note.modseq,
        )
    return True


async def forget_mailbox(tx: Transaction, account: AccountId, mailbox: MailboxId) -> None:
    """Remove what is noted of a mailbox that is gone."""
    await tx.execute("DELETE FROM flag_note WHERE account = ? AND mailbox = ?", account, mailbox)


_SET = "UPDATE entry SET flags = (flags & ?) | ?, modseq = ?"
_WHERE = "WHERE account = ? AND mailbox = ? AND uid {clause} AND modseq < ?"


async def _write(tx: Transaction, account: AccountId, mailbox: MailboxId, note: _Note, uids: Sequence[int]) -> None:
    """Write a note into those of the entries, ascending by UID, that do not have it yet."""
    change = note.change
    for piece in sets.pieces(uids):
        where = _WHERE.format(clause=piece.clause)
        values = (account, mailbox, *piece.values, note.modseq)
        if change.mode is None:
            await tx.execute(f"{_SET} {where}", change.kept, change.given, note.modseq, *values)
            continue
        for (old,) in await tx.fetch_all(f"SELECT DISTINCT keywords FROM entry {where}", *values):
            await tx.execute(
                f"{_SET}, keywords = ? {where} AND keywords IS NOT DISTINCT FROM ?",
                change.kept,
                change.given,
                note.modseq,
                change.words_of(old),
                *values,
                old,
            )


async def _remove(tx: Transaction, account: AccountId, mailbox: MailboxId, note: _Note) -> None:
    await tx.execute(
        "DELETE FROM flag_note WHERE account = ? AND mailbox = ? AND modseq = ?", account, mailbox, note.modseq
    )
