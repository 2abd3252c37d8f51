"""The thread that moves what was committed from the log into the database.

*Theory of operation.* Commits append to the log (WAL); a checkpoint copies its pages to their places in the database
and syncs it. That may take long, so no commit ever does it. When the log has grown by `checkpoint_size` this thread
runs a passive checkpoint, which takes no lock that a reader or writer needs.

A log begins anew only when a writer finds all of it copied and no reader in it. Under steady load there is always a
commit or two that came during the copying, so the log would grow for ever. When it has passed `log_limit` this thread
takes its turn at the writers' lock and copies the rest: little, since it was copied just before. Writers wait for this
one short moment; readers for none. If a long read still stands in the log, it has grown a little more by the next time.
"""

import threading
from pathlib import Path
from queue import SimpleQueue

import apsw

from pennypost.store.settings import StoreSettings
from pennypost.store.sqlite.lock import FairLock


class Checkpointer:
    """Keeps the log short. `log_pages` may be called on any thread. One of all processes works at a time."""

    def __init__(self, connection: apsw.Connection, locks: Path, settings: StoreSettings) -> None:
        self._connection = connection
        page_size = connection.pragma("page_size")
        self._step = max(1, settings.checkpoint_size // page_size)
        self._limit = max(1, settings.log_limit // page_size)
        self._due = self._step
        self._idle = True
        self._wake: SimpleQueue[int] = SimpleQueue()
        self._turn = FairLock(locks, "checkpoint")
        self._write = FairLock(locks, "write")
        self._thread = threading.Thread(target=self._main, name="store-checkpoint", daemon=True)
        self._thread.start()

    def log_pages(self, pages: int) -> None:
        """Say how long the log is after a commit. Cheap."""
        if pages < self._step:
            self._due = self._step  # it has begun anew
        elif pages >= self._due and self._idle:
            self._idle = False
            self._wake.put(pages)

    def close(self) -> None:
        """End the thread, after the checkpoint it may be at. Blocks."""
        self._wake.put(0)
        self._thread.join()
        self._turn.close()
        self._write.close()
        self._connection.close()

    def _main(self) -> None:
        while pages := self._wake.get():
            if self._turn.try_acquire():
                try:
                    self._checkpoint(pages)
                finally:
                    self._turn.release()
            self._due = pages + self._step
            self._idle = True

    def _checkpoint(self, pages: int) -> None:
        try:
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            if pages >= self._limit:
                with self._write:
                    self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except (apsw.BusyError, apsw.LockedError):
            return  # somebody else's tool is at it
        except (apsw.FullError, apsw.IOError):
            return  # what is in the log is safe there; writers will meet the same disk, and say so
