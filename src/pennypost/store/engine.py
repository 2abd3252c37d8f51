"""What an operation of the store stands on: transactions, and the engines that run them.

An operation is a coroutine function that takes a `Transaction` first. It is written once and runs on every engine,
under these rules:

- It awaits nothing but its transaction and other operations: an engine may run it to completion without an event loop.
- SQL is one text for all engines: `?` placeholders in order, the dialect that SQLite and PostgreSQL 15 share.
- It may run again from the start when the engine has to repeat its transaction, so it changes nothing but rows.
- What it raises rolls back what it wrote, and nothing that others wrote, and reaches the caller unchanged.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

from pennypost.model.ids import AccountId, ModSeq

T = TypeVar("T")

Value = int | float | str | bytes | None
"""What a column holds. Instants are microseconds since the epoch (`to_microseconds`), flags their numbers."""

Row = tuple[Any, ...]
"""One row in the order of the columns that were asked for."""

Notice = tuple[AccountId, ModSeq]
"""A hint that something of this account is new up to this modification sequence. The store is what is read."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_microseconds(instant: datetime) -> int:
    """Give an aware instant as rows hold it: microseconds since the epoch, UTC."""
    return (instant - _EPOCH) // _MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    """Give the aware UTC instant that a row holds."""
    return _EPOCH + timedelta(microseconds=microseconds)


def utc_now() -> datetime:
    """Give the current instant: the clock of a store that was given none."""
    return datetime.now(UTC)


class Transaction(Protocol):
    """One operation's view of the store: everything it reads and writes is one snapshot, all or nothing."""

    @property
    def now(self) -> datetime:
        """The aware UTC instant at which this transaction began; the same however often it is asked."""
        ...

    async def execute(self, sql: str, *values: Value) -> int:
        """Run one statement, without RETURNING, and give the number of rows it inserted, updated or deleted."""
        ...

    async def insert(self, sql: str, *values: Value) -> int:
        """Run one INSERT of one row, without RETURNING, and give the number that its table has for it."""
        ...

    async def execute_many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        """Run one statement once for each row of values."""
        ...

    async def fetch_one(self, sql: str, *values: Value) -> Row | None:
        """Run one statement (also one with RETURNING) and give its first row, or None; further rows are dropped."""
        ...

    async def fetch_all(self, sql: str, *values: Value) -> list[Row]:
        """Run one statement and give all its rows. Their number must be bounded by the statement."""
        ...

    def changed(self, account: AccountId, modseq: ModSeq) -> None:
        """Let a notice of this be posted, to all workers, after the commit. Nothing is posted on a roll-back."""
        ...

    def directory_changed(self) -> None:
        """Say that where addresses lead, or who owns them, changes with the commit: no process goes by what it
        remembers after that."""
        ...


Operation = Callable[[Transaction], Awaitable[T]]
"""What an engine runs: usually `lambda tx: operation(tx, …)`."""


class Engine(Protocol):
    """Runs operations in transactions. Used from one event loop; several processes may share what is beneath it."""

    @property
    def directory_generation(self) -> int:
        """A number that is another one after each commit that changed the directory, of any process."""
        ...

    async def write(self, operation: Operation[T]) -> T:
        """Run an operation that may change rows. On return its changes are committed and synced to disk.

        Writes of one engine are committed in the order in which they were asked for. A read that begins after this
        returns, in any process, sees them. Cancelling the caller does not undo a write that was handed over.

        Raises what the operation raised (nothing of it is stored then); StorageFull when the disk is full or
        fails; ServerBusy when the store could not be locked in time; ShuttingDown after `close`.
        """
        ...

    async def write_large(self, operation: Operation[T]) -> T:
        """As `write`, for an operation that may change many rows: it does not hold up the event loop."""
        ...

    async def read(self, operation: Operation[T]) -> T:
        """Run an operation that only reads, and little: it holds up the event loop. One snapshot."""
        ...

    async def glance(self, operation: Operation[T]) -> T:
        """As `read`, at less cost and without one snapshot: each statement sees what is committed when it runs."""
        ...

    async def scan(self, operation: Operation[T]) -> T:
        """Run an operation that only reads, however much, off the event loop. One snapshot."""
        ...

    def look_up(self, sql: str, *values: Value) -> list[Row]:
        """Give the rows of a statement here and now, on any thread, also within an operation: as they are committed.

        On a connection that is made for it, which takes a millisecond: for what is asked once in a long while.
        """
        ...

    async def close(self) -> None:
        """Finish the writes that were handed over, then let go of everything. Idempotent."""
        ...


class StoreUnusable(Exception):
    """The store cannot be opened as it is. The text says what an administrator can do; nothing was changed."""


class UnknownSchema(StoreUnusable):
    """The store was written by a newer program than this one."""

    def __init__(self, found: int, known: int) -> None:
        self.found = found
        self.known = known
        super().__init__(
            f"the store has schema version {found}, this program knows up to {known}: it was used by a newer version"
        )
