"""What is SQLite's own about writing: the lock between processes, a full disk, the log."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apsw
import pytest
import pytest_asyncio

from pennypost.model.errors import ServerBusy, StorageFull
from pennypost.model.ids import AccountId, ModSeq
from pennypost.model.units import KIB, MIB
from pennypost.store.engine import Notice, Transaction
from pennypost.store.settings import StoreSettings
from pennypost.store.sqlite.connection import translate
from pennypost.store.sqlite.engine import DATABASE, SqliteEngine
from pennypost.store.sqlite.lock import FairLock
from pennypost.store.sqlite.writer import ALONE_FROM, ALONE_ROUNDS, GROUP_SECONDS, QUICK_COMMIT_SECONDS, QUICK_COMMITS

SCHEMA = "CREATE TABLE item (id INTEGER PRIMARY KEY, octets BLOB);"


async def open_engine(folder: Path, **settings: object) -> SqliteEngine:
    return await SqliteEngine.open(
        StoreSettings(folder, **settings),  # type: ignore[arg-type]
        clock=lambda: datetime.now(UTC),
        committed=lambda notices: None,
        migrations=[SCHEMA],
    )


@pytest_asyncio.fixture
async def engine(tmp_path: Path) -> AsyncIterator[SqliteEngine]:
    engine = await open_engine(tmp_path)
    yield engine
    await engine.close()


async def add(tx: Transaction, octets: bytes = b"") -> None:
    await tx.execute("INSERT INTO item (octets) VALUES (?)", octets)


async def count(tx: Transaction) -> int:
    row = await tx.fetch_one("SELECT count(*) FROM item")
    assert row is not None
    return int(row[0])


async def test_commits_are_synced(engine: SqliteEngine) -> None:
    async def pragmas(tx: Transaction) -> list[object]:
        return [(await tx.fetch_one(f"PRAGMA {name}") or [None])[0] for name in ("journal_mode", "synchronous")]

    assert await engine.write(pragmas) == ["wal", 2]


async def test_a_group_is_one_commit(engine: SqliteEngine) -> None:
    """While one operation holds the writer, those that queue up behind it share the next commit."""
    held, go = threading.Event(), threading.Event()

    async def hold(tx: Transaction) -> None:
        held.set()
        go.wait(10)

    instants: list[datetime] = []

    async def note(tx: Transaction) -> None:
        instants.append(tx.now)
        await add(tx)

    first = asyncio.ensure_future(engine.write_large(hold))
    assert await asyncio.to_thread(held.wait, 10)
    writes = [asyncio.ensure_future(engine.write(note)) for _ in range(50)]
    await asyncio.sleep(0)
    go.set()
    await asyncio.gather(first, *writes)
    assert len(set(instants)) == 1  # `now` is read once in a transaction


async def test_a_group_gives_the_loop_back_when_its_time_is_over(engine: SqliteEngine) -> None:
    """Each of these takes more than half of what a group may: two make a group, and the order stays."""
    instants: list[datetime] = []

    async def slow(tx: Transaction, number: int) -> None:
        instants.append(tx.now)
        await add(tx, b"%d" % number)
        time.sleep(GROUP_SECONDS * 0.6)  # noqa: ASYNC251 -- an operation does not run on a loop

    await asyncio.gather(*(engine.write(lambda tx, n=n: slow(tx, n)) for n in range(10)))
    assert 5 <= len(set(instants)) <= 10
    rows = await engine.read(lambda tx: tx.fetch_all("SELECT octets FROM item ORDER BY id"))
    assert rows == [(b"%d" % number,) for number in range(10)]


async def committing_threads(engine: SqliteEngine, commits: int) -> list[bool]:
    """Commit so often. Gives, for each commit, whether the event loop waited for it itself."""
    here: list[bool] = []
    loop_thread = threading.get_ident()
    engine._writer._connection.set_commit_hook(lambda: here.append(threading.get_ident() == loop_thread) or 0)
    for _ in range(commits):
        await engine.write(add)
    engine._writer._connection.set_commit_hook(None)
    return here


async def test_a_quick_disk_is_waited_for_on_the_loop(engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pennypost.store.sqlite.writer.QUICK_COMMIT_SECONDS", 60.0)
    assert await committing_threads(engine, QUICK_COMMITS + 3) == [False] * QUICK_COMMITS + [True] * 3


async def test_a_slow_commit_sends_the_next_ones_to_the_thread(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pennypost.store.sqlite.writer.QUICK_COMMIT_SECONDS", 60.0)
    assert (await committing_threads(engine, QUICK_COMMITS + 1))[-1]
    monkeypatch.setattr("pennypost.store.sqlite.writer.QUICK_COMMIT_SECONDS", 0.0)
    assert await committing_threads(engine, 1 + QUICK_COMMITS) == [True] + [False] * QUICK_COMMITS


def test_a_quick_commit_takes_no_longer_than_others_may_notice() -> None:
    assert QUICK_COMMIT_SECONDS <= 0.001


async def turning_rounds(engine: SqliteEngine, writes: int) -> list[bool]:
    """Write so often, from this task. Gives, for each time, whether the event loop had its turn meanwhile."""
    turned: list[bool] = []
    marks: list[bool] = []
    for _ in range(writes):
        marks.clear()
        asyncio.get_running_loop().call_soon(marks.append, True)
        await engine.write(add)
        turned.append(bool(marks))
    return turned


async def test_who_writes_alone_waits_for_nobody(engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its operations are committed at once, but for one now and then: other tasks have their turn, too."""
    monkeypatch.setattr("pennypost.store.sqlite.writer.QUICK_COMMIT_SECONDS", 60.0)
    assert all(await turning_rounds(engine, max(QUICK_COMMITS, ALONE_FROM)))
    periods = await turning_rounds(engine, 3 * ALONE_ROUNDS)
    assert periods == 3 * [True, *(ALONE_ROUNDS - 1) * [False]]
    assert await engine.read(count) == max(QUICK_COMMITS, ALONE_FROM) + 3 * ALONE_ROUNDS


