"""Attachments: kept once, whatever messages they came in, and each body comes back as it was."""

import asyncio
import base64
import contextlib
import hashlib
import os
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from struct import Struct

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from pennypost.mail.queue.channel import octets_of
from pennypost.model.errors import ServerBusy
from pennypost.model.ids import BlobId
from pennypost.store import check, stats
from pennypost.store.blob_drafts import BlobDraft
from pennypost.store.blob_files import FRAME, BlobFile, DamagedFile
from pennypost.store.blob_parts import PartCache, Pieces, put_together
from pennypost.store.blobs import REFRESH, note_dropped, note_unused, put
from pennypost.store.body_coding import COMPRESSED, DIVIDED, ENCODED, UNDOTTED
from pennypost.store.collection import Collected, collect
from pennypost.store.engine import Row, Transaction
from pennypost.store.settings import StoreSettings
from pennypost.store.store import Store


def encoded(size: int, seed: int = 0) -> bytes:
    """Random octets in base64."""
    return base64.encodebytes(random.Random(seed).randbytes(size)).replace(b"\n", b"\r\n")


LOGO, PHOTO = encoded(9_000), encoded(300_000)
GREETING = b"Content-Type: text/plain\r\n\r\nHello,\r\n\r\nsee below, as always.\r\n"


