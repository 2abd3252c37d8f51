"""What was learnt of wanted mail and junk: counts of tokens, for each account and for all, and reputations of senders.

A message is learnt once, as one or the other; when its owner thinks again it is unlearnt first. Account 0 is everybody:
what it holds serves accounts that have taught little themselves.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from pennypost.model.ids import AccountId, MessageId, ModSeq
from pennypost.store import sets
from pennypost.store.engine import Transaction, to_microseconds

EVERYBODY = AccountId(0)


class Seen(NamedTuple):
    """Messages of each kind."""

    wanted: int
    junk: int


@dataclass(frozen=True, slots=True)
class Lesson:
    """What one message teaches. `senders`: subjects of its sender's reputation."""

    tokens: Collection[int]
    senders: Sequence[str]


async def learnt(tx: Transaction, account: AccountId) -> Seen:
    """Give how many messages were learnt for an account in all."""
    row = await tx.fetch_one("SELECT wanted, junk FROM junk_learnt WHERE account = ?", account)
    return Seen(0, 0) if row is None else Seen(*row)


async def all_learnt(tx: Transaction) -> list[tuple[str | None, Seen]]:
    """Give how much was learnt: for everybody (None) first, then by account name."""
    rows = await tx.fetch_all(
        "SELECT a.name, l.wanted, l.junk FROM junk_learnt l LEFT JOIN account a ON a.id = l.account ORDER BY a.name"
    )
    return [(name, Seen(wanted, junk)) for name, wanted, junk in rows]


async def counts(tx: Transaction, account: AccountId, tokens: Iterable[int]) -> dict[int, Seen]:
    """Give the counts of those tokens that are known. May run as a read; some hundred look-ups by key."""
    found: dict[int, Seen] = {}
    for piece in sets.pieces(sorted(set(tokens))):
        sql = f"SELECT token, wanted, junk FROM junk_token WHERE account = ? AND token {piece.clause}"
        for token, wanted, junk in await tx.fetch_all(sql, account, *piece.values):
            found[token] = Seen(wanted, junk)
    return found


async def reputations(tx: Transaction, account: AccountId, subjects: Sequence[str]) -> dict[str, Seen]:
    """Give what an account learnt of senders. At most a handful of subjects."""
    if not subjects:
        return {}
    marks = ", ".join("?" * len(subjects))
    sql = f"SELECT subject, wanted, junk FROM reputation WHERE account = ? AND subject IN ({marks})"
    return {subject: Seen(wanted, junk) for subject, wanted, junk in await tx.fetch_all(sql, account, *subjects)}


async def has_written_to(tx: Transaction, account: AccountId, address_key: str) -> bool:
    """Say whether an account has sent mail to an address."""
    sql = "SELECT 1 FROM written_to WHERE account = ? AND address = ?"
    return await tx.fetch_one(sql, account, address_key) is not None


async def learn(tx: Transaction, account: AccountId, message: MessageId | None, lesson: Lesson, *, junk: bool) -> bool:
    """Learn a message, for its account and for everybody. False: it was learnt as the same before.

    `message` None is one that is in no mailbox: it is counted however often it comes.
    """
    if message is not None:
        row = await tx.fetch_one("SELECT junk FROM junk_message WHERE account = ? AND message = ?", account, message)
        if row is not None and bool(row[0]) is junk:
            return False
        if row is not None:
            await _count(tx, account, lesson, junk=not junk, by=-1)
        await tx.execute(
            "INSERT INTO junk_message (account, message, junk) VALUES (?, ?, ?) "
            "ON CONFLICT (account, message) DO UPDATE SET junk = excluded.junk",
            account,
            message,
            int(junk),
        )
    await _count(tx, account, lesson, junk=junk, by=1)
    return True


