"""Reads: many at once, and none that holds up the end."""

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio

from pennypost.model.errors import ShuttingDown
from pennypost.store.engine import Transaction
from pennypost.store.settings import StoreSettings
from pennypost.store.sqlite.reader import Readers

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


@pytest_asyncio.fixture
async def readers(tmp_path: Path) -> AsyncIterator[Readers]:
    readers = Readers(tmp_path / "db", StoreSettings(tmp_path, readers=3), lambda: datetime.now(UTC))
    yield readers
    await readers.close()


async def one(tx: Transaction) -> int:
    row = await tx.fetch_one("SELECT 1")
    assert row is not None
    return int(row[0])


async def test_as_many_scans_run_at_once_as_there_are_readers(readers: Readers) -> None:
    together = threading.Barrier(3)

    async def meet(tx: Transaction) -> int:
        together.wait(10)
        return await one(tx)

    assert await asyncio.gather(*(readers.scan(meet) for _ in range(6))) == [1] * 6
    assert readers.read(one) == 1


async def test_a_scan_leaves_the_loop_alone(readers: Readers) -> None:
    go = threading.Event()

    async def wait(tx: Transaction) -> bool:
        return go.wait(10)

    scan = asyncio.ensure_future(readers.scan(wait))
    await asyncio.sleep(0)
    assert readers.read(one) == 1
    go.set()
    assert await scan


async def test_closing_breaks_off_what_would_never_end(readers: Readers) -> None:
    started = threading.Event()

    async def never_end(tx: Transaction) -> None:
        started.set()
        await tx.fetch_one(ENDLESS)

    scan = asyncio.ensure_future(readers.scan(never_end))
    assert await asyncio.to_thread(started.wait, 10)
    await asyncio.wait_for(readers.close(), 10)
    with pytest.raises(ShuttingDown):
        await scan
    for ended in (lambda: readers.scan(one), lambda: asyncio.to_thread(readers.read, one)):
        with pytest.raises(ShuttingDown):
            await ended()
