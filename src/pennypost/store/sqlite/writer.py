"""The thread that writes.

*Theory of operation.* A commit costs one sync of the disk, however much is in it, so operations share commits. `submit`
puts an operation into a queue and wakes the writer; the writer takes the lock between processes, then all that has
queued up until that moment, runs it in one transaction, commits, gives the lock back and tells the event loop all
results in one call. While the disk syncs the next group gathers by itself: the busier the server, the larger the
groups, and there is no timer anywhere. An operation that comes alone waits for nothing.

*All on one thread.* The statements run on the writer thread as well as the commit. SQLite releases the interpreter's
lock in each statement, so on two cores its work goes beside the event loop's; an operation of a thousand statements
does not hold up the loop. (Statements on the loop and only COMMIT on a thread took 10 to 20 % more CPU in groups
of 50, and the loop stood still for 3 to 8 ms; `bench/store.py` measures what is here.)

*Failure of one.* An operation that raises must not take others with it. A savepoint around each one would do, and
costs a copy of each page that it touches: 10 to 15 % of a delivery. Failures are rare, and those that wrote something
before they failed are rarer. So a group runs without savepoints; an operation that raised and had written nothing is
simply a failed one; if it had written, the transaction is rolled back and the whole group runs again, this time with
a savepoint around each. Operations may run twice for this reason, as they may on every engine.

*Failure of all.* When COMMIT fails, or SQLite had to roll back by itself (disk full), nothing of the group is stored
and every member gets the error. A commit whose sync fails is not published to readers,
and the next one overwrites it in the log.

*Order.* One queue, one thread: operations are committed in the order in which they were submitted.

*Waiting.* The lock is waited for without a limit, since a dead holder loses it at once. A holder that hangs would
hold up every caller, so the loop looks once a second at the queue's head, and what is older than `lock_timeout` is
taken out of the queue and fails as ServerBusy. An operation leaves the queue once, under `_taking`: it is either
refused or run, never both.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import apsw

from pennypost.model.errors import ServerBusy, ShuttingDown
from pennypost.store.engine import Notice, Operation, T
from pennypost.store.settings import StoreSettings
from pennypost.store.sqlite.connection import SqliteTransaction, connect, run, translate
from pennypost.store.sqlite.lock import FairLock

_Job = tuple[Operation[Any], asyncio.Future[Any], float]
"""What to run, whom to tell, and when it was submitted by the loop's clock."""

_Outcome = tuple[asyncio.Future[Any], Any, BaseException | None]

_LOOK_SECONDS = 1.0


class _WroteAndFailed(Exception):
    """A member of a group that runs without savepoints raised after it had written."""


