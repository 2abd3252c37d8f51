"""Bodies of messages, each kept once whoever received it.

*Theory of operation.* A body is known by its SHA-256. It is first made a draft: hashed, compressed and, above
`inline_limit`, written to a file and synced. That needs no transaction and, when large, happens on a few threads, in
pieces, so that nothing else waits. Then `put`, in the transaction that also makes the message, gives the draft a row,
or finds the row that is there. A file is therefore safe on disk before the commit that names it; a draft that is never
put leaves a file that nobody knows.

*Sharing.* A large body has one row, however often it comes; so has a small one of a message that goes to several
mailboxes at once. A small one that comes again in another transaction gets another row: finding the first would take
an index of all hashes, whose pages cost a delivery more than the body.

*Parts.* An attachment of some size (`store.attachment_from`) is a body of its own, which has one row, or one file,
whatever messages it came in; their rows keep the rest (`blob_parts`). The whole is still known by its own hash.

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
from collections.abc import AsyncIterator, Callable, MutableSequence, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TypeVar

from zstandard import ZstdError

from pennypost.model.errors import ServerBusy
from pennypost.model.ids import BlobId
from pennypost.store.blob_drafts import BlobDraft, Drafting
from pennypost.store.blob_files import FRAME, BlobFile, DamagedFile
from pennypost.store.blob_parts import BODY_COLUMNS, Gathered, PartCache, Pieces, hash_of_parts, parts_of, put_together
from pennypost.store.body_coding import DIVIDED, UNDOTTED, BodyCoding
from pennypost.store.engine import Row, Transaction, Value, to_microseconds
from pennypost.store.settings import StoreSettings

T = TypeVar("T")

REFRESH = timedelta(minutes=5)
"""How much older `created_at` may be than the last `put`."""

_SHARED_FROM = 4096
_SHARED = f"size >= {_SHARED_FROM} OR place IS NOT NULL"
"""Bodies that have one row however often they are put. In the words of the index that finds them."""

BY_HASH = f"hash = ? AND ({_SHARED})"
"""The condition that finds the row of a shared body."""

_COLUMNS = ", ".join(BODY_COLUMNS)


class BlobReader:
    """One body, open for reading. Holds a small body whole, of a large one no more than is asked for.

    It stays readable when the body is removed from the store meanwhile. Close it.
    """

    __slots__ = ("_blobs", "_source", "undotted", "whole")

    def __init__(self, blobs: "Blobs", source: bytes | BlobFile | Pieces, undotted: bool = False) -> None:
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

    def read_now(self, start: int, length: int) -> bytes:
        """Do what `read_at` does on the thread that asks: a large body blocks it."""
        if isinstance(self._source, bytes):
            return self._source[start : start + length]
        return self._source.read_at(start, length)

    async def chunks(self, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Read a range, or all, in pieces of at most `FRAME` octets, each when it is asked for."""
        end = self.size if length is None else min(self.size, start + length)
        while start < end:
            octets = await self.read_at(start, min(end, start - start % FRAME + FRAME) - start)
            yield octets
            start += len(octets)

    def close(self) -> None:
        """Let go of the files, if there are any. Idempotent."""
        if not isinstance(self._source, bytes):
            self._source.close()


