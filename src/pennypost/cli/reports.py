"""`pennypost reports`."""

from pathlib import Path

import click

from pennypost.cli.options import Loaded, as_json, configured, fail
from pennypost.cli.output import show_records
from pennypost.cli.running import read, with_store
from pennypost.mail.tls_reports import received
from pennypost.store import tls_results
from pennypost.store.store import Store
from pennypost.verify.tls_report import BadReport, TlsReport, decompress, read_report


@click.group("reports")
def reports() -> None:
    """Show what other hosts report on our mail."""


@reports.command("tls")
@click.option("--domain", help="Only reports on this domain.")
@click.option("--failures", is_flag=True, help="A line for each way in which sessions failed.")
@click.option("--import", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Take in a file.")
@configured
@as_json
def tls(loaded: Loaded, as_json: bool, domain: str | None, failures: bool, file: Path | None) -> None:
    """List the reports on the TLS of sessions with us (RFC 8460), the newest first."""
    if file is not None:
        with_store(loaded, lambda store: _take_in(store, file.read_bytes()))
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


async def _take_in(store: Store, octets: bytes) -> None:
    try:
        report = received(octets, store.clock())
    except BadReport as problem:
        fail(f"not a TLS report: {problem}")
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
