"""The log of changes: what was made, changed and removed, one row per operation, mailbox and kind.

Snapshots of open mailboxes, QRESYNC (RFC 7162 §3.2), states of JMAP (RFC 8620 §5.2) and push all read it. An
account has one modification sequence; every operation advances it once (`advance`, or `quota.charge`) and marks all it
touches with the last number it was given. Rows that are old may be pruned: up to `changes_floor` the log is not whole,
and who asks for older compares in full.

That a new message came is in no row of the log, since deliveries are what happens most: its id is the number that it
came with, and the index of entries by message tells the rest. Readers look there, too. What is copied or moved is in
the log.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from operator import itemgetter

from pennypost.model.errors import NoSuchAccount
from pennypost.model.ids import AccountId, MailboxId, ModSeq, Uid
from pennypost.store import sets
from pennypost.store.engine import Transaction, to_microseconds


class ChangeKind(IntEnum):
    """The numbers are stored, and rows of one operation are read in their order: never change them."""

    EXPUNGED = 1
    """Entries left the mailbox. Their messages are gone too, unless they have other entries."""
    APPENDED = 2
    """Entries were copied or moved into the mailbox, or given one more; and, made by `since`, messages came."""
    UPDATED = 3
    """Flags or keywords of entries changed."""
    MAILBOX_CREATED = 4
    MAILBOX_UPDATED = 5
    """Name, role, subscription or whether it can be selected."""
    MAILBOX_REMOVED = 6
    SEEN = 7
    """`\\Seen` of entries changed for one reader of another's mailbox, whose account stands in `messages`.
    Nobody else's business: `since` leaves it out."""


@dataclass(frozen=True, slots=True)
class Change:
    """What one operation did in one mailbox. `uids`, `messages`: set text (`sets`), None for a mailbox itself."""

    modseq: ModSeq
    mailbox: MailboxId
    kind: ChangeKind
    uids: str | None
    messages: str | None


async def advance(tx: Transaction, account: AccountId, count: int = 1) -> ModSeq:
    """Draw `count` numbers from the account's modification sequence and give the last one. Raises NoSuchAccount."""
    row = await tx.fetch_one(
        "UPDATE account SET modseq = modseq + ? WHERE id = ? AND removed = 0 RETURNING modseq", count, account
    )
    if row is None:
        raise NoSuchAccount
    return ModSeq(row[0])


async def record(
    tx: Transaction,
    account: AccountId,
    modseq: ModSeq,
    mailbox: MailboxId,
    kind: ChangeKind,
    uids: Sequence[int] | str = (),
    messages: Sequence[int] | str = (),
) -> None:
    """Write one row of the log and let the account's sessions be told after the commit.

    `uids` ascend. `messages` are written in any order, since a set is what readers ask for. Both may be set text.
    """
    await tx.execute(
        "INSERT INTO change (account, modseq, mailbox, kind, uids, messages, made_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        account,
        modseq,
        mailbox,
        int(kind),
        (uids if isinstance(uids, str) else sets.to_text(uids)) if uids else None,
        (messages if isinstance(messages, str) else sets.text_of(messages)) if messages else None,
        to_microseconds(tx.now),
    )
    tx.changed(account, modseq)


async def state(tx: Transaction, account: AccountId) -> tuple[ModSeq, ModSeq]:
    """Give the account's last modification sequence and the floor below which its log is not whole."""
    row = await tx.fetch_one("SELECT modseq, changes_floor FROM account WHERE id = ? AND removed = 0", account)
    if row is None:
        raise NoSuchAccount
    return ModSeq(row[0]), ModSeq(row[1])


