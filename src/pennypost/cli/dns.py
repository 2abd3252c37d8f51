"""`pennypost dns`."""

from pathlib import Path

import click

from pennypost.app.config.settings import Config
from pennypost.app.services import services
from pennypost.cli.options import Loaded, as_json, configured
from pennypost.cli.output import show_records
from pennypost.cli.parameters import host
from pennypost.cli.running import read
from pennypost.mail.checkup import certificates
from pennypost.mail.checkup.doctor import Patient
from pennypost.mail.checkup.findings import Finding
from pennypost.mail.dns_plan import PlanSettings, authority_of, plan, zone_file
from pennypost.mail.route import route
from pennypost.model.address import Address
from pennypost.model.errors import MailError
from pennypost.net.settings import CertificateFiles
from pennypost.store import signing_keys
from pennypost.store.directory import require_domain
from pennypost.store.engine import Transaction
from pennypost.store.keys import canonical_domain
from pennypost.store.signing_keys import KeyState


def find_out(
    loaded: Loaded, domain: str, *, authority: str = "", autoconfig: str | None = None
) -> tuple[Patient, list[Finding]]:
    """Gather what the records of a domain are made of, and what is wrong with the files of certificates. `autoconfig`:
    who gives mail programs their settings; "" is nobody, None this host, if it has an HTTP door."""
    config = loaded.config
    hostname = canonical_domain(config.server.own_hostname)
    if autoconfig is None:
        autoconfig = hostname if config.listeners.http else ""
    known, findings = certificates.load(_certificate_files(config))
    settled = config.verification.report_addresses
    report_address = settled[0] if settled else "postmaster"
    separator = config.store.subaddress_separator

    async def operation(tx: Transaction) -> Patient:
        name = (await require_domain(tx, domain)).name
        keys = await signing_keys.of_domain(tx, name)
        states = signing_keys.states(keys, tx.now)
        try:
            address = Address(report_address, name)
            await route(tx, address, separator, relay=False, subaddress_mailboxes=False)
            takes_reports = True
        except MailError:
            takes_reports = False
        settings = PlanSettings(
            hostname,
            config.sts,
            report_address,
            keys,
            certificates.for_host(known, hostname),
            services(config),
            authority or authority_of(known),
            autoconfig,
        )
        waiting = [selector for selector, (state, _) in states.items() if state is not KeyState.ACTIVE]
        return Patient(name, settings, waiting, takes_reports)

    return read(loaded, operation), findings


def _certificate_files(config: Config) -> tuple[CertificateFiles, ...]:
    """Give the files of the configuration, or the self-signed one, if the server has made it."""
    if config.tls.certificates:
        return config.tls.certificates
    made = config.server.data_dir / "tls" / "self-signed.pem"
    return (CertificateFiles(made, made),) if _exists(made) else ()


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


@click.group("dns")
def dns() -> None:
    """Say what our domains have to publish."""


@dns.command("records")
@configured
@click.argument("domain")
@click.option("--table", "as_table", is_flag=True, help="Write a table, for web pages where records are typed in.")
@click.option(
    "--authority", type=host, default="", metavar="NAME", help="Who may issue certificates, as CAA records call it."
)
@click.option(
    "--autoconfig",
    type=host,
    metavar="HOST",
    help='Who gives mail programs their settings; "" is nobody. [default: this host, if it has an HTTP door]',
)
@as_json
def records(loaded: Loaded, domain: str, as_table: bool, authority: str, autoconfig: str | None, as_json: bool) -> None:
    """Print everything that DOMAIN has to publish for its mail, as a part of a zone file.

    What is there already is not looked at: pennypost doctor does that.
    """
    patient, _ = find_out(loaded, domain, authority=authority, autoconfig=autoconfig)
    planned = plan(patient.domain, patient.plan)
    if as_json:
        found = [
            {"name": r.name, "type": r.type.value, "value": r.value, "data": r.data, "purpose": r.purpose}
            for r in planned
        ]
        show_records(found, as_json=True)
    elif as_table:
        show_records([{"name": r.name, "type": r.type.value, "value": r.value} for r in planned], as_json=False)
    else:
        click.echo(zone_file(patient.domain, planned), nl=False)
