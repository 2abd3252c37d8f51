"""What was learnt of wanted mail and junk: counts of tokens, for each account and for all, and reputations.

A message is learnt once, as one or the other; when its owner thinks again it is unlearnt first. Account 0 is everybody:
what it holds serves accounts that have taught little themselves. None of them can teach everybody much: past
`FREE_SHARE` messages of a kind it is one in `SHARE_OF` of them, so that a stolen or malicious account is one voice
among many.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import NamedTuple

from pennypost.model.ids import AccountId, DomainId, MessageId, ModSeq
from pennypost.store import sets
from pennypost.store.engine import Transaction, from_microseconds, to_microseconds

EVERYBODY = AccountId(0)

FREE_SHARE = 100
"""Messages of each kind that any account may teach everybody."""
SHARE_OF = 10
"""One in so many of all that everybody has learnt of a kind may be of one account."""
_MICROSECONDS_OF_A_DAY = 86_400_000_000


class Seen(NamedTuple):
    """Messages of each kind."""

    wanted: int
    junk: int


@dataclass(frozen=True, slots=True)
class Lesson:
    """What one message teaches. `senders`: subjects of reputation: who sent it, from which network, in
    which language."""

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


async def counts(tx: Transaction, account: AccountId, tokens: Collection[int]) -> list[tuple[int, int, int]]:
    """Give (token, wanted, junk) of those tokens that are known. May run as a read; some hundred look-ups by key."""
    found: list[tuple[int, int, int]] = []
    for piece in sets.listed(sorted(tokens)):  # numbers by chance: no two are neighbours
        sql = f"SELECT token, wanted, junk FROM junk_token WHERE account = ? AND token {piece.clause}"
        found += await tx.fetch_all(sql, account, *piece.values)
    return found


async def reputations(tx: Transaction, account: AccountId, subjects: Sequence[str]) -> dict[str, Seen]:
    """Give what an account learnt of senders, networks, languages. At most a handful of subjects."""
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
    shared = account == EVERYBODY or await _may_share(tx, account, junk=junk)
    if message is not None:
        row = await tx.fetch_one(
            "SELECT junk, shared FROM junk_message WHERE account = ? AND message = ?", account, message
        )
        if row is not None and bool(row[0]) is junk:
            return False
        if row is not None:
            await _count(tx, account, lesson, junk=not junk, by=-1, shared=bool(row[1]))
        await tx.execute(
            "INSERT INTO junk_message (account, message, junk, shared) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (account, message) DO UPDATE SET junk = excluded.junk, shared = excluded.shared",
            account,
            message,
            int(junk),
            int(shared),
        )
    await _count(tx, account, lesson, junk=junk, by=1, shared=shared)
    return True


async def _may_share(tx: Transaction, account: AccountId, *, junk: bool) -> bool:
    """Whether everybody learns one more message of a kind from an account."""
    kind = "junk" if junk else "wanted"
    row = await tx.fetch_one(
        f"SELECT o.shared_{kind}, COALESCE((SELECT e.{kind} FROM junk_learnt e WHERE e.account = 0), 0) "
        "FROM junk_learnt o WHERE o.account = ?",
        account,
    )
    return row is None or row[0] < max(FREE_SHARE, row[1] // SHARE_OF)


async def _count(tx: Transaction, account: AccountId, lesson: Lesson, *, junk: bool, by: int, shared: bool) -> None:
    wanted_by, junk_by = (0, by) if junk else (by, 0)
    first = (max(wanted_by, 0), max(junk_by, 0))
    change = (wanted_by, wanted_by, junk_by, junk_by)
    now = to_microseconds(tx.now)
    day = now // _MICROSECONDS_OF_A_DAY
    for owner in {account, EVERYBODY} if shared else {account}:
        await tx.execute_many(
            "INSERT INTO junk_token (account, token, wanted, junk, day) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (account, token) DO UPDATE SET day = excluded.day, "
            f"{_added('junk_token')}",
            [(owner, token, *first, day, *change) for token in lesson.tokens],
        )
        await tx.execute(
            "INSERT INTO junk_learnt (account, wanted, junk) VALUES (?, ?, ?) "
            "ON CONFLICT (account) DO UPDATE SET "
            f"{_added('junk_learnt')}",
            owner,
            *first,
            *change,
        )
    if shared and account != EVERYBODY:
        await tx.execute(
            f"UPDATE junk_learnt SET {_added('junk_learnt', 'shared_')} WHERE account = ?", *change, account
        )
    await tx.execute_many(
        "INSERT INTO reputation (account, subject, wanted, junk, last_at) VALUES (?, ?, ?, ?, ?) "
        f"ON CONFLICT (account, subject) DO UPDATE SET {_added('reputation')}, last_at = excluded.last_at",
        [(account, subject, *first, now, *change) for subject in lesson.senders],
    )


def _added(table: str, kinds: str = "") -> str:
    """Say in SQL how counts change: by the same number twice for each, and never below nothing."""
    return ", ".join(
        f"{column} = CASE WHEN {table}.{column} + ? > 0 THEN {table}.{column} + ? ELSE 0 END"
        for column in (f"{kinds}wanted", f"{kinds}junk")
    )


async def note_heard(tx: Transaction, account: AccountId, subject: str) -> None:
    """Remember that a sender wrote to an account, and was not taken for junk."""
    await tx.execute(
        "INSERT INTO reputation (account, subject, wanted, junk, last_at) VALUES (?, ?, 0, 0, ?) "
        "ON CONFLICT (account, subject) DO UPDATE SET last_at = excluded.last_at",
        account,
        subject,
        to_microseconds(tx.now),
    )


# -- Answers to what was sent


def hash_of_id(message_id: bytes) -> int:
    """Give the number by which a Message-ID, without its angle brackets, is known."""
    return int.from_bytes(blake2b(message_id.strip(b" \t<>"), digest_size=8).digest(), "big", signed=True)


async def note_sent(tx: Transaction, account: AccountId, message_id: bytes) -> None:
    """Remember the Message-ID of what an account sends."""
    await tx.execute(
        "INSERT INTO sent_id (account, id, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        account,
        hash_of_id(message_id),
        to_microseconds(tx.now),
    )


async def has_sent(tx: Transaction, account: AccountId, message_ids: Sequence[int]) -> bool:
    """Whether an account has sent one of some messages, given by `hash_of_id`."""
    if not message_ids:
        return False
    marks = ", ".join("?" * len(message_ids))
    sql = f"SELECT 1 FROM sent_id WHERE account = ? AND id IN ({marks}) LIMIT 1"
    return await tx.fetch_one(sql, account, *message_ids) is not None


async def sent_at(tx: Transaction, account: AccountId, message_id: bytes) -> datetime | None:
    """Give when an account sent a message, by its Message-ID: the `now` of the transaction that took it."""
    sql = "SELECT at FROM sent_id WHERE account = ? AND id = ?"
    row = await tx.fetch_one(sql, account, hash_of_id(message_id))
    return None if row is None else from_microseconds(row[0])


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


async def too_many(tx: Transaction, most: int, limit: int) -> list[tuple[AccountId, list[int]]]:
    """Name tokens to forget, so that no account, nor everybody, has more than `most`: first what came seldom, and of
    that what was learnt longest ago. At most `limit` for each. Reads all tokens there are: for a thread, now and then.
    """
    rows = await tx.fetch_all(
        "SELECT account, COUNT(*) FROM junk_token GROUP BY account HAVING COUNT(*) > ? ORDER BY account", most
    )
    found: list[tuple[AccountId, list[int]]] = []
    for account, count in rows:
        tokens = await tx.fetch_all(
            "SELECT token FROM junk_token WHERE account = ? ORDER BY wanted + junk, day LIMIT ?",
            account,
            min(count - most, limit),
        )
        found.append((AccountId(account), [token for (token,) in tokens]))
    return found


async def forget_tokens(tx: Transaction, account: AccountId, tokens: Sequence[int]) -> None:
    """Forget some tokens."""
    for piece in sets.pieces(sorted(tokens)):
        await tx.execute(f"DELETE FROM junk_token WHERE account = ? AND token {piece.clause}", account, *piece.values)


async def forget(tx: Transaction, memory: timedelta, limit: int = 1000) -> int:
    """Forget tokens that were unlearnt again, messages that are gone, and senders nothing was heard of for so long.
    Gives how many rows."""
    gone = await tx.execute(
        "DELETE FROM junk_message WHERE (account, message) IN (SELECT account, message FROM junk_message j "
        "WHERE NOT EXISTS (SELECT 1 FROM entry e WHERE e.account = j.account AND e.message = j.message) LIMIT ?)",
        limit,
    )
    gone += await tx.execute(
        "DELETE FROM junk_token WHERE (account, token) IN "
        "(SELECT account, token FROM junk_token WHERE wanted = 0 AND junk = 0 LIMIT ?)",
        limit,
    )
    gone += await tx.execute(
        "DELETE FROM sent_id WHERE (account, id) IN (SELECT account, id FROM sent_id WHERE at < ? LIMIT ?)",
        to_microseconds(tx.now - memory),
        limit,
    )
    return gone + await tx.execute(
        "DELETE FROM reputation WHERE (account, subject) IN "
        "(SELECT account, subject FROM reputation WHERE last_at < ? LIMIT ?)",
        to_microseconds(tx.now - memory),
        limit,
    )


# -- Thresholds


class Thresholds(NamedTuple):
    """From which scores on what becomes of a message; None: not said. `defer`, `refuse`: 0 is never."""

    junk: float | None = None
    defer: float | None = None
    refuse: float | None = None


_OF_DOMAIN, _OF_ACCOUNT = 0, 1


async def thresholds(tx: Transaction, account: AccountId) -> Thresholds:
    """Give what was set for an account, or else for its domain. One statement."""
    rows = await tx.fetch_all(
        "SELECT junk, defer, refuse FROM junk_threshold WHERE (kind = 1 AND owner = ?) OR "
        "(kind = 0 AND owner = (SELECT domain FROM account WHERE id = ?)) ORDER BY kind DESC",
        account,
        account,
    )
    return Thresholds(*(next((row[n] for row in rows if row[n] is not None), None) for n in range(3)))


async def domain_thresholds(tx: Transaction, domain: DomainId) -> Thresholds:
    """Give what was set for all accounts of a domain."""
    sql = "SELECT junk, defer, refuse FROM junk_threshold WHERE kind = ? AND owner = ?"
    row = await tx.fetch_one(sql, _OF_DOMAIN, domain)
    return Thresholds() if row is None else Thresholds(*row)


async def set_thresholds(tx: Transaction, owner: AccountId | DomainId, wanted: Thresholds, *, domain: bool) -> None:
    """Set thresholds of an account, or of all accounts of a domain. All None: as if never set."""
    kind = _OF_DOMAIN if domain else _OF_ACCOUNT
    await tx.execute("DELETE FROM junk_threshold WHERE kind = ? AND owner = ?", kind, owner)
    if any(one is not None for one in wanted):
        await tx.execute(
            "INSERT INTO junk_threshold (kind, owner, junk, defer, refuse) VALUES (?, ?, ?, ?, ?)", kind, owner, *wanted
        )


async def all_thresholds(tx: Transaction) -> list[tuple[str, Thresholds]]:
    """Give all that were set: domains ("example.org") first, then accounts."""
    rows = await tx.fetch_all(
        "SELECT COALESCE(d.name, a.name), t.junk, t.defer, t.refuse FROM junk_threshold t "
        "LEFT JOIN domain d ON t.kind = 0 AND d.id = t.owner LEFT JOIN account a ON t.kind = 1 AND a.id = t.owner "
        "ORDER BY t.kind, 1"
    )
    return [(name, Thresholds(*row)) for name, *row in rows if name is not None]


async def find_by_message_id(tx: Transaction, account: AccountId, message_id: bytes) -> MessageId | None:
    """Find the newest message of an account with a Message-ID, with or without angle brackets. Reads all of its
    messages: for an administrator, not for mail that comes."""
    bare = message_id.strip(b" \t<>")
    row = await tx.fetch_one(
        "SELECT e.message FROM entry e JOIN message m ON m.slot = e.slot "
        "WHERE e.account = ? AND m.message_id_field IN (?, ?) ORDER BY e.message DESC LIMIT 1",
        account,
        bare,
        b"<%b>" % bare,
    )
    return None if row is None else MessageId(row[0])
