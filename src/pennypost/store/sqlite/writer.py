"""What writes: operations in groups, each group one commit.

*Theory of operation.* A commit costs one sync of the disk, however much is in it, so operations share commits. `submit`
queues an operation and, when no group is on its way, lets one begin in the loop's next round: with all that has
queued up until then. While each further round brings more operations, a few at most, the group waits for them: what has
arrived in the sockets is worth reading before the disk is waited for. There is no timer anywhere, and an operation that
comes alone waits for nothing but a look at the sockets; not even for that when the last operations were all of the same
task, since there is nobody then to share a commit with.

*Statements on the loop.* A group's statements run on the event loop. SQLite lets go of the interpreter's lock in every
statement, and when another thread is busy each statement then costs two hand-overs of that lock, which cost more than
the statement. On the loop a delivery's statements take some 50 µs, and a group holds the loop up for `GROUP_SECONDS`
at the most before it is committed. What may take long says so: `submit_large` runs the operation on the thread, alone
in its group, where it holds up nobody but writers.

*Commits where they are cheap.* COMMIT waits for the disk. One that syncs in a fraction of a millisecond is waited for
on the loop: waking a thread and being woken by it costs as much. One that takes longer is waited for on the thread, and
the next group gathers meanwhile. What the last commits took decides: a slow one sends all to the thread, until
`QUICK_COMMITS` in a row were quick.

*What comes after.* Subscribers hear of a group, and it is counted, in the loop's next round: who writes alone has
answered by then, and its client is busy with the answer.

*The lock.* Processes take turns by a lock. The loop only tries it; when another process has it, or waits for it, the
thread waits in its place and tells the loop when the lock is ours. It is released by the thread, right after COMMIT.
SQLite has a lock of its own beneath, which only a stranger's tool can hold against us: that too the loop only tries.

*Failure of one.* An operation that raises must not take others with it. A savepoint around each one would do, and
costs a copy of each page that it touches: 10 to 15 % of a delivery. Failures are rare, and those that wrote something
before they failed are rarer. So a group runs without savepoints; an operation that raised and had written nothing is
simply a failed one; if it had written, the transaction is rolled back and the whole group runs again, this time with
a savepoint around each. Operations may run twice for this reason, as they may on every engine.

*Failure of all.* When COMMIT fails, or SQLite had to roll back by itself (disk full), nothing of the group is stored
and every member gets the error. A commit whose sync fails is not published to readers, and the next one overwrites it
in the log.

*Order.* One queue, one group at a time: operations are committed in the order in which they were submitted.

*Waiting.* The lock is waited for without a limit, since a dead holder loses it at once. A holder that hangs would
hold up every caller, so the loop looks once a second at the queue's head, and what is older than `lock_timeout` is
taken out of the queue and fails as ServerBusy. An operation leaves the queue once, on the loop: it is either refused or
run, never both.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

import apsw

from pennypost.model.errors import ServerBusy, ShuttingDown
from pennypost.store.engine import Notice, Operation, T
from pennypost.store.settings import StoreSettings
from pennypost.store.sqlite.connection import SqliteTransaction, connect, run, translate
from pennypost.store.sqlite.lock import FairLock
from pennypost.store.sqlite.shared_number import SharedNumber


class _Job(NamedTuple):
    """What to run, whom to tell, when it was submitted by the loop's clock, and whether it may take long."""

    operation: Operation[Any]
    future: asyncio.Future[Any]
    submitted: float
    large: bool


_Outcome = tuple[asyncio.Future[Any], Any, BaseException | None]

_LOOK_SECONDS = 1.0

GROUP_SECONDS = 0.01
"""How long the statements of one group may hold up the event loop; what is left in the queue is the next group."""


QUICK_COMMIT_SECONDS = 0.001
"""A commit that took longer was slow."""

QUICK_COMMITS = 8
"""So many quick commits in a row, and the next one is waited for on the event loop."""

GATHER_ROUNDS = 3
"""Rounds of the event loop that a group waits while each of them brings more operations."""

