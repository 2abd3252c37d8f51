"""Connections to SQLite, and the transactions that run on them."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import apsw

from pennypost.model.errors import ServerBusy, StorageFull, UsageError
from pennypost.model.ids import AccountId, ModSeq
from pennypost.store.engine import Notice, Operation, Row, T, Value
from pennypost.store.settings import StoreSettings

_FULL = (apsw.FullError, apsw.IOError, apsw.CantOpenError)
_BUSY = (apsw.BusyError, apsw.LockedError)


def connect(
    file: Path, settings: StoreSettings, *, cache_size: int, busy: timedelta, read_only: bool = False
) -> apsw.Connection:
    """Open a connection, making the database if there is none. `cache_size` in octets; `busy`: how long to wait for
    locks of SQLite's own, which nobody of us holds for long.

    Every commit is synced before it returns (`synchronous=FULL` in WAL mode). Checkpoints are never a commit's
    business: `checkpoint` sees to them.
    """
    connection = apsw.Connection(str(file), statementcachesize=settings.statement_cache)
    try:
        # Plans do not depend on values: else a statement whose value is compared with a partial index's condition is
        # prepared anew for every value, which costs as much as running it.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        connection.set_busy_timeout(busy // timedelta(milliseconds=1))
        connection.execute(f"PRAGMA page_size={settings.page_size}")
        if connection.execute("PRAGMA journal_mode=WAL").fetchall() != [("wal",)]:
            raise StorageFull("the file system of the store cannot share memory")
        for pragma in (
            "synchronous=FULL",
            "wal_autocheckpoint=0",
            "temp_store=MEMORY",
            # The store keeps its references itself, and `check` verifies them: a parent is not looked up for each row.
            "foreign_keys=OFF",
            f"cache_size=-{cache_size // 1024}",
            f"mmap_size={settings.mmap_size}",
            f"journal_size_limit={settings.log_room}",
            f"query_only={'ON' if read_only else 'OFF'}",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def translate(error: BaseException) -> BaseException:
    """Give the MailError that stands for what SQLite says, or the error itself if it is a bug."""
    if isinstance(error, _FULL):
        outcome: BaseException = StorageFull()
    elif isinstance(error, _BUSY):
        outcome = ServerBusy()
    else:
        return error
    outcome.__cause__ = error
    return outcome


class SqliteTransaction:
    """The `Transaction` of SQLite. Its methods are coroutines that never suspend.

    One cursor serves all statements: starting one ends the one before, so that none is pending at a commit.
    """

    __slots__ = ("_connection", "_cursor", "notices", "now", "other_directory")

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._cursor = connection.cursor()
        self.now: datetime
        self.notices: list[Notice] = []
        self.other_directory = False

    def control(self, sql: str) -> None:
        """Run BEGIN, COMMIT, ROLLBACK, …: on the one cursor, so that the statement before is over."""
        self._cursor.execute(sql)

    def end_statement(self) -> None:
        """End the statement that runs, whose rows nobody wants any more, and with it the snapshot it holds."""
        self._cursor.fetchall()

    def total_changes(self) -> int:
        """Give the number of rows changed on this connection so far.

        SQLite counts the changes of a statement when it ends, and one with RETURNING whose row was fetched has not
        ended yet: so it is ended here.
        """
        self._cursor.execute("SELECT 1").fetchall()
        return self._connection.total_changes()

    async def execute(self, sql: str, *values: Value) -> int:
        self._cursor.execute(sql, values)
        return self._connection.changes()

    async def insert(self, sql: str, *values: Value) -> int:
        self._cursor.execute(sql, values)
        return self._connection.last_insert_rowid()

    async def execute_many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        self._cursor.executemany(sql, rows)

    async def fetch_one(self, sql: str, *values: Value) -> Row | None:
        return self._cursor.execute(sql, values).fetchone()

    async def fetch_all(self, sql: str, *values: Value) -> list[Row]:
        return self._cursor.execute(sql, values).fetchall()

    def changed(self, account: AccountId, modseq: ModSeq) -> None:
        self.notices.append((account, modseq))

    def directory_changed(self) -> None:
        self.other_directory = True


def run(operation: Operation[T], transaction: SqliteTransaction) -> T:
    """Run an operation to its end, here and now. Raises what it raises; UsageError if it waits for anything else
    than its transaction."""
    steps = operation(transaction).__await__()
    try:
        next(steps)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    close = getattr(steps, "close", None)
    if close is not None:
        close()
    raise UsageError("an operation of the store waited for something that is not its transaction")


def read_in_snapshot(transaction: SqliteTransaction, operation: Operation[T], now: datetime) -> T:
    """Run an operation that only reads, as a transaction, on a connection that nobody else uses now."""
    transaction.now = now
    try:
        transaction.control("BEGIN")
        try:
            return run(operation, transaction)
        finally:
            transaction.control("ROLLBACK")
    except apsw.Error as error:
        raise translate(error) from None
