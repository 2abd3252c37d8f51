"""Bodies: drafts, files, reading of parts, one row per content."""

import asyncio
import hashlib
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.contracts.world import append, header

from pennypost.model.errors import ServerBusy, StorageFull
from pennypost.model.ids import BlobId
from pennypost.store import blob_files, directory, mailboxes, messages
from pennypost.store.blob_drafts import BlobDraft
from pennypost.store.blob_files import FRAME, BlobFile, DamagedFile, hash_of, place_of
from pennypost.store.blobs import Blobs, put
from pennypost.store.engine import Row
from pennypost.store.messages import Column
from pennypost.store.settings import StoreSettings
from pennypost.store.store import Store

TEXT = b"".join(b"Line %d of a letter that says much the same again.\r\n" % n for n in range(30_000))
NOISE = random.Random(1).randbytes(700_001)


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(StoreSettings(tmp_path / "data"))
    yield store
    await store.close()


async def keep(store: Store, draft: BlobDraft) -> BlobId:
    return await store.write(lambda tx: put(tx, draft))


@pytest.mark.parametrize("body", [b"", b"x", b"short\r\n" * 5, b"longer text, " * 400, NOISE[:5000]])
async def test_a_small_body_comes_back(store: Store, body: bytes) -> None:
    draft = store.blobs.draft(body)
    assert (draft.hash, draft.size) == (hashlib.sha256(body).digest(), len(body))
    assert draft.data is not None
    assert len(draft.data) <= len(body)
    blob = await keep(store, draft)
    assert await store.read(lambda tx: store.blobs.read(tx, blob)) == body
    assert await store.read(lambda tx: store.blobs.read_range(tx, blob, 3, 4)) == body[3:7]
    assert await store.scan(lambda tx: store.blobs.problem(tx, blob)) is None


@pytest.mark.parametrize("body", [TEXT, NOISE, TEXT[:FRAME], TEXT[: FRAME + 1], NOISE[: 2 * FRAME]])
async def test_a_large_body_lies_in_a_file_and_any_part_can_be_read(store: Store, body: bytes) -> None:
    draft = await store.blobs.draft_large(body)
    assert draft.place is not None
    assert draft.data is None
    assert (draft.hash, draft.size) == (hashlib.sha256(body).digest(), len(body))
    file = store.settings.data_dir / draft.place
    assert file.stat().st_mode & 0o777 == 0o600
    assert not list((store.settings.data_dir / "blobs" / "tmp").iterdir())
    blob = await keep(store, draft)
    assert await store.scan(lambda tx: store.blobs.read(tx, blob)) == body
    reader = await store.read(lambda tx: store.blobs.open(tx, blob))
    assert reader.size == len(body)
    assert reader.whole is None
    for start, length in [(0, 1), (FRAME - 1, 2), (FRAME, FRAME), (len(body) - 1, 10), (len(body), 5), (7, len(body))]:
        assert await reader.read_at(start, length) == body[start : start + length]
        assert (
            await store.scan(lambda tx, s=start, n=length: store.blobs.read_range(tx, blob, s, n))
            == (body[start : start + length])
        )
    pieces = [piece async for piece in reader.chunks(5, len(body) - 10)]
    assert b"".join(pieces) == body[5:-5]
    assert max(map(len, pieces)) <= FRAME
    reader.close()
    assert await store.scan(lambda tx: store.blobs.problem(tx, blob)) is None


async def test_text_gets_smaller_and_noise_stays_as_it_is(store: Store) -> None:
    text = await store.blobs.draft_large(TEXT)
    noise = await store.blobs.draft_large(NOISE)
    assert (text.codec, noise.codec) == (blob_files.ZSTD, blob_files.RAW)
    assert text.file is not None
    assert noise.file is not None
    assert text.file.stat().st_size < len(TEXT) / 4
    assert noise.file.read_bytes() == NOISE


