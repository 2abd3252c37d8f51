"""Bodies of messages, each kept once whoever received it.

*Theory of operation.* A body is known by its SHA-256. It is first made a draft: hashed, compressed and, above
`inline_limit`, written to a file and synced. That needs no transaction and, when large, happens on a few threads, in
pieces, so that nothing else waits. Then `put`, in the transaction that also makes the message, gives the draft a row,
or finds the row that is there. A file is therefore safe on disk before the commit that names it; a draft that is never
put leaves a file that nobody knows.

*Sharing.* A large body has one row, however often it comes; so has a small one of a message that goes to several
mailboxes at once. A small one that comes again in another transaction gets another row: finding the first would take
an index of all hashes, whose pages cost a delivery more than the body.

*Collection.* What nothing refers to is removed after a grace period: rows first, then files. Who deletes a row that
refers to a body notes the body (`note_dropped`); the collector walks through all that may refer to it (`collection`). A
body may come again at that very moment, so the two meet under the writers' lock, where there is one transaction at a
time:

- A row is deleted by a transaction that finds it last put before the grace period, after nothing was found that
  refers to it. A `put` of the same body comes before it (and the row is young) or after it (and makes a new row).
- A file is unlinked inside a transaction that finds no row naming it, and only if it was written before the grace
  period. A `put` looks, in its transaction, whether its draft's file is there. Drafting writes the file anew even when
  there is one, so the file of a draft on its way to `put` is young.

`created_at` is when a row was last put, give or take `REFRESH`: an often delivered body is not rewritten each time.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple, TypeVar

from zstandard import ZstdError

from pennypost.model.errors import ServerBusy
from pennypost.model.ids import BlobId
from pennypost.store.blob_files import FRAME, BlobFile, DamagedFile, write_file
from pennypost.store.body_coding import UNDOTTED, BodyCoding
from pennypost.store.engine import Row, Transaction, Value, to_microseconds
from pennypost.store.settings import StoreSettings
from pennypost.store.spool import Spool

T = TypeVar("T")

REFRESH = timedelta(minutes=5)
"""How much older `created_at` may be than the last `put`."""

_SHARED_FROM = 4096
_SHARED = f"size >= {_SHARED_FROM} OR place IS NOT NULL"
"""Bodies that have one row however often they are put. In the words of the index that finds them."""

BY_HASH = f"hash = ? AND ({_SHARED})"
"""The condition that finds the row of a shared body."""

_COLUMNS = "size, codec, data, place"


class BlobDraft(NamedTuple):
    """A body made ready for `put`. `hash`: SHA-256 of the body; `size`: its octets; `codec`: of `data` as
    `body_coding` has it, of a file as `blob_files` does.

    Either `data` or `place`, a path below the data folder, is set; `file` is then the whole path.
    `body`: the body itself, of a small one, for those who need it again at once.
    """

    hash: bytes
    size: int
    codec: int
    data: bytes | None
    place: str | None
    file: Path | None = None
    body: bytes | None = None


class BlobReader:
    """One body, open for reading. Holds a small body whole, of a large one no more than is asked for.

    It stays readable when the body is removed from the store meanwhile. Close it.
    """

    __slots__ = ("_blobs", "_source", "undotted", "whole")

    def __init__(self, blobs: "Blobs", source: bytes | BlobFile, undotted: bool = False) -> None:
        self._blobs = blobs
        self._source = source
        self.whole = source if isinstance(source, bytes) else None
        """The body, if it is a small one that is here already; None for one that has to be read."""
        self.undotted = undotted
        """Whether it is known that no line of the body begins with "."."""

    @property
    def size(self) -> int:
        """Octets of the body."""
        return len(self._source) if isinstance(self._source, bytes) else self._source.size

    async def read_at(self, start: int, length: int) -> bytes:
        """Read up to `length` octets from `start` (0-based), fewer at the end."""
        if isinstance(self._source, bytes):
            return self._source[start : start + length]
        return await self._blobs.on_thread(self._source.read_at, start, length)

    async def chunks(self, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Read a range, or all, in pieces of at most `FRAME` octets, each when it is asked for."""
        end = self.size if length is None else min(self.size, start + length)
        while start < end:
            octets = await self.read_at(start, min(end, start - start % FRAME + FRAME) - start)
            yield octets
            start += len(octets)

    def close(self) -> None:
        """Let go of the file, if there is one. Idempotent."""
        if isinstance(self._source, BlobFile):
            self._source.close()


