"""What nothing refers to goes after the grace period, and never what somebody just put."""

import os
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from pennypost.model.ids import BlobId
from pennypost.store.blobs import REFRESH, BlobDraft, put
from pennypost.store.collection import Collected, _delete, _unlink, _unused, collect
from pennypost.store.settings import StoreSettings
from pennypost.store.store import Store

LARGE = b"A body of some size.\r\n" * 10_000
GRACE = timedelta(hours=1)
LATER = GRACE + REFRESH + timedelta(seconds=1)


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture
async def store(tmp_path: Path, clock: Clock) -> AsyncIterator[Store]:
    store = await Store.open(StoreSettings(tmp_path / "data"), clock=clock)
    yield store
    await store.close()


async def keep(store: Store, draft: BlobDraft) -> BlobId:
    return await store.write(lambda tx: put(tx, draft))


async def refer(store: Store, blob: BlobId) -> None:
    """Let a row of the queue refer to a body."""
    await store.write(
        lambda tx: tx.execute(
            "INSERT INTO queued (account, blob, header, size, body, smtputf8, require_tls, created_at)"
            " VALUES (NULL, ?, ?, 0, '8BITMIME', 0, 0, 0)",
            blob,
            b"",
        )
    )


def age(path: Path) -> None:
    long_ago = time.time() - 2 * 24 * 3600
    os.utime(path, (long_ago, long_ago))


async def count(store: Store) -> int:
    row = await store.read(lambda tx: tx.fetch_one("SELECT count(*) FROM blob"))
    assert row is not None
    return int(row[0])


async def test_the_unreferenced_go_after_the_grace_period(store: Store, clock: Clock) -> None:
    kept = await keep(store, store.blobs.draft(b"kept"))
    await refer(store, kept)
    for number in range(250):
        await keep(store, store.blobs.draft(b"dropped %d" % number))
    assert (await collect(store, GRACE)).rows == 0
    clock.now += LATER
    assert (await collect(store, GRACE)).rows == 250
    assert await store.read(lambda tx: store.blobs.read(tx, kept)) == b"kept"
    assert await count(store) == 1


async def test_a_file_goes_after_its_row(store: Store, clock: Clock) -> None:
    dropped = await store.blobs.draft_large(LARGE)
    kept = await store.blobs.draft_large(LARGE + b"!")
    await keep(store, dropped)
    await refer(store, await keep(store, kept))
    assert dropped.file is not None
    assert kept.file is not None
    for file in (dropped.file, kept.file):
        age(file)
    assert await collect(store, GRACE) == Collected(0, 0, 0)
    clock.now += LATER
    assert await collect(store, GRACE) == Collected(1, 1, 0)
    assert not dropped.file.exists()
    assert kept.file.exists()


async def test_files_that_no_row_names_and_leftovers_go(store: Store) -> None:
    orphan = await store.blobs.draft_large(LARGE)
    young = await store.blobs.draft_large(LARGE + b"young")
    leftover = store.settings.data_dir / "blobs" / "tmp" / "0123"
    fresh = leftover.with_name("4567")
    stranger = store.settings.data_dir / "blobs" / "README"
    for path in (leftover, fresh, stranger):
        path.write_bytes(b"half a bo")
    assert orphan.file is not None
    assert young.file is not None
    for path in (orphan.file, leftover, stranger):
        age(path)
    assert await collect(store, GRACE) == Collected(0, 1, 1)
    assert [path.exists() for path in (orphan.file, young.file, leftover, fresh, stranger)] == [
        False,
        True,
        False,
        True,
        True,
    ]


async def test_a_body_that_comes_again_is_young_again(store: Store, clock: Clock) -> None:
    blob = await keep(store, store.blobs.draft(b"again"))
    clock.now += LATER
    assert await keep(store, store.blobs.draft(b"again")) == blob
    assert (await collect(store, GRACE)).rows == 0


async def test_a_put_between_looking_and_deleting_wins(store: Store, clock: Clock) -> None:
    blob = await keep(store, store.blobs.draft(b"contested"))
    clock.now += LATER
    assert await _unused(store, 0, GRACE) == [blob]
    assert await keep(store, store.blobs.draft(b"contested")) == blob
    assert await _delete(store, [blob], GRACE) == 0
    assert await store.read(lambda tx: store.blobs.read(tx, blob)) == b"contested"


async def test_a_put_after_deleting_makes_a_new_row(store: Store, clock: Clock) -> None:
    draft = store.blobs.draft(b"contested")
    blob = await keep(store, draft)
    clock.now += LATER
    assert await _delete(store, [blob], GRACE) == 1
    again = await keep(store, draft)
    assert await store.read(lambda tx: store.blobs.read(tx, again)) == b"contested"


@pytest.mark.parametrize("moment", ["drafted", "put"])
async def test_a_file_that_is_wanted_again_is_not_unlinked(store: Store, moment: str) -> None:
    draft = await store.blobs.draft_large(LARGE)
    assert draft.file is not None
    assert draft.place is not None
    age(draft.file)
    before = time.time() - 3600
    if moment == "drafted":
        await store.blobs.draft_large(LARGE)
    else:
        await keep(store, draft)
    files = [(draft.hash, draft.place)]
    assert await store.write(lambda tx: _unlink(tx, store.settings.data_dir, files, before)) == 0
    assert draft.file.exists()