async def test_the_same_body_has_one_row(store: Store) -> None:
    first = await keep(store, store.blobs.draft(b"hello" * 1000))
    assert await keep(store, store.blobs.draft(b"hello" * 1000)) == first
    large = await keep(store, await store.blobs.draft_large(TEXT))
    assert await keep(store, await store.blobs.draft_large(TEXT)) == large
    assert large != first


async def test_a_reader_outlives_the_file(store: Store) -> None:
    draft = await store.blobs.draft_large(TEXT)
    blob = await keep(store, draft)
    reader = await store.read(lambda tx: store.blobs.open(tx, blob))
    assert draft.file is not None
    draft.file.unlink()
    assert b"".join([piece async for piece in reader.chunks()]) == TEXT
    reader.close()


async def test_a_draft_whose_file_is_gone_is_not_put(store: Store) -> None:
    draft = await store.blobs.draft_large(TEXT)
    assert draft.file is not None
    draft.file.unlink()
    with pytest.raises(ServerBusy):
        await keep(store, draft)


@pytest.mark.parametrize("harm", ["flip", "cut", "empty", "remove"])
async def test_a_damaged_file_is_noticed(store: Store, harm: str) -> None:
    draft = await store.blobs.draft_large(TEXT)
    blob = await keep(store, draft)
    assert draft.file is not None
    octets = bytearray(draft.file.read_bytes())
    match harm:
        case "flip":
            octets[len(octets) // 2] ^= 1
        case "cut":
            del octets[-5:]
        case "empty":
            octets.clear()
    draft.file.write_bytes(octets)
    if harm == "remove":
        draft.file.unlink()
    assert await store.scan(lambda tx: store.blobs.problem(tx, blob))


async def test_many_large_bodies_at_once_leave_the_loop_free(store: Store) -> None:
    """Ten at a time: nobody else waits long for the event loop."""
    loop = asyncio.get_running_loop()
    longest = 0.0
    bodies = [bytes([n]) + TEXT * 3 for n in range(10)]
    drafts = asyncio.gather(*(store.blobs.draft_large(body) for body in bodies))
    while not drafts.done():
        before = loop.time()
        await asyncio.sleep(0.001)
        longest = max(longest, loop.time() - before)
    assert len({draft.hash for draft in await drafts}) == 10
    assert longest < 0.5  # 1 to 5 ms when the machine is ours


async def test_a_cancelled_draft_lets_go_of_the_spool(store: Store) -> None:
    with store.spools.new() as spool:
        spool.write(b"Subject: x\r\n\r\n" + NOISE * 2)
        assert not spool.in_memory
        tasks = [asyncio.ensure_future(store.blobs.draft_any(spool)) for _ in range(6)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
    assert all(isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*tasks, return_exceptions=True))


async def test_a_full_disk_is_storage_full_and_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageFull):
            await store.blobs.draft_large(TEXT)
    assert [p for p in (store.settings.data_dir / "blobs").rglob("*") if p.is_file()] == []


async def rows_of(store: Store, bodies: list[bytes]) -> list[Row]:
    """Put bodies, and give a row of each: something else, then the columns that bodies are decoded from."""
    limit = store.settings.inline_limit
    drafts = [store.blobs.draft(body) if len(body) <= limit else await store.blobs.draft_large(body) for body in bodies]
    blobs = [await keep(store, draft) for draft in drafts]
    columns = "SELECT id, size, codec, data, place FROM blob WHERE id = ?"
    return [await store.read(lambda tx, blob=blob: tx.fetch_one(columns, blob)) for blob in blobs]  # type: ignore[misc]


