"""STORE (RFC 9051 §6.4.6, RFC 7162 §3.1.3): flags and keywords of messages, in sets of rows.

Only what really changes is written: an entry that has the flags already keeps its modseq, and when no entry changes
nothing is written and no number of the modification sequence is used (RFC 7162 §3.1.3 asks for a new one on a change).
All entries of a message carry the same flags: a change goes to the other mailboxes the message lies in too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import repeat
from operator import itemgetter
from typing import NamedTuple

from pennypost.model.flags import ALL_FLAGS, Flags, Keywords
from pennypost.model.ids import AccountId, MailboxId, MessageId, ModSeq, Uid
from pennypost.store import counters, sets
from pennypost.store.changes import ChangeKind, advance, record
from pennypost.store.engine import Transaction
from pennypost.store.keywords import normalise_keywords, pack_keywords, unpack_keywords


class StoreMode(Enum):
    """What STORE does with what it is given: FLAGS, +FLAGS, -FLAGS."""

    SET = ""
    ADD = "+"
    REMOVE = "-"


class Stored(NamedTuple):
    """The flags that an entry has after a STORE."""

    uid: Uid
    flags: Flags
    keywords: Keywords


@dataclass(frozen=True, slots=True)
class StoreResult:
    """What a STORE did, each list ascending by UID. UIDs that are not there are in none of them.

    `modseq`: what the `changed` entries have now; the mailbox's own when none changed. `refused`: what was changed by
    others after `unchanged_since` (MODIFIED, RFC 7162 §3.1.3).
    """

    modseq: ModSeq
    changed: list[Stored]
    unchanged: list[Stored]
    refused: list[Uid]


class _State(NamedTuple):
    """Flags and packed keywords, as rows have them."""

    flags: int
    keywords: str | None


class _Group(NamedTuple):
    """Entries that had one state, ascending by UID."""

    uids: list[Uid]
    messages: list[MessageId]


_SELECT = "SELECT uid, message, flags, keywords, modseq FROM entry WHERE account = ? AND mailbox = ? AND uid "
_UPDATE = "UPDATE entry SET flags = ?, keywords = ?, modseq = ? WHERE account = ? AND mailbox = ? AND uid"
_IN_STATE = " AND flags = ? AND keywords IS NOT DISTINCT FROM ? AND modseq < ?"


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
) -> StoreResult:
    """Set, add or remove flags and keywords of the entries with these UIDs.

    `unchanged_since`: entries with a greater modseq are left alone and reported. `changeable`,
    `keywords_changeable`: what is not among these stays as it is (RFC 4314 §4). Raises NoSuchMailbox,
    MailboxNotPermitted, TooManyKeywords.
    """
    change = _change(mode, flags, normalise_keywords(keywords), changeable, keywords_changeable)
    pieces = list(sets.pieces(sorted(set(uids))))
    refused: list[Uid] = []
    had: dict[_State, _Group] = {}
    for piece in pieces:
        rows = await tx.fetch_all(_SELECT + f"{piece.clause} ORDER BY uid", account, mailbox, *piece.values)
        if unchanged_since is not None:
            refused += [row[0] for row in rows if row[4] > unchanged_since]
            rows = [row for row in rows if row[4] <= unchanged_since]
        for uid, message, old_flags, old_keywords, _ in rows:
            group = had.get((old_flags, old_keywords))  # type: ignore[call-overload] # a tuple is as good
            if group is None:
                group = had[_State(old_flags, old_keywords)] = _Group([], [])
            group.uids.append(uid)
            group.messages.append(message)
    changes = {old: change(*old) for old in had}
    changing = {old: had[old] for old, new in changes.items() if new != old}
    changed = _stored([(changes[old], group) for old, group in changing.items()])
    unchanged = _stored([(old, group) for old, group in had.items() if old not in changing])
    if not changing:
        return StoreResult(await _highest(tx, account, mailbox), [], unchanged, refused)
    modseq = await advance(tx, account)
    await counters.refuse(tx, account, mailbox)
    whole = pieces if not refused else None
    await _write(tx, account, mailbox, modseq, changing, changes, whole)
    await _write_elsewhere(tx, account, mailbox, modseq, changing, changes)
    return StoreResult(modseq, changed, unchanged, refused)


def _stored(groups: Sequence[tuple[_State, _Group]]) -> list[Stored]:
    """Say of each entry of some groups which flags it has."""
    found: list[Stored] = []
    for state, group in groups:
        flags, keywords = Flags(state.flags), unpack_keywords(state.keywords)
        found += map(Stored._make, zip(group.uids, repeat(flags), repeat(keywords)))
    if len(groups) > 1:
        found.sort(key=itemgetter(0))
    return found


def _change(
    mode: StoreMode, flags: Flags, keywords: Keywords, changeable: Flags, keywords_changeable: bool
) -> Callable[[int, str | None], _State]:
    """Make the function from an entry's state to its new one. Few states occur, so each is thought through once."""
    known: dict[tuple[int, str | None], _State] = {}
    dropped = {keyword.casefold() for keyword in keywords}

    def change(old_flags: int, old_keywords: str | None) -> _State:
        state = known.get((old_flags, old_keywords))
        if state is None:
            had = unpack_keywords(old_keywords)
            match mode:
                case StoreMode.SET:
                    # Case as first set: a keyword that is there already keeps its spelling.
                    kept = [keyword for keyword in had if keyword.casefold() in dropped]
                    state = _State(int(flags), pack_keywords(normalise_keywords((*kept, *keywords))))
                case StoreMode.ADD:
                    state = _State(old_flags | flags, pack_keywords(normalise_keywords((*had, *keywords))))
                case StoreMode.REMOVE:
                    left = tuple(keyword for keyword in had if keyword.casefold() not in dropped)
                    state = _State(old_flags & ~int(flags), pack_keywords(left))
            kept_bits = old_flags & ~int(changeable)
            state = _State(
                kept_bits | state.flags & int(changeable), state.keywords if keywords_changeable else old_keywords
            )
            known[old_flags, old_keywords] = state
        return state

    return change


