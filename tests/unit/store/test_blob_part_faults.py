"""Attachments where settings change, something is damaged, or the disk is full."""

import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from struct import Struct
from typing import Any

import pytest
import pytest_asyncio
from tests.unit.store.attachments import (
    BODIES,
    LOGO,
    PHOTO,
    draft,
    encoded,
    keep,
    letter,
    open_files,
    read,
    rows_of,
    value,
)

from pennypost.model.errors import ServerBusy, StorageFull
from pennypost.store import check
from pennypost.store.blob_files import FRAME, BlobFile, DamagedFile, WrittenFile, write_file
from pennypost.store.blobs import REFRESH, put
from pennypost.store.body_coding import DIVIDED, ENCODED
from pennypost.store.collection import Collected, collect
from pennypost.store.settings import StoreSettings
from pennypost.store.store import Store


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(StoreSettings(tmp_path / "data"))
    yield store
    await store.close()


@pytest.mark.parametrize("inline_limit", [1_024, 2_000_000])
async def test_bodies_are_read_whatever_the_limit_was_when_they_came(tmp_path: Path, inline_limit: int) -> None:
    """Also those that would not be in files now, or would be."""
    store = await Store.open(StoreSettings(tmp_path / "data"))
    bodies = {await keep(store, body): body for body in BODIES}
    await store.close()
    store = await Store.open(StoreSettings(tmp_path / "data", inline_limit=inline_limit))  # type: ignore[arg-type]
    rows = await rows_of(store, [*bodies])
    for _ in range(5):
        for blob, body in bodies.items():
            assert await read(store, blob) == body
            assert await store.scan(lambda tx, blob=blob: store.blobs.read_range(tx, blob, 90, 40)) == body[90:130]  # type: ignore[misc]
        assert store.blobs.decode_all(rows, 1) == [*bodies.values()]
        for body in bodies.values():
            assert await read(store, await keep(store, body)) == body
    assert open_files(store) == 0
    assert [one async for one in check.check_blobs(store.engine, store.blobs)] == []
    await store.close()


async def test_of_many_files_one_frame_is_held(store: Store) -> None:
    photos = [encoded(190_000, seed) for seed in range(6)]
    body = letter(*photos)
    blob = await keep(store, body)
    reader = await store.read(lambda tx: store.blobs.open(tx, blob))
    assert open_files(store) == len(photos)
    files = [piece for piece in reader._source._pieces if isinstance(piece, BlobFile)]  # type: ignore[union-attr]
    for length in (FRAME, 10, len(body)):
        for start in range(0, len(body), 200_000):
            assert await reader.read_at(start, length) == body[start : start + length]
            assert sum(len(file._cached[1]) for file in files) <= FRAME
    reader.close()
    assert open_files(store) == 0


async def test_no_file_stays_open_when_one_is_missing(store: Store) -> None:
    photos = [encoded(70_000, seed) for seed in range(4)]
    blob = await keep(store, letter(*photos))
    files = sorted(path for path in (store.settings.data_dir / "blobs").rglob("*") if path.is_file())
    files[2].unlink()
    for _ in range(3):
        with pytest.raises(DamagedFile):
            await read(store, blob)
        with pytest.raises(DamagedFile):
            await store.read(lambda tx: store.blobs.open(tx, blob))
        assert await store.scan(lambda tx: store.blobs.problem(tx, blob)) is not None
    assert open_files(store) == 0


async def test_no_body_is_taken_for_one_that_has_parts(tmp_path: Path) -> None:
    """Whoever knows a body knows what its hash is made of, and can send that."""
    store = await Store.open(StoreSettings(tmp_path / "data"))
    body = letter(LOGO, text=b"")
    made = await draft(store, body)
    blob = await store.write(lambda tx: put(tx, made))
    await store.close()
    ((start, part),) = made.parts
    rest = hashlib.sha256(body.replace(LOGO.strip(), b"")).digest()
    sent = [rest + Struct("<Q32s").pack(start, part.hash), rest, made.hash]
    sent += [function(one, digest_size=32).digest() for function in (hashlib.blake2b, hashlib.blake2s) for one in sent]
    sent += [hashlib.sha256(one).digest() for one in sent]
    store = await Store.open(StoreSettings(tmp_path / "data", inline_limit=16))  # type: ignore[arg-type]
    kept = {blob: body} | {await keep(store, one): one for one in sent}
    assert len(kept) == len({*sent}) + 1
    assert [await read(store, blob) for blob in kept] == [*kept.values()]
    await store.close()


