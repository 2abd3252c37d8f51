"""The thread that keeps the log short: whatever it meets, it goes on."""

import threading
from pathlib import Path

import apsw
import pytest

from pennypost.store.settings import StoreSettings
from pennypost.store.sqlite.checkpoint import Checkpointer


class Connection:
    """One whose first checkpoint fails."""

    def __init__(self, folder: Path, problem: type[Exception]) -> None:
        self.filename = str(folder / "x.db")
        self.problem: type[Exception] | None = problem
        self.done = threading.Event()
        self.failed = threading.Event()

    def pragma(self, _: str) -> int:
        return 4096

    def wal_checkpoint(self, mode: int) -> None:
        if self.problem is not None:
            problem, self.problem = self.problem, None
            self.failed.set()
            raise problem
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