async def _highest(tx: Transaction, account: AccountId, mailbox: MailboxId) -> ModSeq:
    row = await tx.fetch_one("SELECT highest_modseq FROM mailbox WHERE account = ? AND id = ?", account, mailbox)
    await counters.refuse(tx, account, mailbox)
    return ModSeq(row[0] if row else 0)


async def _write(
    tx: Transaction,
    account: AccountId,
    mailbox: MailboxId,
    modseq: ModSeq,
    groups: dict[_State, _Group],
    changes: dict[_State, _State],
    asked: list[sets.Piece] | None = None,
) -> None:
    """Write new states of entries of one mailbox, its counters and its row in the log.

    `asked`: pieces in which every entry of an old state is one of the group's. A few of them are named at once,
    whichever entries of the group lie there.
    """
    unseen = deleted = 0
    for old, group in groups.items():
        new, count = changes[old], len(group.uids)
        pieces = list(sets.pieces(group.uids))
        condition: tuple[int | str | None, ...] = ()
        if asked is not None and len(asked) < len(pieces):
            pieces, condition = asked, (*old, modseq)
        for piece in pieces:
            await tx.execute(
                f"{_UPDATE} {piece.clause}{_IN_STATE if condition else ''}",
                *new,
                modseq,
                account,
                mailbox,
                *piece.values,
                *condition,
            )
        more_unseen, more_deleted = counters.flags_changed(old.flags, new.flags)
        unseen += more_unseen * count
        deleted += more_deleted * count
    await counters.add(tx, account, mailbox, modseq, counters.Figures(0, unseen, deleted, 0))
    touched = sorted(pair for group in groups.values() for pair in zip(group.uids, group.messages, strict=True))
    uids, messages = [pair[0] for pair in touched], [pair[1] for pair in touched]
    await record(tx, account, modseq, mailbox, ChangeKind.UPDATED, uids, messages)


async def _write_elsewhere(
    tx: Transaction,
    account: AccountId,
    mailbox: MailboxId,
    modseq: ModSeq,
    groups: dict[_State, _Group],
    changes: dict[_State, _State],
) -> None:
    """Write the new states to the entries that the same messages have in other mailboxes."""
    row = await tx.fetch_one("SELECT entry_count - message_count FROM account WHERE id = ?", account)
    if row is None or not row[0]:
        return  # each message has one entry
    elsewhere: dict[MailboxId, dict[_State, list[tuple[Uid, MessageId]]]] = {}
    for old, group in groups.items():  # all entries of a message agree: its state is the same there
        for piece in sets.pieces(sorted(group.messages)):
            rows = await tx.fetch_all(
                f"SELECT mailbox, uid, message FROM entry WHERE account = ? AND message {piece.clause}",
                account,
                *piece.values,
            )
            for other, uid, message in rows:
                if other != mailbox:
                    elsewhere.setdefault(other, {}).setdefault(old, []).append((uid, message))
    for other, found in elsewhere.items():
        there = {}
        for old, pairs in found.items():
            pairs.sort()  # they came by message
            there[old] = _Group([pair[0] for pair in pairs], [pair[1] for pair in pairs])
        await _write(tx, account, other, modseq, there, changes)
