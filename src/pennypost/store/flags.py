"""STORE (RFC 9051 §6.4.6, RFC 7162 §3.1.3): flags and keywords of messages, in sets of rows.

Only what really changes is written: an entry that has the flags already keeps its modseq, and when no entry changes
nothing is written and no number of the modification sequence is used (RFC 7162 §3.1.3 asks for a new one on a change).
All entries of a message carry the same flags: a change goes to the other mailboxes the message lies in too.

What becomes of flags is said by two masks, and only keywords are told apart: entries are held in columns, and looked at
one by one nowhere. Of many entries the change itself is stored (`flag_notes`), of few their rows are written.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pennypost.model.flags import ALL_FLAGS, Flags
from pennypost.model.ids import AccountId, MailboxId, ModSeq, Uid
from pennypost.store import counters, flag_notes, sets
from pennypost.store.changes import ChangeKind, advance, record, state
from pennypost.store.engine import Transaction
from pennypost.store.entry_columns import Entries, FlagColumns, Stored, StoredMany
from pennypost.store.flag_change import FlagChange, StoreMode
from pennypost.store.keywords import normalise_keywords


@dataclass(frozen=True, slots=True)
class StoreResult:
    """What a STORE did, each list ascending by UID. UIDs that are not there are in none of them.

    `modseq`: what the `changed` entries have now; the mailbox's own when none changed. `refused`: what was changed by
    others after `unchanged_since` (MODIFIED, RFC 7162 §3.1.3).
    """

    modseq: ModSeq
    changed: Sequence[Stored]
    unchanged: Sequence[Stored]
    refused: Sequence[Uid]


class Known(NamedTuple):
    """Entries as somebody knows them to have been when the account's modification sequence stood at `modseq`."""

    modseq: ModSeq
    entries: Entries


_TURNED = bytes([1, 0]) + bytes(254)
"""Translates 1 to 0, and 0 to 1."""
_SELECT = "SELECT uid, message, flags, keywords, modseq FROM entry WHERE account = ? AND mailbox = ? AND uid "
_SET = "UPDATE entry SET flags = (flags & ?) | ?, modseq = ?"
_WHERE = " WHERE account = ? AND mailbox = ? AND uid "


async def store(
    tx: Transaction,
    account: AccountId,
    mailbox: MailboxId,
    uids: Sequence[Uid],
    mode: StoreMode,
    flags: Flags,
    keywords: Sequence[str] = (),
    unchanged_since: ModSeq | None = None,
    changeable: Flags = ALL_FLAGS,
    keywords_changeable: bool = True,
    known: Known | None = None,
) -> StoreResult:
    """Set, add or remove flags and keywords of the entries with these UIDs.

    `unchanged_since`: entries with a greater modseq are left alone and reported. `changeable`,
    `keywords_changeable`: what is not among these stays as it is (RFC 4314 §4). `known`: all entries with these UIDs,
    which are not read then if nothing has happened since. Raises NoSuchMailbox, MailboxNotPermitted, TooManyKeywords.
    """
    change = FlagChange.of(mode, flags, normalise_keywords(keywords), changeable, keywords_changeable)
    had = await _entries(tx, account, mailbox, uids, known)
    refused: list[Uid] = []
    if unchanged_since is not None and any(modseq > unchanged_since for modseq in had.modseqs):
        stale = [modseq > unchanged_since for modseq in had.modseqs]
        refused = [Uid(uid) for uid in had.only(stale).uids]
        had = had.only([not one for one in stale])
    fresh_flags, fresh_keywords = change.flags_of(had.flags), change.keywords_of(had.keywords, len(had.uids))
    touched = had.differing(change.alters(had.flags), fresh_keywords)
    changed = StoredMany(FlagColumns(had.uids, fresh_flags, fresh_keywords), touched, same_keywords=change.mode is None)
    rest = StoredMany.none() if touched is None else StoredMany(had.flag_columns, touched.translate(_TURNED))
    if not changed:
        return StoreResult(await _highest(tx, account, mailbox), changed, rest, refused)
    modseq = await advance(tx, account)
    await counters.refuse(tx, account, mailbox)
    in_one_mailbox = await _each_has_one_entry(tx, account)
    if in_one_mailbox and len(changed) >= flag_notes.NOTED_FROM:
        text = sets.picked_text(had.uids, changed.spans)
        if had.in_order:  # none comes twice: each has one entry
            messages = sets.picked_text(had.messages, changed.spans)
        else:
            messages = sets.text_of(sets.picked(had.messages, changed.spans))
        await flag_notes.add(tx, account, mailbox, modseq, change, text)
        await _count(tx, account, mailbox, modseq, change, had, text, messages)
    else:
        there = had if touched is None else had.only(touched)
        whole = list(sets.pieces(had.uids)) if not refused else None
        await flag_notes.settle(tx, account, mailbox, had.uids)
        await _write(tx, account, mailbox, modseq, change, there, whole, all_change=touched is None)
        if not in_one_mailbox:
            await _write_elsewhere(tx, account, mailbox, modseq, change, there)
    return StoreResult(modseq, changed, rest, refused)


MOST_ON_LOOP = 20_000
"""Messages that a STORE may change on the event loop, if it only notes them: about a millisecond's work."""


async def rows_written(tx: Transaction, account: AccountId, mailbox: MailboxId, count: int) -> int:
    """Guess how many rows a STORE of so many messages writes. It does not matter but for where it had better run."""
    if not flag_notes.NOTED_FROM <= count <= MOST_ON_LOOP:
        return count
    noted = await _each_has_one_entry(tx, account) and await flag_notes.has_room(tx, account, mailbox)
    return 1 if noted else count