async def _count(tx: Transaction, account: AccountId, lesson: Lesson, *, junk: bool, by: int) -> None:
    wanted_by, junk_by = (0, by) if junk else (by, 0)
    first = (max(wanted_by, 0), max(junk_by, 0))
    change = (wanted_by, wanted_by, junk_by, junk_by)
    now = to_microseconds(tx.now)
    for owner in {account, EVERYBODY}:
        await tx.execute_many(
            "INSERT INTO junk_token (account, token, wanted, junk) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (account, token) DO UPDATE SET "
            f"{_added('junk_token')}",
            [(owner, token, *first, *change) for token in sorted(lesson.tokens)],  # neighbours share pages
        )
        await tx.execute(
            "INSERT INTO junk_learnt (account, wanted, junk) VALUES (?, ?, ?) "
            "ON CONFLICT (account) DO UPDATE SET "
            f"{_added('junk_learnt')}",
            owner,
            *first,
            *change,
        )
    await tx.execute_many(
        "INSERT INTO reputation (account, subject, wanted, junk, last_at) VALUES (?, ?, ?, ?, ?) "
        f"ON CONFLICT (account, subject) DO UPDATE SET {_added('reputation')}, last_at = excluded.last_at",
        [(account, subject, *first, now, *change) for subject in lesson.senders],
    )


def _added(table: str) -> str:
    """Say in SQL how counts change: by the same number twice for each, and never below nothing."""
    return ", ".join(
        f"{kind} = CASE WHEN {table}.{kind} + ? > 0 THEN {table}.{kind} + ? ELSE 0 END" for kind in ("wanted", "junk")
    )


# -- Following what people do


async def followed(tx: Transaction, account: AccountId) -> ModSeq:
    """Give how far an account's changes were followed."""
    row = await tx.fetch_one("SELECT modseq FROM junk_followed WHERE account = ?", account)
    return ModSeq(0 if row is None else row[0])


async def follow(tx: Transaction, account: AccountId, modseq: ModSeq) -> None:
    """Note that an account's changes were followed so far."""
    await tx.execute(
        "INSERT INTO junk_followed (account, modseq) VALUES (?, ?) "
        "ON CONFLICT (account) DO UPDATE SET modseq = excluded.modseq",
        account,
        modseq,
    )


async def behind(tx: Transaction, limit: int) -> list[tuple[AccountId, ModSeq]]:
    """Give accounts that have changes which were not followed yet, with how far they were."""
    rows = await tx.fetch_all(
        "SELECT a.id, COALESCE(f.modseq, 0) FROM account a LEFT JOIN junk_followed f ON f.account = a.id "
        "WHERE a.removed = 0 AND a.modseq > COALESCE(f.modseq, 0) ORDER BY a.id LIMIT ?",
        limit,
    )
    return [(AccountId(account), ModSeq(modseq)) for account, modseq in rows]


async def forget_account(tx: Transaction, account: AccountId) -> None:
    """Forget what an account has taught; what everybody has of it stays."""
    for table in ("junk_token", "junk_learnt", "junk_followed", "junk_message", "reputation"):
        await tx.execute(f"DELETE FROM {table} WHERE account = ?", account)


async def forget(tx: Transaction, memory: timedelta, limit: int = 1000) -> int:
    """Forget tokens that were unlearnt again, messages that are gone, and senders nothing was heard of for so long.
    Gives how many rows."""
    gone = await tx.execute(
        "DELETE FROM junk_message WHERE (account, message) IN (SELECT account, message FROM junk_message j "
        "WHERE NOT EXISTS (SELECT 1 FROM message m WHERE m.account = j.account AND m.id = j.message) LIMIT ?)",
        limit,
    )
    gone += await tx.execute(
        "DELETE FROM junk_token WHERE (account, token) IN "
        "(SELECT account, token FROM junk_token WHERE wanted = 0 AND junk = 0 LIMIT ?)",
        limit,
    )
    return gone + await tx.execute(
        "DELETE FROM reputation WHERE (account, subject) IN "
        "(SELECT account, subject FROM reputation WHERE last_at < ? LIMIT ?)",
        to_microseconds(tx.now - memory),
        limit,
    )
