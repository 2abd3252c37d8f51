"""What accounts send to other hosts: counts by the hour, whom they have written to, from where, and whether they may.

The counts are kept in the transaction that accepts a message, so that they are exact whatever happens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pennypost.model.ids import AccountId, ModSeq
from pennypost.store.engine import Transaction, from_microseconds, to_microseconds
from pennypost.store.queue import QUEUE

HOURS_OF_A_DAY = 24
_MICROSECONDS_OF_AN_HOUR = 3_600_000_000
HELD_BY_FREEZE = "held: sending is frozen for this account"
"""The last reply of deliveries that `freeze` has held, by which `unfreeze` knows them."""

_READY, _DEFERRED, _HELD = 0, 2, 3
"""queue.DeliveryState; what is leased is under way already."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What an account has sent in some time."""

    messages: int = 0
    recipients: int = 0
    new_recipients: int = 0
    bounces: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """In this hour of the clock, and in it and the 23 before."""

    hour: Counts
    day: Counts


@dataclass(frozen=True, slots=True)
class Freeze:
    """An account that may not send."""

    account: AccountId
    frozen_at: datetime
    reason: str


def _hour(tx: Transaction) -> int:
    return to_microseconds(tx.now) // _MICROSECONDS_OF_AN_HOUR


async def usage(tx: Transaction, account: AccountId) -> Usage:
    """Give what an account has sent. One statement; may run as a read."""
    hour = _hour(tx)
    rows = await tx.fetch_all(
        "SELECT hour, messages, recipients, new_recipients, bounces FROM sent WHERE account = ? AND hour > ?",
        account,
        hour - HOURS_OF_A_DAY,
    )
    now = next((Counts(*row[1:]) for row in rows if row[0] == hour), Counts())
    return Usage(now, Counts(*(sum(row[n] for row in rows) for n in range(1, 5))))


async def count(tx: Transaction, account: AccountId, counts: Counts) -> None:
    """Add to this hour's counts."""
    await tx.execute(
        "INSERT INTO sent (account, hour, messages, recipients, new_recipients, bounces) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (account, hour) DO UPDATE SET messages = sent.messages + excluded.messages, "
        "recipients = sent.recipients + excluded.recipients, "
        "new_recipients = sent.new_recipients + excluded.new_recipients, bounces = sent.bounces + excluded.bounces",
        account,
        _hour(tx),
        counts.messages,
        counts.recipients,
        counts.new_recipients,
        counts.bounces,
    )


async def strangers(tx: Transaction, account: AccountId, keys: Sequence[str]) -> int:
    """Count those of some address keys, all different, that an account has never written to. May run as a read."""
    new = 0
    for key in keys:
        if await tx.fetch_one("SELECT 1 FROM written_to WHERE account = ? AND address = ?", account, key) is None:
            new += 1
    return new


async def write_to(tx: Transaction, account: AccountId, keys: Sequence[str]) -> int:
    """Remember whom an account writes to. Gives how many of the address keys are new."""
    new = 0
    for key in keys:
        new += await tx.execute(
            "INSERT INTO written_to (account, address, first_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            account,
            key,
            to_microseconds(tx.now),
        )
    return new


# -- From where


async def send_from(tx: Transaction, account: AccountId, network: str) -> None:
    """Remember the network a submission came from."""
    now = to_microseconds(tx.now)
    await tx.execute(
        "INSERT INTO sending_network (account, network, first_at, last_at) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (account, network) DO UPDATE SET last_at = excluded.last_at",
        account,
        network,
        now,
        now,
    )


async def is_new_network(tx: Transaction, account: AccountId, network: str, age: timedelta) -> bool:
    """Whether an account that has sent from elsewhere for longer than `age` uses this network for less than that."""
    before = to_microseconds(tx.now - age)
    row = await tx.fetch_one(
        "SELECT SUM(CASE WHEN network = ? THEN 1 ELSE 0 END), COUNT(*) FROM sending_network "
        "WHERE account = ? AND first_at <= ?",
        network,
        account,
        before,
    )
    return row is not None and not row[0] and row[1] > 0


async def networks_since(tx: Transaction, account: AccountId, age: timedelta, besides: str) -> int:
    """Count the networks an account has sent from lately, one more among them."""
    row = await tx.fetch_one(
        "SELECT COUNT(*) FROM sending_network WHERE account = ? AND last_at > ? AND network <> ?",
        account,
        to_microseconds(tx.now - age),
        besides,
    )
    return 1 + (row[0] if row else 0)


# -- Frozen


async def frozen(tx: Transaction, account: AccountId) -> Freeze | None:
    """Say whether an account is frozen. One look into an index; may run as a read."""
    row = await tx.fetch_one("SELECT frozen_at, reason FROM frozen WHERE account = ?", account)
    return None if row is None else Freeze(account, from_microseconds(row[0]), row[1])


async def all_frozen(tx: Transaction) -> list[Freeze]:
    """List the accounts that are frozen."""
    rows = await tx.fetch_all("SELECT account, frozen_at, reason FROM frozen ORDER BY frozen_at LIMIT 10000")
    return [Freeze(account, from_microseconds(at), reason) for account, at, reason in rows]


async def freeze(tx: Transaction, account: AccountId, reason: str) -> bool:
    """Let an account send no more, and hold what of its mail waits in the queue. False: it was frozen already."""
    made = await tx.execute(
        "INSERT INTO frozen (account, frozen_at, reason) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        account,
        to_microseconds(tx.now),
        reason,
    )
    await tx.execute(
        "UPDATE delivery SET state = ?, last_reply = ? WHERE state IN (?, ?) "
        "AND queued IN (SELECT id FROM queued WHERE account = ?)",
        _HELD,
        HELD_BY_FREEZE,
        _READY,
        _DEFERRED,
        account,
    )
    return made > 0


async def unfreeze(tx: Transaction, account: AccountId) -> bool:
    """Let an account send again, its held mail too, scheduled mail when it is time for it (RFC 4865 §5).

    Counts of the past day are forgotten, so that it is not frozen again at once. Gives whether it was frozen."""
    removed = await tx.execute("DELETE FROM frozen WHERE account = ?", account)
    await tx.execute(
        "UPDATE delivery SET state = ?, next_attempt_at = "
        "CASE WHEN attempts = 0 AND next_attempt_at > ? THEN next_attempt_at ELSE ? END "
        "WHERE state = ? AND last_reply = ? AND queued IN (SELECT id FROM queued WHERE account = ?)",
        _DEFERRED,
        to_microseconds(tx.now),
        to_microseconds(tx.now),
        _HELD,
        HELD_BY_FREEZE,
        account,
    )
    tx.changed(QUEUE, ModSeq(0))
    await tx.execute("DELETE FROM sent WHERE account = ?", account)
    await tx.execute("DELETE FROM sending_network WHERE account = ?", account)
    return removed > 0


async def sweep(tx: Transaction, limit: int = 1000) -> int:
    """Remove at most `limit` hours of counts that nobody asks for any more. Gives how many."""
    return await tx.execute(
        "DELETE FROM sent WHERE (account, hour) IN (SELECT account, hour FROM sent WHERE hour <= ? LIMIT ?)",
        _hour(tx) - HOURS_OF_A_DAY,
        limit,
    )
