"""The full-text index on SQLite: FTS5 in a file of its own (docs/decisions/0010).

The table keeps no text, and of each word only in which messages and fields it stands (`detail=column`). Words come as
`message.search_text` cuts them, so the tokenizer does no more than split at blanks: `ascii` takes every other character
for a letter, whatever version of Unicode SQLite knows. A row's number is the account's and the message's together, so
that what one account has lies together, and a search of it touches nothing else.
"""

import asyncio
import threading
import unicodedata
from array import array
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

import apsw

from pennypost.message.search_text import Query
from pennypost.model.errors import ShuttingDown
from pennypost.model.ids import AccountId
from pennypost.store.engine import Row
from pennypost.store.search import NOT_INDEXED, Document, Hits, IndexState
from pennypost.store.settings import StoreSettings
from pennypost.store.sqlite.connection import translate
from pennypost.store.sqlite.lock import FairLock

T = TypeVar("T")

FILE = "search.db"
_LOCKS = "lock"
_READERS = 2
_BUSY = timedelta(seconds=60)
_CACHE_KIB = 8 * 1024
_MESSAGE_BITS = 40
_DELETE_STEP = 500

VERSION = f"1 {unicodedata.unidata_version}"
"""What is stored with the index: one that was made by other rules is made anew. Words depend on Unicode's version."""

_SCHEMA = """
CREATE TABLE meta (version TEXT NOT NULL);
CREATE TABLE progress (account INTEGER PRIMARY KEY, created_at INTEGER NOT NULL, upto INTEGER NOT NULL);
CREATE TABLE unsure (id INTEGER PRIMARY KEY);
CREATE VIRTUAL TABLE text USING fts5(
  header, body, plain, content='', contentless_delete=1, detail=column, tokenize='ascii'
);
"""


class SqliteSearchIndex:
    """The `SearchIndex` in `settings.data_dir`. Nothing is opened before it is needed."""

    def __init__(self, settings: StoreSettings) -> None:
        self._folder = settings.data_dir
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="search-write")
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="search-read")
        self._local = threading.local()
        self._open: list[apsw.Connection] = []
        self._prepared = threading.Lock()
        self._is_prepared = False
        self._closed = False

    async def state(self, account: AccountId) -> IndexState:
        return await self._read(lambda connection: _state(connection, account))

    async def add(self, account: AccountId, before: IndexState, after: IndexState, new: Sequence[Document]) -> bool:
        return await self._write(lambda connection: _add(connection, account, before, after, new))

    async def find(self, account: AccountId, query: Query, header: bool, body: bool, fuzzy: bool) -> Hits:
        match = match_expression(query, header, body, fuzzy)
        return await self._read(lambda connection: _find(connection, account, match))

    async def messages(self, account: AccountId, after: int, limit: int) -> list[int]:
        low, high = _rows(account)
        sql = "SELECT rowid FROM text WHERE rowid > ? AND rowid <= ? ORDER BY rowid LIMIT ?"
        return await self._read(
            lambda connection: [row[0] - low for row in _all(connection, sql, low + after, high, limit)]
        )

    async def remove(self, account: AccountId, messages: Sequence[int]) -> None:
        low, _ = _rows(account)
        rows = [(low + message,) for message in messages]
        for start in range(0, len(rows), _DELETE_STEP):
            await self._write(partial(_delete, rows=rows[start : start + _DELETE_STEP]))

    async def accounts(self) -> dict[AccountId, IndexState]:
        return await self._read(_accounts)

    async def forget(self, account: AccountId) -> None:
        await self._write(lambda connection: _forget(connection, account))

    async def clear(self) -> None:
        await self._write(_clear)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for pool in (self._writer, self._readers):
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)
        for connection in self._open:
            connection.close()

    # -- Connections

    async def _read(self, work: Callable[[apsw.Connection], T]) -> T:
        return await self._run(self._readers, work)

    async def _write(self, work: Callable[[apsw.Connection], T]) -> T:
        """Run a write transaction. Raises StorageFull; ServerBusy when another process holds the index for long."""

        def transaction(connection: apsw.Connection) -> T:
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = work(connection)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
            return result

        return await self._run(self._writer, transaction)

    async def _run(self, pool: ThreadPoolExecutor, work: Callable[[apsw.Connection], T]) -> T:
        if self._closed:
            raise ShuttingDown

        def run() -> T:
            try:
                return work(self._connection())
            except apsw.Error as error:
                raise translate(error) from None

        return await asyncio.get_running_loop().run_in_executor(pool, run)

    def _connection(self) -> apsw.Connection:
        """Give this thread's connection."""
        found: apsw.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            with self._prepared:
                if not self._is_prepared:
                    _prepare(self._folder)
                    self._is_prepared = True
            found = _connect(self._folder / FILE)
            self._local.connection = found
            self._open.append(found)
        return found


