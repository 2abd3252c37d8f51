"""Bodies that are kept in parts: attachments are bodies of their own, each kept once whatever messages it came in.

The row of such a body has the codec's bit `DIVIDED`. Its `data` is the rest: what lies between the parts, one after the
other. `blob_part` names the parts, which are rows of `blob` like others. Who reads rows of bodies lays hold of the
parts in the same transaction (`Blobs.gather`).
"""

import hashlib
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from itertools import accumulate
from struct import Struct
from threading import Lock
from typing import NamedTuple, TypeVar

from pennypost.store.blob_files import BlobFile, DamagedFile
from pennypost.store.engine import Row, Transaction

_ENTRY = Struct("<Q32s")

T = TypeVar("T", bytes, bytes | BlobFile)

BODY_COLUMNS = ("size", "codec", "data", "place", "id")
"""Of a body's row: what `Blobs.gather` takes, and of which `Blobs.decode` takes the first four."""


class Gathered(NamedTuple):
    """What stands in place of a row's `data` when the parts were laid hold of. `rest`: what lies between them.

    `parts`: for each its start in the body, and its octets; of one in a file its (size, codec, data, place).
    """

    rest: bytes
    parts: list[tuple[int, bytes | Row]]


def hash_of_parts(rest: bytes, parts: Iterable[tuple[int, bytes]]) -> bytes:
    """Give the hash of a body that has parts: of its rest, and of each part's start in the body and SHA-256.

    So what is large is hashed once. It is BLAKE2's: no body can be made that has it for its SHA-256.
    """
    found = hashlib.blake2b(hashlib.sha256(rest).digest(), digest_size=32)
    for start, hash in parts:
        found.update(_ENTRY.pack(start, hash))
    return found.digest()


class Pieces:
    """A body made of pieces, octets or files, one after the other; open for reading any part of it.

    Of the files one alone holds a frame in memory: the one that was read last.
    """

    def __init__(self, pieces: Sequence[bytes | BlobFile]) -> None:
        self._pieces = pieces
        self._last: BlobFile | None = None
        self._ends = list(accumulate(_size(piece) for piece in pieces))
        self.size = self._ends[-1]

    def read_at(self, start: int, length: int) -> bytes:
        """Read up to `length` octets of the body from `start` (0-based); fewer at its end. Raises DamagedFile."""
        end = min(start + length, self.size)
        found: list[bytes] = []
        number = bisect_right(self._ends, start)
        while start < end:
            piece = self._pieces[number]
            begin = self._ends[number] - _size(piece)
            stop = min(end, self._ends[number])
            if isinstance(piece, bytes):
                found.append(piece[start - begin : stop - begin])
            else:
                if piece is not self._last:
                    if self._last is not None:
                        self._last.forget()
                    self._last = piece
                found.append(piece.read_at(start - begin, stop - start))
            start = stop
            number += 1
        return found[0] if len(found) == 1 else b"".join(found)

    def close(self) -> None:
        """Let go of the files. Idempotent."""
        for piece in self._pieces:
            if isinstance(piece, BlobFile):
                piece.close()


def _size(piece: bytes | BlobFile) -> int:
    return len(piece) if isinstance(piece, bytes) else piece.size


def put_together(rest: bytes, parts: Iterable[tuple[int, T]]) -> list[bytes | T]:
    """Give the pieces of a body, of its rest and its parts with their ascending starts. Raises DamagedFile."""
    pieces: list[bytes | T] = []
    at = taken = 0
    for start, part in parts:
        pieces.append(rest[taken : taken + start - at])
        taken += start - at
        at = start + _size(part)
        pieces.append(part)
    if taken > len(rest):
        raise DamagedFile("the body's parts do not fit together")
    pieces.append(rest[taken:])
    return pieces


_NAMED = (
    "SELECT p.start, b.id, b.size, b.hash FROM blob_part p LEFT JOIN blob b ON b.id = p.part WHERE p.blob = ? "
    "ORDER BY p.start"
)
_ROW = "SELECT size, codec, data, place FROM blob WHERE id = ?"


async def parts_of(tx: Transaction, blob: int, kept: "PartCache") -> list[tuple[int, int, bytes, bytes | Row]]:
    """Give of each part of a body its start, its octets, its hash and itself: what is kept of it in memory, or its row.

    Raises DamagedFile when one is gone.
    """
    found: list[tuple[int, int, bytes, bytes | Row]] = []
    for start, part, size, hash in await tx.fetch_all(_NAMED, blob):
        row = None if part is None else kept.get(hash) or await tx.fetch_one(_ROW, part)
        if row is None:
            raise DamagedFile("a part of the body is not there")
        found.append((start, size, hash, row))
    return found


class PartCache:
    """Parts that were read last, by their SHA-256: the same logo stands below each letter of a correspondence.

    `limit`: octets that are kept. Used on any thread.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()
        self._octets = 0
        self._using = Lock()

    def get(self, hash: bytes) -> bytes | None:
        """Give a part, or None."""
        with self._using:
            part = self._kept.get(hash)
            if part is not None:
                self._kept.move_to_end(hash)
            return part

    def keep(self, hash: bytes, part: bytes) -> None:
        """Keep a part, in place of those that were not asked for for longest."""
        with self._using:
            if hash in self._kept or len(part) > self._limit:
                return
            self._kept[hash] = part
            self._octets += len(part)
            while self._octets > self._limit:
                self._octets -= len(self._kept.popitem(last=False)[1])
