"""The worker that keeps the index: one of all, behind the deliveries, and the next one when it is gone."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.contracts.test_search import account, deliver, expunge
from tests.contracts.world import Clock

from pennypost.app import indexing
from pennypost.app.indexing import Indexer
from pennypost.store import directory, removal, search
from pennypost.store.settings import StoreSettings
from pennypost.store.store import Store


async def opened(folder: Path) -> Store:
    store = await Store.open(StoreSettings(folder / "data"), clock=Clock())
    await store.write(lambda tx: directory.add_domain(tx, "example.org"))
    return store


async def progress(store: Store) -> list[tuple[int, int]]:
    return [(one.indexed, one.pending) for one in await store.search.status()]


async def test_what_has_come_is_indexed_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "BATCH_MESSAGES", 2)
    store = await opened(tmp_path)
    ann, bob = await account(store), await account(store, "bob@example.org")
    for n in range(5):
        await deliver(store, ann, f"apple {n}")
    await deliver(store, bob, "pear")
    assert await progress(store) == [(0, 5), (0, 1)]
    assert await Indexer(store).round()
    assert await progress(store) == [(5, 0), (1, 0)]
    await store.close()


async def test_indexing_waits_while_much_is_written_but_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "LOOK", timedelta())
    monkeypatch.setattr(indexing, "BUSY_RATE", 0)
    store = await opened(tmp_path)
    ann = await account(store)
    indexer = Indexer(store)
    await indexer.round()
    await deliver(store, ann, "apple")
    assert await indexer.round()
    assert await progress(store) == [(0, 1)], "something was written since it was last looked"
    assert await indexer.round()
    assert await progress(store) == [(1, 0)]
    monkeypatch.setattr(indexing, "PATIENCE", timedelta())
    await deliver(store, ann, "pear")
    await indexer.round()
    assert await progress(store) == [(2, 0)]
    await store.close()


async def test_one_worker_does_it_until_it_resigns(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    one, two = Indexer(store), Indexer(store)
    assert await one.round()
    assert not await two.round()
    await one.resign()
    assert await two.round()
    await store.close()


async def test_what_is_gone_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = await opened(tmp_path)
    ann, bob = await account(store), await account(store, "bob@example.org")
    for owner in (ann, bob):
        await deliver(store, owner, "apple")
    indexer = Indexer(store)
    await indexer.round()
    await expunge(store, ann, 1)
    await store.write(lambda tx: directory.remove_account(tx, bob))
    while await store.write(removal.step):
        pass
    monkeypatch.setattr(indexing, "SWEEP_INTERVAL", indexing.INTERVAL)
    again = Indexer(store)
    await indexer.resign()
    await again.round()
    assert await store.search.indexed() == [ann]
    assert await store.search.sweep(ann) == 0
    await store.close()