async def _entries(
    tx: Transaction, account: AccountId, mailbox: MailboxId, uids: Sequence[Uid], known: Known | None
) -> Entries:
    """Give the entries with these UIDs: as they are known, or read."""
    if known is not None:
        newest, _ = await state(tx, account)
        if newest == known.modseq:
            return known.entries
    rows = []
    for piece in sets.pieces(sorted(set(uids))):
        rows += await tx.fetch_all(_SELECT + f"{piece.clause} ORDER BY uid", account, mailbox, *piece.values)
    return Entries.of_rows((await flag_notes.of(tx, account, mailbox)).over(rows))


async def _highest(tx: Transaction, account: AccountId, mailbox: MailboxId) -> ModSeq:
    row = await tx.fetch_one("SELECT highest_modseq FROM mailbox WHERE account = ? AND id = ?", account, mailbox)
    await counters.refuse(tx, account, mailbox)
    return ModSeq(row[0] if row else 0)


async def _write(
    tx: Transaction,
    account: AccountId,
    mailbox: MailboxId,
    modseq: ModSeq,
    change: FlagChange,
    entries: Entries,
    asked: list[sets.Piece] | None = None,
    *,
    all_change: bool = False,
) -> None:
    """Write the new states of entries of one mailbox, all of which change, its counters and its row in the log.

    `asked`: pieces in which every entry that would change is one of them. A few of them are named at once, whichever
    entries lie there. `all_change`: no other entries do.
    """
    had = entries.keywords
    if change.mode is None or had is None:
        groups: list[tuple[str | None, Entries]] = [(None, entries)]
    else:
        groups = [(old, entries.only([one == old for one in had])) for old in set(had)]
    for old, group in groups:
        new = change.words_of(old) if change.mode is not None else None
        pieces, condition = asked, ""
        values: tuple[int | str | None, ...] = ()
        if pieces is None:
            pieces = list(sets.pieces(group.uids))
        elif not all_change or len(groups) > 1:
            own = list(sets.pieces(group.uids)) if len(pieces) > 1 else pieces
            if len(own) < len(pieces):
                pieces = own
            else:
                condition, values = _condition(change, old, new, modseq)
        words: tuple[str | None, ...] = () if change.mode is None else (new,)
        sql = f"{_SET}{', keywords = ?' if words else ''}{_WHERE}"
        for piece in pieces:
            await tx.execute(
                f"{sql}{piece.clause}{condition}",
                change.kept,
                change.given,
                modseq,
                *words,
                account,
                mailbox,
                *piece.values,
                *values,
            )
    await _count(
        tx, account, mailbox, modseq, change, entries, sets.to_text(entries.uids), sets.text_of(entries.messages)
    )


async def _count(
    tx: Transaction,
    account: AccountId,
    mailbox: MailboxId,
    modseq: ModSeq,
    change: FlagChange,
    entries: Entries,
    uids: str,
    messages: str,
) -> None:
    """Bring the counters of a mailbox up to date and tell the log. `entries`: with those that change, others may be
    whose flags do not; `uids`, `messages`: of those that change, as set text."""
    unseen, deleted = counters.all_flags_changed(entries.flags, change.flags_of(entries.flags))
    await counters.add(tx, account, mailbox, modseq, counters.Figures(0, unseen, deleted, 0))
    await record(tx, account, modseq, mailbox, ChangeKind.UPDATED, uids, messages)


def _condition(
    change: FlagChange, old: str | None, new: str | None, modseq: ModSeq
) -> tuple[str, tuple[int | str | None, ...]]:
    """Say in SQL which entries of some change: those with `old` keywords, if keywords do, that were not written yet."""
    words = ""
    values: tuple[int | str | None, ...] = ()
    if change.mode is not None:
        words, values = " AND keywords IS NOT DISTINCT FROM ? AND modseq < ?", (old, modseq)
        if new != old:
            return words, values
    return f"{words} AND (flags & ?) | ? <> flags", (*values, change.kept, change.given)


async def _each_has_one_entry(tx: Transaction, account: AccountId) -> bool:
    """Whether no message of the account lies in two mailboxes."""
    row = await tx.fetch_one("SELECT entry_count - message_count FROM account WHERE id = ?", account)
    return row is None or not row[0]


async def _write_elsewhere(
    tx: Transaction, account: AccountId, mailbox: MailboxId, modseq: ModSeq, change: FlagChange, entries: Entries
) -> None:
    """Write the new states to the entries that the same messages have in other mailboxes."""
    elsewhere: dict[MailboxId, list[tuple[Uid, int]]] = {}
    for piece in sets.pieces(sorted(entries.messages)):
        rows = await tx.fetch_all(
            f"SELECT mailbox, uid, message FROM entry WHERE account = ? AND message {piece.clause}",
            account,
            *piece.values,
        )
        for other, uid, message in rows:
            if other != mailbox:
                elsewhere.setdefault(other, []).append((uid, message))
    where = {message: at for at, message in enumerate(entries.messages)}
    for other, found in elsewhere.items():
        found.sort()  # they came by message; all entries of a message agree, so its state is the same there
        there = entries.at([where[message] for _, message in found], [uid for uid, _ in found])
        await flag_notes.settle(tx, account, other, there.uids)
        await _write(tx, account, other, modseq, change, there)
