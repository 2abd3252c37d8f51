"""The thread that keeps the log short: whatever it meets, it goes on."""

import threading
from pathlib import Path

import apsw
import pytest
from tests.running import until

from pennypost.model.units import Octets
from pennypost.store.settings import StoreSettings
from pennypost.store.sqlite.checkpoint import Checkpointer
from pennypost.store.sqlite.lock import FairLock


class Connection:
    """One whose first checkpoint fails, if there is a problem. `checkpoints`: how many did not."""

    def __init__(self, folder: Path, problem: type[Exception] | None = None) -> None:
        self.filename = str(folder / "x.db")
        self.problem = problem
        self.checkpoints = 0
        self.done = threading.Event()
        self.failed = threading.Event()

    def pragma(self, _: str) -> int:
        return 4096

    def wal_checkpoint(self, mode: int) -> None:
        if self.problem is not None:
            problem, self.problem = self.problem, None
            self.failed.set()
            raise problem
        self.checkpoints += 1
        self.done.set()

    def close(self) -> None:
        return


@pytest.mark.parametrize("problem", [apsw.BusyError, apsw.FullError, apsw.CantOpenError, apsw.CorruptError])
def test_a_checkpoint_that_fails_is_not_the_last(tmp_path: Path, problem: type[Exception]) -> None:
    connection = Connection(tmp_path, problem)
    checkpointer = Checkpointer(connection, tmp_path, StoreSettings(tmp_path))  # type: ignore[arg-type]
    pages = checkpointer._step
    checkpointer.log_pages(pages)
    assert connection.failed.wait(5)
    for _ in range(500):
        pages += checkpointer._step
        checkpointer.log_pages(pages)
        if connection.done.wait(0.01):
            break
    assert connection.done.is_set()
    checkpointer.close()


class Log:
    """What is told of the log to one that looks after it. Sizes are in pages."""

    def __init__(self, folder: Path, *, checkpoint_size: int, log_limit: int) -> None:
        self.connection = Connection(folder)
        page = self.connection.pragma("page_size")
        sizes = {"checkpoint_size": Octets(checkpoint_size * page), "log_limit": Octets(log_limit * page)}
        self.checkpointer = Checkpointer(self.connection, folder, StoreSettings(folder, **sizes))  # type: ignore[arg-type]

    def commit(self, pages: int) -> int:
        """Tell how long the log is. Gives how many checkpoints follow: two where writers wait for the second."""
        before = self.connection.checkpoints
        self.checkpointer.log_pages(pages)
        until(lambda: self.checkpointer._idle)
        return self.connection.checkpoints - before

    def grow(self, start: int, end: int) -> dict[int, int]:
        """Commit page by page. Gives how long the log was when checkpoints followed, and how many."""
        return {pages: count for pages in range(start, end) if (count := self.commit(pages))}


def test_a_checkpoint_comes_at_each_step_and_at_the_limit(tmp_path: Path) -> None:
    log = Log(tmp_path, checkpoint_size=30, log_limit=70)
    assert log.grow(1, 131) == {30: 1, 60: 1, 70: 2, 100: 2, 130: 2}  # a long read stands in the log
    assert log.grow(1, 71) == {30: 1, 60: 1, 70: 2}  # begun anew
    log.checkpointer.close()


def test_a_limit_that_is_less_than_a_step_takes_its_place(tmp_path: Path) -> None:
    log = Log(tmp_path, checkpoint_size=70, log_limit=30)
    assert log.grow(1, 61) == {30: 2, 60: 2}
    log.checkpointer.close()


def test_a_log_that_begins_anew_with_more_than_a_step_is_looked_after_from_there(tmp_path: Path) -> None:
    log = Log(tmp_path, checkpoint_size=1, log_limit=1)
    assert [log.commit(pages) for pages in (50, 60, 20, 20, 21)] == [2, 2, 2, 2, 2]
    log.checkpointer.close()


@pytest.mark.parametrize(
    ("let_go", "end", "checkpoints"),
    [
        (75, 110, {75: 2, 105: 2}),  # behind its limit the log does not grow another step for it
        (40, 71, {60: 1, 70: 2}),  # before that, the other had the turn for all
    ],
)
def test_another_had_the_turn(tmp_path: Path, let_go: int, end: int, checkpoints: dict[int, int]) -> None:
    log = Log(tmp_path, checkpoint_size=30, log_limit=70)
    turn = FairLock(tmp_path, "checkpoint")
    turn.acquire()
    assert log.grow(1, let_go) == {}
    turn.release()
    assert log.grow(let_go, end) == checkpoints
    turn.close()
    log.checkpointer.close()
