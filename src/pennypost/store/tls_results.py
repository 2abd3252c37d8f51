"""TLS sessions with other domains, counted by day and policy, and the reports others send us (RFC 8460)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from pennypost.store.engine import Row, Transaction, from_microseconds, to_microseconds


class SessionKey(NamedTuple):
    """What sessions are counted by. `day`: UTC, "2026-01-31". `policy`: JSON. `result`: "" is a success."""

    day: str
    domain: str
    policy_type: str
    policy: str
    result: str
    mx_host: str
    mx_address: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReceivedReport:
    """A report that somebody sent us. `content`: its JSON as it came, which may be compressed with gzip."""

    organization: str
    report_id: str
    domain: str
    begins_at: datetime
    ends_at: datetime
    successful: int
    failed: int
    content: bytes
    received_at: datetime


async def add(tx: Transaction, counts: Mapping[SessionKey, int]) -> None:
    """Add sessions to what was counted."""
    await tx.execute_many(
        "INSERT INTO tls_result (day, domain, policy_type, policy, result, mx_host, mx_address, reason, sessions) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (day, domain, policy_type, policy, result, mx_host, mx_address, reason) "
        "DO UPDATE SET sessions = tls_result.sessions + excluded.sessions",
        [(*key, count) for key, count in counts.items()],
    )


async def days(tx: Transaction, before: str, limit: int = 1000) -> list[tuple[str, str]]:
    """List the (day, domain)s before a day of which there are counts, the oldest first."""
    rows = await tx.fetch_all(
        "SELECT DISTINCT day, domain FROM tls_result WHERE day < ? ORDER BY day, domain LIMIT ?", before, limit
    )
    return [(row[0], row[1]) for row in rows]


async def of_day(tx: Transaction, day: str, domain: str, limit: int = 1000) -> list[tuple[SessionKey, int]]:
    """Give what was counted of a domain on a day."""
    rows = await tx.fetch_all(
        "SELECT day, domain, policy_type, policy, result, mx_host, mx_address, reason, sessions FROM tls_result "
        "WHERE day = ? AND domain = ? ORDER BY policy_type, policy, result, mx_host, mx_address, reason LIMIT ?",
        day,
        domain,
        limit,
    )
    return [(SessionKey(*row[:8]), row[8]) for row in rows]


async def remove_day(tx: Transaction, day: str, domain: str) -> None:
    """Forget what was counted of a domain on a day: it was reported, or nobody wants to know."""
    await tx.execute("DELETE FROM tls_result WHERE day = ? AND domain = ?", day, domain)


async def put_report(tx: Transaction, report: ReceivedReport) -> bool:
    """Keep a report that came in. False: it was there already."""
    return (
        await tx.execute(
            "INSERT INTO tls_report (organization, report_id, domain, begins_at, ends_at, successful, failed, content, "
            "received_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (organization, report_id) DO NOTHING",
            report.organization,
            report.report_id,
            report.domain,
            to_microseconds(report.begins_at),
            to_microseconds(report.ends_at),
            report.successful,
            report.failed,
            report.content,
            to_microseconds(report.received_at),
        )
        > 0
    )


async def reports(tx: Transaction, domain: str | None = None, limit: int = 1000) -> list[ReceivedReport]:
    """List reports that came in, the newest first; of one domain, or of all."""
    where = "" if domain is None else "WHERE domain = ? "
    values = () if domain is None else (domain,)
    rows = await tx.fetch_all(
        "SELECT organization, report_id, domain, begins_at, ends_at, successful, failed, content, received_at "
        f"FROM tls_report {where}ORDER BY begins_at DESC, id DESC LIMIT ?",
        *values,
        limit,
    )
    return [_report(row) for row in rows]


async def sweep_reports(tx: Transaction, before: datetime, limit: int = 1000) -> int:
    """Remove reports that came before an instant. Gives how many."""
    return await tx.execute(
        "DELETE FROM tls_report WHERE id IN (SELECT id FROM tls_report WHERE received_at < ? LIMIT ?)",
        to_microseconds(before),
        limit,
    )


def _report(row: Row) -> ReceivedReport:
    return ReceivedReport(
        row[0],
        row[1],
        row[2],
        from_microseconds(row[3]),
        from_microseconds(row[4]),
        row[5],
        row[6],
        row[7],
        from_microseconds(row[8]),
    )
