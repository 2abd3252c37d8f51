"""Who is kept out, and who never: networks and sender domains, with an end or for good."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from ipaddress import ip_network

from pennypost.model.errors import BadAddress
from pennypost.store.engine import Row, Transaction, from_microseconds, to_microseconds
from pennypost.store.keys import canonical_domain

MAX_LISTED = 100_000
"""Entries of the list that are heeded; workers keep them in memory."""


class Kind(IntEnum):
    """What an entry says. The numbers are stored, as `allowed`: never change them."""

    BANNED = 0
    ALLOWED = 1
    FAILED = 2
    """Banned by itself, for its failures at the door for incoming mail."""


@dataclass(frozen=True, slots=True)
class Ban:
    """One entry. `subject`: a network or a domain, in its canonical form. `allowed`: never limited nor banned.

    `until`: None is for good. `automatic`: nobody but we ourselves said so.
    """

    subject: str
    allowed: bool
    reason: str
    made_at: datetime
    until: datetime | None
    automatic: bool = False


def canonical_subject(text: str) -> str:
    """Give the form in which a network, an address or a domain is stored. Raises BadAddress for what is neither."""
    text = text.strip()
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        pass
    domain = canonical_domain(text.removeprefix("@"))
    if "." not in domain or "/" in domain or ":" in domain:
        raise BadAddress("Expected a network, an address or a domain")
    return domain


async def put(tx: Transaction, subject: str, reason: str, until: datetime | None, *, allowed: bool = False) -> None:
    """List a subject in its canonical form, instead of what was said of it before."""
    await tx.execute(
        "INSERT INTO ban (subject, allowed, reason, made_at, until_at) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (subject) DO UPDATE SET allowed = excluded.allowed, reason = excluded.reason, "
        "made_at = excluded.made_at, until_at = excluded.until_at",
        subject,
        int(Kind.ALLOWED if allowed else Kind.BANNED),
        reason,
        to_microseconds(tx.now),
        None if until is None else to_microseconds(until),
    )


async def add_automatic(tx: Transaction, subject: str, reason: str, until: datetime) -> None:
    """Ban a subject for its failures, unless an administrator allowed or banned it."""
    now, end = to_microseconds(tx.now), to_microseconds(until)
    await tx.execute(
        "INSERT INTO ban (subject, allowed, reason, made_at, until_at) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (subject) DO UPDATE SET reason = excluded.reason, until_at = excluded.until_at, "
        "allowed = excluded.allowed WHERE ban.until_at IS NOT NULL AND ban.until_at < excluded.until_at "
        "AND (ban.allowed = ? OR ban.until_at <= ?)",
        subject,
        int(Kind.FAILED),
        reason,
        now,
        end,
        int(Kind.FAILED),
        now,
    )


async def remove(tx: Transaction, subject: str) -> bool:
    """Take a subject off the list. Gives whether it was there."""
    return await tx.execute("DELETE FROM ban WHERE subject = ?", subject) > 0


async def listed(tx: Transaction) -> list[Ban]:
    """List what is in force, by subject."""
    rows = await tx.fetch_all(
        "SELECT subject, allowed, reason, made_at, until_at FROM ban WHERE until_at IS NULL OR until_at > ? "
        "ORDER BY subject LIMIT ?",
        to_microseconds(tx.now),
        MAX_LISTED,
    )
    return [_ban(row) for row in rows]


async def sweep(tx: Transaction, limit: int = 1000) -> int:
    """Remove at most `limit` entries whose time is over. Gives how many."""
    return await tx.execute(
        "DELETE FROM ban WHERE subject IN (SELECT subject FROM ban WHERE until_at <= ? LIMIT ?)",
        to_microseconds(tx.now),
        limit,
    )


def _ban(row: Row) -> Ban:
    subject, allowed, reason, made_at, until = row
    kind, end = Kind(allowed), None if until is None else from_microseconds(until)
    return Ban(subject, kind is Kind.ALLOWED, reason, from_microseconds(made_at), end, kind is Kind.FAILED)
