"""STORE (RFC 9051 §6.4.6, RFC 7162 §3.1.3): flags and keywords of messages, in sets of rows.

Only what really changes is written: an entry that has the flags already keeps its modseq, and when no entry changes
nothing is written and no number of the modification sequence is used (RFC 7162 §3.1.3 asks for a new one on a change).
All entries of a message carry the same flags: a change goes to the other mailboxes the message lies in too.

Ten thousand messages are one statement, whatever flags they had: what becomes of flags is said by two masks, and only
keywords are told apart. So entries are held in columns, and looked at one by one nowhere.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from pennypost.model.flags import ALL_FLAGS, Flags, Keywords
from pennypost.model.ids import AccountId, MailboxId, ModSeq, Uid
from pennypost.store import counters, sets
from pennypost.store.changes import ChangeKind, advance, record, state
from pennypost.store.engine import Transaction
from pennypost.store.entry_columns import Entries, Stored, StoredMany, packed
from pennypost.store.keywords import normalise_keywords, pack_keywords, unpack_keywords


class StoreMode(Enum):
    """What STORE does with what it is given: FLAGS, +FLAGS, -FLAGS."""

    SET = ""
    ADD = "+"
    REMOVE = "-"


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


@dataclass(frozen=True, slots=True)
class _Change:
    """What becomes of a state: flags keep `kept` and get `given`; `keywords` gives the new keywords of old ones, packed
    both, and is None where keywords stay as they are."""

    kept: int
    given: int
    keywords: Callable[[str | None], str | None] | None

    def flags_of(self, flags: bytes) -> bytes:
        return flags.translate(bytes([old & self.kept | self.given for old in range(256)]))

    def keywords_of(self, keywords: Sequence[str | None] | None, count: int) -> Sequence[str | None] | None:
        """Give the new keywords of so many entries; None stands for: none has any."""
        if self.keywords is None:
            return keywords
        if keywords is None:
            fresh = self.keywords(None)
            return None if fresh is None else [fresh] * count
        known = {old: self.keywords(old) for old in set(keywords)}
        return packed([known[old] for old in keywords])


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
    change = _change(mode, flags, normalise_keywords(keywords), changeable, keywords_changeable)
    had = await _entries(tx, account, mailbox, uids, known)
    refused: list[Uid] = []
    if unchanged_since is not None and any(modseq > unchanged_since for modseq in had.modseqs):
        stale = [modseq > unchanged_since for modseq in had.modseqs]
        refused = [Uid(uid) for uid in had.only(stale).uids]
        had = had.only([not one for one in stale])
    fresh_flags, fresh_keywords = change.flags_of(had.flags), change.keywords_of(had.keywords, len(had.uids))
    touched = had.differing(fresh_flags, fresh_keywords)
    if touched is None:  # every one of them
        there, rest = had, StoredMany.none()
    else:
        there = had.only(touched)
        left = had.only([not one for one in touched])
        rest = StoredMany(left.uids, left.flags, left.keywords)
        fresh_flags, fresh_keywords = (
            change.flags_of(there.flags),
            change.keywords_of(there.keywords, len(there.uids)),
        )
    if not there.uids:
        return StoreResult(await _highest(tx, account, mailbox), StoredMany.none(), rest, refused)
    modseq = await advance(tx, account)
    await counters.refuse(tx, account, mailbox)
    whole = list(sets.pieces(had.uids)) if not refused else None
    await _write(tx, account, mailbox, modseq, change, there, whole, all_change=touched is None)
    await _write_elsewhere(tx, account, mailbox, modseq, change, there)
    return StoreResult(modseq, StoredMany(there.uids, fresh_flags, fresh_keywords), rest, refused)


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
    return Entries.of_rows(rows)


def _change(mode: StoreMode, flags: Flags, keywords: Keywords, changeable: Flags, keywords_changeable: bool) -> _Change:
    """Work out what becomes of flags and of keywords. Few keywords occur, so each text is thought through once."""
    named = {keyword.casefold() for keyword in keywords}
    given = int(flags & changeable)

    def changed(old: str | None) -> str | None:
        had = unpack_keywords(old)
        match mode:
            case StoreMode.SET:
                # Case as first set: a keyword that is there already keeps its spelling.
                kept = [keyword for keyword in had if keyword.casefold() in named]
                return pack_keywords(normalise_keywords((*kept, *keywords)))
            case StoreMode.ADD:
                return pack_keywords(normalise_keywords((*had, *keywords)))
            case StoreMode.REMOVE:
                return pack_keywords(tuple(keyword for keyword in had if keyword.casefold() not in named))

    words = changed if keywords_changeable and (keywords or mode is StoreMode.SET) else None
    match mode:
        case StoreMode.SET:
            return _Change(_EVERY_BIT & ~int(changeable), given, words)
        case StoreMode.ADD:
            return _Change(_EVERY_BIT, given, words)
        case StoreMode.REMOVE:
            return _Change(_EVERY_BIT & ~given, 0, words)


_EVERY_BIT = 0xFF
"""A mask that keeps all flags."""


async def _highest(tx: Transaction, account: AccountId, mailbox: MailboxId) -> ModSeq:
    row = await tx.fetch_one("SELECT highest_modseq FROM mailbox WHERE account = ? AND id = ?", account, mailbox)
    await counters.refuse(tx, account, mailbox)
    return ModSeq(row[0] if row else 0)


async def _write(
    tx: Transaction,
    account: AccountId,
    mailbox: MailboxId,
    modseq: ModSeq,
    change: _Change,
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
    if change.keywords is None or had is None:
        groups: list[tuple[str | None, Entries]] = [(None, entries)]
    else:
        groups = [(old, entries.only([one == old for one in had])) for old in set(had)]
    for old, group in groups:
        new = change.keywords(old) if change.keywords is not None else None
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
        words: tuple[str | None, ...] = () if change.keywords is None else (new,)
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
    unseen = deleted = 0
    for flags, count in Counter(entries.flags).items():
        more_unseen, more_deleted = counters.flags_changed(flags, flags & change.kept | change.given)
        unseen += more_unseen * count
        deleted += more_deleted * count
    await counters.add(tx, account, mailbox, modseq, counters.Figures(0, unseen, deleted, 0))
    await record(tx, account, modseq, mailbox, ChangeKind.UPDATED, entries.uids, entries.messages)


def _condition(
    change: _Change, old: str | None, new: str | None, modseq: ModSeq
) -> tuple[str, tuple[int | str | None, ...]]:
    """Say in SQL which entries of some change: those with `old` keywords, if keywords do, that were not written yet."""
    words = ""
    values: tuple[int | str | None, ...] = ()
    if change.keywords is not None:
        words, values = " AND keywords IS NOT DISTINCT FROM ? AND modseq < ?", (old, modseq)
        if new != old:
            return words, values
    return f"{words} AND (flags & ?) | ? <> flags", (*values, change.kept, change.given)


async def _write_elsewhere(
    tx: Transaction, account: AccountId, mailbox: MailboxId, modseq: ModSeq, change: _Change, entries: Entries
) -> None:
    """Write the new states to the entries that the same messages have in other mailboxes."""
    row = await tx.fetch_one("SELECT entry_count - message_count FROM account WHERE id = ?", account)
    if row is None or not row[0]:
        return  # each message has one entry
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
        await _write(tx, account, other, modseq, change, there)