ALONE_FROM = 8
"""So many operations of one task in a row, and those that follow wait for nobody."""

ALONE_ROUNDS = 8
"""Of so many of them one lets the event loop have its turn: a task that does nothing but write must not keep it."""


class _WroteAndFailed(Exception):
    """A member of a group that runs without savepoints raised after it had written."""


class Writer:
    """Commits the operations of one event loop in groups. `committed` is called on the loop with the notices of each
    group; `log_pages` on the thread, after a commit, with the length of the log in pages; `observe` on the loop with
    the number of operations in a group and the seconds it took, from its beginning to its commit. `directory` is raised
    after commits that changed the directory."""

    def __init__(
        self,
        file: Path,
        locks: Path,
        settings: StoreSettings,
        clock: Callable[[], datetime],
        committed: Callable[[list[Notice]], None],
        log_pages: Callable[[int], None],
        observe: Callable[[int, float], None],
        directory: SharedNumber,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._committed = committed
        self._log_pages = log_pages
        self._observe = observe
        self._directory = directory
        self._loop = asyncio.get_running_loop()
        self._jobs: deque[_Job] = deque()
        self._group_on_its_way = False
        self._begin_scheduled = False
        self._begun = 0.0
        self._quick_commits = 0
        self._gathered = 0
        self._rounds = 0
        self._last_task: asyncio.Task[Any] | None = None
        self._in_a_row = 0
        self._closing = False
        self._drained: asyncio.Future[None] | None = None
        self._look: asyncio.TimerHandle | None = None
        self._lock = FairLock(locks, "write")
        self._file = file
        self._errands: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._committer = threading.Thread(target=self._main, name="store-writer", daemon=True)

    def start(self) -> None:
        """Open the connection, so that its failure is the caller's; then start the thread."""
        settings = self._settings
        self._connection = connect(self._file, settings, cache_size=settings.cache_size, busy=settings.lock_timeout)
        self._connection.set_busy_timeout(0)
        self._connection.set_wal_hook(self._logged)
        self._transaction = SqliteTransaction(self._connection)
        self._committer.start()

    def submit(self, operation: Operation[T]) -> asyncio.Future[T]:
        """Queue an operation. The future is resolved when it is committed and synced, or has failed."""
        return self._queue(operation, large=False)

    def submit_large(self, operation: Operation[T]) -> asyncio.Future[T]:
        """Queue an operation that may take long: it runs off the event loop, in a commit of its own."""
        return self._queue(operation, large=True)

    def _queue(self, operation: Operation[T], *, large: bool) -> asyncio.Future[T]:
        if self._closing:
            raise ShuttingDown
        loop = self._loop
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.append(_Job(operation, future, loop.time(), large))
        alone = self._comes_alone() and not large
        if not self._group_on_its_way and not self._begin_scheduled:
            if alone:
                self._begin_group()
            else:
                self._begin_scheduled = True
                loop.call_soon(self._begin_scheduled_group)
        if self._jobs and self._look is None:
            self._look = loop.call_later(_LOOK_SECONDS, self._refuse_old)
        return future

    def _comes_alone(self) -> bool:
        """Note who writes. Gives whether nobody else did of late, but False now and then, for the loop to have its
        turn."""
        task = asyncio.current_task(self._loop)
        if task is None or task is not self._last_task:
            self._last_task = task
            self._in_a_row = 0
            return False
        self._in_a_row += 1
        return self._in_a_row >= ALONE_FROM and self._in_a_row % ALONE_ROUNDS != 0

    async def close(self) -> None:
        """Write what is queued, then end the thread and close the connection."""
        self._closing = True
        if self._jobs or self._group_on_its_way:
            self._drained = self._loop.create_future()
            await self._drained
        self._errands.put(None)
        await asyncio.to_thread(self._committer.join)
        if self._look is not None:
            self._look.cancel()
        self._lock.close()
        self._connection.close()

    # -- On the event loop: the course of a group

    def _begin_scheduled_group(self) -> None:
        """Begin a group; but while each round of the loop brings more operations, let them come."""
        if self._group_on_its_way:
            self._begin_scheduled = False
            return
        queued = len(self._jobs)
        if queued > self._gathered and self._rounds < GATHER_ROUNDS:
            self._gathered = queued
            self._rounds += 1
            self._loop.call_soon(self._begin_scheduled_group)
            return
        self._begin_scheduled = False
        self._begin_group()

    def _begin_group(self) -> None:
        """Take the lock if it is free, else let the thread wait for it."""
        if not self._jobs:
            if self._drained is not None and not self._drained.done():
                self._drained.set_result(None)
            return
        self._group_on_its_way = True
        self._gathered = self._rounds = 0
        if self._lock.try_acquire_in_turn():
            self._run_group()
        else:
            self._errands.put(self._wait_for_lock)

    def _run_group(self) -> None:
        """Run the statements of the next group; the lock is ours."""
        self._begun = time.monotonic()
        if not self._jobs:  # all of them were refused while the lock was waited for
            if self._connection.in_transaction:
                self._transaction.control("ROLLBACK")
            self._lock.release()
            self._end_group([], [])
            return
        if not self._try_begin():
            self._errands.put(self._wait_for_database)
            return
        if self._jobs[0].large:
            job = self._jobs.popleft()
            self._errands.put(lambda: self._run_and_commit(job))
            return
        jobs, outcomes, failure = self._run_jobs()
        if self._quick_commits >= QUICK_COMMITS:
            self._end_group(*self._commit(jobs, outcomes, failure))
        else:
            self._errands.put(lambda: self._commit_there(jobs, outcomes, failure))

    def _end_group(self, outcomes: list[_Outcome], notices: list[Notice]) -> None:
        """Tell the members of a group that was committed, or has failed; begin the next one."""
        self._group_on_its_way = False
        if outcomes:
            self._loop.call_soon(self._announce, notices, len(outcomes), time.monotonic() - self._begun)
        self._resolve(outcomes)
        if self._jobs and not self._begin_scheduled:
            self._begin_scheduled = True
            self._loop.call_soon(self._begin_scheduled_group)
        elif not self._jobs:
            self._begin_group()

    def _resolve(self, outcomes: list[_Outcome]) -> None:
        for future, value, error in outcomes:
            if future.done():
                continue  # cancelled meanwhile
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)

    def _announce(self, notices: list[Notice], operations: int, seconds: float) -> None:
        """Tell subscribers of a group that is over, and count it."""
        if notices:
            self._committed(notices)
        self._observe(operations, seconds)

    def _refuse_old(self) -> None:
        """Let go of those who have waited too long for the lock."""
        self._look = None
        oldest = self._loop.time() - self._settings.lock_timeout / timedelta(seconds=1)
        refused: list[_Outcome] = []
        while self._jobs and self._jobs[0].submitted < oldest:
            refused.append((self._jobs.popleft().future, None, ServerBusy()))
        self._resolve(refused)
        if self._jobs:
            self._look = self._loop.call_later(_LOOK_SECONDS, self._refuse_old)

    # -- On the thread: what waits

    def _main(self) -> None:
        while (errand := self._errands.get()) is not None:
            errand()

    def _tell_loop(self, callback: Callable[..., None], *values: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *values)
        except RuntimeError:
            self._lock.release()  # the loop is closed: nobody is there to be told

    def _wait_for_lock(self) -> None:
        self._lock.acquire()
        self._tell_loop(self._run_group)

    def _wait_for_database(self) -> None:
        """Wait a while for whoever holds SQLite's own lock. If it was in vain the loop sends us here again, until it
        has refused those for whom it took too long."""
        self._connection.set_busy_timeout(int(_LOOK_SECONDS * 1000))
        self._try_begin()
        self._connection.set_busy_timeout(0)
        self._tell_loop(self._run_group)

    def _run_and_commit(self, job: _Job) -> None:
        outcomes, failure = self._run_all([job])
        self._commit_there([job], outcomes, failure)

    def _commit_there(self, jobs: list[_Job], outcomes: list[_Outcome], failure: BaseException | None) -> None:
        self._tell_loop(self._end_group, *self._commit(jobs, outcomes, failure))

    # -- On either

    def _commit(
        self, jobs: list[_Job], outcomes: list[_Outcome], failure: BaseException | None
    ) -> tuple[list[_Outcome], list[Notice]]:
        """Commit a group, or give it up, and release the lock. Gives what its members are to be told."""
        notices: list[Notice] = []
        try:
            if failure is None:
                before = time.monotonic()
                self._transaction.control("COMMIT")
                quick = time.monotonic() - before <= QUICK_COMMIT_SECONDS
                self._quick_commits = self._quick_commits + 1 if quick else 0
                if self._transaction.other_directory:
                    self._directory.increase()
                notices = self._transaction.notices
        except BaseException as error:
            failure = self._give_up(error)
        finally:
            self._lock.release()
        if failure is not None:
            outcomes = [(job.future, None, failure) for job in jobs]
        return outcomes, notices

    def _run_jobs(self) -> tuple[list[_Job], list[_Outcome], BaseException | None]:
        """Take the next group from the queue and run it as far as to its commit."""
        jobs: list[_Job] = []
        while self._jobs and not self._jobs[0].large and len(jobs) < self._settings.group_limit:
            jobs.append(self._jobs.popleft())
        outcomes, failure = self._run_all(jobs)
        if failure is None and len(outcomes) < len(jobs):  # GROUP_SECONDS are over
            self._jobs.extendleft(reversed(jobs[len(outcomes) :]))
            del jobs[len(outcomes) :]
        return jobs, outcomes, failure

    def _run_all(self, jobs: list[_Job]) -> tuple[list[_Outcome], BaseException | None]:
        """Run a group as far as to its commit. Gives the error instead, if all of it has failed."""
        transaction = self._transaction
        try:
            try:
                return self._run_together(jobs), None
            except _WroteAndFailed as failed:
                if len(jobs) == 1 and failed.__cause__ is not None:
                    raise failed.__cause__ from None
                if self._connection.in_transaction:
                    transaction.control("ROLLBACK")
                return self._run_apart(jobs), None
        except BaseException as error:
            return [], self._give_up(error)

    def _try_begin(self) -> bool:
        """Begin a transaction, if there is none yet. False: SQLite's own lock is held by somebody."""
        try:
            if not self._connection.in_transaction:
                self._transaction.control("BEGIN IMMEDIATE")
        except apsw.BusyError:
            return False
        except apsw.Error:
            return True  # the group will meet the same, and its members be told
        return True

    def _begin(self) -> SqliteTransaction:
        transaction = self._transaction
        transaction.notices = []
        transaction.other_directory = False
        transaction.now = self._clock()
        if not self._connection.in_transaction:
            transaction.control("BEGIN IMMEDIATE")
        return transaction

    def _run_together(self, jobs: list[_Job]) -> list[_Outcome]:
        """Run a group with nothing between its members, as far as time allows: at least the first.

        Raises _WroteAndFailed if it must run again.
        """
        transaction = self._begin()
        until = self._begun + GROUP_SECONDS
        connection = self._connection
        outcomes: list[_Outcome] = []
        for operation, future, _, _ in jobs:
            # May lack the last statement of the one before: then a group may run again that need not.
            changes, noted = connection.total_changes(), len(transaction.notices)
            try:
                outcomes.append((future, run(operation, transaction), None))
            except BaseException as error:
                if not connection.in_transaction or transaction.total_changes() != changes:
                    raise _WroteAndFailed from error
                del transaction.notices[noted:]
                outcomes.append((future, None, translate(error)))
            if time.monotonic() > until:
                break
        return outcomes

    def _run_apart(self, jobs: list[_Job]) -> list[_Outcome]:
        """Run a group with a savepoint around each member, so that those which fail leave nothing behind."""
        transaction = self._begin()
        outcomes: list[_Outcome] = []
        for operation, future, _, _ in jobs:
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
