"""What is remembered of how other domains take mail: MTA-STS policies (RFC 8461 §3.3), and the TLS that was seen."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from pennypost.store.engine import Row, Transaction, from_microseconds, to_microseconds


@dataclass(frozen=True, slots=True)
class StoredPolicy:
    """`policy`: its text. `id`: of the DNS record that led to it."""

    domain: str
    id: str
    policy: bytes
    fetched_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class TlsMemory:
    """`missed_since`: since when TLS was not to be had, None while it is."""

    seen_at: datetime
    missed_since: datetime | None


async def put_policy(tx: Transaction, domain: str, identifier: str, policy: bytes, max_age: timedelta) -> None:
    """Keep a policy that was fetched now, in place of an older one."""
    await tx.execute(
        "INSERT INTO sts_policy (domain, id, policy, fetched_at, expires_at) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (domain) DO UPDATE SET id = excluded.id, policy = excluded.policy, "
        "fetched_at = excluded.fetched_at, expires_at = excluded.expires_at",
        domain,
        identifier,
        policy,
        to_microseconds(tx.now),
        to_microseconds(tx.now + max_age),
    )


async def policy_of(tx: Transaction, domain: str) -> StoredPolicy | None:
    """Give the policy of a domain, if it has not run out."""
    row = await tx.fetch_one(
        "SELECT domain, id, policy, fetched_at, expires_at FROM sts_policy WHERE domain = ? AND expires_at > ?",
        domain,
        to_microseconds(tx.now),
    )
    return None if row is None else _policy(row)


async def oldest_policies(tx: Transaction, before: datetime, limit: int = 100) -> list[StoredPolicy]:
    """List policies that hold and were fetched no later than an instant, the oldest first."""
    rows = await tx.fetch_all(
        "SELECT domain, id, policy, fetched_at, expires_at FROM sts_policy WHERE fetched_at <= ? AND expires_at > ? "
        "ORDER BY fetched_at LIMIT ?",
        to_microseconds(before),
        to_microseconds(tx.now),
        limit,
    )
    return [_policy(row) for row in rows]


async def policies(tx: Transaction, limit: int = 10_000) -> list[StoredPolicy]:
    """List the policies that hold, the oldest first."""
    return await oldest_policies(tx, tx.now, limit)


def _policy(row: Row) -> StoredPolicy:
    return StoredPolicy(row[0], row[1], row[2], from_microseconds(row[3]), from_microseconds(row[4]))


async def tls_memory(tx: Transaction, domain: str) -> TlsMemory | None:
    """Give what is remembered of a domain."""
    row = await tx.fetch_one("SELECT seen_at, missed_since FROM tls_memory WHERE domain = ?", domain)
    if row is None:
        return None
    return TlsMemory(from_microseconds(row[0]), None if row[1] is None else from_microseconds(row[1]))


async def tls_memories(tx: Transaction, limit: int = 10_000) -> list[tuple[str, TlsMemory]]:
    """List what is remembered by domain: those first whose TLS is missed, then the latest."""
    rows = await tx.fetch_all(
        "SELECT domain, seen_at, missed_since FROM tls_memory ORDER BY missed_since IS NULL, seen_at DESC LIMIT ?",
        limit,
    )
    return [
        (row[0], TlsMemory(from_microseconds(row[1]), None if row[2] is None else from_microseconds(row[2])))
        for row in rows
    ]


async def tls_seen(tx: Transaction, domains: Collection[str]) -> None:
    """Note that mail went to domains under TLS."""
    now = to_microseconds(tx.now)
    await tx.execute_many(
        "INSERT INTO tls_memory (domain, seen_at, missed_since) VALUES (?, ?, NULL) "
        "ON CONFLICT (domain) DO UPDATE SET seen_at = excluded.seen_at, missed_since = NULL",
        [(domain, now) for domain in domains],
    )


async def tls_missed(tx: Transaction, domain: str) -> None:
    """Note that TLS is not to be had, since now if it was before."""
    await tx.execute(
        "UPDATE tls_memory SET missed_since = ? WHERE domain = ? AND missed_since IS NULL",
        to_microseconds(tx.now),
        domain,
    )


async def forget_tls(tx: Transaction, domain: str) -> bool:
    """Forget a domain's TLS. Gives whether there was something to forget."""
    return await tx.execute("DELETE FROM tls_memory WHERE domain = ?", domain) > 0


async def sweep(tx: Transaction, tls_before: datetime, limit: int = 1000) -> int:
    """Remove policies that have run out, and memories from before an instant. Gives how many rows went."""
    policies = await tx.execute(
        "DELETE FROM sts_policy WHERE domain IN (SELECT domain FROM sts_policy WHERE expires_at <= ? LIMIT ?)",
        to_microseconds(tx.now),
        limit,
    )
    memories = await tx.execute(
        "DELETE FROM tls_memory WHERE domain IN (SELECT domain FROM tls_memory WHERE seen_at < ? LIMIT ?)",
        to_microseconds(tls_before),
        limit,
    )
    return policies + memories
