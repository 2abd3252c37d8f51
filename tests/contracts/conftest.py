"""The engines that every operation is tested on. A new engine adds itself to `ENGINES`."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from tests.contracts.world import Clock, World

from pennypost.store.engine import Engine
from pennypost.store.settings import StoreSettings
from pennypost.store.sqlite.engine import SqliteEngine


async def open_sqlite(folder: Path, clock: Clock) -> Engine:
    return await SqliteEngine.open(StoreSettings(folder), clock=clock, committed=lambda notices: None)


ENGINES: dict[str, Callable[[Path, Clock], Awaitable[Engine]]] = {"sqlite": open_sqlite}


@pytest_asyncio.fixture(params=ENGINES)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """An empty store. At the end of each test everything in it must agree."""
    clock = Clock()
    engine = await ENGINES[request.param](tmp_path, clock)
    world = World(engine, clock)
    yield world
    if not world.broken:
        assert await world.problems() == []
    await engine.close()
