"""Opening a store: its folder, its schema, its neighbours."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import apsw
import pytest

from pennypost.model.ids import AccountId, ModSeq
from pennypost.store import leases
from pennypost.store.engine import StoreUnusable, Transaction, UnknownSchema
from pennypost.store.settings import StoreSettings
from pennypost.store.sqlite.engine import DATABASE
from pennypost.store.sqlite.migrate import known_migrations
from pennypost.store.store import Store, prepare_folder


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Store]:
    store = await Store.open(StoreSettings(folder))
    try:
        yield store
    finally:
        await store.close()


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


async def test_a_new_store_is_for_us_alone(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    async with opened(folder) as store:
        await store.blobs.draft_large(b"x" * 100_000)
        assert mode(folder) == 0o700
        assert {mode(path) for path in folder.rglob("*") if path.is_dir()} == {0o700}


async def test_it_keeps_what_was_written(tmp_path: Path) -> None:
    async with opened(tmp_path / "data") as store:
        assert await store.write(lambda tx: leases.acquire(tx, "x", "me", timedelta(hours=1)))
    async with opened(tmp_path / "data") as store:
        assert await store.read(lambda tx: leases.holder_of(tx, "x")) == "me"
        await store.close()  # once more does no harm


def test_an_open_empty_folder_is_closed_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(0o755)
    prepare_folder(folder)
    assert mode(folder) == 0o700


@pytest.mark.parametrize("bits", [0o755, 0o777, 0o770, 0o704])
def test_an_open_folder_with_something_in_it_is_refused(tmp_path: Path, bits: int) -> None:
    (tmp_path / "mail").touch()
    tmp_path.chmod(bits)
    with pytest.raises(StoreUnusable, match="chmod 700"):
        prepare_folder(tmp_path)
    assert mode(tmp_path) == bits


def test_a_folder_that_our_group_may_read_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "mail").touch()
    tmp_path.chmod(0o750)
    prepare_folder(tmp_path)
    assert mode(tmp_path) == 0o750


def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(StoreUnusable, match="belongs to user"):
        prepare_folder(tmp_path)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    for path in (tmp_path / "data", tmp_path / "data" / "below"):
        with pytest.raises(StoreUnusable, match="not a folder"):
            prepare_folder(path)


async def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    async with opened(tmp_path / "data"):
        pass
    file = tmp_path / "data" / DATABASE
    database = apsw.Connection(str(file))
    newer = len(known_migrations()) + 1
    database.execute(f"PRAGMA user_version={newer}")
    database.close()
    with pytest.raises(UnknownSchema, match=f"schema version {newer}.*newer") as raised:
        await Store.open(StoreSettings(tmp_path / "data"))
    assert (raised.value.found, raised.value.known) == (newer, newer - 1)
    assert list((tmp_path / "data" / "run").iterdir()) == []


async def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / DATABASE).write_bytes(b"this is a text, and a long one at that" * 100)
    with pytest.raises(StoreUnusable, match="cannot be used"):
        await Store.open(StoreSettings(tmp_path))


async def test_several_stores_over_one_folder_tell_each_other(tmp_path: Path) -> None:
    async with opened(tmp_path / "data") as one, opened(tmp_path / "data") as two:
        heard: asyncio.Queue[int] = asyncio.Queue()
        own: list[int] = []
        two.subscribe(AccountId(5), heard.put_nowait)
        one.subscribe(AccountId(5), own.append)

        async def operation(tx: Transaction) -> None:
            tx.changed(AccountId(5), ModSeq(17))

        await one.write(operation)
        assert own == [17]
        assert await asyncio.wait_for(heard.get(), 5) == 17
