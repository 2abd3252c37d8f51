"""The full-text index on SQLite: FTS5 in a file of its own (docs/decisions/0010).

The table keeps no text, and of each word only in which messages it stands (`detail=none`). Words come as
`message.search_text` cuts them, so the tokenizer does no more than split at blanks: `ascii` takes every other character
for a letter, whatever version of Unicode SQLite knows. Each word stands behind the number of its account, so that a
search, of beginnings of words too, touches nothing that others have, and behind the sign of its field: a list of fields
kept with every word and message would take more than twice the room. A row's number is the account's and the message's
together.

A file that is damaged, or that was removed, is made anew, also while workers have it open: before each use they look
whether it is still the same file. SQLite leaves the log alone when the connection to a removed file is closed.
"""

import asyncio
import os
import threading
import unicodedata
from array import array
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

import apsw
import structlog

from pennypost.message.search_text import Query, Words
from pennypost.model.errors import ServerBusy, ShuttingDown
from pennypost.model.ids import AccountId
from pennypost.store.engine import Row
from pennypost.store.search import NOT_INDEXED, Document, Hits, IndexState
from pennypost.store.settings import StoreSettings
from pennypost.store.sqlite.connection import translate
from pennypost.store.sqlite.lock import FairLock

T = TypeVar("T")

_log = structlog.stdlib.get_logger("pennypost.search")

FILE = "search.db"
_LOCKS = "lock"
_READERS = 2
_BUSY = timedelta(seconds=60)
_CACHE_KIB = 8 * 1024
_MESSAGE_BITS = 40
_DELETE_STEP = 500
_LOG_LIMIT = 16 * 1024 * 1024
"""Octets that the log keeps when it begins anew."""

_HEADER, _BODY, _PLAIN_HEADER, _PLAIN_BODY = "\u00b7", "\u00b6", "\u00ab", "\u00bb"
"""What stands between an account's number and a word, by its field: no part of any word, a letter for the tokenizer."""

_NO_FILE = (0, 0)

_DAMAGED = (apsw.NotADBError, apsw.CorruptError)

VERSION = f"4 {unicodedata.unidata_version}"
"""What is stored with the index: one that was made by other rules is made anew. Words depend on Unicode's version."""

_SCHEMA = """
CREATE TABLE meta (version TEXT NOT NULL);
CREATE TABLE progress (account INTEGER PRIMARY KEY, created_at INTEGER NOT NULL, upto INTEGER NOT NULL);
CREATE TABLE unsure (id INTEGER PRIMARY KEY);
CREATE VIRTUAL TABLE text USING fts5(words, content='', contentless_delete=1, detail=none, tokenize='ascii');
"""


