"""Leases: what only one holder may do at a time, in any worker: POP3's lock on a mailbox (RFC 1939 §3), housekeeping.

A lease ends by itself, so that a killed process holds nothing for long. `holder` must be unique among all workers and
sessions that may ask.
"""

from datetime import timedelta

from pennypost.store.engine import Transaction, to_microseconds


async def acquire(tx: Transaction, name: str, holder: str, duration: timedelta) -> bool:
    """Take a lease that is free, has run out, or is already ours. Gives whether it is ours now."""
    now = to_microseconds(tx.now)
    return (
        await tx.execute(
            "INSERT INTO lease (name, holder, expires_at) VALUES (?, ?, ?) "
            "ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at "
            "WHERE lease.holder = excluded.holder OR lease.expires_at <= ?",
            name,
            holder,
            to_microseconds(tx.now + duration),
            now,
        )
        > 0
    )


async def renew(tx: Transaction, name: str, holder: str, duration: timedelta) -> bool:
    """Prolong a lease that is ours, also one that has run out if nobody took it. False: it was lost."""
    expires = to_microseconds(tx.now + duration)
    return await tx.execute("UPDATE lease SET expires_at = ? WHERE name = ? AND holder = ?", expires, name, holder) > 0


async def release(tx: Transaction, name: str, holder: str) -> None:
    """Give a lease back. What is not ours stays as it is."""
    await tx.execute("DELETE FROM lease WHERE name = ? AND holder = ?", name, holder)


async def holder_of(tx: Transaction, name: str) -> str | None:
    """Give who holds a lease now, or None."""
    row = await tx.fetch_one(
        "SELECT holder FROM lease WHERE name = ? AND expires_at > ?", name, to_microseconds(tx.now)
    )
    return row[0] if row else None


async def sweep(tx: Transaction, limit: int = 1000) -> int:
    """Remove at most `limit` leases that have run out. Gives how many."""
    return await tx.execute(
        "DELETE FROM lease WHERE name IN (SELECT name FROM lease WHERE expires_at <= ? LIMIT ?)",
        to_microseconds(tx.now),
        limit,
    )