class Blobs(Drafting):
    """Makes drafts of bodies and reads bodies, for one open store. `coding`: of those that lie in the database."""

    def __init__(self, settings: StoreSettings, coding: BodyCoding) -> None:
        super().__init__(settings, coding)
        self._parts = PartCache(settings.attachment_cache)
        self._readers = ThreadPoolExecutor(settings.blob_threads, thread_name_prefix="store-blob-read")

    async def read(self, tx: Transaction, blob: BlobId) -> bytes:
        """Read a whole body. A large one blocks while it is read: do that in a `scan`, or `open` it.

        Raises DamagedFile if the store has lost it.
        """
        return self.decode(await self._row(tx, blob))

    async def read_range(self, tx: Transaction, blob: BlobId, start: int, length: int) -> bytes:
        """Read up to `length` octets from `start` (0-based) of a body; of a large one only these parts are read."""
        reader = await self.open(tx, blob)
        try:
            return reader.read_now(start, length)
        finally:
            reader.close()

    async def open(self, tx: Transaction, blob: BlobId) -> BlobReader:
        """Open a body for reading after the transaction, off the event loop if it is large."""
        return self.reader(await self._row(tx, blob))

    async def gather(self, tx: Transaction, rows: MutableSequence[Row] | MutableSequence[Row | None], at: int) -> None:
        """Lay hold of the parts of bodies that have some, in the transaction that has read their rows.

        `at`: where `BODY_COLUMNS` begin in each row. A row of such a body is replaced by one that `decode` and `reader`
        take; the others are left alone.
        """
        codec = at + 1
        for number, row in enumerate(rows):
            if row is not None and row[codec] is not None and row[codec] & DIVIDED:
                rows[number] = (*row[:at], *await self._gathered(tx, row[at : at + 5]), *row[at + 4 :])

    async def _gathered(self, tx: Transaction, row: Row) -> Row:
        """Give the (size, codec, data, place) of a body that has parts: a small body is put together already."""
        size, codec, _, place = row[:4]
        try:
            gathered = await self._lay_hold(tx, row, self._parts)
            if size > self._settings.inline_limit:
                return size, codec, gathered, place
            return size, codec & UNDOTTED, self._whole(gathered, size), place
        except DamagedFile as problem:  # whose turn it is is told of it
            return size, codec, problem, place

    async def _lay_hold(self, tx: Transaction, row: Row, kept: PartCache) -> Gathered:
        """Read the parts of a body, but for those in files, and what lies between them. Raises DamagedFile."""
        size, codec, data, _, blob = row
        parts: list[tuple[int, bytes | Row]] = []
        for start, octets, hash, part in await parts_of(tx, blob, kept):
            if not isinstance(part, bytes) and part[3] is None:
                part = self.decode(part)
                kept.keep(hash, part)
            parts.append((start, part))
            size -= octets
        return Gathered(self.coding.decode(codec & ~DIVIDED, data, size), parts)

    def reader(self, row: Row) -> BlobReader:
        """Open the body that a row of (size, codec, data, place) stands for, as `open` does."""
        if row[3] is not None:
            return BlobReader(self, self._file(row))
        if isinstance(row[2], Gathered):
            return BlobReader(self, self._pieces(row[2], row[0]))
        return BlobReader(self, self.decode(row), bool(row[1] & UNDOTTED))

    def decode(self, row: Row) -> bytes:
        """Give the body that a row of (size, codec, data, place) stands for; for joins that bring these columns.

        Raises DamagedFile if the store has lost it: the columns are NULL where the row is gone.
        """
        size, codec, data, place = row
        if size is None:
            raise DamagedFile("the message's body is not there")
        if isinstance(data, DamagedFile):
            raise data
        if isinstance(data, Gathered):
            return self._whole(data, size)
        if place is None:
            if codec & DIVIDED:
                raise DamagedFile("the body's parts were not laid hold of")
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

    def is_here(self, row: Row, at: int) -> bool:
        """Whether a gathered row, in which `BODY_COLUMNS` begin at a place, holds its body: no file has to be read."""
        return row[at + 3] is None and not isinstance(row[at + 2], Gathered)

    def readers(self, rows: Sequence[Row], at: int) -> list[BlobReader]:
        """Open bodies that lie in the database, as `reader` does, for rows in which its columns begin at a place."""
        bodies = self.decode_all(rows, at)
        return [BlobReader(self, body, bool(row[at + 1] & UNDOTTED)) for row, body in zip(rows, bodies, strict=True)]

    async def problem(self, tx: Transaction, blob: BlobId) -> str | None:
        """Say what is wrong with a stored body: missing, cut, or of another hash; None: nothing. Blocks: for `scan`."""
        row = await tx.fetch_one(f"SELECT {_COLUMNS}, hash FROM blob WHERE id = ?", blob)
        if row is None:
            return "no such body"
        try:
            if row[1] & DIVIDED and row[3] is None:
                gathered = await self._lay_hold(tx, row[:5], PartCache(0))
                self._pieces(gathered, row[0]).close()
                found = hash_of_parts(gathered.rest, [(start, self._digest(part)) for start, part in gathered.parts])
            else:
                found = self._digest(row[:4])
        except (DamagedFile, OSError) as error:
            return str(error)
        return None if found == row[5] else "the body does not have its hash"

    def _digest(self, source: bytes | Row) -> bytes:
        """Give the SHA-256 of a body that has no parts, or of its row's. Raises DamagedFile."""
        digest = hashlib.sha256()
        reader = BlobReader(self, source) if isinstance(source, bytes) else self.reader(source)
        try:
            for start in range(0, reader.size, FRAME):
                digest.update(reader.read_now(start, FRAME))
        finally:
            reader.close()
        return digest.digest()

    async def on_thread(self, function: Callable[..., T], *values: object) -> T:
        """Run something that reads a body on one of the threads for that."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, function, *values)

    async def close(self) -> None:
        """Finish what is being written and end the threads."""
        await self._end_writers()
        await asyncio.to_thread(self._readers.shutdown)

    async def _row(self, tx: Transaction, blob: BlobId) -> Row:
        rows = await tx.fetch_all(f"SELECT {_COLUMNS} FROM blob WHERE id = ?", blob)
        if not rows:
            raise DamagedFile(f"there is no body {blob}")
        await self.gather(tx, rows, 0)
        return rows[0][:4]

    def _whole(self, gathered: Gathered, size: int) -> bytes:
        """Put a body together. Raises DamagedFile."""
        opened = [(start, part) for start, part in gathered.parts if isinstance(part, bytes)]
        if len(opened) < len(gathered.parts):
            pieces = self._pieces(gathered, size)
            try:
                return pieces.read_at(0, size)
            finally:
                pieces.close()
        body = b"".join(put_together(gathered.rest, opened))
        if len(body) != size:
            raise DamagedFile("the body has not the size it had")
        return body

    def _pieces(self, gathered: Gathered, size: int) -> Pieces:
        """Open the pieces of a body. Raises DamagedFile."""
        opened: list[tuple[int, bytes | BlobFile]] = []
        try:
            for start, part in gathered.parts:
                opened.append((start, part if isinstance(part, bytes) else self._file(part)))
            pieces = Pieces(put_together(gathered.rest, opened))
            if pieces.size != size:
                raise DamagedFile("the body has not the size it had")
        except BaseException:
            for _, source in opened:
                if isinstance(source, BlobFile):
                    source.close()
            raise
        return pieces

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
    if draft.parts:
        return await _put_divided(tx, draft)
    now = to_microseconds(tx.now)
    values = draft.hash, draft.size, draft.codec, draft.data, draft.place, now
    if draft.place is None and draft.size < _SHARED_FROM:
        return BlobId(await tx.insert(_INSERT, *values))
    row = await tx.fetch_one(_INSERT_SHARED, *values, now - REFRESH // timedelta(microseconds=1))
    if row is None:  # there already, and put just now
        row = await tx.fetch_one(f"SELECT id FROM blob WHERE {BY_HASH}", draft.hash)
    assert row is not None
    return BlobId(row[0])


async def _put_divided(tx: Transaction, draft: BlobDraft) -> BlobId:
    """Do what `put` does for a body that has parts: these are put first."""
    now = to_microseconds(tx.now)
    row = await tx.fetch_one(f"SELECT id, created_at FROM blob WHERE {BY_HASH}", draft.hash)
    if row is not None:
        if row[1] < now - REFRESH // timedelta(microseconds=1):
            await tx.execute("UPDATE blob SET created_at = ? WHERE id = ?", now, row[0])
        return BlobId(row[0])
    parts = [(start, await put(tx, part)) for start, part in draft.parts]
    blob = await tx.insert(_INSERT, draft.hash, draft.size, draft.codec, draft.data, draft.place, now)
    await tx.execute_many(_INSERT_PART, [(blob, start, part) for start, part in parts])
    return BlobId(blob)


_INSERT_PART = "INSERT INTO blob_part (blob, start, part) VALUES (?, ?, ?)"
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
