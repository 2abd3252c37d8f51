"""`pennypost reports`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from pennypost.cli.options import Loaded, as_json, configured, fail
from pennypost.cli.output import show_records
from pennypost.cli.parameters import domain_
from pennypost.cli.running import read, with_store
from pennypost.mail.tls_reports import received
from pennypost.store import dmarc, tls_results
from pennypost.store.engine import Transaction
from pennypost.store.store import Store
from pennypost.verify.dmarc.report import ReportError, read_xml, uncompress
from pennypost.verify.tls_report import BadReport, TlsReport, decompress, read_report


@click.group("reports")
def reports() -> None:
    """Show what other hosts report on our mail."""


@reports.command("tls")
@click.option("--domain", type=domain_, help="Only reports on this domain.")
@click.option("--failures", is_flag=True, help="A line for each way in which sessions failed.")
@click.option("--import", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Take in a file.")
@configured
@as_json
def tls(loaded: Loaded, as_json: bool, domain: str | None, failures: bool, file: Path | None) -> None:
    """List the reports on the TLS of sessions with us (RFC 8460), the newest first."""
    if file is not None:
        octets = file.read_bytes()
        with_store(loaded, lambda store: _take_in(store, file, octets))
    found = read(loaded, lambda tx: tls_results.reports(tx, domain.lower() if domain else None))
    if failures:
        lines = [line for report in found for line in _failures(read_report(decompress(report.content)))]
        show_records(lines, as_json=as_json, empty="no failures")
        return
    show_records(
        [
            {
                "domain": report.domain,
                "day": report.begins_at.date().isoformat(),
                "from": report.organization,
                "successful": report.successful,
                "failed": report.failed,
                "report_id": report.report_id,
            }
            for report in found
        ],
        as_json=as_json,
        empty="no reports",
    )


async def _take_in(store: Store, file: Path, octets: bytes) -> None:
    try:
        report = received(octets, store.clock())
    except BadReport as problem:
        fail(f"{file}: expected a TLS report (RFC 8460 §4), JSON or gzip of it: {problem}")
    await store.write(lambda tx: tls_results.put_report(tx, report))


def _failures(report: TlsReport) -> list[dict[str, object]]:
    return [
        {
            "day": report.begins.date().isoformat(),
            "from": report.organization,
            "domain": policy.domain,
            "policy": policy.type,
            "result": detail.result_type,
            "sessions": detail.sessions,
            "host": detail.receiving_host,
            "reason": detail.reason,
        }
        for policy in report.policies
        for detail in policy.details
    ]


@reports.command("dmarc")
@click.option("--domain", type=domain_, help="Only reports on this domain.")
@click.option("--sources", is_flag=True, help="A line for each source of mail in our name, those that fail first.")
@click.option("--import", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Take in a file.")
@configured
@as_json
def dmarc_(loaded: Loaded, as_json: bool, domain: str | None, sources: bool, file: Path | None) -> None:
    """List what others report on mail in the name of our domains (RFC 9990), the newest first."""
    if file is not None:
        octets = file.read_bytes()
        with_store(loaded, lambda store: _take_in_aggregate(store, file, octets))
    wanted = domain.lower() if domain else None
    found = read(loaded, lambda tx: dmarc.reports(tx, wanted))
    if sources:
        lines = read(loaded, lambda tx: _sources(tx, found))
        show_records(lines, as_json=as_json, empty="no sources")
        return
    show_records(
        [
            {
                "domain": report.domain,
                "day": datetime.fromtimestamp(report.begins, UTC).date().isoformat(),
                "from": report.organization,
                "messages": report.messages,
                "aligned": report.passed,
                "failed": report.messages - report.passed,
                "report_id": report.report_id,
            }
            for report in found
        ],
        as_json=as_json,
        empty="no reports",
    )


async def _take_in_aggregate(store: Store, file: Path, octets: bytes) -> None:
    try:
        report = read_xml(uncompress(octets))
    except ReportError as problem:
        fail(f"{file}: expected a DMARC aggregate report (RFC 9990), XML, or gzip or zip of it: {problem}")
    if not await store.write_large(lambda tx: dmarc.put_report(tx, report)):
        fail(f"{file}: this report is there already")


async def _sources(tx: Transaction, found: Sequence[dmarc.Received]) -> list[dict[str, object]]:
    """Add up the rows of reports by who sent mail in whose name."""
    totals: dict[tuple[str, str], list[int]] = {}
    for report in found:
        for row in await dmarc.rows(tx, report.id):
            total = totals.setdefault((row.header_from, row.source_ip), [0, 0, 0])
            total[0] += row.count
            total[1] += row.count * row.dkim_aligned
            total[2] += row.count * row.spf_aligned
    lines: list[dict[str, object]] = [
        {"domain": name, "source": source, "messages": count, "dkim_aligned": signed, "spf_aligned": authorized}
        for (name, source), (count, signed, authorized) in sorted(
            totals.items(), key=lambda item: (max(item[1][1:]) - item[1][0], -item[1][0])
        )
    ]
    return lines
