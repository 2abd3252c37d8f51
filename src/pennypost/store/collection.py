"""Removing bodies that nothing refers to. `blobs` tells why this is safe beside deliveries of the same body."""

import asyncio
import os
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from pennypost.store.blob_files import FOLDER, TEMPORARY, hash_of
from pennypost.store.blobs import BY_HASH, REFRESH, note_dropped
from pennypost.store.body_coding import DIVIDED
from pennypost.store.engine import Transaction, to_microseconds
from pennypost.store.store import Store

_ROWS_PER_STEP = 100
_FILES_PER_STEP = 20
"""What one transaction removes: it holds up the writers of all processes."""

_MOST = 100_000
"""Bodies that one collection looks for."""
_ROWS_PER_LOOK = 20_000
"""Rows that may refer to bodies, read in one snapshot."""

_IN_MAILBOXES = "SELECT slot, blob FROM message WHERE slot > ? ORDER BY slot LIMIT ?"
_IN_QUEUE = "SELECT id, blob FROM queued WHERE id > ? ORDER BY id LIMIT ?"
_IN_BODIES = "SELECT blob, part FROM blob_part WHERE blob >= ? ORDER BY blob, start LIMIT ?"
"""From the body on that was the last: not all its parts were read. It has `MOST_PARTS` of them at the most."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection removed. `leftovers`: files that were begun and never finished."""

    rows: int
    files: int
    leftovers: int


async def collect(store: Store, grace: timedelta, patience: timedelta = timedelta(0)) -> Collected:
    """Remove unreferenced bodies last put before `grace`, and files of that age that no row names.

    `grace` must be longer than any message takes from its draft to its transaction. Looking for what refers to a body
    reads all messages: it is put off until the bodies that may be unreferenced are a hundredth of all, or the first of
    them has been so for as long as `patience`. One worker at a time is enough; several do no harm. In small
    transactions: a delivery waits for one of them at most.
    """
    rows = await _collect_rows(store, grace + REFRESH, patience)
    files, leftovers = await _collect_files(store, grace)
    return Collected(rows, files, leftovers)


async def _collect_rows(store: Store, grace: timedelta, patience: timedelta) -> int:
    dropped = await store.scan(lambda tx: _dropped(tx, grace, patience))
    if not dropped:
        return 0
    used = await _used(store, dropped.keys())
    unused = [blob for blob in dropped if blob not in used]
    removed = 0
    for start in range(0, len(unused), _ROWS_PER_STEP):
        removed += await _delete(store, unused[start : start + _ROWS_PER_STEP], grace)
    settled = [(blob, dropped[blob]) for blob in used]
    for start in range(0, len(settled), _ROWS_PER_STEP):
        await _settle(store, settled[start : start + _ROWS_PER_STEP])
    return removed


async def _dropped(tx: Transaction, grace: timedelta, patience: timedelta) -> dict[int, int]:
    """Give bodies that a row named which is gone, and when that was last, the oldest first; none while it is not worth
    to look for others."""
    rows = await tx.fetch_all(
        "SELECT d.blob, d.dropped_at FROM dropped_blob d JOIN blob b ON b.id = d.blob WHERE b.created_at < ? "
        "ORDER BY d.dropped_at, d.blob LIMIT ?",
        to_microseconds(tx.now - grace),
        _MOST,
    )
    if not rows:
        return {}
    count = await tx.fetch_one("SELECT COALESCE(SUM(message_count), 0) FROM account")
    assert count is not None
    waited = rows[0][1] <= to_microseconds(tx.now - patience)
    return dict(rows) if waited or len(rows) >= min(_MOST, count[0] // 100) else {}


async def _used(store: Store, blobs: Collection[int]) -> set[int]:
    """Give those of the bodies that some row names.

    In steps, each a snapshot of its own, by ascending slots. What comes meanwhile does no harm: a message that comes
    makes its body young, and a copy of a message has a higher slot than the message, so it is read yet if that is. What
    is in the queue may be filed here (it was held, or is taken back), with the body that it has: so the queue is read
    before the messages, and, for what would go the other way, after them.
    """
    used: set[int] = set()
    for sql in (_IN_QUEUE, _IN_MAILBOXES, _IN_QUEUE, _IN_BODIES):
        last: int | None = 0
        while last is not None:
            last, found = await store.scan(partial(_named, sql=sql, after=last, blobs=blobs))
            used |= found
    return used


async def _named(tx: Transaction, sql: str, after: int, blobs: Collection[int]) -> tuple[int | None, set[int]]:
    """Read some rows that name bodies. Gives the last of them, None if that is all, and those of `blobs` they name."""
    rows = await tx.fetch_all(sql, after, _ROWS_PER_LOOK)
    found = {blob for _, blob in rows if blob in blobs}
    return (rows[-1][0] if len(rows) == _ROWS_PER_LOOK else None), found


async def _delete(store: Store, blobs: Sequence[int], grace: timedelta) -> int:
    """Delete those of the bodies that are old still. Nothing referred to them since they were."""

    async def operation(tx: Transaction) -> int:
        before = to_microseconds(tx.now - grace)
        removed = 0
        for blob in blobs:
            row = await tx.fetch_one("DELETE FROM blob WHERE id = ? AND created_at < ? RETURNING codec", blob, before)
            if row is None:
                continue
            await tx.execute("DELETE FROM dropped_blob WHERE blob = ?", blob)
            if row[0] & DIVIDED:
                await note_dropped(tx, "(SELECT part AS blob FROM blob_part WHERE blob = ?) parts WHERE TRUE", blob)
                await tx.execute("DELETE FROM blob_part WHERE blob = ?", blob)
            removed += 1
        return removed

    return await store.write_large(operation)


async def _settle(store: Store, used: Sequence[tuple[int, int]]) -> None:
    """Look no more for bodies that other rows name, unless one of these went meanwhile."""
    sql = "DELETE FROM dropped_blob WHERE blob = ? AND dropped_at = ?"
    await store.write_large(lambda tx: tx.execute_many(sql, used))


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
        row = await tx.fetch_one(f"SELECT place FROM blob WHERE {BY_HASH}", hash)
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
                yield from (Path(file.path) for file in files if _is_old(file, before))


def _is_old(file: "os.DirEntry[str]", before: float) -> bool:
    try:
        return file.is_file(follow_symlinks=False) and file.stat(follow_symlinks=False).st_mtime < before
    except FileNotFoundError:  # it has got its name just now, or another worker has removed it
        return False