async def since(
    tx: Transaction, account: AccountId, modseq: ModSeq, mailbox: MailboxId | None = None
) -> list[Change] | None:
    """Give what happened after a state, oldest first, in all mailboxes or in one.

    None: the log does not go back that far (`prune`); the reader compares in full. Raises NoSuchAccount.
    """
    newest, floor = await state(tx, account)
    if modseq < floor:
        return None
    if modseq >= newest:
        return []
    rows = await tx.fetch_all(
        "SELECT modseq, mailbox, kind, uids, messages FROM change WHERE account = ? AND modseq > ? AND kind < 7",
        account,
        modseq,
    )
    told = {(row[1], uid) for row in rows if row[2] == ChangeKind.APPENDED for uid in sets.numbers(row[3])}
    came = await tx.fetch_all(
        "SELECT message, mailbox, uid FROM entry WHERE account = ? AND message > ?", account, modseq
    )
    rows += [
        (message, where, ChangeKind.APPENDED, str(uid), str(message))
        for message, where, uid in came
        if (where, uid) not in told
    ]
    return [
        Change(row[0], row[1], ChangeKind(row[2]), row[3], row[4])
        for row in sorted(rows, key=itemgetter(0, 1, 2))
        if mailbox in (None, row[1])
    ]


async def touched(
    tx: Transaction, account: AccountId, modseq: ModSeq, reader: AccountId
) -> tuple[ModSeq, frozenset[MailboxId] | None]:
    """Give the account's last modseq, and the mailboxes in which messages came, went or changed after a state.

    `reader`: who asks; what others set for themselves alone is left out. None: mailboxes themselves were made,
    changed or removed, or the log does not go back that far. Raises NoSuchAccount.
    """
    newest, floor = await state(tx, account)
    if modseq < floor:
        return newest, None
    if modseq >= newest:
        return newest, frozenset()
    rows = await tx.fetch_all(
        "SELECT mailbox, MAX(CASE WHEN kind IN (4, 5, 6) THEN 1 ELSE 0 END) FROM change "
        "WHERE account = ? AND modseq > ? AND (kind < 7 OR messages = ?) GROUP BY mailbox",
        account,
        modseq,
        str(reader),
    )
    if any(itself for _, itself in rows):
        return newest, None
    came = await tx.fetch_all("SELECT DISTINCT mailbox FROM entry WHERE account = ? AND message > ?", account, modseq)
    return newest, frozenset([row[0] for row in rows] + [row[0] for row in came])


async def vanished(
    tx: Transaction, account: AccountId, mailbox: MailboxId, modseq: ModSeq
) -> list[tuple[Uid, Uid]] | None:
    """Give the UIDs expunged after a state, as ascending ranges with both ends (RFC 7162 §3.2.10).

    None: the log does not go back that far; every UID below `uid_next` that has no entry has to be named instead.
    """
    _, floor = await state(tx, account)
    if modseq < floor:
        return None
    rows = await tx.fetch_all(
        "SELECT uids FROM change WHERE account = ? AND modseq > ? AND mailbox = ? AND kind = ?",
        account,
        modseq,
        mailbox,
        int(ChangeKind.EXPUNGED),
    )
    merged = sorted({uid for row in rows for uid in sets.numbers(row[0])})
    return [(Uid(first), Uid(last)) for first, last in sets.runs(merged)]


async def prune(tx: Transaction, account: AccountId, age: timedelta, limit: int = 1000) -> int:
    """Remove about `limit` of an account's oldest rows, of those that are older than `age`. Gives how many.

    Rows of one operation go together.
    What is open in a session for longer than `age` without a look at the store is read in full the next time.
    """
    rows = await tx.fetch_all(
        "SELECT modseq FROM change WHERE account = ? AND made_at < ? ORDER BY modseq LIMIT ?",
        account,
        to_microseconds(tx.now - age),
        limit,
    )
    if not rows:
        return 0
    floor = rows[-1][0]
    await tx.execute("UPDATE account SET changes_floor = ? WHERE id = ? AND changes_floor < ?", floor, account, floor)
    return await tx.execute("DELETE FROM change WHERE account = ? AND modseq <= ?", account, floor)
