"""Removing bodies that nothing refers to. `blobs` tells why this is safe beside deliveries of the same body."""

import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pennypost.store.blob_files import FOLDER, TEMPORARY, hash_of
from pennypost.store.blobs import REFRESH
from pennypost.store.engine import Transaction, to_microseconds
from pennypost.store.store import Store

_ROWS_PER_STEP = 100
_FILES_PER_STEP = 20
"""What one transaction removes: it holds up the writers of all processes."""

_UNUSED = (
    "created_at < ? AND NOT EXISTS (SELECT 1 FROM message WHERE message.blob = blob.id)"
    " AND NOT EXISTS (SELECT 1 FROM queued WHERE queued.blob = blob.id)"
)


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection removed. `leftovers`: files that were begun and never finished."""

    rows: int
    files: int
    leftovers: int


async def collect(store: Store, grace: timedelta) -> Collected:
    """Remove unreferenced bodies last put before `grace`, and files of that age that no row names.

    `grace` must be longer than any message takes from its draft to its transaction. One worker at a time is enough;
    several do no harm. In small transactions: a delivery waits for one of them at most.
    """
    rows = await _collect_rows(store, grace + REFRESH)
    files, leftovers = await _collect_files(store, grace)
    return Collected(rows, files, leftovers)


async def _collect_rows(store: Store, grace: timedelta) -> int:
    removed, last = 0, 0
    while found := await _unused(store, last, grace):
        removed += await _delete(store, found, grace)
        last = found[-1]
    return removed


async def _unused(store: Store, after: int, grace: timedelta) -> list[int]:
    """Give some bodies that nothing refers to, in ascending order from above `after`."""

    async def operation(tx: Transaction) -> list[int]:
        before = to_microseconds(tx.now - grace)
        sql = f"SELECT id FROM blob WHERE id > ? AND {_UNUSED} ORDER BY id LIMIT ?"
        return [row[0] for row in await tx.fetch_all(sql, after, before, _ROWS_PER_STEP)]

    return await store.scan(operation)


async def _delete(store: Store, blobs: list[int], grace: timedelta) -> int:
    """Delete those of the bodies that are unused still."""

    async def operation(tx: Transaction) -> int:
        before = to_microseconds(tx.now - grace)
        return sum([await tx.execute(f"DELETE FROM blob WHERE id = ? AND {_UNUSED}", blob, before) for blob in blobs])

    return await store.write_large(operation)


async def _collect_files(store: Store, grace: timedelta) -> tuple[int, int]:
    data_dir = store.settings.data_dir
    before = time.time() - grace / timedelta(seconds=1)
    # The files' times are the system's, whatever clock the store has.
    old = await asyncio.to_thread(lambda: list(_old_files(data_dir / FOLDER, before)))
    leftovers = 0
    known: list[tuple[bytes, str]] = []
    for path in old:
        place = path.relative_to(data_dir).as_posix()
        hash = hash_of(place)
        if hash is not None:
            known.append((hash, place))
        elif path.parent.name == TEMPORARY:
            path.unlink(missing_ok=True)
            leftovers += 1
    removed = 0
    for start in range(0, len(known), _FILES_PER_STEP):
        removed += await _collect_step(store, known[start : start + _FILES_PER_STEP], before)
    return removed, leftovers


async def _collect_step(store: Store, files: list[tuple[bytes, str]], before: float) -> int:
    orphans = await store.read(lambda tx: _orphans(tx, files))
    return await store.write_large(lambda tx: _unlink(tx, store.settings.data_dir, orphans, before)) if orphans else 0


async def _orphans(tx: Transaction, files: list[tuple[bytes, str]]) -> list[tuple[bytes, str]]:
    """Give those of the files that no row names."""
    orphans = []
    for hash, place in files:
        row = await tx.fetch_one("SELECT place FROM blob WHERE hash = ?", hash)
        if row is None or row[0] != place:
            orphans.append((hash, place))
    return orphans


async def _unlink(tx: Transaction, data_dir: Path, files: list[tuple[bytes, str]], before: float) -> int:
    """Unlink files, inside a write transaction, that no row names and that are still old."""
    removed = 0
    for _, place in await _orphans(tx, files):
        path = data_dir / place
        if path.exists() and path.stat().st_mtime < before:
            path.unlink()
            removed += 1
    return removed


def _old_files(folder: Path, before: float) -> Iterator[Path]:
    """Walk the files of bodies that were written before an instant of the system's clock."""
    if not folder.is_dir():
        return
    for inner in os.scandir(folder):
        if inner.is_dir(follow_symlinks=False):
            with os.scandir(inner) as files:
                for file in files:
                    if file.is_file(follow_symlinks=False) and file.stat(follow_symlinks=False).st_mtime < before:
                        yield Path(file.path)