def match_expression(query: Query, header: bool, body: bool, fuzzy: bool) -> str:
    """Write what FTS5 is to look for. Words are letters and digits only: nothing has to be quoted within them."""
    fields = [*(("header",) if header else ()), *(("body",) if body else ()), *(("plain",) if fuzzy else ())]
    words = [f'"{word}"' for word in dict.fromkeys(query.words[:-1])]
    words.append(f'"{query.words[-1]}"' + ("" if query.last_is_whole else "*"))
    columns, wanted = " ".join(fields), " AND ".join(words)
    return f"{{{columns}}} : ({wanted})"


def _rows(account: AccountId) -> tuple[int, int]:
    low = account << _MESSAGE_BITS
    return low, low + (1 << _MESSAGE_BITS) - 1


def _connect(file: Path) -> apsw.Connection:
    connection = apsw.Connection(str(file))
    connection.set_busy_timeout(_BUSY // timedelta(milliseconds=1))
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", f"cache_size=-{_CACHE_KIB}", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    return connection


def _prepare(folder: Path) -> None:
    """Make the index, anew where it is damaged or was made by other rules. One process at a time."""
    locks = folder / _LOCKS
    locks.mkdir(mode=0o700, exist_ok=True)
    lock = FairLock(locks, "search")
    try:
        with lock:
            try:
                _make(folder / FILE)
            except (apsw.NotADBError, apsw.CorruptError):
                for suffix in ("", "-wal", "-shm"):
                    (folder / f"{FILE}{suffix}").unlink(missing_ok=True)
                _make(folder / FILE)
    finally:
        lock.close()


def _make(file: Path) -> None:
    connection = _connect(file)
    try:
        file.chmod(0o600)
        connection.execute("BEGIN IMMEDIATE")
        there = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'meta'").fetchall()
        if there and connection.execute("SELECT version FROM meta").fetchall() == [(VERSION,)]:
            connection.execute("ROLLBACK")
            return
        for table in ("text", "unsure", "progress", "meta"):
            connection.execute(f"DROP TABLE IF EXISTS {table}")
        connection.execute(_SCHEMA)
        connection.execute("INSERT INTO meta VALUES (?)", (VERSION,))
        connection.execute("COMMIT")
    finally:
        connection.close()


def _all(connection: apsw.Connection, sql: str, *values: int | str) -> list[Row]:
    return connection.execute(sql, values).fetchall()


def _state(connection: apsw.Connection, account: AccountId) -> IndexState:
    rows = _all(connection, "SELECT created_at, upto FROM progress WHERE account = ?", account)
    return IndexState(*rows[0]) if rows else NOT_INDEXED


def _accounts(connection: apsw.Connection) -> dict[AccountId, IndexState]:
    rows = _all(connection, "SELECT account, created_at, upto FROM progress")
    return {AccountId(row[0]): IndexState(row[1], row[2]) for row in rows}


def _add(
    connection: apsw.Connection, account: AccountId, before: IndexState, after: IndexState, new: Sequence[Document]
) -> bool:
    if _state(connection, account) != before:
        return False
    if before != NOT_INDEXED and (before.created_at != after.created_at or after.upto < before.upto):
        _forget(connection, account)
    low, _ = _rows(account)
    connection.executemany(
        "INSERT INTO text (rowid, header, body, plain) VALUES (?, ?, ?, ?)",
        [(low + one.message, one.words.header, one.words.body, one.words.plain) for one in new if one.words.whole],
    )
    connection.executemany(
        "INSERT INTO unsure VALUES (?)", [(low + one.message,) for one in new if not one.words.whole]
    )
    connection.execute("INSERT OR REPLACE INTO progress VALUES (?, ?, ?)", (account, *after))
    return True


def _find(connection: apsw.Connection, account: AccountId, match: str) -> Hits:
    low, high = _rows(account)
    connection.execute("BEGIN")
    try:
        state = _state(connection, account)
        rows = _all(connection, "SELECT rowid FROM text WHERE text MATCH ? AND rowid BETWEEN ? AND ?", match, low, high)
        unsure = _all(connection, "SELECT id FROM unsure WHERE id BETWEEN ? AND ?", low, high)
    finally:
        connection.execute("COMMIT")
    return Hits(array("q", [row[0] - low for row in rows]), [row[0] - low for row in unsure], state.upto)


def _delete(connection: apsw.Connection, rows: Sequence[tuple[int]]) -> None:
    connection.executemany("DELETE FROM text WHERE rowid = ?", rows)
    connection.executemany("DELETE FROM unsure WHERE id = ?", rows)


def _forget(connection: apsw.Connection, account: AccountId) -> None:
    low, high = _rows(account)
    rows = connection.execute("SELECT rowid FROM text WHERE rowid BETWEEN ? AND ?", (low, high)).fetchall()
    connection.executemany("DELETE FROM text WHERE rowid = ?", rows)
    connection.execute("DELETE FROM unsure WHERE id BETWEEN ? AND ?", (low, high))
    connection.execute("DELETE FROM progress WHERE account = ?", (account,))


def _clear(connection: apsw.Connection) -> None:
    connection.execute("INSERT INTO text (text) VALUES ('delete-all')")
    connection.execute("DELETE FROM unsure")
    connection.execute("DELETE FROM progress")
