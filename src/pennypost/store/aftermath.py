"""What clients did to the stored copies of messages: moves, flags, removals, read out of the log of changes.

So a message's story goes on after its delivery, and nothing is written for it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from pennypost.model.flags import FLAG_NAMES, Flags
from pennypost.model.ids import AccountId, MessageId
from pennypost.store import flag_notes, sets
from pennypost.store.changes import ChangeKind
from pennypost.store.engine import Transaction, from_microseconds
from pennypost.store.keywords import unpack_keywords

MAX_ROWS = 200_000
"""Rows of one account's log that are looked at: what it did after that is not told of."""


class Deed(NamedTuple):
    """One thing that was done to a copy. `facts`: what and how, a word each."""

    at: datetime
    account: AccountId
    message: MessageId
    facts: Mapping[str, str]


async def deeds(tx: Transaction, account: AccountId, messages: Sequence[MessageId]) -> list[Deed]:
    """Tell what was done to copies in an account after they were put there, in order. Reads much: for `scan`."""
    if not messages:
        return []
    names: dict[int, str] = dict(
        await tx.fetch_all("SELECT id, name FROM mailbox WHERE account = ? AND removed = 0", account)
    )
    rows = await tx.fetch_all(
        "SELECT modseq, mailbox, kind, messages, made_at FROM change WHERE account = ? AND modseq > ? "
        "AND kind IN (?, ?, ?) AND messages IS NOT NULL ORDER BY modseq, kind LIMIT ?",
        account,
        min(messages),
        int(ChangeKind.EXPUNGED),
        int(ChangeKind.APPENDED),
        int(ChangeKind.UPDATED),
        MAX_ROWS,
    )
    found: list[Deed] = []
    left: dict[tuple[int, int], str] = {}
    for modseq, mailbox, kind, touched, made_at in rows:
        ranges = sets.ranges(touched)
        for message in messages:
            if modseq <= message or not any(first <= message <= last for first, last in ranges):
                continue
            at, name = from_microseconds(made_at), names.get(mailbox, "a mailbox that is gone")
            key = modseq, message
            match ChangeKind(kind):
                case ChangeKind.EXPUNGED:
                    left[key] = name
                    facts = {"removed": f"from {name}"}
                case ChangeKind.APPENDED if key in left:
                    found.remove(Deed(at, account, message, {"removed": f"from {left[key]}"}))
                    facts = {"moved": f"from {left[key]} to {name}"}
                case ChangeKind.APPENDED:
                    facts = {"put": f"into {name}"}
                case _:
                    facts = {"flags": "changed"}
            found.append(Deed(at, account, message, facts))
    return await _with_flags(tx, account, found)


async def _with_flags(tx: Transaction, account: AccountId, found: list[Deed]) -> list[Deed]:
    """Say at the last change of its flags which ones a copy has. The log knows only that there was a change."""
    last = {deed.message: number for number, deed in enumerate(found) if "flags" in deed.facts}
    for message, number in last.items():
        sql = (
            "SELECT uid, message, flags, keywords, modseq, mailbox FROM entry WHERE account = ? AND message = ? LIMIT 1"
        )
        row = await tx.fetch_one(sql, account, message)
        if row is not None:
            (row,) = (await flag_notes.of(tx, account, row[5])).over([row])
            flags = [name for flag, name in FLAG_NAMES.items() if Flags(row[2]) & flag]
            written = " ".join([*flags, *unpack_keywords(row[3])])
            found[number] = found[number]._replace(facts={"flags": f"changed: now {written or 'none'}"})
    return found
