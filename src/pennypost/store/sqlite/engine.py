"""The SQLite engine: a writer with a thread for its commits, a checkpoint thread, readers, over one database file."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import apsw

from pennypost.store.engine import Notice, Operation, Row, StoreUnusable, T, Value
from pennypost.store.settings import StoreSettings
from pennypost.store.sqlite.checkpoint import Checkpointer
from pennypost.store.sqlite.connection import connect, translate
from pennypost.store.sqlite.lock import FairLock
from pennypost.store.sqlite.migrate import known_migrations, migrate
from pennypost.store.sqlite.reader import Readers
from pennypost.store.sqlite.shared_number import SharedNumber
from pennypost.store.sqlite.writer import Writer

DATABASE = "pennypost.db"
_LOCKS = "lock"
_BUSY = timedelta(seconds=10)


def unobserved(_operations: int, _seconds: float) -> None:
    """Count no commits."""


class SqliteEngine:
    """The `Engine` of one event loop over `settings.data_dir`, which exists. Open it after a fork, never before."""

    def __init__(self, writer: Writer, readers: Readers, checkpointer: Checkpointer, directory: SharedNumber) -> None:
        self._writer = writer
        self._readers = readers
        self._checkpointer = checkpointer
        self._directory = directory
        self._closed: asyncio.Future[None] | None = None

    @classmethod
    async def open(
        cls,
        settings: StoreSettings,
        *,
        clock: Callable[[], datetime],
        committed: Callable[[list[Notice]], None],
        observe: Callable[[int, float], None] = unobserved,
        migrations: list[str] | None = None,
    ) -> "SqliteEngine":
        """Open, or make, the database. `committed` is called on the loop with the notices of each commit, `observe`
        with the number of operations in it and the seconds it took.

        `migrations`: other ones than the program brings. Raises UnknownSchema; StoreUnusable if this is no database;
        StorageFull, ServerBusy.
        """
        file = settings.data_dir / DATABASE
        locks = settings.data_dir / _LOCKS
        steps = known_migrations() if migrations is None else migrations
        try:
            connection = await asyncio.to_thread(_prepare, file, locks, settings, steps)
        except (apsw.NotADBError, apsw.CorruptError, apsw.CantOpenError) as error:
            raise StoreUnusable(f"{file} cannot be used: {error}") from error
        except apsw.Error as error:
            raise translate(error) from None
        checkpointer = Checkpointer(connection, locks, settings)
        try:
            readers = Readers(file, settings, clock)
            directory = SharedNumber(locks / "directory")
            writer = Writer(file, locks, settings, clock, committed, checkpointer.log_pages, observe, directory)
            writer.start()
        except BaseException:
            await asyncio.to_thread(checkpointer.close)
            raise
        return cls(writer, readers, checkpointer, directory)

    @property
    def directory_generation(self) -> int:
        """See `Engine.directory_generation`."""
        return self._directory.value

    async def write(self, operation: Operation[T]) -> T:
        """Run an operation in a group commit; see `Engine.write`."""
        return await self._writer.submit(operation)

    async def write_large(self, operation: Operation[T]) -> T:
        """Run an operation that may take long in a commit of its own, off the event loop."""
        return await self._writer.submit_large(operation)

    async def read(self, operation: Operation[T]) -> T:
        """Run a bounded read on the event loop; never suspends."""
        return self._readers.read(operation)

    async def glance(self, operation: Operation[T]) -> T:
        """Run a bounded read on the event loop without one snapshot for all of it; never suspends."""
        return self._readers.glance(operation)

    async def scan(self, operation: Operation[T]) -> T:
        """Run an unbounded read on a thread."""
        return await self._readers.scan(operation)

    def look_up(self, sql: str, *values: Value) -> list[Row]:
        """Give the rows of a statement here and now, on any thread."""
        return self._readers.look_up(sql, *values)

    async def close(self) -> None:
        """Finish what was handed over and close. The last process to close also empties the log."""
        if self._closed is None:
            self._closed = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closed)

    async def _close(self) -> None:
        await self._writer.close()
        await self._readers.close()
        await asyncio.to_thread(self._checkpointer.close)
        self._directory.close()


def _prepare(file: Path, locks: Path, settings: StoreSettings, migrations: list[str]) -> apsw.Connection:
    """Make what is missing, migrate, and give the connection for checkpoints."""
    locks.mkdir(mode=0o700, exist_ok=True)
    lock = FairLock(locks, "migrate")
    try:
        with lock:  # SQLite does not wait for a lock to change into WAL mode, which the first of us does
            connection = connect(file, settings, cache_size=settings.cache_size // 8, busy=_BUSY)
        try:
            migrate(connection, lock, migrations)
        except BaseException:
            connection.close()
            raise
        return connection
    finally:
        lock.close()