class Writer:
    """Commits the operations of one event loop in groups. `committed` is called on the loop with the notices of each
    group; `log_pages` on the writer thread, after a commit, with the length of the log in pages; `observe` on the loop
    with the number of operations in a group and the seconds it took, from its beginning to its commit."""

    def __init__(
        self,
        file: Path,
        locks: Path,
        settings: StoreSettings,
        clock: Callable[[], datetime],
        committed: Callable[[list[Notice]], None],
        log_pages: Callable[[int], None],
        observe: Callable[[int, float], None],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._committed = committed
        self._log_pages = log_pages
        self._observe = observe
        self._loop = asyncio.get_running_loop()
        self._jobs: deque[_Job] = deque()
        self._taking = threading.Lock()
        self._wake: SimpleQueue[bool] = SimpleQueue()
        self._awake = False
        self._closing = False
        self._look: asyncio.TimerHandle | None = None
        self._lock = FairLock(locks, "write")
        self._file = file
        self._thread = threading.Thread(target=self._main, name="store-writer", daemon=True)

    def start(self) -> None:
        """Open the connection, on the calling thread, so that its failure is the caller's; then start the thread."""
        settings = self._settings
        self._connection = connect(self._file, settings, cache_size=settings.cache_size, busy=settings.lock_timeout)
        self._connection.set_wal_hook(self._logged)
        self._transaction = SqliteTransaction(self._connection)
        self._thread.start()

    def submit(self, operation: Operation[T]) -> asyncio.Future[T]:
        """Queue an operation. The future is resolved when it is committed and synced, or has failed."""
        if self._closing:
            raise ShuttingDown
        loop = self._loop
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.append((operation, future, loop.time()))
        if not self._awake:
            self._awake = True
            self._wake.put(True)
        if self._look is None:
            self._look = loop.call_later(_LOOK_SECONDS, self._refuse_old)
        return future

    async def close(self) -> None:
        """Write what is queued, then end the thread and close the connection."""
        self._closing = True
        self._wake.put(False)
        await asyncio.to_thread(self._thread.join)
        if self._look is not None:
            self._look.cancel()
        self._lock.close()
        self._connection.close()

    # -- On the event loop

    def _resolve(self, outcomes: list[_Outcome], notices: list[Notice]) -> None:
        for future, value, error in outcomes:
            if future.done():
                continue  # cancelled meanwhile
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)
        if notices:
            self._committed(notices)

    def _finish(self, outcomes: list[_Outcome], notices: list[Notice], seconds: float) -> None:
        self._resolve(outcomes, notices)
        self._observe(len(outcomes), seconds)

    def _refuse_old(self) -> None:
        """Let go of those who have waited too long for the lock."""
        self._look = None
        oldest = self._loop.time() - self._settings.lock_timeout / timedelta(seconds=1)
        refused: list[_Outcome] = []
        with self._taking:
            while self._jobs and self._jobs[0][2] < oldest:
                refused.append((self._jobs.popleft()[1], None, ServerBusy()))
        self._resolve(refused, [])
        if self._jobs:
            self._look = self._loop.call_later(_LOOK_SECONDS, self._refuse_old)

    # -- On the writer thread

    def _main(self) -> None:
        while self._wake.get():
            while self._jobs:
                self._write_group()
            self._awake = False
            # Who came between the last look and the line above saw a writer that was awake, and did not wake it.
            if self._jobs and not self._awake:
                self._awake = True
                self._wake.put(True)
        while self._jobs:
            self._write_group()

    def _write_group(self) -> None:
        self._lock.acquire()
        try:
            begun = time.monotonic()
            jobs = self._take()
            outcomes, notices = self._run_group(jobs)
        finally:
            self._lock.release()
        if outcomes:
            try:
                self._loop.call_soon_threadsafe(self._finish, outcomes, notices, time.monotonic() - begun)
            except RuntimeError:
                return  # the loop is closed: nobody is there to be told

    def _take(self) -> list[_Job]:
        jobs = self._jobs
        with self._taking:
            return [jobs.popleft() for _ in range(min(len(jobs), self._settings.group_limit))]

    def _run_group(self, jobs: list[_Job]) -> tuple[list[_Outcome], list[Notice]]:
        transaction = self._transaction
        try:
            try:
                outcomes = self._run_together(jobs)
            except _WroteAndFailed as failed:
                if len(jobs) == 1 and failed.__cause__ is not None:
                    raise failed.__cause__ from None
                if self._connection.in_transaction:
                    transaction.control("ROLLBACK")
                outcomes = self._run_apart(jobs)
            transaction.control("COMMIT")
        except BaseException as error:
            failure = self._give_up(error)
            return [(future, None, failure) for _, future, _ in jobs], []
        return outcomes, transaction.notices

    def _begin(self) -> SqliteTransaction:
        transaction = self._transaction
        transaction.notices = []
        transaction.now = self._clock()
        transaction.control("BEGIN IMMEDIATE")
        return transaction

    def _run_together(self, jobs: list[_Job]) -> list[_Outcome]:
        """Run a group with nothing between its members. Raises _WroteAndFailed if it must run again."""
        transaction = self._begin()
        connection = self._connection
        outcomes: list[_Outcome] = []
        for operation, future, _ in jobs:
            # May lack the last statement of the one before: then a group may run again that need not.
            changes, noted = connection.total_changes(), len(transaction.notices)
            try:
                outcomes.append((future, run(operation, transaction), None))
            except BaseException as error:
                if not connection.in_transaction or transaction.total_changes() != changes:
                    raise _WroteAndFailed from error
                del transaction.notices[noted:]
                outcomes.append((future, None, translate(error)))
        return outcomes

    def _run_apart(self, jobs: list[_Job]) -> list[_Outcome]:
        """Run a group with a savepoint around each member, so that those which fail leave nothing behind."""
        transaction = self._begin()
        outcomes: list[_Outcome] = []
        for operation, future, _ in jobs:
            noted = len(transaction.notices)
            transaction.control("SAVEPOINT member")
            try:
                outcome: _Outcome = (future, run(operation, transaction), None)
            except BaseException as error:
                if not self._connection.in_transaction:
                    raise  # SQLite has rolled back everything: the disk is full, or fails
                transaction.control("ROLLBACK TO member")
                del transaction.notices[noted:]
                outcome = (future, None, translate(error))
            transaction.control("RELEASE member")
            outcomes.append(outcome)
        return outcomes

    def _give_up(self, error: BaseException) -> BaseException:
        """Roll back what there is and give the error that all members get."""
        if self._connection.in_transaction:
            try:
                self._transaction.control("ROLLBACK")
            except apsw.Error as second:
                error.add_note(f"and the roll-back failed: {second}")
        return translate(error)

    def _logged(self, _connection: apsw.Connection, _schema: str, pages: int) -> int:
        self._log_pages(pages)
        return apsw.SQLITE_OK
