"""`pennypost domain`."""

import click

from pennypost.cli.options import Loaded, as_json, configured
from pennypost.cli.output import show_records
from pennypost.cli.parameters import address, address_or_none, bound, size
from pennypost.cli.running import read, write
from pennypost.mail.signing import generate, make_key
from pennypost.model.account import Domain
from pennypost.store import directory
from pennypost.store.engine import Transaction
from pennypost.verify.dkim import SigningAlgorithm


@click.group()
def domain() -> None:
    """Manage the domains whose mail is ours."""


@domain.command("add")
@configured
@click.argument("name")
@click.option("--quota", type=size, help='What all its accounts may hold together, as "10 GiB".')
@click.option("--catch-all", type=address, metavar="ADDRESS", help="Who gets mail for addresses that do not exist.")
@click.option("--dkim/--no-dkim", "with_keys", default=True, help="Make keys that sign its mail, or do not.")
def add(loaded: Loaded, name: str, quota: int | None, catch_all: str | None, with_keys: bool) -> None:
    """Serve the domain NAME, and make keys that sign its mail."""
    settings = loaded.config.dkim
    keys = {one: make_key(one, settings.rsa_bits) for one in SigningAlgorithm} if with_keys else {}

    async def operation(tx: Transaction) -> Domain:
        added = await directory.add_domain(tx, name, bound(quota), catch_all)
        await generate(tx, settings, added.name, keys)
        return added

    added = write(loaded, operation)
    click.echo(f"{added.name} added" + (f"; keys made: see pennypost dkim list {added.name}" if keys else ""))


@domain.command("list")
@configured
@as_json
def list_(loaded: Loaded, as_json: bool) -> None:
    """List the domains."""
    records = [
        {"name": d.name, "quota_octets": d.quota_octets, "catch_all": d.catch_all}
        for d in read(loaded, directory.domains)
    ]
    show_records(records, as_json=as_json, empty="no domains")


@domain.command("set")
@configured
@click.argument("name")
@click.option("--quota", type=size, help='What all its accounts may hold together, as "10 GiB", or none.')
@click.option(
    "--catch-all",
    type=address_or_none,
    metavar="ADDRESS",
    help="Who gets mail for addresses that do not exist, or none.",
)
def set_(loaded: Loaded, name: str, quota: int | None, catch_all: str | None) -> None:
    """Change the domain NAME."""
    if quota is None and catch_all is None:
        raise click.UsageError("say what to change: --quota or --catch-all")

    async def change(tx: Transaction) -> None:
        if quota is not None:
            await directory.set_domain_quota(tx, name, bound(quota))
        if catch_all is not None:
            await directory.set_catch_all(tx, name, None if catch_all == "none" else catch_all)

    write(loaded, change)
    click.echo(f"{name} changed")


@domain.command("remove")
@configured
@click.argument("name")
def remove(loaded: Loaded, name: str) -> None:
    """Serve the domain NAME no longer. It must have no accounts and no aliases."""
    write(loaded, lambda tx: directory.remove_domain(tx, name))
    click.echo(f"{name} removed")
