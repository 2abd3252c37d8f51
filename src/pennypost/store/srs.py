"""What the rewriting of forwarded mail's reverse-paths keeps: keys, and addresses that are too long. See `mail.srs`."""

from datetime import datetime, timedelta
from typing import NamedTuple

from pennypost.model.address import Address
from pennypost.store.engine import Transaction, from_microseconds, to_microseconds
from pennypost.store.keys import split_key

_SWEPT = 100
"""Addresses that are forgotten when another one is kept, at most."""


class SrsKey(NamedTuple):
    """A key. `key`: random octets that never leave the server."""

    made_at: datetime
    key: bytes


async def keys(tx: Transaction) -> list[SrsKey]:
    """Give all keys, the youngest first. May run as a read."""
    rows = await tx.fetch_all("SELECT made_at, key FROM srs_key ORDER BY made_at DESC")
    return [SrsKey(from_microseconds(made_at), bytes(key)) for made_at, key in rows]


async def add_key(tx: Transaction, key: bytes, keep: timedelta) -> None:
    """Let a key make hashes from now on. Those that were followed by another for longer than `keep` are forgotten."""
    await tx.execute(
        "DELETE FROM srs_key WHERE made_at < (SELECT MAX(made_at) FROM srs_key WHERE made_at < ?)",
        to_microseconds(tx.now - keep),
    )
    await tx.execute(
        "INSERT INTO srs_key (made_at, key) VALUES (?, ?) ON CONFLICT (made_at) DO NOTHING",
        to_microseconds(tx.now),
        key,
    )


async def keep_address(tx: Transaction, address: Address, keep: timedelta) -> int:
    """Keep an address for at least `keep`, and give its number."""
    now = to_microseconds(tx.now)
    await tx.execute(
        "DELETE FROM srs_address WHERE id IN (SELECT id FROM srs_address WHERE seen_at < ? ORDER BY seen_at LIMIT ?)",
        to_microseconds(tx.now - keep),
        _SWEPT,
    )
    row = await tx.fetch_one(
        "INSERT INTO srs_address (address, seen_at) VALUES (?, ?) "
        "ON CONFLICT (address) DO UPDATE SET seen_at = excluded.seen_at RETURNING id",
        f"{address.local_part}@{address.domain}",
        now,
    )
    assert row is not None
    return int(row[0])


async def address_of(tx: Transaction, number: int) -> Address | None:
    """Give the address that was kept under a number."""
    row = await tx.fetch_one("SELECT address FROM srs_address WHERE id = ?", number)
    return None if row is None else Address(*split_key(row[0]))
