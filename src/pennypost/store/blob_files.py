"""Bodies that lie in files: `blobs/ab/cdef….zst`, named by the SHA-256 of the body.

A file is a sequence of zstd frames of `FRAME` octets of the body each, and ends with the seek table of zstd's seekable
format (a skippable frame), so that any part of a body can be read without what comes before it, and `zstd -d` can read
the whole. A body that does not get smaller lies there as it is (`.raw`).

A file appears under its name whole and synced, or not at all: it is written to `blobs/tmp`, synced, renamed, and the
folder is synced. Everything here blocks; it is called on threads.
"""

import errno
import hashlib
import os
import secrets
import threading
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from struct import Struct
from threading import Lock

import zstandard

from pennypost.model.errors import StorageFull
from pennypost.model.units import KIB, MIB

RAW, ZSTD = 0, 1
"""How a body is kept. The numbers are stored: never change them."""

FRAME = 256 * KIB
"""Octets of a body compressed as one: what is read at least, and what is done with the interpreter's lock released."""

_SYNC_STEP = 1 * MIB
"""A file is synced as it grows: a commit that comes meanwhile waits in the disk's queue behind this much, not behind
the whole file. With ten messages of 25 MiB at once the 99th percentile of other writes went from 50 to 25 ms."""

FOLDER = "blobs"
TEMPORARY = "tmp"

_WORTHWHILE = 0.97
"""A first frame that does not get smaller than this says that the body will not."""

