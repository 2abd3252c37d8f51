"""Making drafts of bodies: hashed, compressed, and where they are large on disk, before there is a transaction.

`blobs` tells what becomes of them.
"""

import asyncio
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import NamedTuple, TypeVar

from pennypost.message.encoded_parts import encoded_parts
from pennypost.model.units import MIB
from pennypost.store.blob_files import FRAME, write_file
from pennypost.store.blob_parts import hash_of_parts
from pennypost.store.body_coding import DIVIDED, UNDOTTED, BodyCoding
from pennypost.store.settings import StoreSettings
from pennypost.store.spool import Spool

T = TypeVar("T")

_MOST_FILES = 8
"""Parts in files that any large body may have; of one that has more MiB as many as those. Each is synced by itself, and
is open while the body is read."""


class BlobDraft(NamedTuple):
    """A body made ready for `put`. `hash`: SHA-256 of the body, or of what has parts `hash_of_parts`; `size`: its
    octets; `codec`: of `data` as `body_coding` has it, of a file as `blob_files` does.

    Either `data` or `place`, a path below the data folder, is set; `file` is then the whole path.
    `body`: the body itself, of a small one, for those who need it again at once. `parts`: those that are bodies of
    their own, each with the place in the body where it begins; `data` is then what lies between them.
    """

    hash: bytes
    size: int
    codec: int
    data: bytes | None
    place: str | None
    file: Path | None = None
    body: bytes | None = None
    parts: tuple[tuple[int, "BlobDraft"], ...] = ()


class Drafting:
    """Makes drafts, for one open store. `coding`: of bodies that lie in the database."""

    def __init__(self, settings: StoreSettings, coding: BodyCoding) -> None:
        self.coding = coding
        self._settings = settings
        self._durable: set[Path] = set()
        self._writers = ThreadPoolExecutor(settings.blob_threads, thread_name_prefix="store-blob-write")

    def draft(self, body: bytes) -> BlobDraft:
        """Make a draft here and now: a few microseconds per KiB, so only for bodies up to `inline_limit`."""
        if self._settings.attachment_from and len(body) >= self._settings.attachment_from:
            spans = encoded_parts(body, 0, self._settings.attachment_from)
            if spans:
                return self._divide(body, spans)
        codec, data = self.coding.encode(body)
        return BlobDraft(hashlib.sha256(body).digest(), len(body), codec, data, None, None, body)

    def _draft_part(self, part: bytes) -> BlobDraft:
        codec, data = self.coding.encode_part(part)
        return BlobDraft(hashlib.sha256(part).digest(), len(part), codec, data, None)

    def _divide(self, body: bytes, spans: Sequence[tuple[int, int]]) -> BlobDraft:
        """Make a draft of a small body that has parts."""
        parts = [(begin, self._draft_part(body[begin:end])) for begin, end in spans]
        return self._put_together(b"".join(_between(body, spans, 0)), parts, len(body), body)

    def _put_together(
        self, rest: bytes, parts: list[tuple[int, BlobDraft]], size: int, body: bytes | None = None
    ) -> BlobDraft:
        codec, data = self.coding.encode(rest)
        if not all(part.place is None and part.codec & UNDOTTED for _, part in parts):
            codec &= ~UNDOTTED
        hash = hash_of_parts(rest, [(start, part.hash) for start, part in parts])
        return BlobDraft(hash, size, codec | DIVIDED, data, None, None, body, tuple(parts))

    async def draft_large(self, body: bytes | Path, start: int = 0) -> BlobDraft:
        """Make a draft, as files, of octets or of a file's content, from `start` on. On return it is synced.

        A few are made at one time, the others wait. Raises StorageFull. A cancelled one may leave a file to collect.
        """
        if isinstance(body, Path):
            return await self._draft_file(os.open(body, os.O_RDONLY | os.O_CLOEXEC), start)
        return await self._on_writer(self._write, body, start)

    async def draft_any(self, spool: Spool, start: int | None = None) -> BlobDraft:
        """Make a draft of a spooled message's body: what follows its header block, or its octets from `start` on.

        Raises StorageFull.
        """
        if start is None:
            start = spool.header_size()
        if spool.size - start <= self._settings.inline_limit:
            return self.draft(spool.octets()[start:])
        if (file := spool.fileno()) is not None:
            return await self._draft_file(os.dup(file), start)  # the spool may be closed before a thread is free
        return await self._on_writer(self._write, spool.octets(), start)

    async def _draft_file(self, fd: int, start: int) -> BlobDraft:
        """Make a draft of what a file has from `start` on. `fd` is closed when a thread is done with it, also when the
        caller has been cancelled."""

        def write() -> BlobDraft:
            if os.fstat(fd).st_size <= start:
                return self._write(b"", 0)
            return self._write(mmap(fd, 0, access=ACCESS_READ), start)

        job = self._writers.submit(write)
        job.add_done_callback(lambda _: os.close(fd))
        return await asyncio.wrap_future(job)

    async def _on_writer(self, function: Callable[..., T], *values: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writers, function, *values)

    def _write(self, octets: bytes | mmap, start: int) -> BlobDraft:
        """Write a large body: its attachments, if they are few and what lies between them is small, or the whole."""
        settings = self._settings
        least = settings.attachment_from
        spans = encoded_parts(octets, start, least, settings.inline_limit) if least else []
        view = memoryview(octets)
        files = sum(end - begin > settings.inline_limit for begin, end in spans)
        if not spans or files > max(_MOST_FILES, (len(octets) - start) // MIB):
            return self._write_file(view[start:])
        parts = [(begin - start, self._write_part(view[begin:end])) for begin, end in spans]
        return self._put_together(b"".join(_between(octets, spans, start)), parts, len(octets) - start)

    def _write_part(self, part: memoryview) -> BlobDraft:
        if len(part) > self._settings.inline_limit:
            return self._write_file(part)
        return self._draft_part(bytes(part))

    def _write_file(self, octets: memoryview) -> BlobDraft:
        settings = self._settings
        written = write_file(settings.data_dir, _pieces(octets), settings.compression_level, self._durable)
        file = settings.data_dir / written.place
        return BlobDraft(written.hash, written.size, written.codec, None, written.place, file)

    async def _end_writers(self) -> None:
        """Finish what is being written and end the threads."""
        await asyncio.to_thread(self._writers.shutdown)


def _pieces(octets: memoryview) -> Iterator[memoryview]:
    for start in range(0, len(octets), FRAME):
        yield octets[start : start + FRAME]


def _between(octets: bytes | mmap, spans: Sequence[tuple[int, int]], start: int) -> Iterator[bytes]:
    """Give what lies before, between and behind spans of a body that begins at `start`."""
    for begin, end in spans:
        yield octets[start:begin]
        start = end
    yield octets[start:]
