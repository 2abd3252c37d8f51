"""STORE (RFC 9051 §6.4.6, RFC 7162 §3.1.3): flags and keywords of messages, in sets of rows.

Only what really changes is written: an entry that has the flags already keeps its modseq, and when no entry changes
nothing is written and no number of the modification sequence is used (RFC 7162 §3.1.3 asks for a new one on a change).
All entries of a message carry the same flags: a change goes to the other mailboxes the message lies in too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from pennypost.model.flags import ALL_FLAGS, Flags, Keywords
from pennypost.model.ids import AccountId, MailboxId, MessageId, ModSeq, Uid
from pennypost.store import counters, sets
from pennypost.store.changes import ChangeKind, advance, record
from pennypost.store.engine import Row, Transaction
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


class _Changed(NamedTuple):
    uid: Uid
    message: MessageId
    old_flags: int


_SELECT = "SELECT uid, message, flags, keywords, modseq FROM entry WHERE account = ? AND mailbox = ? AND uid "


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
    result = StoreResult(ModSeq(0), [], [], [])
    groups: dict[_State, list[_Changed]] = {}
    for piece in sets.pieces(sorted(set(uids))):
        for row in await tx.fetch_all(_SELECT + f"{piece.clause} ORDER BY uid", account, mailbox, *piece.values):
            _judge(row, change, unchanged_since, result, groups)
    if not groups:
        return StoreResult(await _highest(tx, account, mailbox), [], result.unchanged, result.refused)
    modseq = await advance(tx, account)
    await counters.refuse(tx, account, mailbox)
    await _write(tx, account, mailbox, modseq, groups)
    await _write_elsewhere(tx, account, mailbox, modseq, groups)
    return StoreResult(modseq, result.changed, result.unchanged, result.refused)


def _judge(
    row: Row,
    change: Callable[[int, str | None], _State],
    unchanged_since: ModSeq | None,
    result: StoreResult,
    groups: dict[_State, list[_Changed]],
) -> None:
    uid, message, old_flags, old_keywords, modseq = row
    if unchanged_since is not None and modseq > unchanged_since:
        result.refused.append(uid)
        return
    new = change(old_flags, old_keywords)
    stored = Stored(uid, Flags(new.flags), unpack_keywords(new.keywords))
    if new.flags == old_flags and new.keywords == old_keywords:
        result.unchanged.append(stored)
        return
    result.changed.append(stored)
    groups.setdefault(new, []).append(_Changed(uid, message, old_flags))


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
    groups: dict[_State, list[_Changed]],
) -> None:
    """Write new states of entries of one mailbox, its counters and its row in the log."""
    unseen = deleted = 0
    for state, entries in groups.items():
        for piece in sets.pieces([entry.uid for entry in entries]):
            await tx.execute(
                "UPDATE entry SET flags = ?, keywords = ?, modseq = ? "
                f"WHERE account = ? AND mailbox = ? AND uid {piece.clause}",
                state.flags,
                state.keywords,
                modseq,
                account,
                mailbox,
                *piece.values,
            )
        for entry in entries:
            more_unseen, more_deleted = counters.flags_changed(entry.old_flags, state.flags)
            unseen += more_unseen
            deleted += more_deleted
    await counters.add(tx, account, mailbox, modseq, counters.Figures(0, unseen, deleted, 0))
    touched = sorted(entry for entries in groups.values() for entry in entries)
    uids, messages = [entry.uid for entry in touched], [entry.message for entry in touched]
    await record(tx, account, modseq, mailbox, ChangeKind.UPDATED, uids, messages)


async def _write_elsewhere(
    tx: Transaction,
    account: AccountId,
    mailbox: MailboxId,
    modseq: ModSeq,
    groups: dict[_State, list[_Changed]],
) -> None:
    """Write the new states to the entries that the same messages have in other mailboxes."""
    row = await tx.fetch_one("SELECT entry_count - message_count FROM account WHERE id = ?", account)
    if row is None or not row[0]:
        return  # each message has one entry
    elsewhere: dict[MailboxId, dict[_State, list[_Changed]]] = {}
    for state, entries in groups.items():
        # All entries of a message agree, so the old flags are known; the rest the index alone tells.
        old_flags = {entry.message: entry.old_flags for entry in entries}
        for piece in sets.pieces(sorted(old_flags)):
            rows = await tx.fetch_all(
                f"SELECT mailbox, uid, message FROM entry WHERE account = ? AND message {piece.clause}",
                account,
                *piece.values,
            )
            for other, uid, message in rows:
                if other != mailbox:
                    found = elsewhere.setdefault(other, {}).setdefault(state, [])
                    found.append(_Changed(uid, message, old_flags[message]))
    for other, found_groups in elsewhere.items():
        for found in found_groups.values():
            found.sort()  # they came by message
        await _write(tx, account, other, modseq, found_groups)