class Blobs:
    """Makes drafts of bodies and reads bodies, for one open store. `coding`: of those that lie in the database."""

    def __init__(self, settings: StoreSettings, coding: BodyCoding) -> None:
        self._settings = settings
        self._durable: set[Path] = set()
        self.coding = coding
        self._writers = ThreadPoolExecutor(settings.blob_threads, thread_name_prefix="store-blob-write")
        self._readers = ThreadPoolExecutor(settings.blob_threads, thread_name_prefix="store-blob-read")

    # -- Writing

    def draft(self, body: bytes) -> BlobDraft:
        """Make a draft here and now: a few microseconds per KiB, so only for bodies up to `inline_limit`."""
        codec, data = self.coding.encode(body)
        return BlobDraft(hashlib.sha256(body).digest(), len(body), codec, data, None, None, body)

    async def draft_large(self, body: bytes | memoryview | Path, start: int = 0) -> BlobDraft:
        """Make a draft, as a file, of octets or of a file's content, from `start` on. On return it is synced.

        A few are made at one time, the others wait. Raises StorageFull. A cancelled one may leave a file to collect.
        """
        if isinstance(body, Path):
            fd = os.open(body, os.O_RDONLY | os.O_CLOEXEC)
            return await self._draft_file(_file_pieces(fd, start), fd)
        return await self._draft_file(_pieces(memoryview(body)[start:]), None)

    async def draft_any(self, spool: Spool, start: int | None = None) -> BlobDraft:
        """Make a draft of a spooled message's body: what follows its header block, or its octets from `start` on.

        Raises StorageFull.
        """
        if start is None:
            start = spool.header_size()
        if spool.size - start <= self._settings.inline_limit:
            return self.draft(spool.octets()[start:])
        if (file := spool.fileno()) is not None:
            fd = os.dup(file)  # the spool may be closed before a thread is free
            return await self._draft_file(_file_pieces(fd, start), fd)
        return await self._draft_file(_pieces(memoryview(spool.octets())[start:]), None)

    async def _draft_file(self, pieces: Iterator[bytes | memoryview], fd: int | None) -> BlobDraft:
        """Write pieces to a file on a thread. `fd`, where they come from, is closed when the thread is done with it,
        also when the caller has been cancelled."""
        settings = self._settings
        job = self._writers.submit(write_file, settings.data_dir, pieces, settings.compression_level, self._durable)
        if fd is not None:
            job.add_done_callback(lambda _: os.close(fd))
        written = await asyncio.wrap_future(job)
        file = settings.data_dir / written.place
        return BlobDraft(written.hash, written.size, written.codec, None, written.place, file)

    # -- Reading

    async def read(self, tx: Transaction, blob: BlobId) -> bytes:
        """Read a whole body. A large one blocks while it is read: do that in a `scan`, or `open` it.

        Raises DamagedFile if the store has lost it.
        """
        return self.decode(await _row(tx, blob))

    async def read_range(self, tx: Transaction, blob: BlobId, start: int, length: int) -> bytes:
        """Read up to `length` octets from `start` (0-based) of a body; of a large one only these parts are read."""
        row = await _row(tx, blob)
        if row[3] is None:
            return self.decode(row)[start : start + length]
        file = self._file(row)
        try:
            return file.read_at(start, length)
        finally:
            file.close()

    async def open(self, tx: Transaction, blob: BlobId) -> BlobReader:
        """Open a body for reading after the transaction, off the event loop if it is large."""
        return self.reader(await _row(tx, blob))

    def reader(self, row: Row) -> BlobReader:
        """Open the body that a row of (size, codec, data, place) stands for, as `open` does."""
        if row[3] is None:
            return BlobReader(self, self.decode(row), bool(row[1] & UNDOTTED))
        return BlobReader(self, self._file(row))

    def decode(self, row: Row) -> bytes:
        """Give the body that a row of (size, codec, data, place) stands for; for joins that bring these columns.

        Raises DamagedFile if the store has lost it: the columns are NULL where the row is gone.
        """
        size, codec, data, place = row
        if size is None:
            raise DamagedFile("the message's body is not there")
        if place is None:
            return self.coding.decode(codec, data, size)
        file = self._file(row)
        try:
            return file.read_at(0, size)
        finally:
            file.close()

    def decode_all(self, rows: Sequence[Row], at: int) -> list[bytes]:
        """Do what `decode` does for many rows, in which its columns begin at a place."""
        made, codec, data = self.coding.decompressors(), at + 1, at + 2
        try:
            bodies = [made[row[codec]](row[data]) for row in rows]
            if list(map(len, bodies)) == [row[at] for row in rows]:
                return bodies
        except (KeyError, TypeError, ZstdError, MemoryError):
            pass  # one lies in a file, or has a codec that was not met before, or is damaged
        return [self.decode(row[at : at + 4]) for row in rows]

    def readers(self, rows: Sequence[Row], at: int) -> list[BlobReader]:
        """Open bodies that lie in the database, as `reader` does, for rows in which its columns begin at a place."""
        bodies = self.decode_all(rows, at)
        return [BlobReader(self, body, bool(row[at + 1] & UNDOTTED)) for row, body in zip(rows, bodies, strict=True)]

    async def problem(self, tx: Transaction, blob: BlobId) -> str | None:
        """Say what is wrong with a stored body: missing, cut, or of another hash; None: nothing. Blocks: for `scan`."""
        row = await tx.fetch_one(f"SELECT {_COLUMNS}, hash FROM blob WHERE id = ?", blob)
        if row is None:
            return "no such body"
        digest = hashlib.sha256()
        try:
            if row[3] is None:
                digest.update(self.decode(row[:4]))
            else:
                file = self._file(row[:4])
                try:
                    for start in range(0, file.size, FRAME):
                        digest.update(file.read_at(start, FRAME))
                finally:
                    file.close()
        except (DamagedFile, OSError) as error:
            return str(error)
        return None if digest.digest() == row[4] else "the body does not have its hash"

    async def on_thread(self, function: Callable[..., T], *values: object) -> T:
        """Run something that reads a body on one of the threads for that."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, function, *values)

    async def close(self) -> None:
        """Finish what is being written and end the threads."""
        await asyncio.to_thread(self._writers.shutdown)
        await asyncio.to_thread(self._readers.shutdown)

    def _file(self, row: Row) -> BlobFile:
        size, codec, _, place = row
        try:
            return BlobFile(self._settings.data_dir / place, codec, size)
        except FileNotFoundError as error:
            raise DamagedFile(f"{place} is missing") from error


async def put(tx: Transaction, draft: BlobDraft) -> BlobId:
    """Give a draft its row, or find the row of the same body, and keep it from collection for the grace period.

    Raises ServerBusy if the draft's file was collected: then it was made longer ago than the grace period.
    """
    if draft.file is not None and not draft.file.exists():
        raise ServerBusy
    now = to_microseconds(tx.now)
    values = draft.hash, draft.size, draft.codec, draft.data, draft.place, now
    if draft.place is None and draft.size < _SHARED_FROM:
        return BlobId(await tx.insert(_INSERT, *values))
    row = await tx.fetch_one(_INSERT_SHARED, *values, now - REFRESH // timedelta(microseconds=1))
    if row is None:  # there already, and put just now
        row = await tx.fetch_one(f"SELECT id FROM blob WHERE {BY_HASH}", draft.hash)
    assert row is not None
    return BlobId(row[0])


_INSERT = "INSERT INTO blob (hash, size, codec, data, place, created_at) VALUES (?, ?, ?, ?, ?, ?)"
_INSERT_SHARED = (
    f"{_INSERT} ON CONFLICT (hash) WHERE {_SHARED} "
    "DO UPDATE SET created_at = excluded.created_at WHERE blob.created_at < ? RETURNING id"
)


async def note_unused(tx: Transaction, blob: BlobId) -> None:
    """Note that nothing refers to a body that was put."""
    await note_dropped(tx, "(SELECT ? AS blob) none WHERE TRUE", blob)


async def note_dropped(tx: Transaction, rows: str, *values: Value) -> None:
    """Note that rows which refer to bodies are to be deleted. `rows`: "table WHERE condition", with its values."""
    await tx.execute(
        f"INSERT INTO dropped_blob (blob, dropped_at) SELECT blob, ? FROM {rows} "
        "ON CONFLICT (blob) DO UPDATE SET dropped_at = excluded.dropped_at",
        to_microseconds(tx.now),
        *values,
    )


async def _row(tx: Transaction, blob: BlobId) -> Row:
    row = await tx.fetch_one(f"SELECT {_COLUMNS} FROM blob WHERE id = ?", blob)
    if row is None:
        raise DamagedFile(f"there is no body {blob}")
    return row


def _pieces(octets: memoryview) -> Iterator[memoryview]:
    for start in range(0, len(octets), FRAME):
        yield octets[start : start + FRAME]


def _file_pieces(fd: int, start: int) -> Iterator[bytes]:
    while piece := os.pread(fd, FRAME, start):
        yield piece
        start += len(piece)
