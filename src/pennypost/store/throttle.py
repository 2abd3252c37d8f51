"""Failures counted by key, shared by all workers: a growing delay, then a ban (RFC 4954 §6, RFC 9051 §11.7).

A key says what is counted: "login:203.0.113.7" or "account:ann@example.org". What is forgotten is swept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pennypost.store.engine import Transaction, from_microseconds, to_microseconds

KEYS_AT_ONCE = 4
"""Keys one question may be about."""


MAX_DOUBLINGS = 24
"""How often a delay is doubled at most: a second becomes half a year, and no time is too long to be told."""


@dataclass(frozen=True, slots=True)
class ThrottlePolicy:
    """From which failure on to delay, and how long.

    The first `free` failures cost nothing; the next one `first_delay`, each further one twice the last, at most
    `ban`. From `ban_after` failures on it is `ban`. A key without a failure for `forget` begins again.
    """

    free: int = 3
    first_delay: timedelta = timedelta(seconds=1)
    ban_after: int = 10
    ban: timedelta = timedelta(minutes=15)
    forget: timedelta = timedelta(hours=1)

    def delay(self, failures: int) -> timedelta:
        """Give how long nothing more is let in after this many failures."""
        if failures <= self.free:
            return timedelta(0)
        if failures >= self.ban_after:
            return self.ban
        doubled: int = 2 ** min(failures - self.free - 1, MAX_DOUBLINGS)
        return min(self.first_delay * doubled, self.ban)


async def blocked_until(tx: Transaction, keys: Sequence[str]) -> datetime | None:
    """Give until when any of at most `KEYS_AT_ONCE` keys is kept out, or None. One statement; may run as a read."""
    if not 0 < len(keys) <= KEYS_AT_ONCE:
        raise ValueError(f"1 to {KEYS_AT_ONCE} keys at once")
    padded = (*keys, *(keys[-1],) * (KEYS_AT_ONCE - len(keys)))
    row = await tx.fetch_one("SELECT MAX(until_at) FROM throttle WHERE key IN (?, ?, ?, ?)", *padded)
    until = row[0] if row else None
    return from_microseconds(until) if until is not None and until > to_microseconds(tx.now) else None


async def record_failure(tx: Transaction, key: str, policy: ThrottlePolicy) -> datetime | None:
    """Count one failure and give until when the key is kept out now, or None."""
    now = to_microseconds(tx.now)
    forgotten = now - policy.forget // timedelta(microseconds=1)
    row = await tx.fetch_one(
        "INSERT INTO throttle (key, failures, last_at, until_at) VALUES (?, 1, ?, 0) "
        "ON CONFLICT (key) DO UPDATE SET last_at = excluded.last_at, "
        "failures = CASE WHEN throttle.last_at < ? THEN 1 ELSE throttle.failures + 1 END RETURNING failures",
        key,
        now,
        forgotten,
    )
    assert row is not None
    delay = policy.delay(row[0])
    if not delay:
        return None
    until = tx.now + delay
    await tx.execute("UPDATE throttle SET until_at = ? WHERE key = ?", to_microseconds(until), key)
    return until


async def clear(tx: Transaction, key: str) -> bool:
    """Forget a key's failures, as after a success. Gives whether there were any."""
    return await tx.execute("DELETE FROM throttle WHERE key = ?", key) > 0


async def failures(tx: Transaction, key: str) -> int:
    """Give how many failures are counted for a key: whether a success has something to clear."""
    row = await tx.fetch_one("SELECT failures FROM throttle WHERE key = ?", key)
    return row[0] if row else 0


async def sweep(tx: Transaction, policy: ThrottlePolicy, limit: int = 1000) -> int:
    """Remove at most `limit` keys that are forgotten and not kept out. Gives how many."""
    now = to_microseconds(tx.now)
    return await tx.execute(
        "DELETE FROM throttle WHERE key IN "
        "(SELECT key FROM throttle WHERE last_at < ? AND until_at < ? ORDER BY last_at LIMIT ?)",
        now - policy.forget // timedelta(microseconds=1),
        now,
        limit,
    )
