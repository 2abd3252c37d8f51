"""What every store engine has to do, whatever is beneath it. A new engine adds itself to `ENGINES`."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from pennypost.model.errors import OverQuota, ShuttingDown, UsageError
from pennypost.model.ids import AccountId, ModSeq
from pennypost.store.engine import Engine, Notice, Operation, Row, Transaction
from pennypost.store.settings import StoreSettings
from pennypost.store.sqlite.engine import SqliteEngine

SCHEMA = """
CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, number INTEGER, octets BLOB);
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
INSERT INTO counter (name, value) VALUES ('a', 0);
"""

NOW = datetime(2026, 2, 3, 4, 5, 6, 789012, UTC)


class Ticking:
    """A clock that goes on by a second each time it is read."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


async def open_sqlite(folder: Path, committed: Callable[[list[Notice]], None]) -> Engine:
    settings = StoreSettings(folder)
    return await SqliteEngine.open(settings, clock=Ticking(), committed=committed, migrations=[SCHEMA])


ENGINES: dict[str, Callable[[Path, Callable[[list[Notice]], None]], Awaitable[Engine]]] = {"sqlite": open_sqlite}


class Opened:
    """An engine, and how to open another one over the same rows: what another process would have."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self.folder = kind, folder
        self.notices: list[Notice] = []
        self.engines: list[Engine] = []

    async def another(self) -> Engine:
        engine = await ENGINES[self.kind](self.folder, self.notices.extend)
        self.engines.append(engine)
        return engine


@pytest_asyncio.fixture(params=ENGINES)
async def opened(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Opened]:
    opened = Opened(request.param, tmp_path)
    yield opened
    for engine in opened.engines:
        await engine.close()


@pytest_asyncio.fixture
async def engine(opened: Opened) -> Engine:
    return await opened.another()


async def add(tx: Transaction, name: str, number: int | None = None) -> int:
    row = await tx.fetch_one("INSERT INTO item (name, number) VALUES (?, ?) RETURNING id", name, number)
    assert row is not None
    return int(row[0])


async def names(tx: Transaction) -> list[str]:
    return [row[0] for row in await tx.fetch_all("SELECT name FROM item ORDER BY id")]


async def add_and_fail(tx: Transaction, name: str, error: BaseException) -> None:
    await add(tx, name)
    tx.changed(AccountId(1), ModSeq(1))
    raise error


async def fail(tx: Transaction, error: BaseException) -> None:
    await names(tx)
    raise error


async def test_the_result_of_an_operation_is_the_callers(engine: Engine) -> None:
    assert await engine.write(lambda tx: add(tx, "one")) == 1
    assert await engine.read(names) == ["one"]
    assert await engine.scan(names) == ["one"]


async def test_statements(engine: Engine) -> None:
    async def operation(tx: Transaction) -> None:
        many = [(f"n{k}", k) for k in range(10)]
        await tx.execute_many("INSERT INTO item (name, number) VALUES (?, ?)", many)
        assert await tx.execute("UPDATE item SET number = number + 1 WHERE number >= ?", 5) == 5
        assert await tx.execute("UPDATE item SET number = 0 WHERE number = ?", 99) == 0
        assert await tx.execute("DELETE FROM item WHERE number = ?", 0) == 1
        assert await tx.fetch_one("SELECT name FROM item WHERE number = ?", 99) is None
        assert await tx.fetch_all("SELECT name FROM item WHERE number > ? ORDER BY number", 8) == [("n8",), ("n9",)]
        assert await tx.fetch_one("SELECT name FROM item ORDER BY number DESC") == ("n9",)
        assert await tx.fetch_one("UPDATE counter SET value = value + 3 WHERE name = ? RETURNING value", "a") == (3,)
        upsert = "INSERT INTO item (name) VALUES (?) ON CONFLICT (name) DO UPDATE SET number = 7 RETURNING number"
        assert await tx.fetch_one(upsert, "n4") == (7,)
        await tx.execute_many("INSERT INTO item (name) VALUES (?)", [])

    await engine.write(operation)


@pytest.mark.parametrize(
    "value", [None, 0, 1, -1, 2**63 - 1, -(2**63), "", "a", "ü€😀", "it's", b"", b"\0\r\n\xff", b"x" * 100_000]
)
async def test_values_come_back_as_they_went(engine: Engine, value: Any) -> None:
    column = {int: "number", bytes: "octets"}.get(type(value), "name")
    if column == "name" and value is None:
        column = "number"
    sql = (
        f"INSERT INTO item (name, {column}) VALUES ('k', ?)"
        if column != "name"
        else "INSERT INTO item (name) VALUES (?)"
    )

    await engine.write(lambda tx: tx.execute(sql, value))
    row = await engine.read(lambda tx: tx.fetch_one(f"SELECT {column} FROM item"))
    assert row == (value,)
    assert type(row[0]) is type(value)


async def test_a_failed_operation_leaves_nothing_and_its_error_is_the_callers(opened: Opened, engine: Engine) -> None:
    error = OverQuota("too much")
    with pytest.raises(OverQuota) as raised:
        await engine.write(lambda tx: add_and_fail(tx, "bad", error))
    assert raised.value is error
    assert await engine.read(names) == []
    assert opened.notices == []


async def test_failures_take_nobody_with_them(opened: Opened, engine: Engine) -> None:
    """Operations that are handed over together may share a commit: each has its own outcome."""

    async def good(tx: Transaction, n: int) -> int:
        await add(tx, f"good {n}")
        tx.changed(AccountId(n + 100), ModSeq(n))
        return n

    def operation(n: int) -> Callable[[Transaction], Awaitable[int | None]]:
        match n % 4:
            case 0:
                return lambda tx: add_and_fail(tx, "bad", ValueError(n))
            case 1:
                return lambda tx: fail(tx, KeyError(n))
            case _:
                return lambda tx: good(tx, n)

    results = await asyncio.gather(*(engine.write(operation(n)) for n in range(40)), return_exceptions=True)
    for n, result in enumerate(results):
        expected = {0: ValueError, 1: KeyError}.get(n % 4, int)
        assert type(result) is expected
        assert (result.args[0] if isinstance(result, Exception) else result) == n
    wanted = [n for n in range(40) if n % 4 > 1]
    assert await engine.read(names) == [f"good {n}" for n in wanted]
    assert sorted(opened.notices) == [(n + 100, n) for n in wanted]


async def test_a_constraint_stops_only_the_one_that_breaks_it(engine: Engine) -> None:
    results = await asyncio.gather(
        *(engine.write(lambda tx: add(tx, "same")) for _ in range(5)), return_exceptions=True
    )
    assert results[0] == 1
    assert all(isinstance(result, Exception) for result in results[1:])
    assert await engine.write(lambda tx: add(tx, "other")) >= 2
    assert await engine.read(names) == ["same", "other"]


async def test_writes_are_committed_in_the_order_of_their_submission(engine: Engine) -> None:
    await asyncio.gather(*(engine.write(lambda tx, n=n: add(tx, f"{n}")) for n in range(300)))
    assert await engine.read(names) == [f"{n}" for n in range(300)]


async def test_large_writes_keep_their_place_and_their_failures_to_themselves(opened: Opened, engine: Engine) -> None:
    def write(n: int) -> Awaitable[int | None]:
        run = engine.write_large if n % 3 == 0 else engine.write
        if n % 7 == 0:
            return run(lambda tx: add_and_fail(tx, "bad", KeyError(n)))
        return run(lambda tx: add(tx, f"{n}"))

    results = await asyncio.gather(*(write(n) for n in range(60)), return_exceptions=True)
    assert [n for n, result in enumerate(results) if isinstance(result, KeyError)] == list(range(0, 60, 7))
    assert await engine.read(names) == [f"{n}" for n in range(60) if n % 7]
    assert opened.notices == []


async def test_a_large_write_leaves_the_loop_alone(engine: Engine) -> None:
    started, go = threading.Event(), threading.Event()

    async def operation(tx: Transaction) -> bool:
        await add(tx, "large")
        started.set()
        return go.wait(10)

    write = asyncio.ensure_future(engine.write_large(operation))
    assert await asyncio.to_thread(started.wait, 10)
    small = asyncio.ensure_future(engine.write(lambda tx: add(tx, "small")))
    assert await engine.read(names) == []
    go.set()
    assert await write
    await small
    assert await engine.read(names) == ["large", "small"]


async def test_no_update_is_lost_between_engines(opened: Opened) -> None:
    """Read, decide, write: in one transaction, whoever else does the same."""

    async def count(tx: Transaction) -> None:
        row = await tx.fetch_one("SELECT value FROM counter WHERE name = 'a'")
        assert row is not None
        await tx.execute("UPDATE counter SET value = ? WHERE name = 'a'", row[0] + 1)

    engines = [await opened.another() for _ in range(3)]
    await asyncio.gather(*(engine.write(count) for _ in range(50) for engine in engines))
    for engine in engines:
        assert await engine.read(lambda tx: tx.fetch_one("SELECT value FROM counter")) == (150,)


async def test_what_was_written_is_seen_at_once_by_the_others(opened: Opened) -> None:
    one, two = await opened.another(), await opened.another()
    for n in range(20):
        await one.write(lambda tx, n=n: add(tx, f"{n}"))
        assert len(await two.read(names)) == n + 1
        assert len(await two.scan(names)) == n + 1


async def test_a_read_is_one_snapshot(opened: Opened) -> None:
    """What others commit while a scan runs is not seen by it."""
    one, two = await opened.another(), await opened.another()
    await one.write(lambda tx: add(tx, "first"))
    loop = asyncio.get_running_loop()

    async def look_twice(tx: Transaction) -> tuple[list[str], list[str]]:
        before = await names(tx)
        asyncio.run_coroutine_threadsafe(two.write(lambda tx: add(tx, "second")), loop).result(10)
        return before, await names(tx)

    assert await one.scan(look_twice) == (["first"], ["first"])
    assert await one.read(names) == ["first", "second"]


async def test_an_operation_sees_what_it_wrote(engine: Engine) -> None:
    async def operation(tx: Transaction) -> list[str]:
        await add(tx, "mine")
        return await names(tx)

    assert await engine.write(operation) == ["mine"]


@pytest.mark.parametrize("how", ["read", "scan"])
async def test_reading_does_not_write(engine: Engine, how: str) -> None:
    run = engine.read if how == "read" else engine.scan
    with pytest.raises(Exception, match=r".+"):
        await run(lambda tx: add(tx, "sneaky"))
    assert await engine.read(names) == []


@pytest.mark.parametrize("how", ["read", "scan", "write"])
async def test_now_stands_still_in_a_transaction(engine: Engine, how: str) -> None:
    async def operation(tx: Transaction) -> datetime:
        first = tx.now
        await names(tx)
        assert tx.now == first
        return first

    run = {"read": engine.read, "scan": engine.scan, "write": engine.write}[how]
    first = await run(operation)
    assert first.utcoffset() == timedelta(0)
    assert NOW < first < await run(operation)


@pytest.mark.parametrize("how", ["read", "scan", "write"])
async def test_waiting_for_something_else_is_a_mistake(engine: Engine, how: str) -> None:
    async def operation(tx: Transaction) -> None:
        await asyncio.sleep(0)

    if not isinstance(engine, SqliteEngine):
        pytest.skip("only an engine without a loop beneath its operations can tell")
    run = {"read": engine.read, "scan": engine.scan, "write": engine.write}[how]
    with pytest.raises(UsageError):
        await run(operation)
    await engine.write(lambda tx: add(tx, "still works"))


async def test_notices_come_after_the_commit(opened: Opened, engine: Engine) -> None:
    async def operation(tx: Transaction) -> None:
        await add(tx, "x")
        tx.changed(AccountId(7), ModSeq(3))
        tx.changed(AccountId(8), ModSeq(4))
        assert opened.notices == []

    await engine.write(operation)
    assert sorted(opened.notices) == [(7, 3), (8, 4)]


async def test_a_cancelled_caller_does_not_undo_its_write(engine: Engine) -> None:
    task = asyncio.ensure_future(engine.write(lambda tx: add(tx, "cancelled")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await engine.write(lambda tx: add(tx, "after"))
    assert await engine.read(names) == ["cancelled", "after"]


async def test_close_finishes_what_was_handed_over(opened: Opened, engine: Engine) -> None:
    writes = [asyncio.ensure_future(engine.write(lambda tx, n=n: add(tx, f"{n}"))) for n in range(20)]
    await asyncio.sleep(0)
    await engine.close()
    await engine.close()
    await asyncio.gather(*writes)
    with pytest.raises(ShuttingDown):
        await engine.write(names)
    with pytest.raises(ShuttingDown):
        await engine.read(names)
    with pytest.raises(ShuttingDown):
        await engine.scan(names)
    assert len(await (await opened.another()).read(names)) == 20


async def test_a_glance_sees_what_is_committed_and_holds_no_snapshot(opened: Opened) -> None:
    engine = await opened.another()
    await engine.write(lambda tx: tx.execute("INSERT INTO item (name) VALUES (?)", "one"))
    other = await opened.another()

    async def names(tx: Transaction) -> Row | None:
        return await tx.fetch_one("SELECT COUNT(*) FROM item")

    assert await other.glance(names) == (1,)
    await engine.write(lambda tx: tx.execute("INSERT INTO item (name) VALUES (?)", "two"))
    assert await other.glance(names) == (2,)
    assert await other.read(names) == (2,)


async def test_a_large_write_is_in_order_and_alone_in_its_failure(opened: Opened) -> None:
    engine = await opened.another()

    async def fail(tx: Transaction) -> None:
        await tx.execute("INSERT INTO item (name) VALUES (?)", "lost")
        raise OverQuota

    def insert(name: str) -> Operation[int]:
        return lambda tx: tx.execute("INSERT INTO item (name) VALUES (?)", name)

    results = await asyncio.gather(
        engine.write(insert("a")),
        engine.write_large(insert("b")),
        engine.write_large(fail),
        engine.write(insert("c")),
        engine.write(fail),
        engine.write_large(insert("d")),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [int, int, OverQuota, int, OverQuota, int]
    rows = await engine.read(lambda tx: tx.fetch_all("SELECT name FROM item ORDER BY id"))
    assert rows == [("a",), ("b",), ("c",), ("d",)]
