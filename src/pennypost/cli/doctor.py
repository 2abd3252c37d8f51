"""`pennypost doctor`."""

import asyncio
from datetime import UTC, datetime

import click

from pennypost.cli.dns import find_out
from pennypost.cli.options import Loaded, as_json, configured
from pennypost.cli.output import show_records
from pennypost.cli.parameters import host, resolver_address
from pennypost.clients.http.https import Https
from pennypost.mail.checkup.doctor import DoctorSettings, Patient, examine
from pennypost.mail.checkup.findings import Finding, Grade
from pennypost.mail.checkup.identity import BLOCKLISTS
from pennypost.model.text import printable
from pennypost.net.client_tls import ClientTls
from pennypost.net.resolver import Resolver

SICK, UNDECIDED = 1, 3
"""Exit statuses: something is wrong; nothing is, but not everything could be looked at."""

_SIGNS = {Grade.GOOD: "ok", Grade.HINT: "hint", Grade.PROBLEM: "WRONG", Grade.UNKNOWN: "?"}


@click.command("doctor")
@configured
@click.argument("domain")
@click.option("--resolver", type=resolver_address, metavar="HOST:PORT", help="Whom to ask. [default: as configured]")
@click.option(
    "--probe", type=host, default="gmail.com", show_default=True, help="A domain whose port 25 is tried; no mail goes."
)
@click.option("--time-server", type=host, default="pool.ntp.org", show_default=True, help="Who tells the time.")
@click.option(
    "--blocklist",
    "blocklists",
    type=host,
    multiple=True,
    metavar="ZONE",
    help=f"Lists to ask. [default: {', '.join(BLOCKLISTS)}]",
)
@click.option(
    "--authority", type=host, default="", metavar="NAME", help="Who may issue certificates, as CAA records call it."
)
@click.option("--all", "everything", is_flag=True, help="Show what is good, too.")
@as_json
def doctor(
    loaded: Loaded,
    domain: str,
    resolver: tuple[str, int] | None,
    probe: str,
    time_server: str,
    blocklists: tuple[str, ...],
    authority: str,
    everything: bool,
    as_json: bool,
) -> None:
    """Find out what keeps mail of DOMAIN from going through, and say what to do.

    Looks at what is published, reverse DNS, port 25, certificates, the clock and blocklists, from this machine. The
    exit status is 0 when nothing is wrong, 1 when something is, 3 when not everything could be looked at.
    """
    patient, before = find_out(loaded, domain, authority=authority)
    settings = DoctorSettings(probe, time_server, blocklists or BLOCKLISTS, loaded.config.relay.port)
    findings = asyncio.run(_examine(loaded, patient, settings, resolver, before))
    if as_json:
        show_records(
            [{"check": f.check, "grade": f.grade.value, "found": f.found, "advice": f.advice} for f in findings],
            as_json=True,
        )
    else:
        _tell(findings, everything)
    grades = {finding.grade for finding in findings}
    if Grade.PROBLEM in grades:
        raise SystemExit(SICK)
    if Grade.UNKNOWN in grades:
        raise SystemExit(UNDECIDED)


async def _examine(
    loaded: Loaded, patient: Patient, settings: DoctorSettings, server: tuple[str, int] | None, before: list[Finding]
) -> list[Finding]:
    config = loaded.config
    resolver = Resolver(config.dns, (server,) if server is not None else config.dns.servers)
    tls = ClientTls(config.tls)
    https = Https(resolver, lambda: tls.verified, port=config.relay.https_port)
    try:
        return await examine(patient, settings, resolver, https, datetime.now(UTC), before)
    finally:
        await resolver.close()


def _tell(findings: list[Finding], everything: bool) -> None:
    counts = {grade: sum(finding.grade is grade for finding in findings) for grade in Grade}
    for finding in findings:
        if finding.grade is Grade.GOOD and not everything:
            continue
        click.echo(f"{_SIGNS[finding.grade]:<5}  {finding.check:<11}  {printable(finding.found)}")
        for line in finding.advice.splitlines():
            click.echo(f"{'':<5}  {'':<11}  -> {printable(line)}")
    click.echo(
        f"{counts[Grade.PROBLEM]} wrong, {counts[Grade.HINT]} hints, {counts[Grade.UNKNOWN]} not known, "
        f"{counts[Grade.GOOD]} good"
    )
