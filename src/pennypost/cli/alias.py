"""`pennypost alias`."""

import click

from pennypost.cli.options import Loaded, as_json, configured
from pennypost.cli.output import show_records
from pennypost.cli.parameters import address as address_
from pennypost.cli.running import read, write
from pennypost.store import directory


@click.group()
def alias() -> None:
    """Manage the aliases: addresses whose mail goes elsewhere."""


@alias.command("add")
@configured
@click.argument("address", type=address_)
@click.argument("targets", nargs=-1, required=True, type=address_)
def add(loaded: Loaded, address: str, targets: tuple[str, ...]) -> None:
    """Let mail for ADDRESS, in a domain of ours, go to TARGETS, here or elsewhere."""
    added = write(loaded, lambda tx: directory.add_alias(tx, address, targets))
    click.echo(f"{added.address} added")


@alias.command("list")
@configured
@click.option("--domain", help="Only those of this domain.")
@as_json
def list_(loaded: Loaded, domain: str | None, as_json: bool) -> None:
    """List the aliases."""
    records = [
        {"address": a.address, "targets": list(a.targets)}
        for a in read(loaded, lambda tx: directory.aliases(tx, domain))
    ]
    show_records(records, as_json=as_json, empty="no aliases")


@alias.command("remove")
@configured
@click.argument("address", type=address_)
def remove(loaded: Loaded, address: str) -> None:
    """Remove the alias ADDRESS."""
    write(loaded, lambda tx: directory.remove_alias(tx, address))
    click.echo(f"{address} removed")
