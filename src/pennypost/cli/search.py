"""`pennypost search`."""

from dataclasses import asdict, dataclass

import click

from pennypost.cli.options import Loaded, as_json, configured, fail
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

    _show(with_store(loaded, work), as_json)


@search.command("rebuild")
@configured
@as_json
def rebuild(loaded: Loaded, as_json: bool) -> None:
    """Throw the index away and make it anew. Searches are answered meanwhile, if slowly."""

    async def work(store: Store) -> list[AccountProgress]:
        if not store.search.enabled:
            fail("no full-text index is kept: store.full_text_index is false")
        await store.search.clear()
        for account in await store.search.behind():
            await store.search.catch_up(account)
        return await store.search.status()

    _show(with_store(loaded, work), as_json)


def _show(progress: list[AccountProgress], as_json: bool) -> None:
    rows = [asdict(_Shown(one.name, one.indexed, one.pending)) for one in progress]
    show_records(rows, as_json=as_json, empty="no accounts")