@pytest.mark.parametrize("count", [1, 100])
async def test_many_bodies_come_back_each_in_its_place(store: Store, count: int) -> None:
    kinds = [b"", b"plain", b"Compressed. " * 100, b".dotted\r\n" * 100, NOISE[:3000], TEXT]
    bodies = [kind + b"%d" % number for number in range(count) for kind in kinds]
    rows = await rows_of(store, bodies)
    assert store.blobs.decode_all(rows, 1) == bodies
    small = [row for row in rows if row[4] is None]
    assert store.blobs.decode_all(small, 1) == [body for body in bodies if not body.startswith(TEXT)]


LARGE_FRAME = b"\x28\xb5\x2f\xfd\xe0" + (1 << 50).to_bytes(8, "little") + b"\x01\0\0"
"""A frame of zstd that says it holds a pebibyte (RFC 8878 §3.1.1)."""


@pytest.mark.parametrize("harm", [b"", b"\x28\xb5\x2f\xfd", b"\0" * 50, LARGE_FRAME, "longer", None])
async def test_a_damaged_one_of_many_is_noticed(store: Store, harm: bytes | str | None) -> None:
    rows = await rows_of(store, [b"Compressed. %d " % number * 200 for number in range(100)])
    identifier, size, codec, data, place = rows[57]
    match harm:
        case None:  # the row is gone
            size = codec = data = None
        case bytes():
            data = harm
        case _:
            size += 1
    rows[57] = (identifier, size, codec, data, place)
    with pytest.raises(DamagedFile):
        store.blobs.decode_all(rows, 1)


async def test_a_message_whose_body_was_lost_is_there_and_damaged(store: Store) -> None:
    await store.write(lambda tx: directory.add_domain(tx, "example.org"))
    ann = (await store.write(lambda tx: directory.add_account(tx, "ann@example.org", "", "$argon2id$x"))).id
    inbox = (await store.read(lambda tx: mailboxes.require(tx, ann, "INBOX"))).id
    one = (await store.write(lambda tx: append(tx, ann, inbox, header(), b"Text.\r\n"))).message

    async def fetched() -> Row:
        rows = await store.read(lambda tx: messages.fetch(tx, ann, [one], (Column.SIZE,), bodies=True))
        return rows[one][1:5]

    assert store.blobs.decode(await fetched()) == b"Text.\r\n"
    await store.write(lambda tx: tx.execute("DELETE FROM blob"))
    row = await fetched()
    for read in (store.blobs.decode, store.blobs.reader):
        with pytest.raises(DamagedFile):
            read(row)


def test_places_and_hashes() -> None:
    hash = hashlib.sha256(b"x").digest()
    for codec in (blob_files.RAW, blob_files.ZSTD):
        assert hash_of(place_of(hash, codec)) == hash
    for strange in ("blobs/tmp/aa", "blobs/ab/cd.zst", "blobs/zz/" + "q" * 62 + ".zst", "a/b", place_of(hash, 0) + "x"):
        assert hash_of(strange) is None


def test_a_file_that_is_no_body_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"\0" * 100)
    file = BlobFile(path, blob_files.ZSTD, 1000)
    with pytest.raises(DamagedFile):
        file.read_at(0, 10)
    file.close()


async def test_a_file_is_synced_named_and_its_name_synced_in_this_order(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a power failure leaves is what was synced: file, then name, before `draft_large` returns."""
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def note_fsync(fd: int) -> None:
        kind = "folder" if os.path.isdir(f"/proc/self/fd/{fd}") else "file"
        events.append(f"sync {kind}")
        fsync(fd)

    def note_replace(path: Path, target: Path) -> Path:
        events.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "replace", note_replace)
    await store.blobs.draft_large(TEXT)
    first = ["sync file", "sync folder", "sync folder", "rename", "sync folder"]
    assert events == first
    events.clear()
    await store.blobs.draft_large(TEXT)
    assert events == ["sync file", "rename", "sync folder"]
    # Another process finds the folders there, and cannot know whether who made them has come to syncing them.
    events.clear()
    other = Blobs(store.settings, store.blobs.coding)
    await other.draft_large(TEXT)
    assert events == first
    await other.close()