_SUFFIX = {RAW: ".raw", ZSTD: ".zst"}
_SKIPPABLE = Struct("<II")
_ENTRY = Struct("<II")
_FOOTER = Struct("<IBI")
_SKIPPABLE_MAGIC = 0x184D2A5E
_SEEKABLE_MAGIC = 0x8F92EAB1
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG})


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turn an OSError that says that the disk is full or fails into StorageFull."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StorageFull from error
        raise


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A body that is safe on disk. `place`: its path below the data folder."""

    hash: bytes
    size: int
    codec: int
    place: str


def place_of(hash: bytes, codec: int) -> str:
    """Give the path, below the data folder, of the body with this SHA-256."""
    digits = hash.hex()
    return f"{FOLDER}/{digits[:2]}/{digits[2:]}{_SUFFIX[codec]}"


def hash_of(place: str) -> bytes | None:
    """Give the SHA-256 that a path below the data folder is named by, or None if it is no place of a body."""
    parts = place.split("/")
    if len(parts) != 3 or parts[0] != FOLDER:
        return None
    try:
        found = bytes.fromhex(parts[1] + parts[2].rpartition(".")[0])
    except ValueError:
        return None
    return found if len(found) == 32 and place in (place_of(found, RAW), place_of(found, ZSTD)) else None


def write_file(
    data_dir: Path, pieces: Iterable[bytes | memoryview], level: int, durable: set[Path] | None = None
) -> WrittenFile:
    """Write a body and give where it is; on return it is synced. `pieces`: of `FRAME` octets each but for the last.

    `durable`: folders whose own names are known to be synced: it grows. That one is there does not say so: another
    process may have made it just now. Raises StorageFull; nothing is left behind then.
    """
    durable = set() if durable is None else durable
    with storage_errors():
        folder = data_dir / FOLDER
        temporary = folder / TEMPORARY / secrets.token_hex(16)
        for missing in (folder, temporary.parent):
            missing.mkdir(mode=0o700, exist_ok=True)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            try:
                hash, size, codec = _write_pieces(fd, pieces, level)
                os.fsync(fd)
            finally:
                os.close(fd)
            place = place_of(hash, codec)
            target = data_dir / place
            target.parent.mkdir(mode=0o700, exist_ok=True)
            for named in (folder, target.parent):
                if named not in durable:
                    sync_folder(named.parent)
                    durable.add(named)
            temporary.replace(target)
            sync_folder(target.parent)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
    return WrittenFile(hash, size, codec, place)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _write_pieces(fd: int, pieces: Iterable[bytes | memoryview], level: int) -> tuple[bytes, int, int]:
    digest = hashlib.sha256()
    compressor = zstandard.ZstdCompressor(level=level)
    size, codec = 0, ZSTD
    table: list[bytes] = []
    for piece in pieces:
        digest.update(piece)
        if codec == ZSTD:
            frame = compressor.compress(piece)
            if size == 0 and len(frame) > len(piece) * _WORTHWHILE:
                codec = RAW
            else:
                table.append(_ENTRY.pack(len(frame), len(piece)))
                write_all(fd, frame)
        if codec == RAW:
            write_all(fd, piece)
        size += len(piece)
        if size % _SYNC_STEP == 0:
            os.fdatasync(fd)
    if codec == ZSTD:
        length = len(table) * _ENTRY.size + _FOOTER.size
        footer = _FOOTER.pack(len(table), 0, _SEEKABLE_MAGIC)
        write_all(fd, _SKIPPABLE.pack(_SKIPPABLE_MAGIC, length) + b"".join(table) + footer)
    return digest.digest(), size, codec


def write_all(fd: int, octets: bytes | memoryview) -> None:
    """Write all octets, in as many steps as the system takes."""
    rest = memoryview(octets)
    while rest:
        rest = rest[os.write(fd, rest) :]


class DamagedFile(Exception):
    """A file does not hold what its name says."""


class BlobFile:
    """A body's file, open for reading any part of it. Holds one frame in memory, whatever the body's size.

    It stays readable when its name is removed meanwhile. A thread may read while another closes.
    """

    def __init__(self, path: Path, codec: int, size: int) -> None:
        self.size = size
        self._codec = codec
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._starts: list[int] = []
        """Where each frame begins in the body, and in the file; one more than there are frames."""
        self._offsets: list[int] = []
        self._cached: tuple[int, bytes] = (-1, b"")
        self._using = Lock()

    def read_at(self, start: int, length: int) -> bytes:
        """Read up to `length` octets of the body from `start` (0-based); fewer at its end. Raises DamagedFile."""
        end = min(start + length, self.size)
        if start >= end:
            return b""
        with self._using:
            if self._codec == RAW:
                found = os.pread(self._fd, end - start, start)
            else:
                found = self._read_frames(start, end)
        if len(found) != end - start:
            raise DamagedFile("the file is shorter than its body")
        return found

    def forget(self) -> None:
        """Let go of the frame that was read last: the next read takes it from the file again."""
        with self._using:
            self._cached = (-1, b"")

    def close(self) -> None:
        """Let go of the file. Idempotent."""
        with self._using:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def _read_frames(self, start: int, end: int) -> bytes:
        if not self._starts:
            self._read_table()
        found: list[bytes] = []
        number = bisect_right(self._starts, start) - 1
        while start < end:
            octets = self._frame(number)[start - self._starts[number] : end - self._starts[number]]
            if not octets:
                break
            found.append(octets)
            start += len(octets)
            number += 1
        return found[0] if len(found) == 1 else b"".join(found)

    def _frame(self, number: int) -> bytes:
        if number != self._cached[0]:
            if not 0 <= number < len(self._offsets) - 1:
                raise DamagedFile("the file has too few frames")
            begin, end = self._offsets[number], self._offsets[number + 1]
            self._cached = (number, decompress(os.pread(self._fd, end - begin, begin), FRAME))
        return self._cached[1]

    def _read_table(self) -> None:
        total = os.fstat(self._fd).st_size
        footer = os.pread(self._fd, _FOOTER.size, max(0, total - _FOOTER.size))
        if len(footer) != _FOOTER.size or _FOOTER.unpack(footer)[2] != _SEEKABLE_MAGIC:
            raise DamagedFile("the file has no table of its frames")
        length = _FOOTER.unpack(footer)[0] * _ENTRY.size
        table = os.pread(self._fd, length, max(0, total - _FOOTER.size - length))
        if len(table) != length:
            raise DamagedFile("the table of the frames is cut")
        entries = list(_ENTRY.iter_unpack(table))
        self._offsets = list(accumulate((entry[0] for entry in entries), initial=0))
        self._starts = list(accumulate((entry[1] for entry in entries), initial=0))


_of_thread = threading.local()


def decompress(octets: bytes, limit: int) -> bytes:
    """Give the body, or the frame of one, that was compressed, of `limit` octets at the most. Raises DamagedFile.

    Each thread keeps what it decompresses with: making it anew costs more than a small body.
    """
    try:
        decompressor = _of_thread.decompressor
    except AttributeError:
        decompressor = _of_thread.decompressor = zstandard.ZstdDecompressor()
    try:
        if zstandard.frame_content_size(octets) > limit:
            raise DamagedFile("the frame is larger than its body")
        found: bytes = decompressor.decompress(octets, limit)
    except zstandard.ZstdError as error:
        raise DamagedFile(str(error)) from error
    return found
