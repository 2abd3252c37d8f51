"""Databases beside the store that may be thrown away at any time: what is in them can be made again.

A file that is damaged, that was removed or that was made by other rules is made anew, also while workers have it open:
before each use they look whether it is still the same file. SQLite leaves the log alone when the connection to a
removed file is closed. Reads and writes run on threads of the file's own.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple, TypeVar

import apsw
import structlog

from pennypost.model.errors import ServerBusy, ShuttingDown
from pennypost.store.sqlite.connection import translate
from pennypost.store.sqlite.lock import FairLock

T = TypeVar("T")

_log = structlog.stdlib.get_logger("pennypost.store")

_LOCKS = "lock"
_READERS = 2
_BUSY = timedelta(seconds=60)
_CACHE_KIB = 8 * 1024
_LOG_LIMIT = 16 * 1024 * 1024
"""Octets that the log keeps when it begins anew."""

_NO_FILE = (0, 0)

_DAMAGED = (apsw.NotADBError, apsw.CorruptError, UnicodeDecodeError)
_SCHEMA_DAMAGED = ("no such table", "no such column")


class Rules(NamedTuple):
    """What a file is made by. `file`: its name; `version`: is stored with it, and one of another version is made anew;
    `tables`: those that `schema` makes. All have a table `meta` beside them."""

    file: str
    version: str
    tables: tuple[str, ...]
    schema: str


class SideFile:
    """One such file in a folder, as one worker uses it. Nothing is opened before it is needed."""

    def __init__(self, folder: Path, rules: Rules) -> None:
        self._path = folder / rules.file
        self._rules = rules
        self._writer = ThreadPoolExecutor(1, thread_name_prefix=f"{self._path.stem}-write")
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix=f"{self._path.stem}-read")
        self._local = threading.local()
        self._open: set[_Opened] = set()
        self._opening = threading.Lock()
        self._closed = False

    async def read(self, work: Callable[[apsw.Connection], T]) -> T:
        """Run what reads on a thread. Raises ServerBusy when the file cannot be used; ShuttingDown after `close`."""
        return await self._run(self._readers, work)

    async def write(self, work: Callable[[apsw.Connection], T]) -> T:
        """Run a write transaction on a thread. Raises as `read` does, and StorageFull; ServerBusy also when another
        process holds the file for long."""

        def transaction(connection: apsw.Connection) -> T:
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = work(connection)
            except BaseException:
                end_transaction(connection, "ROLLBACK")
                raise
            connection.execute("COMMIT")
            return result

        return await self._run(self._writer, transaction)

    async def close(self) -> None:
        """Finish what was begun and let go of everything. Idempotent."""
        if self._closed:
            return
        self._closed = True
        for pool in (self._writer, self._readers):
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)
        for opened in self._open:
            opened.connection.close()

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
            except (apsw.Error, UnicodeDecodeError) as error:
                if not _is_damage(error):
                    raise translate(error) from None
                if last:
                    raise ServerBusy from error
                self._discard(opened)
        raise AssertionError("not reached")

    def _connection(self) -> "_Opened":
        """Give this thread's connection to the file that is there."""
        found: _Opened | None = getattr(self._local, "opened", None)
        if found is not None:
            if found.identity == _identity(self._path):
                return found
            self._let_go(found)
        with self._opening, self._locked():
            connection = _open(self._path, self._rules)
            found = _Opened(connection, _identity(self._path))
        self._local.opened = found
        self._open.add(found)
        return found

    def _let_go(self, opened: "_Opened") -> None:
        del self._local.opened
        self._open.discard(opened)
        opened.connection.close()

    def _discard(self, opened: "_Opened | None") -> None:
        """Throw a damaged file away, unless another worker has done so."""
        if opened is None:
            return  # `_open` has made it anew as often as it could
        _log.warning("a file beside the store is damaged and is made anew", file=str(self._path))
        with self._opening, self._locked():
            if opened.identity == _identity(self._path):
                _unlink(self._path)
        self._let_go(opened)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Open, make or remove the file as the only one, of all processes."""
        locks = self._path.parent / _LOCKS
        locks.mkdir(mode=0o700, exist_ok=True)
        lock = FairLock(locks, self._path.stem)
        try:
            with lock:
                yield
        finally:
            lock.close()


@dataclass(frozen=True, eq=False, slots=True)
class _Opened:
    """A connection, and which file it is to."""

    connection: apsw.Connection
    identity: tuple[int, int]


def end_transaction(connection: apsw.Connection, how: str) -> None:
    """End a transaction, if SQLite has not ended it itself when something failed."""
    if connection.in_transaction:
        connection.execute(how)


def _identity(file: Path) -> tuple[int, int]:
    """Tell files of one name apart; one that was emptied is none."""
    try:
        status = os.stat(file)
    except FileNotFoundError:
        return _NO_FILE
    return (status.st_dev, status.st_ino) if status.st_size else _NO_FILE


def _is_damage(error: Exception) -> bool:
    """Whether the file cannot be used. One that was emptied beneath us has no tables."""
    return isinstance(error, _DAMAGED) or any(one in str(error) for one in _SCHEMA_DAMAGED)


def _open(file: Path, rules: Rules) -> apsw.Connection:
    """Open the file; make it, anew where it is damaged or was made by other rules."""
    if _identity(file) == _NO_FILE:
        _unlink(file)  # what others have open of it is none of ours
    try:
        return _open_once(file, rules)
    except (apsw.Error, UnicodeDecodeError) as error:
        if not _is_damage(error):
            raise
        _unlink(file)
        return _open_once(file, rules)


def _open_once(file: Path, rules: Rules) -> apsw.Connection:
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
        _make(connection, rules)
    except BaseException:
        connection.close()
        raise
    return connection


def _unlink(file: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)


def _make(connection: apsw.Connection, rules: Rules) -> None:
    if _is_made(connection, rules):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for table in (*rules.tables, "meta"):
            connection.execute(f"DROP TABLE IF EXISTS {table}")
        connection.execute(f"CREATE TABLE meta (version TEXT NOT NULL); {rules.schema}")
        connection.execute("INSERT INTO meta VALUES (?)", (rules.version,))
    except BaseException:
        end_transaction(connection, "ROLLBACK")
        raise
    connection.execute("COMMIT")
    connection.execute("VACUUM")  # what other rules had made is given back: quick, since nothing is in it now


def _is_made(connection: apsw.Connection, rules: Rules) -> bool:
    there = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'meta'").fetchall()
    return bool(there) and connection.execute("SELECT version FROM meta").fetchall() == [(rules.version,)]