def letter(*attachments: bytes, text: bytes = GREETING) -> bytes:
    """A body with attachments."""
    parts = [b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\n" + one for one in attachments]
    return b"--b\r\n" + text + b"".join(parts) + b"--b--\r\n"


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


async def draft(store: Store, body: bytes) -> BlobDraft:
    if len(body) <= store.settings.inline_limit:
        return store.blobs.draft(body)
    return await store.blobs.draft_large(body)


async def keep(store: Store, body: bytes) -> BlobId:
    made = await draft(store, body)
    return await store.write(lambda tx: put(tx, made))


async def read(store: Store, blob: BlobId) -> bytes:
    return await store.scan(lambda tx: store.blobs.read(tx, blob))


async def value(store: Store, sql: str) -> int:
    row = await store.read(lambda tx: tx.fetch_one(sql))
    assert row is not None
    return int(row[0])


async def rows_of(store: Store, blobs: list[BlobId]) -> list[Row]:
    """Give the row of each body, gathered, behind something else and before something else."""
    sql = "SELECT 'a', size, codec, data, place, id, 'z' FROM blob WHERE id = ?"

    async def operation(tx: Transaction) -> list[Row]:
        rows: list[Row] = [(await tx.fetch_all(sql, blob))[0] for blob in blobs]
        await store.blobs.gather(tx, rows, 1)
        return rows

    return await store.read(operation)


BODIES = [
    letter(LOGO),
    letter(LOGO, LOGO),
    letter(LOGO, encoded(8_000, 1), text=b"\r\n" + b"Some words. " * 500 + b"\r\n"),
    letter(PHOTO),
    letter(PHOTO, LOGO),
    letter(LOGO, PHOTO, PHOTO, encoded(70_000, 3)),
]


@pytest.mark.parametrize("body", BODIES)
async def test_a_body_with_attachments_comes_back(store: Store, body: bytes) -> None:
    made = await draft(store, body)
    assert made.parts
    assert made.size == len(body)
    blob = await store.write(lambda tx: put(tx, made))
    for _ in range(2):  # from the store, then from memory
        assert await read(store, blob) == body
        reader = await store.read(lambda tx: store.blobs.open(tx, blob))
        assert reader.size == len(body)
        assert (reader.whole is None) == (len(body) > store.settings.inline_limit)
        edges = [0, 1, 60, 100, FRAME - 1, FRAME, len(body) - 50, len(body) - 1, len(body), len(body) + 5]
        for start in edges:
            for length in (0, 1, 30, 13_000, FRAME, len(body)):
                assert await reader.read_at(start, length) == body[start : start + length]
        assert b"".join([piece async for piece in reader.chunks(5, len(body) - 10)]) == body[5:-5]
        reader.close()
        reader.close()
        assert await store.scan(lambda tx: store.blobs.read_range(tx, blob, 90, 40)) == body[90:130]
    assert await store.scan(lambda tx: store.blobs.problem(tx, blob)) is None
    assert [one async for one in check.check_blobs(store.engine, store.blobs)] == []


async def test_an_attachment_is_kept_once_whatever_it_came_in(store: Store) -> None:
    for number in range(5):
        await keep(store, letter(LOGO, PHOTO, text=b"\r\nLetter %d.\r\n" % number))
        await keep(store, letter(LOGO, text=b"\r\nNote %d.\r\n" % number))
    assert await value(store, "SELECT COUNT(*) FROM blob") == 12
    assert await value(store, "SELECT COUNT(*) FROM blob_part") == 15
    assert len([path for path in (store.settings.data_dir / "blobs").rglob("*") if path.is_file()]) == 1
    figures = await store.scan(stats.stats)
    assert len(LOGO) + len(PHOTO) < figures.blob_octets < len(LOGO) + len(PHOTO) + 10 * 300
    assert figures.inline_octets < len(LOGO) + 10 * 300


@pytest.mark.parametrize(
    ("part", "coded"),
    [
        (LOGO, ENCODED),
        (base64.encodebytes(bytes(20_000)).replace(b"\n", b"\r\n"), ENCODED | COMPRESSED),
        (LOGO.replace(b"\r\n", b" \r\n"), COMPRESSED),
        (b"No base64 at all, \r\n" * 600, COMPRESSED),
    ],
)
async def test_what_base64_stands_for_is_kept(store: Store, part: bytes, coded: int) -> None:
    body = letter(part)
    blob = await keep(store, body)
    row = await store.read(lambda tx: tx.fetch_one("SELECT codec, LENGTH(data) FROM blob WHERE size > 8192 AND id = 1"))
    assert row is not None
    assert row[0] & (ENCODED | COMPRESSED) == coded
    assert row[1] < len(part) * 0.77
    assert await read(store, blob) == body
    same = await keep(store, part.rstrip(b"\r\n"))  # a body that is the same as the part
    assert same == 1
    rows = await rows_of(store, [same, blob])
    assert store.blobs.decode_all(rows, 1) == [part.rstrip(b"\r\n"), body]


async def test_the_same_body_has_one_row_and_its_parts_are_not_put_again(store: Store) -> None:
    blob = await keep(store, BODIES[0])
    assert await keep(store, BODIES[0]) == blob
    assert await value(store, "SELECT COUNT(*) FROM blob_part") == 1
    await store.write(lambda tx: tx.execute("UPDATE blob SET created_at = 0"))
    assert await keep(store, BODIES[0]) == blob
    assert await value(store, f"SELECT created_at FROM blob WHERE id = {blob}") > 0


async def test_many_rows_are_read_at_once(store: Store) -> None:
    bodies = [b"Plain.\r\n", BODIES[0], b"", BODIES[1], BODIES[4], b"Compressed. " * 100, BODIES[2]]
    rows = await rows_of(store, [await keep(store, body) for body in bodies])
    assert {(row[0], row[-1]) for row in rows} == {("a", "z")}
    assert store.blobs.decode_all(rows, 1) == bodies
    assert [store.blobs.decode(row[1:5]) for row in rows] == bodies
    small = [row for row, body in zip(rows, bodies, strict=True) if len(body) <= store.settings.inline_limit]
    assert all(row[2] & DIVIDED == 0 for row in small)
    for reader, body in zip(store.blobs.readers(rows, 1), bodies, strict=True):
        assert await reader.read_at(0, len(body)) == body


@pytest.mark.parametrize(
    ("body", "undotted"),
    [
        (letter(LOGO), True),
        (letter(LOGO, text=b"\r\n.dotted\r\n"), False),
        (letter(LOGO[:9_000] + b"\r\n.dotted\r\n" + LOGO), False),
        (letter(PHOTO), False),  # nobody has looked
    ],
)
async def test_a_dotted_line_is_seen_wherever_it_is(store: Store, body: bytes, undotted: bool) -> None:
    made = await draft(store, body)
    assert made.parts
    assert bool(made.codec & UNDOTTED) == undotted


async def test_they_can_be_kept_in_their_messages(tmp_path: Path) -> None:
    store = await Store.open(StoreSettings(tmp_path / "data", attachment_from=0))  # type: ignore[arg-type]
    for body in BODIES:
        assert (await draft(store, body)).parts == ()
    await store.close()


async def test_a_large_text_is_kept_whole(store: Store) -> None:
    body = letter(LOGO, text=b"\r\n" + b"A book of many words.\r\n" * 4_000)
    made = await draft(store, body)
    assert (made.parts, made.data) == ((), None)
    blob = await keep(store, body)
    assert await read(store, blob) == body


async def test_a_file_is_divided_from_where_its_body_begins(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "message.eml"
    path.write_bytes(b"Subject: x\r\n\r\n" + BODIES[4])
    made = await store.blobs.draft_large(path, 14)
    assert [start for start, _ in made.parts] == [start for start, _ in (await draft(store, BODIES[4])).parts]
    blob = await store.write(lambda tx: put(tx, made))
    assert await read(store, blob) == BODIES[4]
    path.write_bytes(b"")
    assert (await store.blobs.draft_large(path)).size == 0


async def test_what_is_on_its_way_is_read_from_the_store(store: Store) -> None:
    """A message that is sent while it is at hand, but for a large body."""
    for body in (BODIES[0], BODIES[3]):
        made = await draft(store, body)
        blob = await store.write(lambda tx, made=made: put(tx, made))  # type: ignore[misc]

        class Message:
            header = b"Subject: x\r\n\r\n"

        Message.blob = blob  # type: ignore[attr-defined]
        assert await octets_of(store, Message, made) == Message.header + body  # type: ignore[arg-type]
        assert await octets_of(store, Message, made._replace(body=None)) == Message.header + body  # type: ignore[arg-type]
        assert await octets_of(store, Message, None) == Message.header + body  # type: ignore[arg-type]


def open_files(store: Store) -> int:
    """Count the descriptors of this process that are of bodies."""
    folder, count = str(store.settings.data_dir / "blobs"), 0
    for fd in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            count += str(fd.readlink()).startswith(folder)
    return count


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


# -- What goes wrong


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


# -- What nobody needs


async def test_attachments_go_when_the_last_message_that_has_them_is_gone(store: Store, clock: Clock) -> None:
    grace = REFRESH
    first = await keep(store, letter(LOGO, PHOTO, text=b"\r\nFirst.\r\n"))
    second = await keep(store, letter(LOGO, PHOTO, text=b"\r\nSecond.\r\n"))
    sql = "INSERT INTO queued (account, blob, header, size, body, smtputf8, require_tls, created_at)"
    await store.write(lambda tx: tx.execute(f"{sql} VALUES (NULL, ?, X'', 0, '8BITMIME', 0, 0, 0)", second))

    async def later() -> list[Collected]:
        clock.now += 3 * grace
        for path in (store.settings.data_dir / "blobs").rglob("*"):
            if path.is_file():
                os.utime(path, (1, 1))
        return [await collect(store, grace) for _ in range(3)]

    await store.write(lambda tx: note_unused(tx, first))
    assert [found.rows for found in await later()] == [1, 0, 0]
    assert await read(store, second) == letter(LOGO, PHOTO, text=b"\r\nSecond.\r\n")
    assert {one.detail async for one in check.check_rows(store.engine)} == {"a queued message of no delivery"}
    assert await value(store, "SELECT COUNT(*) FROM dropped_blob") == 0
    await store.write(lambda tx: tx.execute("DELETE FROM queued"))
    await store.write(lambda tx: note_unused(tx, second))
    found = await later()
    assert (sum(one.rows for one in found), sum(one.files for one in found)) == (3, 1)
    assert await value(store, "SELECT (SELECT COUNT(*) FROM blob) + (SELECT COUNT(*) FROM blob_part)") == 0


async def test_an_attachment_that_comes_again_before_it_goes_stays(store: Store, clock: Clock) -> None:
    first = await keep(store, letter(LOGO, text=b"\r\nFirst.\r\n"))
    await store.write(lambda tx: note_unused(tx, first))
    clock.now += 3 * REFRESH
    assert (await collect(store, REFRESH)).rows == 1
    second = await keep(store, letter(LOGO, text=b"\r\nSecond.\r\n"))
    assert (await collect(store, REFRESH)).rows == 0
    assert await read(store, second) == letter(LOGO, text=b"\r\nSecond.\r\n")


async def test_many_bodies_with_many_parts_are_walked_through(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pennypost.store.collection._ROWS_PER_LOOK", 4)
    logos = [encoded(6_200, seed) for seed in range(3)]
    for number in range(10):
        await keep(store, letter(*logos, text=b"\r\n%d\r\n" % number))
    await store.write(lambda tx: tx.execute("INSERT INTO dropped_blob SELECT part, 0 FROM blob_part WHERE blob = 40"))
    for part in await store.read(lambda tx: tx.fetch_all("SELECT DISTINCT part FROM blob_part")):
        await store.write(lambda tx, part=part: note_unused(tx, part[0]))  # type: ignore[misc]
    clock.now += 3 * REFRESH
    assert (await asyncio.wait_for(collect(store, REFRESH), 20)).rows == 0


# -- Pieces and what is kept in memory


@given(st.data())
def test_pieces_are_read_like_one_body(data: st.DataObject) -> None:
    body = data.draw(st.binary(max_size=200))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    spans = list(zip(cuts[::2], cuts[1::2], strict=False))
    edges = [0, *[at for span in spans for at in span], len(body)]
    rest = b"".join(body[begin:end] for begin, end in zip(edges[::2], edges[1::2], strict=True))
    pieces = Pieces(put_together(rest, [(begin, body[begin:end]) for begin, end in spans]))
    assert pieces.size == len(body)
    start, length = data.draw(st.integers(0, 210)), data.draw(st.integers(0, 210))
    assert pieces.read_at(start, length) == body[start : start + length]


def test_parts_that_were_asked_for_last_are_kept() -> None:
    cache = PartCache(10)
    cache.keep(b"a", b"aaaa")
    cache.keep(b"b", b"bbbb")
    cache.keep(b"b", b"bbbb")
    assert cache.get(b"a") == b"aaaa"
    cache.keep(b"c", b"cccc")
    assert (cache.get(b"a"), cache.get(b"b"), cache.get(b"c")) == (b"aaaa", None, b"cccc")
    cache.keep(b"d", b"d" * 11)
    assert (cache.get(b"d"), cache.get(b"a")) == (None, b"aaaa")


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_comes_and_goes_what_is_referred_to_can_be_read(store: Store, clock: Clock, seed: int) -> None:
    """Bodies that share attachments come, come again and go, with collections in between."""
    chance = random.Random(seed)
    logos = [encoded(6_200, number) for number in range(4)] + [PHOTO]
    there: dict[int, tuple[BlobId, bytes]] = {}
    refer = "INSERT INTO queued (account, blob, header, size, body, smtputf8, require_tls, created_at)"

    async def come(body: bytes) -> None:
        made = await draft(store, body)

        async def operation(tx: Transaction) -> tuple[int, BlobId]:
            blob = await put(tx, made)
            return await tx.insert(f"{refer} VALUES (NULL, ?, X'', 0, '8BITMIME', 0, 0, 0)", blob), blob

        number, blob = await store.write(operation)
        there[number] = blob, body

    async def go(number: int) -> None:
        async def operation(tx: Transaction) -> None:
            await note_dropped(tx, "queued WHERE id = ?", number)
            await tx.execute("DELETE FROM queued WHERE id = ?", number)

        await store.write(operation)
        del there[number]

    for step in range(120):
        match chance.randrange(5):
            case 0 | 1:
                await come(letter(*chance.choices(logos, k=chance.randrange(1, 3)), text=b"\r\n%d\r\n" % step))
            case 2 if there:
                await come(chance.choice([*there.values()])[1])
            case 3 if there:
                await go(chance.choice([*there]))
            case _:
                clock.now += chance.choice([REFRESH / 2, 3 * REFRESH])
                await collect(store, REFRESH)
    for blob, body in there.values():
        assert await read(store, blob) == body
    for number in [*there]:
        await go(number)
    for _ in range(3):
        clock.now += 3 * REFRESH
        await collect(store, REFRESH)
    assert await value(store, "SELECT (SELECT COUNT(*) FROM blob) + (SELECT COUNT(*) FROM blob_part)") == 0