async def test_who_does_not_write_alone_waits_for_others(engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pennypost.store.sqlite.writer.QUICK_COMMIT_SECONDS", 60.0)
    await turning_rounds(engine, 2 * ALONE_FROM)
    for _ in range(3 * ALONE_FROM):
        await asyncio.create_task(engine.write(add))
        assert await turning_rounds(engine, 1) == [True]


async def test_who_writes_alone_waits_for_other_processes(
    tmp_path: Path, engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pennypost.store.sqlite.writer.QUICK_COMMIT_SECONDS", 60.0)
    await turning_rounds(engine, 2 * ALONE_FROM + 1)
    lock = FairLock(tmp_path / "lock", "write")
    with lock:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        loop.call_later(0.1, lock.release)
        await engine.write(add)
        assert loop.time() - begun >= 0.09
    lock.close()


async def test_who_writes_alone_goes_on_before_others_hear_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pennypost.store.sqlite.writer.QUICK_COMMIT_SECONDS", 60.0)
    heard: list[Notice] = []
    engine = await SqliteEngine.open(
        StoreSettings(tmp_path), clock=lambda: datetime.now(UTC), committed=heard.extend, migrations=[SCHEMA]
    )
    await turning_rounds(engine, 2 * ALONE_FROM + 1)

    async def notify(tx: Transaction) -> None:
        await add(tx)
        tx.changed(AccountId(1), ModSeq(1))

    await engine.write(notify)
    assert heard == []
    await asyncio.sleep(0)
    assert heard == [(1, 1)]
    await engine.write(notify)
    await engine.close()
    assert heard == [(1, 1), (1, 1)]


async def test_what_fails_alone_leaves_nothing(engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pennypost.store.sqlite.writer.QUICK_COMMIT_SECONDS", 60.0)
    await turning_rounds(engine, 2 * ALONE_FROM + 1)
    before = await engine.read(count)

    async def failing(tx: Transaction) -> None:
        await add(tx)
        raise ValueError("no")

    for _ in range(3):
        with pytest.raises(ValueError, match="no"):
            await engine.write(failing)
        await engine.write(add)
    assert await engine.read(count) == before + 3


async def test_a_group_waits_while_each_round_brings_more(engine: SqliteEngine) -> None:
    """Operations of three rounds of the loop, one after the other, share a commit."""
    instants: list[datetime] = []

    async def note(tx: Transaction) -> None:
        instants.append(tx.now)
        await add(tx)

    writes = []
    for _ in range(3):
        writes.append(asyncio.ensure_future(engine.write(note)))
        await asyncio.sleep(0)
    await asyncio.gather(*writes)
    assert len(set(instants)) == 1


async def test_writes_wait_for_the_lock_of_other_processes_and_not_for_ever(tmp_path: Path) -> None:
    engine = await open_engine(tmp_path, lock_timeout=timedelta(milliseconds=100))
    lock = FairLock(tmp_path / "lock", "write")
    lock.acquire()
    writes = [asyncio.ensure_future(engine.write(add)) for _ in range(3)]
    for error in await asyncio.gather(*writes, return_exceptions=True):
        assert isinstance(error, ServerBusy)
    late = asyncio.ensure_future(engine.write(add))
    await asyncio.sleep(0.01)
    assert not late.done()
    lock.release()
    await late
    assert await engine.read(count) == 1  # those that were refused never happen
    await engine.close()
    lock.close()


async def test_a_lock_that_is_not_ours_is_server_busy(tmp_path: Path) -> None:
    """Somebody's SQLite tool holds the database."""
    engine = await open_engine(tmp_path, lock_timeout=timedelta(milliseconds=50))
    tool = apsw.Connection(str(tmp_path / DATABASE))
    tool.execute("BEGIN IMMEDIATE")
    refused = asyncio.ensure_future(engine.write(add))
    loop = asyncio.get_running_loop()
    longest = 0.0
    while not refused.done():
        before = loop.time()
        await asyncio.sleep(0.001)
        longest = max(longest, loop.time() - before)
    with pytest.raises(ServerBusy):
        await refused
    assert longest < 0.5, "the event loop stood still meanwhile"
    late = asyncio.ensure_future(engine.write(add))
    await asyncio.sleep(0.01)
    tool.execute("ROLLBACK")
    tool.close()
    await late
    await engine.write_large(add)
    assert await engine.read(count) == 2
    await engine.close()


async def test_who_is_told_of_a_commit_cannot_stop_the_next(tmp_path: Path) -> None:
    def fail(notices: list[Notice]) -> None:
        raise RuntimeError("told the wrong one")

    errors: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: errors.append(context["exception"]))
    engine = await SqliteEngine.open(
        StoreSettings(tmp_path), clock=lambda: datetime.now(UTC), committed=fail, migrations=[SCHEMA]
    )

    async def notify(tx: Transaction) -> None:
        await add(tx)
        tx.changed(AccountId(1), ModSeq(1))

    await asyncio.gather(*(engine.write(notify) for _ in range(300)))
    await engine.close()
    assert errors
    assert all(isinstance(error, RuntimeError) for error in errors)


async def test_a_full_disk_is_storage_full_and_nothing_is_stored(engine: SqliteEngine) -> None:
    await engine.write(add)

    async def fill(tx: Transaction) -> None:
        await tx.execute("PRAGMA max_page_count=20")
        for _ in range(100):
            await add(tx, b"x" * 10_000)

    with pytest.raises(StorageFull):
        await engine.write(fill)
    results = await asyncio.gather(engine.write(add), engine.write(fill), engine.write(add), return_exceptions=True)
    assert isinstance(results[1], StorageFull)
    stored = 1 + [results[0], results[2]].count(None)
    assert all(result is None or isinstance(result, StorageFull) for result in results)
    assert await engine.read(count) == stored
    await engine.write(lambda tx: tx.execute("PRAGMA max_page_count=1000000"))
    await engine.write(add)


def test_what_sqlite_says_has_its_mail_error() -> None:
    for error, expected in [
        (apsw.FullError("x"), StorageFull),
        (apsw.IOError("x"), StorageFull),
        (apsw.BusyError("x"), ServerBusy),
        (apsw.LockedError("x"), ServerBusy),
    ]:
        assert isinstance(translate(error), expected)
        assert translate(error).__cause__ is error
    bug = apsw.SQLError("x")
    assert translate(bug) is bug


async def test_the_log_stays_short_under_steady_writing(tmp_path: Path) -> None:
    limit = 1 * MIB
    engine = await open_engine(tmp_path, checkpoint_size=256 * KIB, log_limit=limit)
    log = (tmp_path / DATABASE).with_name(DATABASE + "-wal")
    longest = 0
    for _ in range(400):
        await asyncio.gather(*(engine.write(lambda tx: add(tx, b"x" * 6000)) for _ in range(5)))
        longest = max(longest, log.stat().st_size)
    assert (tmp_path / DATABASE).stat().st_size > 10 * limit
    assert longest < 4 * limit
    await engine.close()
    assert not log.exists()


async def test_the_log_has_room_for_what_comes_while_it_is_copied(tmp_path: Path) -> None:
    """Octets behind its limit replace others, too: a file that becomes longer is slower to sync."""
    limit = 1 * MIB
    engine = await open_engine(tmp_path, checkpoint_size=768 * KIB, log_limit=limit)
    log = (tmp_path / DATABASE).with_name(DATABASE + "-wal")
    while (tmp_path / DATABASE).stat().st_size < 8 * limit:
        await engine.write(lambda tx: add(tx, b"x" * 6000))
    assert log.stat().st_size > 1.2 * limit
    await engine.close()


async def test_a_long_read_does_not_hold_up_writers(engine: SqliteEngine) -> None:
    started, go = threading.Event(), threading.Event()

    async def read_long(tx: Transaction) -> int:
        before = await count(tx)
        started.set()
        go.wait(10)
        return before - await count(tx)

    scan = asyncio.ensure_future(engine.scan(read_long))
    assert await asyncio.to_thread(started.wait, 10)
    for _ in range(50):
        await engine.write(lambda tx: add(tx, b"x" * 100_000))
    go.set()
    assert await scan == 0


def test_the_lock_lets_each_have_its_turn(tmp_path: Path) -> None:
    """Who releases the lock and wants it again at once does not overtake who waits."""
    turns: list[int] = []
    end = time.monotonic() + 20

    def work(number: int, lock: FairLock) -> None:
        while len(turns) < 300 and time.monotonic() < end:
            with lock:
                turns.append(number)
                time.sleep(0.0005)

    locks = [FairLock(tmp_path, "x") for _ in range(2)]
    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(locks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    middle = turns[20:280]
    assert 0.4 < middle.count(0) / len(middle) < 0.6
    for lock in locks:
        lock.close()


def test_trying_the_lock(tmp_path: Path) -> None:
    one, two = FairLock(tmp_path, "x"), FairLock(tmp_path, "x")
    assert one.try_acquire()
    assert not two.try_acquire()
    one.release()
    assert two.try_acquire()
    two.close()
    one.close()


# -- Room in the log


async def fill_log(engine: SqliteEngine, octets: int) -> None:
    for _ in range(octets // (256 * KIB)):
        await engine.write(lambda tx: add(tx, bytes(256 * KIB)))


async def test_room_is_made_ahead_of_a_growing_log(tmp_path: Path) -> None:
    engine = await open_engine(tmp_path, checkpoint_size=64 * MIB)
    log = tmp_path / f"{DATABASE}-wal"
    try:
        await fill_log(engine, 2 * MIB)
        small = 0
        while log.stat().st_size < 3 * MIB and small < 500:
            await asyncio.sleep(0.01)
            await engine.write(add)  # each commit looks whether there is room
            small += 1
        assert log.stat().st_size > 3 * MIB  # what is in it has 2 MiB
        await fill_log(engine, 2 * MIB)
        octets = log.read_bytes()
        other = tmp_path / "copy"
        other.mkdir()
        (other / f"{DATABASE}-wal").write_bytes(octets)  # as after a power failure: zeros and all
        (other / DATABASE).write_bytes((tmp_path / DATABASE).read_bytes())
        restored = apsw.Connection(str(other / DATABASE))
        assert restored.execute("SELECT count(*) FROM item").fetchall() == [(16 + small,)]
        assert restored.pragma("integrity_check") == "ok"
        restored.close()
    finally:
        await engine.close()


async def test_a_disk_that_is_nearly_full_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pennypost.store.sqlite.checkpoint._ROOM_SHARE", 1 << 40)
    engine = await open_engine(tmp_path, checkpoint_size=64 * MIB)
    try:
        await fill_log(engine, 2 * MIB)
        await asyncio.sleep(0.05)
        assert (tmp_path / f"{DATABASE}-wal").stat().st_size < 3 * MIB
    finally:
        await engine.close()
