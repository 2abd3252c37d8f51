"""The thread that moves what was committed from the log into the database.

*Theory of operation.* Commits append to the log (WAL); a checkpoint copies its pages to their places in the database
and syncs it. That may take long, so no commit ever does it. When the log has grown by `checkpoint_size` this thread
runs a passive checkpoint, which takes no lock that a reader or writer needs.

A log begins anew only when a writer finds all of it copied and no reader in it. Under steady load there is always a
commit or two that came during the copying, so the log would grow for ever. When it has passed `log_limit` this thread
takes its turn at the writers' lock and copies the rest: little, since it was copied just before. Writers wait for this
one short moment; readers for none. If a long read still stands in the log, it has grown a little more by the next time.

*Room in the log.* Syncing octets that made the file longer costs half as much again as syncing octets that replace
others: the file system has to write down the new length, too. A log that begins anew replaces its old octets; one that
grows for the first time does not. So this thread makes room ahead of a growing log, by zeros behind its end, which are
no valid frame and mean nothing. It does so in small pieces, as a writer among writers. There is room for a quarter more
than `log_limit`: for what is committed while the log that has passed it is copied.
"""

import os
import threading
from pathlib import Path
from queue import SimpleQueue

import apsw

from pennypost.store.settings import StoreSettings
from pennypost.store.sqlite.lock import FairLock

_ROOM_FROM = 1 << 20
"""Octets of the log from which room is made ahead of it: commands that write a little are over before."""

_NEVER = 1 << 62
_FRAME_HEADER = 24
"""Octets before each page in the log."""

_ROOM_PIECE = bytes(256 << 10)
_ROOM_SHARE = 16
"""Room is made only while the disk has so many times the largest log free."""


class Checkpointer:
    """Keeps the log short, and ready to be written.

    `log_pages` may be called on any thread. Of all processes one works at a time.
    """

    def __init__(self, connection: apsw.Connection, locks: Path, settings: StoreSettings) -> None:
        self._connection = connection
        self._log = Path(f"{connection.filename}-wal")
        self._page_size = page_size = connection.pragma("page_size")
        self._step = max(1, min(settings.checkpoint_size, settings.log_limit) // page_size)
        self._limit = max(1, settings.log_limit // page_size)
        self._most_room = settings.log_room // (page_size + _FRAME_HEADER)
        self._room_from = _ROOM_FROM // page_size  # pages of the log from which more room is needed
        self._due = self._step
        self._idle = True
        self._wake: SimpleQueue[int] = SimpleQueue()
        self._turn = FairLock(locks, "checkpoint")
        self._write = FairLock(locks, "write")
        self._checkpoints = threading.Thread(target=self._main, name="store-checkpoint", daemon=True)
        self._checkpoints.start()

    def log_pages(self, pages: int) -> None:
        """Say how long the log is after a commit. Cheap."""
        if pages <= self._due - self._step:
            self._due = self._step  # it has begun anew
        if (pages >= self._due or pages >= self._room_from) and self._idle:
            self._idle = False
            self._wake.put(pages)

    def close(self) -> None:
        """End the thread, after the checkpoint it may be at. Blocks."""
        self._wake.put(0)
        self._checkpoints.join()
        self._turn.close()
        self._write.close()
        self._connection.close()

    def _main(self) -> None:
        while pages := self._wake.get():
            if ours := self._turn.try_acquire():
                try:
                    if pages >= self._room_from:
                        self._make_room(pages)
                    if pages >= self._due:
                        self._checkpoint(pages)
                finally:
                    self._turn.release()
            if pages >= self._due and (ours or pages < self._limit):  # behind its limit the turn is tried for again
                following = pages + self._step
                self._due = following if pages >= self._limit else min(following, self._limit)
            self._idle = True

    def _make_room(self, pages: int) -> None:
        """Lengthen the log's file to twice of what is in it, `log_room` at most."""
        frame = self._page_size + _FRAME_HEADER
        wanted = min(2 * pages, self._most_room) * frame
        try:
            fd = os.open(self._log, os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            return
        try:
            status = os.fstatvfs(fd)
            if status.f_bavail * status.f_frsize < _ROOM_SHARE * self._most_room * frame:
                wanted = 0  # a disk that is nearly full is needed for better things
            while os.fstat(fd).st_size < wanted and self._lengthen(fd):
                os.fdatasync(fd)
        except OSError:
            wanted = 0
        finally:
            os.close(fd)
        self._room_from = wanted // frame * 3 // 4 if 0 < wanted < self._most_room * frame else _NEVER

    def _lengthen(self, fd: int) -> bool:
        """Add zeros behind the end of the log while nobody writes to it. False: somebody else's tool is at it."""
        with self._write:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except apsw.Error:
                return False
            try:
                os.pwrite(fd, _ROOM_PIECE, os.fstat(fd).st_size)
            finally:
                self._connection.execute("ROLLBACK")
        return True

    def _checkpoint(self, pages: int) -> None:
        try:
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            if pages >= self._limit:
                with self._write:
                    self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error:
            # Somebody else's tool is at it, or the disk is full, or fails: what is in the log is safe, and writers
            # will meet the same disk, and say so. The thread goes on, or the log would grow until it fills the disk.
            return
