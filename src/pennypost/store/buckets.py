"""Token buckets that all workers fill together.

A bucket's level rises by what is done and runs down at a steady rate. Each worker keeps what it added since it last
came here, adds that up here now and then, and hears how full the bucket is with what the others added.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pennypost.store.engine import Transaction, to_microseconds

_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Addition:
    """What one worker added to a bucket. `rate`: what runs out of it in a second."""

    key: str
    amount: float
    rate: float


async def add(tx: Transaction, additions: Sequence[Addition]) -> dict[str, float]:
    """Add up, and give how full each bucket is now."""
    now = to_microseconds(tx.now)
    levels: dict[str, float] = {}
    for addition in additions:
        row = await tx.fetch_one("SELECT level, at FROM bucket WHERE key = ?", addition.key)
        level = 0.0 if row is None else max(0.0, row[0] - (now - row[1]) / _MICROSECONDS * addition.rate)
        level += addition.amount
        await tx.execute(
            "INSERT INTO bucket (key, level, at, empty_at) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET "
            "level = excluded.level, at = excluded.at, empty_at = excluded.empty_at",
            addition.key,
            level,
            now,
            now + int(level / addition.rate * _MICROSECONDS),
        )
        levels[addition.key] = level
    return levels


async def sweep(tx: Transaction, limit: int = 1000) -> int:
    """Remove at most `limit` buckets that are empty. Gives how many."""
    return await tx.execute(
        "DELETE FROM bucket WHERE key IN (SELECT key FROM bucket WHERE empty_at <= ? LIMIT ?)",
        to_microseconds(tx.now),
        limit,
    )
