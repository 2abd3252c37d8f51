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


BEFORE_SLOTS = """
INSERT INTO blob (id, hash, size, codec, data, created_at) VALUES
  (1, X'01', 9000, 0, X'', 70), (2, X'02', 5, 0, X'', 71), (3, X'03', 5, 0, X'', 72), (4, X'04', 5, 0, X'', 73);
INSERT INTO queued (id, blob, header, size, body, smtputf8, require_tls, created_at)
  VALUES (1, 4, X'', 5, '8BITMIME', 0, 0, 0);
INSERT INTO message (account, id, blob, size, header_size, received_at, thread, has_attachment, base_subject, sort_from,
  sort_to, sort_cc, header, envelope, bodystructure, mime_index, links, is_reply, origin)
  VALUES (2, 7, 1, 11, 1, 100, 7, 0, 'b', 'f', 't', 'c', X'aa', X'bb', X'cc', X'dd', X'ee', 1, 3),
  (1, 8, 2, 12, 1, 101, 8, 0, 'b', 'f', 't', 'c', X'aa', X'bb', X'cc', X'dd', NULL, 0, NULL);
INSERT INTO entry (account, mailbox, uid, message, flags, keywords, modseq, received_at, size, saved_at) VALUES
  (1, 1, 1, 8, 3, 'k', 9, 101, 12, 200), (2, 1, 4, 7, 0, NULL, 9, 100, 11, 201), (2, 2, 1, 7, 0, NULL, 9, 100, 11, 202),
  (2, 2, 2, 6, 0, NULL, 9, 100, 11, 203);
"""


def test_messages_get_slots_and_bodies_that_nothing_names_are_noted(tmp_path: Path) -> None:
    migrations = known_migrations()
    run(tmp_path, migrations[:15])
    rows(tmp_path, BEFORE_SLOTS)
    run(tmp_path, migrations)
    assert rows(tmp_path, "SELECT slot, account, id, blob, links, is_reply, origin, header FROM message") == [
        (1, 2, 7, 1, b"\xee", 1, 3, b"\xaa"),
        (2, 1, 8, 2, None, 0, None, b"\xaa"),
    ]
    assert rows(tmp_path, "SELECT account, mailbox, uid, message, slot, flags, keywords FROM entry") == [
        (1, 1, 1, 8, 2, 3, "k"),
        (2, 1, 4, 7, 1, 0, None),
        (2, 2, 1, 7, 1, 0, None),
        (2, 2, 2, 6, 0, 0, None),  # its message was lost before
    ]
    assert rows(tmp_path, "SELECT * FROM dropped_blob") == [(3, 72)]
    assert rows(tmp_path, "SELECT id, hash, size FROM blob") == [
        (1, b"\x01", 9000),
        (2, b"\x02", 5),
        (3, b"\x03", 5),
        (4, b"\x04", 5),
    ]


def test_entries_stay_as_they_are_where_nothing_is_noted_yet(tmp_path: Path) -> None:
    migrations = known_migrations()
    before = next(number for number, text in enumerate(migrations) if "CREATE TABLE flag_note" in text)
    run(tmp_path, migrations[:before])
    rows(tmp_path, "INSERT INTO entry VALUES (1, 2, 3, 4, 5, 6, 'k', 7, 8, 9, 10)")
    run(tmp_path, migrations[: before + 1])
    assert rows(tmp_path, "SELECT * FROM entry") == [(1, 2, 3, 4, 5, 6, "k", 7, 8, 9, 10)]
    assert rows(tmp_path, "SELECT * FROM flag_note") == []


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