class SqliteSearchIndex:
    """The `SearchIndex` in `settings.data_dir`. Nothing is opened before it is needed."""

    def __init__(self, settings: StoreSettings) -> None:
        self._folder = settings.data_dir
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="search-write")
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="search-read")
        self._local = threading.local()
        self._open: set[_Opened] = set()
        self._opening = threading.Lock()
        self._closed = False

    async def state(self, account: AccountId) -> IndexState:
        return await self._read(lambda connection: _state(connection, account))

    async def add(self, account: AccountId, before: IndexState, after: IndexState, new: Sequence[Document]) -> bool:
        return await self._write(lambda connection: _add(connection, account, before, after, new))

    async def find(self, account: AccountId, query: Query, header: bool, body: bool, fuzzy: bool) -> Hits:
        match = match_expression(account, query, header, body, fuzzy)
        return await self._read(lambda connection: _find(connection, account, match))

    async def messages(self, account: AccountId, after: int, limit: int) -> list[int]:
        low, high = _rows(account)
        return await self._read(
            lambda connection: [row[0] - low for row in _all(connection, _ROWS, low + after, high, limit)]
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
        for opened in self._open:
            opened.connection.close()

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
                _end(connection, "ROLLBACK")
                raise
            connection.execute("COMMIT")
            return result

        return await self._run(self._writer, transaction)

    async def _run(self, pool: ThreadPoolExecutor, work: Callable[[apsw.Connection], T]) -> T:
        if self._closed:
            raise ShuttingDown

        return await asyncio.get_running_loop().run_in_executor(pool, self._work, work)

    def _work(self, work: Callable[[apsw.Connection], T]) -> T:
        for last in (False, True):
            opened: _Opened | None = None
            try:
                opened = self._connection()
                return work(opened.connection)
            except OSError as error:
                raise ServerBusy from error
            except apsw.Error as error:
                if last or not _is_damage(error):
                    raise ServerBusy from error if _is_damage(error) else translate(error)
                self._discard(opened)
        raise AssertionError("not reached")

    def _connection(self) -> "_Opened":
        """Give this thread's connection to the file that is there."""
        file = self._folder / FILE
        found: _Opened | None = getattr(self._local, "opened", None)
        if found is not None:
            if found.identity == _identity(file):
                return found
            self._let_go(found)
        with self._opening, _locked(self._folder):
            connection = _open(file)
            found = _Opened(connection, _identity(file))
        self._local.opened = found
        self._open.add(found)
        return found

    def _let_go(self, opened: "_Opened") -> None:
        del self._local.opened
        self._open.discard(opened)
        opened.connection.close()

    def _discard(self, opened: "_Opened | None") -> None:
        """Throw a damaged index away, unless another worker has done so."""
        if opened is None:
            return  # `_open` has made it anew as often as it could
        file = self._folder / FILE
        _log.warning("the full-text index is damaged and is made anew", file=str(file))
        with self._opening, _locked(self._folder):
            if opened.identity == _identity(file):
                _unlink(file)
        self._let_go(opened)


@dataclass(frozen=True, eq=False, slots=True)
class _Opened:
    """A connection, and which file it is to."""

    connection: apsw.Connection
    identity: tuple[int, int]


def _identity(file: Path) -> tuple[int, int]:
    """Tell files of one name apart; one that was emptied is none."""
    try:
        status = os.stat(file)
    except FileNotFoundError:
        return _NO_FILE
    return (status.st_dev, status.st_ino) if status.st_size else _NO_FILE


def _is_damage(error: apsw.Error) -> bool:
    """Whether the file cannot be used. One that was emptied beneath us has no tables."""
    return isinstance(error, _DAMAGED) or "no such table" in str(error)


def match_expression(account: AccountId, query: Query, header: bool, body: bool, fuzzy: bool) -> str:
    """Write what FTS5 is to look for. Words are letters and digits only: nothing has to be quoted within them."""
    signs = [*((_HEADER,) if header else ()), *((_BODY,) if body else ())]
    if fuzzy:
        signs += [*((_PLAIN_HEADER,) if header else ()), *((_PLAIN_BODY,) if body else ())]

    def any_field(word: str, end: str) -> str:
        return "(" + " OR ".join(f'"{account}{sign}{word}"{end}' for sign in signs) + ")"

    words = [any_field(word, "") for word in dict.fromkeys(query.words[:-1])]
    words.append(any_field(query.words[-1], "" if query.last_is_whole else "*"))
    return " AND ".join(words)


def _tagged(account: AccountId, words: Words) -> str:
    """Put before each word whose it is, and in which field it stands."""
    fields = (
        (_HEADER, words.header),
        (_BODY, words.body),
        (_PLAIN_HEADER, words.plain_header),
        (_PLAIN_BODY, words.plain_body),
    )
    return " ".join([f"{account}{sign}" + text.replace(" ", f" {account}{sign}") for sign, text in fields if text])


def _rows(account: AccountId) -> tuple[int, int]:
    low = account << _MESSAGE_BITS
    return low, low + (1 << _MESSAGE_BITS) - 1


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Open, make or remove the index as the only one, of all processes."""
    locks = folder / _LOCKS
    locks.mkdir(mode=0o700, exist_ok=True)
    lock = FairLock(locks, "search")
    try:
        with lock:
            yield
    finally:
        lock.close()


def _open(file: Path) -> apsw.Connection:
    """Open the index; make it, anew where it is damaged or was made by other rules."""
    if _identity(file) == _NO_FILE:
        _unlink(file)  # what others have open of it is none of ours
    try:
        return _open_once(file)
    except _DAMAGED:
        _unlink(file)
        return _open_once(file)


def _open_once(file: Path) -> apsw.Connection:
    connection = apsw.Connection(str(file))
    try:
        file.chmod(0o600)
        connection.set_busy_timeout(_BUSY // timedelta(milliseconds=1))
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            f"cache_size=-{_CACHE_KIB}",
            "temp_store=MEMORY",
            f"journal_size_limit={_LOG_LIMIT}",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        _make(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _unlink(file: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)


def _make(connection: apsw.Connection) -> None:
    if _is_made(connection):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for table in ("text", "unsure", "progress", "meta"):
            connection.execute(f"DROP TABLE IF EXISTS {table}")
        connection.execute(_SCHEMA)
        connection.execute("INSERT INTO meta VALUES (?)", (VERSION,))
    except BaseException:
        _end(connection, "ROLLBACK")
        raise
    connection.execute("COMMIT")
    connection.execute("VACUUM")  # what other rules had made is given back: quick, since nothing is in it now


def _end(connection: apsw.Connection, how: str) -> None:
    """End a transaction, if SQLite has not ended it itself when something failed."""
    if connection.in_transaction:
        connection.execute(how)


def _is_made(connection: apsw.Connection) -> bool:
    there = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'meta'").fetchall()
    return bool(there) and connection.execute("SELECT version FROM meta").fetchall() == [(VERSION,)]


_ROWS = """
SELECT rowid FROM text WHERE rowid > ?1 AND rowid <= ?2
UNION SELECT id FROM unsure WHERE id > ?1 AND id <= ?2 ORDER BY 1 LIMIT ?3
"""


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
    low = _rows(account)[0]
    connection.executemany(
        "INSERT INTO text (rowid, words) VALUES (?, ?)",
        [(low + one.message, _tagged(account, one.words)) for one in new if one.words.whole],
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
        rows = _all(connection, "SELECT rowid FROM text WHERE text MATCH ?", match)
        unsure = _all(connection, "SELECT id FROM unsure WHERE id BETWEEN ? AND ?", low, high)
    finally:
        _end(connection, "ROLLBACK")
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
