"""What nothing refers to goes after the grace period, and never what somebody just put."""

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.unit.store.conftest import Clock

from pennypost.model.ids import BlobId
from pennypost.store.blob_drafts import BlobDraft
from pennypost.store.blobs import REFRESH, note_dropped, note_unused, put
from pennypost.store.collection import Collected, _delete, _dropped, _old_files, _unlink, _used, collect
from pennypost.store.store import Store

LARGE = b"A body of some size.\r\n" * 10_000
GRACE = timedelta(hours=1)
LATER = GRACE + REFRESH + timedelta(seconds=1)


async def keep(store: Store, draft: BlobDraft) -> BlobId:
    return await store.write(lambda tx: put(tx, draft))


async def drop(store: Store, draft: BlobDraft) -> BlobId:
    """Put a body that nothing refers to."""
    blob = await keep(store, draft)
    await store.write(lambda tx: note_unused(tx, blob))
    return blob


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
        await drop(store, store.blobs.draft(b"dropped %d" % number))
    assert (await collect(store, GRACE)).rows == 0
    clock.now += LATER
    assert (await collect(store, GRACE)).rows == 250
    assert await store.read(lambda tx: store.blobs.read(tx, kept)) == b"kept"
    assert await count(store) == 1


@pytest.mark.parametrize("look", range(4))
@pytest.mark.parametrize("way", ["filed", "sent"])
async def test_a_body_that_changes_hands_meanwhile_stays(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch, way: str, look: int
) -> None:
    """A message that was held is filed here, or taken back, between two looks; or the other way round."""
    file = (
        "INSERT INTO message (account, id, blob, size, header_size, received_at, thread, has_attachment, is_reply, "
        "base_subject, sort_from, sort_to, sort_cc, header, envelope, bodystructure, mime_index) "
        "VALUES (1, 1, ?, 0, 0, 0, 1, 0, 0, '', '', '', '', x'', x'', x'', x'')"
    )
    blob = await drop(store, store.blobs.draft(b"held"))
    if way == "filed":
        await refer(store, blob)
    else:
        await store.write(lambda tx: tx.execute(file, blob))

    async def change_hands() -> None:
        if way == "filed":
            await store.write(lambda tx: tx.execute(file, blob))
            await store.write(lambda tx: tx.execute("DELETE FROM queued"))
        else:
            await refer(store, blob)
            await store.write(lambda tx: tx.execute("DELETE FROM message"))

    looks, scan = 0, store.scan

    async def watched(operation: Any) -> Any:
        nonlocal looks
        if looks == look + 1:  # the first one finds what was dropped
            await change_hands()
        looks += 1
        return await scan(operation)

    clock.now += LATER
    monkeypatch.setattr(store, "scan", watched)
    assert (await collect(store, GRACE)).rows == 0
    assert looks >= 4


async def test_a_file_goes_after_its_row(store: Store, clock: Clock) -> None:
    dropped = await store.blobs.draft_large(LARGE)
    kept = await store.blobs.draft_large(LARGE + b"!")
    await drop(store, dropped)
    await refer(store, await drop(store, kept))
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


AGAIN = b"A body that is shared.\r\n" * 200


async def test_a_body_that_comes_again_is_young_again(store: Store, clock: Clock) -> None:
    blob = await drop(store, store.blobs.draft(AGAIN))
    clock.now += LATER
    assert await keep(store, store.blobs.draft(AGAIN)) == blob
    assert (await collect(store, GRACE)).rows == 0


async def test_a_small_body_that_comes_again_is_another(store: Store) -> None:
    blob = await keep(store, store.blobs.draft(b"small"))
    assert await keep(store, store.blobs.draft(b"small")) != blob


async def test_a_put_between_looking_and_deleting_wins(store: Store, clock: Clock) -> None:
    blob = await drop(store, store.blobs.draft(AGAIN))
    clock.now += LATER
    assert list(await store.scan(lambda tx: _dropped(tx, GRACE, timedelta(0)))) == [blob]
    assert await _used(store, [blob]) == set()
    assert await keep(store, store.blobs.draft(AGAIN)) == blob
    assert await _delete(store, [blob], GRACE) == 0
    assert await store.read(lambda tx: store.blobs.read(tx, blob)) == AGAIN


async def test_a_put_after_deleting_makes_a_new_row(store: Store, clock: Clock) -> None:
    draft = store.blobs.draft(AGAIN)
    blob = await drop(store, draft)
    clock.now += LATER
    assert await _delete(store, [blob], GRACE) == 1
    again = await keep(store, draft)
    assert await store.read(lambda tx: store.blobs.read(tx, again)) == AGAIN


async def test_what_another_row_names_stays_until_that_goes(store: Store, clock: Clock) -> None:
    blob = await drop(store, store.blobs.draft(b"named by two"))
    await refer(store, blob)
    clock.now += LATER
    assert (await collect(store, GRACE)).rows == 0
    assert await store.read(lambda tx: tx.fetch_all("SELECT * FROM dropped_blob")) == []
    await store.write(lambda tx: note_dropped(tx, "queued WHERE blob = ?", blob))
    await store.write(lambda tx: tx.execute("DELETE FROM queued"))
    assert (await collect(store, GRACE)).rows == 1


async def test_all_rows_that_may_name_a_body_are_read(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pennypost.store.collection._ROWS_PER_LOOK", 3)
    named = [await drop(store, store.blobs.draft(b"%d" % number)) for number in range(12)]
    for blob in named[::2]:
        await refer(store, blob)
    assert await _used(store, named) == set(named[::2])
    clock.now += LATER
    assert (await collect(store, GRACE)).rows == 6
    assert await count(store) == 6


async def test_few_that_were_dropped_lately_wait(store: Store, clock: Clock) -> None:
    await store.write(lambda tx: tx.execute(ACCOUNT_OF_1000))
    await drop(store, store.blobs.draft(b"one"))
    clock.now += LATER
    assert (await collect(store, GRACE, timedelta(days=1))).rows == 0
    clock.now += timedelta(days=1)
    assert (await collect(store, GRACE, timedelta(days=1))).rows == 1
    for number in range(10):
        await drop(store, store.blobs.draft(b"%d" % number))
    clock.now += LATER
    assert (await collect(store, GRACE, timedelta(days=1))).rows == 10


ACCOUNT_OF_1000 = (
    "INSERT INTO account (id, name, display_name, domain, enabled, removed, created_at, modseq, changes_floor, "
    "last_uid_validity, used_octets, message_count, entry_count) "
    "VALUES (1, 'a', '', 1, 1, 0, 0, 0, 0, 0, 0, 1000, 1000)"
)


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


def test_files_may_go_while_they_are_looked_through(tmp_path: Path) -> None:
    """One that is being written gets its name at any moment; another worker may collect too."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    for name in range(5):
        (folder / str(name)).touch()
        age(folder / str(name))
    found = _old_files(tmp_path, time.time())
    first = next(found)
    for path in folder.iterdir():
        path.unlink()
    assert [first, *found] == [first]
