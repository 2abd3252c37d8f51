"""A lock between processes that lets each have its turn."""

import fcntl
import os
from pathlib import Path
from types import TracebackType


class FairLock:
    """An exclusive lock on a file name, shared by processes and, with an instance for each, by threads.

    SQLite's own busy waiting polls, and who polls may starve. `flock` sleeps and is woken, but one who releases it and
    wants it again at once would overtake those who sleep. So there are two: who wants the lock passes the turnstile
    first, and keeps it until the lock is his; who has just released the lock finds the turnstile held by the next.

    The kernel releases both when a process dies, however it dies. Not reentrant; one thread may take it and another
    release it.
    """

    def __init__(self, folder: Path, name: str) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._turnstile = os.open(folder / f"{name}.next", flags, 0o600)
        self._lock = os.open(folder / f"{name}.lock", flags, 0o600)

    def acquire(self) -> None:
        """Wait for the lock, however long."""
        fcntl.flock(self._turnstile, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        finally:
            fcntl.flock(self._turnstile, fcntl.LOCK_UN)

    def try_acquire(self) -> bool:
        """Take the lock if nobody has it: True if it is ours now."""
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def try_acquire_in_turn(self) -> bool:
        """Take the lock if nobody has it and nobody waits for it: True if it is ours now."""
        try:
            fcntl.flock(self._turnstile, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        try:
            return self.try_acquire()
        finally:
            fcntl.flock(self._turnstile, fcntl.LOCK_UN)

    def release(self) -> None:
        """Give the lock back."""
        fcntl.flock(self._lock, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the files, and with them of the lock."""
        os.close(self._turnstile)
        os.close(self._lock)

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.release()
