"""Attachments: kept once, whatever messages they came in, and each body comes back as it was."""

import base64
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.store.attachments import BODIES, LOGO, PHOTO, draft, encoded, keep, letter, read, rows_of, value

from pennypost.mail.queue.channel import octets_of
from pennypost.store import check, stats
from pennypost.store.blob_files import FRAME
from pennypost.store.blob_parts import PartCache, Pieces, put_together
from pennypost.store.blobs import put
from pennypost.store.body_coding import COMPRESSED, DIVIDED, ENCODED, UNDOTTED
from pennypost.store.engine import Transaction
from pennypost.store.settings import StoreSettings
from pennypost.store.store import Store


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(StoreSettings(tmp_path / "data"))
    yield store
    await store.close()


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
    assert (figures.attachments, figures.spared_octets) == (2, 9 * len(LOGO.rstrip()) + 4 * len(PHOTO.rstrip()))
    assert figures.inline_octets < len(LOGO) + 10 * 300


class Decimals:
    """A transaction of an engine whose sums of integers are decimals."""

    def __init__(self, tx: Transaction) -> None:
        self.fetch_all = tx.fetch_all
        self._tx = tx

    async def fetch_one(self, sql: str) -> Any:
        row = await self._tx.fetch_one(sql)
        return tuple(map(Decimal, row)) if row is not None and "SUM" in sql else row


async def test_figures_are_integers_whatever_sums_are(store: Store) -> None:
    await keep(store, letter(LOGO))
    figures = await store.scan(stats.stats)
    others = await store.scan(lambda tx: stats.stats(Decimals(tx)))  # type: ignore[arg-type]
    assert others == figures
    assert {name: type(getattr(others, name)) for name in ("attachments", "blob_octets", "spared_octets")} == {
        "attachments": int,
        "blob_octets": int,
        "spared_octets": int,
    }


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


async def test_many_small_files_are_no_files_of_their_own(store: Store) -> None:
    """Each would be synced by itself, and be open while the body is read."""
    small, large = [encoded(50_000, seed) for seed in range(9)], encoded(800_000)
    assert len((await draft(store, letter(*small[:8]))).parts) == 8
    assert (await draft(store, letter(*small))).parts == ()
    assert len((await draft(store, letter(*small[:8], LOGO))).parts) == 9
    assert len((await draft(store, letter(*[large] * 9))).parts) == 9
    assert (await draft(store, letter(*[large] * 9, *small))).parts == ()


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