NOT_THAT = f"UPDATE blob SET codec = {ENCODED}, data = X'13' WHERE id IN (SELECT part FROM blob_part) AND place IS NULL"
IN_ROWS = ("row", "data", "named", "start", "size", "rest", "octets", "none", "divided")
IN_FILES = ("file", "cut")


@pytest.mark.parametrize(
    ("body", "harm"),
    [(BODIES[0], harm) for harm in IN_ROWS] + [(BODIES[4], harm) for harm in IN_ROWS + IN_FILES],
)
async def test_damage_is_noticed_and_is_no_harm_to_others(store: Store, body: bytes, harm: str) -> None:
    blob, other = await keep(store, body), await keep(store, b"Another one.\r\n")
    statements = {
        "row": "DELETE FROM blob WHERE id = (SELECT part FROM blob_part LIMIT 1)",
        "data": "UPDATE blob SET data = X'28b52ffd' WHERE id IN (SELECT part FROM blob_part) AND place IS NULL",
        "named": "DELETE FROM blob_part",
        "start": "UPDATE blob_part SET start = start + 1000000",
        "size": "UPDATE blob SET size = size + 1 WHERE id IN (SELECT part FROM blob_part)",
        "octets": NOT_THAT,
        "none": NOT_THAT.replace("X'13'", "X''"),
        "divided": f"UPDATE blob SET codec = codec | {DIVIDED} WHERE place IS NULL AND id <> {other}",
        "rest": f"UPDATE blob SET data = X'28b52ffd', codec = codec | 1 WHERE id = {blob}",
    }
    if statement := statements.get(harm):
        await store.write(lambda tx: tx.execute(statement))
    else:
        (file,) = [path for path in (store.settings.data_dir / "blobs").rglob("*") if path.is_file()]
        file.unlink() if harm == "file" else os.truncate(file, 1_000)
    with pytest.raises(DamagedFile):
        await read(store, blob)
    rows = await rows_of(store, [other, blob])
    with pytest.raises(DamagedFile):
        store.blobs.decode_all(rows, 1)
    assert store.blobs.decode(rows[0][1:5]) == b"Another one.\r\n"
    assert any([one.where == f"blob {blob}" async for one in check.check_blobs(store.engine, store.blobs)])


async def test_a_part_that_was_moved_by_damage_is_seen_by_the_check(store: Store) -> None:
    """Octets in another order have the right size: the hash tells."""
    blob = await keep(store, BODIES[0])
    await store.write(lambda tx: tx.execute("UPDATE blob_part SET start = start - 1"))
    assert await store.scan(lambda tx: store.blobs.problem(tx, blob)) == "the body does not have its hash"


async def test_a_draft_whose_attachment_was_collected_is_not_put(store: Store) -> None:
    made = await draft(store, BODIES[3])
    assert made.parts[0][1].file is not None
    made.parts[0][1].file.unlink()
    with pytest.raises(ServerBusy):
        await store.write(lambda tx: put(tx, made))
    assert await value(store, "SELECT COUNT(*) FROM blob") == 0


async def test_a_disk_that_is_full_before_the_last_attachment_is_written(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written is collected, or is there already when the body comes again."""
    body, left = letter(PHOTO, encoded(70_000, 3), encoded(70_000, 4)), [2]

    def write(*values: Any) -> WrittenFile:
        if not left[0]:
            raise StorageFull
        left[0] -= 1
        return write_file(*values)

    monkeypatch.setattr("pennypost.store.blob_drafts.write_file", write)
    with pytest.raises(StorageFull):
        await draft(store, body)
    left[0] = 3
    assert await read(store, await keep(store, body)) == body
    left[0] = 1
    with pytest.raises(StorageFull):
        await draft(store, letter(encoded(80_000, 5), PHOTO))
    files = [path for path in (store.settings.data_dir / "blobs").rglob("*") if path.is_file()]
    assert len(files) == 4
    for path in files:
        os.utime(path, (1, 1))
    assert await collect(store, REFRESH) == Collected(rows=0, files=1, leftovers=0)
