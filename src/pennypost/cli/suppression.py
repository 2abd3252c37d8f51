"""`pennypost suppression`."""

import click

from pennypost.cli.options import Loaded, as_json, configured, fail
from pennypost.cli.output import show_records
from pennypost.cli.parameters import address as address_
from pennypost.cli.parameters import domain_
from pennypost.cli.running import read, write
from pennypost.model.address import Address
from pennypost.store import suppression as suppressed


@click.group()
def suppression() -> None:
    """Manage the recipients that bounced for good; `queue.suppress` says whether that is heeded."""


@suppression.command("list")
@configured
@click.option("--domain", type=domain_, help="Only those of this domain.")
@as_json
def list_(loaded: Loaded, domain: str | None, as_json: bool) -> None:
    """List suppressed recipients, and what their hosts said."""
    records = [
        {"address": s.address, "since": s.created_at.isoformat(timespec="seconds"), "reply": s.reply}
        for s in read(loaded, lambda tx: suppressed.listed(tx, domain))
    ]
    show_records(records, as_json=as_json, empty="no suppressed recipients")


@suppression.command("remove")
@configured
@click.argument("address", type=address_)
def remove(loaded: Loaded, address: str) -> None:
    """Let mail to ADDRESS be taken again."""
    local, _, domain = address.rpartition("@")
    if not write(loaded, lambda tx: suppressed.remove(tx, Address(local, domain))):
        fail(f"{address} is not suppressed")
    click.echo(f"{address} is not suppressed any more")
