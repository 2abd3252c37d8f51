"""`pennypost store`."""

from contextlib import nullcontext
from dataclasses import asdict

import click

from pennypost.cli.options import Loaded, as_json, configured
from pennypost.cli.output import JsonArray, show_record, show_records
from pennypost.cli.running import read, with_store
from pennypost.store.check import check as walk
from pennypost.store.stats import by_account, stats
from pennypost.store.store import Store


@click.group("store")
def store() -> None:
    """Check the store and count what it holds."""


@store.command("check")
@configured
@as_json
def check(loaded: Loaded, as_json: bool) -> None:
    """Walk everything and tell what is inconsistent; the status is 1 when something is. Reads every body once.

    With --json it writes an array of objects with `kind`, `where` and `detail`, each when it is found.
    """
    with JsonArray() if as_json else nullcontext() as array:

        async def work(store: Store) -> int:
            count = 0
            async for found in walk(store.engine, store.blobs):
                count += 1
                if array is not None:
                    array.add({"kind": found.kind.value, "where": found.where, "detail": found.detail})
                else:
                    click.echo(f"{found.kind.value}: {found.where}: {found.detail}")
            return count

        count = with_store(loaded, work)
    if not as_json:
        found = "1 inconsistency" if count == 1 else f"{count} inconsistencies"
        click.echo(found if count else "the store is consistent")
    raise SystemExit(1 if count else 0)


@store.command("stats")
@configured
@click.option("--accounts", is_flag=True, help="Of each account, instead of the whole store.")
@as_json
def stats_(loaded: Loaded, accounts: bool, as_json: bool) -> None:
    """Count what the store holds."""
    if accounts:
        rows = [asdict(row) for row in read(loaded, by_account)]
        for row in rows:
            del row["account"]
        show_records(rows, as_json=as_json, empty="no accounts")
        return
    figures = asdict(read(loaded, stats))
    queue = figures.pop("queue")
    oldest = queue.pop("oldest")
    figures |= {f"queue_{name}": value for name, value in queue.items()}
    figures["queue_oldest"] = oldest.isoformat(timespec="seconds") if oldest else None
    show_record(figures, as_json=as_json)
