"""What was seen of the policies of others, until it is reported to them, and what others report on ours (RFC 9990)."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec

from pennypost.store.engine import Row, Transaction, from_microseconds, to_microseconds
from pennypost.verify.dmarc.report import Report, ReportRow

SECONDS_OF_A_DAY = 86_400
MAX_ROWS_OF_A_DAY = 20_000
"""Different rows of one domain and day that are kept. What else comes is not reported."""

_rows = msgspec.json.Decoder(ReportRow)


@dataclass(frozen=True, slots=True)
class Seen:
    """Messages that share all a report tells. `row.count`: how many. `record`: the policy as it was found."""

    day: int
    policy_domain: str
    record: str
    row: ReportRow


@dataclass(frozen=True, slots=True)
class Received:
    """A report that came. `messages`: of all its rows; `passed`: of those that were aligned."""

    id: int
    domain: str
    organization: str
    report_id: str
    begins: int
    ends: int
    received_at: datetime
    messages: int
    passed: int


def day_of(instant: datetime) -> int:
    """Give the day of an instant, UTC, counted from the epoch."""
    return int(instant.timestamp()) // SECONDS_OF_A_DAY


# -- To be reported


async def note(tx: Transaction, seen: Iterable[Seen]) -> None:
    """Count messages in."""
    full: dict[tuple[int, str], bool] = {}
    for each in seen:
        octets = msgspec.json.encode(replace(each.row, count=0))
        key = hashlib.sha256(each.record.encode("utf-8", "replace") + b"\0" + octets).digest()
        found = await tx.execute(
            "UPDATE dmarc_seen SET count = count + ? WHERE day = ? AND policy_domain = ? AND key = ?",
            each.row.count,
            each.day,
            each.policy_domain,
            key,
        )
        group = (each.day, each.policy_domain)
        if found or full.get(group, False):
            continue
        row = await tx.fetch_one("SELECT COUNT(*) FROM dmarc_seen WHERE day = ? AND policy_domain = ?", *group)
        full[group] = row is not None and row[0] >= MAX_ROWS_OF_A_DAY
        if not full[group]:
            await tx.execute(
                "INSERT INTO dmarc_seen (day, policy_domain, key, record, row, count) VALUES (?, ?, ?, ?, ?, ?)",
                each.day,
                each.policy_domain,
                key,
                each.record,
                octets,
                each.row.count,
            )


async def due(tx: Transaction, before: int, limit: int) -> list[tuple[int, str]]:
    """List days that are over, with the domains that something was seen of, the oldest first."""
    rows = await tx.fetch_all(
        "SELECT DISTINCT day, policy_domain FROM dmarc_seen WHERE day < ? ORDER BY day, policy_domain LIMIT ?",
        before,
        limit,
    )
    return [(day, domain) for day, domain in rows]


async def of_day(tx: Transaction, day: int, domain: str) -> list[Seen]:
    """Give what was seen of a domain on a day."""
    rows = await tx.fetch_all(
        "SELECT record, row, count FROM dmarc_seen WHERE day = ? AND policy_domain = ? LIMIT ?",
        day,
        domain,
        MAX_ROWS_OF_A_DAY,
    )
    return [Seen(day, domain, record, replace(_rows.decode(octets), count=count)) for record, octets, count in rows]


async def forget_day(tx: Transaction, day: int, domain: str) -> None:
    """Forget what was seen of a domain on a day, once it was reported or nobody wants to hear of it."""
    await tx.execute("DELETE FROM dmarc_seen WHERE day = ? AND policy_domain = ?", day, domain)


# -- Reported to us


async def put_report(tx: Transaction, report: Report) -> bool:
    """Keep a report of somebody else. False: it was there already (RFC 9990 §3.5.4)."""
    row = await tx.fetch_one(
        "INSERT INTO dmarc_report (domain, organization, report_id, begins, ends, received_at, published) "
        "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (domain, organization, report_id) DO NOTHING RETURNING id",
        report.domain,
        report.organization,
        report.report_id,
        report.begin,
        report.end,
        to_microseconds(tx.now),
        msgspec.json.encode(report.published).decode(),
    )
    if row is None:
        return False
    await tx.execute_many(
        "INSERT INTO dmarc_row (report, position, source_ip, count, disposition, dkim_aligned, spf_aligned, "
        "header_from, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                row[0],
                position,
                each.source_ip,
                each.count,
                each.disposition,
                int(each.dkim_aligned),
                int(each.spf_aligned),
                each.header_from,
                msgspec.json.encode(each),
            )
            for position, each in enumerate(report.rows)
        ],
    )
    return True


async def reports(tx: Transaction, domain: str | None = None, limit: int = 1000) -> list[Received]:
    """List the reports that came, the newest first, on one domain or all."""
    rows = await tx.fetch_all(
        "SELECT r.id, r.domain, r.organization, r.report_id, r.begins, r.ends, r.received_at, "
        "COALESCE(SUM(w.count), 0), "
        "COALESCE(SUM(CASE WHEN w.dkim_aligned + w.spf_aligned > 0 THEN w.count ELSE 0 END), 0) "
        "FROM dmarc_report r LEFT JOIN dmarc_row w ON w.report = r.id WHERE ? IS NULL OR r.domain = ? "
        "GROUP BY r.id ORDER BY r.begins DESC, r.id DESC LIMIT ?",
        domain,
        domain,
        limit,
    )
    return [_received(row) for row in rows]


def _received(row: Row) -> Received:
    identifier, domain, organization, report_id, begins, ends, at, messages, passed = row
    return Received(identifier, domain, organization, report_id, begins, ends, from_microseconds(at), messages, passed)


async def rows(tx: Transaction, report: int) -> Sequence[ReportRow]:
    """Give the rows of a report that came."""
    found = await tx.fetch_all("SELECT detail FROM dmarc_row WHERE report = ? ORDER BY position", report)
    return [_rows.decode(detail) for (detail,) in found]


async def sweep(tx: Transaction, age: timedelta, limit: int = 20) -> int:
    """Remove at most `limit` reports that came longer than `age` ago. Gives how many."""
    old = await tx.fetch_all(
        "SELECT id FROM dmarc_report WHERE received_at < ? LIMIT ?", to_microseconds(tx.now - age), limit
    )
    for (report,) in old:
        await tx.execute("DELETE FROM dmarc_row WHERE report = ?", report)
        await tx.execute("DELETE FROM dmarc_report WHERE id = ?", report)
    return len(old)
