"""Migrations: in order, all or nothing, by one process."""

import subprocess
import sys
from pathlib import Path

import apsw
import pytest

import pennypost
from pennypost.store.engine import UnknownSchema
from pennypost.store.sqlite.lock import FairLock
from pennypost.store.sqlite.migrate import known_migrations, migrate

FIRST = "CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (1);"
SECOND = "ALTER TABLE a ADD COLUMN y INTEGER; UPDATE a SET y = x + 1;"
BROKEN = "INSERT INTO a (x) VALUES (5); INSERT INTO nowhere VALUES (1);"


def run(tmp_path: Path, migrations: list[str]) -> int:
    connection = apsw.Connection(str(tmp_path / "db"))
    lock = FairLock(tmp_path, "migrate")
    try:
        return migrate(connection, lock, migrations)
    finally:
        lock.close()
        connection.close()


def rows(tmp_path: Path, sql: str) -> list[tuple[object, ...]]:
    connection = apsw.Connection(str(tmp_path / "db"))
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def test_each_runs_once(tmp_path: Path) -> None:
    assert run(tmp_path, [FIRST]) == 1
    assert run(tmp_path, [FIRST]) == 1
    assert run(tmp_path, [FIRST, SECOND]) == 2
    assert run(tmp_path, [FIRST, SECOND]) == 2
    assert rows(tmp_path, "SELECT * FROM a") == [(1, 2)]
    assert rows(tmp_path, "PRAGMA user_version") == [(2,)]


def test_one_that_fails_takes_all_of_this_run_back(tmp_path: Path) -> None:
    run(tmp_path, [FIRST])
    with pytest.raises(apsw.SQLError, match="nowhere"):
        run(tmp_path, [FIRST, SECOND, BROKEN])
    assert rows(tmp_path, "SELECT * FROM a") == [(1,)]
    assert rows(tmp_path, "PRAGMA user_version") == [(1,)]
    assert run(tmp_path, [FIRST, SECOND]) == 2


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    run(tmp_path, [FIRST, SECOND])
    with pytest.raises(UnknownSchema):
        run(tmp_path, [FIRST])


def test_ours_are_numbered_without_a_gap() -> None:
    found = known_migrations()
    assert found
    assert "CREATE TABLE domain" in found[0]


CHILD = """
import asyncio, sys
from pathlib import Path
from pennypost.store.settings import StoreSettings
from pennypost.store.store import Store
async def main():
    sys.stdin.readline()
    store = await Store.open(StoreSettings(Path(sys.argv[1])))
    await store.close()
asyncio.run(main())
"""


def test_processes_that_start_together_migrate_once(tmp_path: Path) -> None:
    source = str(Path(pennypost.__file__).parents[1])
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path / "data")], stdin=subprocess.PIPE, env={"PYTHONPATH": source}
        )
        for _ in range(4)
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.write(b"\n")
        child.stdin.flush()
    for child in children:
        child.communicate(timeout=30)
    assert [child.returncode for child in children] == [0] * 4
