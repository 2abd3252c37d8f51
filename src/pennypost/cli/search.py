"""`pennypost search`."""

from dataclasses import asdict, dataclass

import click

from pennypost.cli.options import Loaded, as_json, configured
from pennypost.cli.output import show_records
from pennypost.cli.running import with_store
from pennypost.store.search import AccountProgress
from pennypost.store.store import Store


@click.group()
def search() -> None:
    """See how far messages are indexed for full-text searches, or index them anew."""


@dataclass(frozen=True, slots=True)
class _Shown:
    account: str
    indexed: int
    pending: int


@search.command("status")
@configured
@as_json
def status(loaded: Loaded, as_json: bool) -> None:
    """Tell of each account how many messages are in the index, and how many wait."""

    async def work(store: Store) -> list[AccountProgress]:
        return await store.search.status()

    rows = [asdict(_Shown(one.name, one.indexed, one.pending)) for one in with_store(loaded, work)]
    show_records(rows, as_json=as_json, empty="no accounts")


@search.command("rebuild")
@configured
def rebuild(loaded: Loaded) -> None:
    """Throw the index away and make it anew. Searches are answered meanwhile, if slowly."""

    async def work(store: Store) -> int:
        await store.search.clear()
        count = 0
        for account in await store.search.behind():
            await store.search.catch_up(account)
            count += 1
        return count

    count = with_store(loaded, work)
    click.echo(f"indexed {count} accounts")
