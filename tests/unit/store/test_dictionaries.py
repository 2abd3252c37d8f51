"""Dictionaries: made from what there is, known to every worker, and never lost."""

import random
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import apsw
import pytest
import pytest_asyncio
import zstandard
from tests.contracts.world import append, header

from pennypost.app.dictionaries import DictionaryKeeper
from pennypost.model.ids import BlobId
from pennypost.store import blobs, body_coding, check, dictionaries, directory, leases, mailboxes
from pennypost.store.blob_files import DamagedFile
from pennypost.store.body_coding import COMPRESSED, DICTIONARY_LIMIT, UNDOTTED, BodyCoding, dictionary_of
from pennypost.store.settings import StoreSettings
from pennypost.store.sqlite.migrate import known_migrations
from pennypost.store.store import Store

_WORDS = [f"word{number:x}" for number in range(500)]
_MANY = 1_200


def letter(number: int, words: int = 120) -> bytes:
    """One of many that have their words in common."""
    chosen = random.Random(number).choices(_WORDS, k=words)
    lines = [" ".join(chosen[start : start + 8]) for start in range(0, words, 8)]
    return "\r\n".join(["Dear reader,", *lines, "Unsubscribe: https://lists.example/u", ""]).encode()


def noise(number: int) -> bytes:
    return random.Random(number).randbytes(600)


async def keep(store: Store, bodies: list[bytes]) -> list[BlobId]:
    drafts = [store.blobs.draft(body) for body in bodies]

    async def operation(tx: blobs.Transaction) -> list[BlobId]:
        return [await blobs.put(tx, draft) for draft in drafts]

    return await store.write_large(operation)


async def body_of(store: Store, blob: BlobId) -> bytes:
    return await store.read(lambda tx: store.blobs.read(tx, blob))


async def problems(store: Store) -> list[tuple[str, str, str]]:
    found = [(one.kind.value, one.where, one.detail) async for one in check.check(store, store.blobs)]
    return [one for one in found if one[0] != "unused"]


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(StoreSettings(tmp_path / "data"))
    yield store
    await store.close()


async def test_the_first_is_made_when_there_are_enough_bodies(store: Store) -> None:
    keeper = DictionaryKeeper(store)
    await keep(store, [letter(number) for number in range(dictionaries.FIRST - 1)])
    assert not await keeper.round()
    assert store.blobs.coding.dictionary == 0
    old = await keep(store, [letter(number) for number in range(dictionaries.FIRST - 1, _MANY)])
    assert await keeper.round()
    assert store.blobs.coding.dictionary == 1
    assert not await keeper.round()
    assert await store.scan(lambda tx: leases.holder_of(tx, "dictionary")) is None
    assert await body_of(store, old[0]) == letter(dictionaries.FIRST - 1)

    draft = store.blobs.draft(letter(5_000))
    assert draft.data is not None
    assert dictionary_of(draft.codec) == 1
    assert len(draft.data) < len(zstandard.ZstdCompressor(level=1).compress(letter(5_000))) * 0.9
    new = await keep(store, [letter(5_000)])
    assert await body_of(store, new[0]) == letter(5_000)
    assert await problems(store) == []


async def test_another_one_is_made_when_there_are_many_times_as_many(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dictionaries, "GROWTH", 2)
    monkeypatch.setattr(dictionaries, "_WORTHWHILE", 2.0)
    first = await keep(store, [letter(number) for number in range(_MANY)])
    assert await DictionaryKeeper(store).round()
    second = await keep(store, [letter(number) for number in range(_MANY, 2 * _MANY)])
    assert await DictionaryKeeper(store).round()
    assert store.blobs.coding.dictionary == 2
    third = await keep(store, [letter(9_999)])
    for blob, number in ((first[3], 3), (second[3], _MANY + 3), (third[0], 9_999)):
        assert await body_of(store, blob) == letter(number)
    codecs = await store.scan(lambda tx: tx.fetch_all("SELECT DISTINCT codec FROM blob ORDER BY codec"))
    assert [dictionary_of(codec) for (codec,) in codecs] == [0, 1, 2]


async def test_one_that_is_of_no_use_is_not_used_and_not_made_again(store: Store) -> None:
    await keep(store, [noise(number) for number in range(_MANY)])
    assert await DictionaryKeeper(store).round()
    assert store.blobs.coding.dictionary == 0
    assert not await DictionaryKeeper(store).round()
    assert await problems(store) == []


async def test_where_bodies_are_few_or_large_nothing_is_learnt(store: Store) -> None:
    await keep(store, [letter(number, 4_000) for number in range(5)])
    await store.write(lambda tx: tx.execute("UPDATE blob SET id = id + ?", _MANY))
    assert await DictionaryKeeper(store).round()
    assert store.blobs.coding.dictionary == 0


async def test_other_workers_know_it(store: Store) -> None:
    other = await Store.open(StoreSettings(store.settings.data_dir), worker=1)
    try:
        await keep(store, [letter(number) for number in range(_MANY)])
        await DictionaryKeeper(store).round()
        blob = (await keep(store, [letter(7_000)]))[0]
        assert await body_of(other, blob) == letter(7_000)  # read before it was looked for
        assert other.blobs.coding.dictionary == 0
        assert not await DictionaryKeeper(other).round()
        assert other.blobs.coding.dictionary == 1
        assert await other.scan(lambda tx: other.blobs.read(tx, blob)) == letter(7_000)
    finally:
        await other.close()


async def test_it_is_there_after_a_start(store: Store, tmp_path: Path) -> None:
    await keep(store, [letter(number) for number in range(_MANY)])
    await DictionaryKeeper(store).round()
    blob = (await keep(store, [letter(7_000)]))[0]
    await store.close()
    for dictionary in (True, False):
        again = await Store.open(StoreSettings(tmp_path / "data", dictionary=dictionary))
        assert again.blobs.coding.dictionary == int(dictionary)
        assert await body_of(again, blob) == letter(7_000)
        await again.close()


@pytest.mark.parametrize(("damaged", "name"), [("data", "first"), ("spare", "second")])
async def test_one_damaged_copy_loses_nothing(store: Store, tmp_path: Path, damaged: str, name: str) -> None:
    await keep(store, [letter(number) for number in range(_MANY)])
    await DictionaryKeeper(store).round()
    blob = (await keep(store, [letter(7_000)]))[0]
    await store.write(lambda tx: tx.execute(f"UPDATE dictionary SET {damaged} = zeroblob(1000)"))
    again = await Store.open(StoreSettings(tmp_path / "data"))
    try:
        assert await body_of(again, blob) == letter(7_000)
        assert again.blobs.coding.dictionary == 1
        assert await problems(again) == [("dictionary", "dictionary 1", f"its {name} copy is damaged")]
    finally:
        await again.close()


async def test_a_lost_one_is_told_and_nothing_more_is_compressed_with_it(store: Store, tmp_path: Path) -> None:
    await keep(store, [letter(number) for number in range(_MANY)])
    await DictionaryKeeper(store).round()
    blob = (await keep(store, [letter(7_000)]))[0]
    await store.write(lambda tx: tx.execute("DELETE FROM dictionary"))
    again = await Store.open(StoreSettings(tmp_path / "data"))
    try:
        with pytest.raises(DamagedFile, match="dictionary 1"):
            await body_of(again, blob)
        assert dictionary_of(again.blobs.draft(letter(1)).codec) == 0
        told = await problems(again)
        assert ("dictionary", "dictionary 1", "it is not there, and bodies need it") in told
        assert ("blob", f"blob {blob}", "dictionary 1, which the body needs, is not there or damaged") in told
    finally:
        await again.close()


async def test_a_store_of_before_is_read(tmp_path: Path) -> None:
    """Bodies of the codecs 0 and 1, under the schema that knew no others."""
    known = known_migrations()
    before = known[: next(at for at, text in enumerate(known) if "CREATE TABLE dictionary" in text)]
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    connection = apsw.Connection(str(folder / "pennypost.db"))
    for text in before:
        connection.execute(text)
    connection.execute(f"PRAGMA user_version={len(before)}")
    connection.close()
    store = await Store.open(StoreSettings(folder))
    try:
        await store.write(lambda tx: directory.add_domain(tx, "example.org"))
        account = await store.write(lambda tx: directory.add_account(tx, "ann@example.org"))
        inbox = await store.read(lambda tx: mailboxes.require(tx, account.id, "INBOX"))
        for number in range(3):
            await store.write(lambda tx, n=number: append(tx, account.id, inbox.id, header(subject=str(n)), letter(n)))
        packed = zstandard.ZstdCompressor(level=1).compress(letter(0))
        await store.write(lambda tx: tx.execute("UPDATE blob SET codec = 1, data = ? WHERE id = 1", packed))
        await store.write(lambda tx: tx.execute("UPDATE blob SET codec = 0, data = ? WHERE id = 2", letter(1)))
        assert [await body_of(store, BlobId(number + 1)) for number in range(3)] == [letter(n) for n in range(3)]
        assert [one async for one in check.check_blobs(store, store.blobs)] == []
    finally:
        await store.close()


@pytest.mark.parametrize(
    ("body", "undotted"),
    [
        (b"", True),
        (b".", False),
        (b"\r\n.\r\n", False),
        (b"a\r\n.b", False),
        (b"a\n.b\r.c\r\nd.", True),
        (b"x" * 300 + b"\r\n", True),
        (b"x" * 300 + b"\r\n..", False),
    ],
)
async def test_what_a_codec_says_of_dots(store: Store, body: bytes, undotted: bool) -> None:
    draft = store.blobs.draft(body)
    assert bool(draft.codec & UNDOTTED) is undotted
    blob = (await keep(store, [body]))[0]
    reader = await store.read(lambda tx: store.blobs.open(tx, blob))
    assert (reader.whole, reader.undotted) == (body, undotted)


def test_a_body_of_another_size_or_frame_is_damaged() -> None:
    coding = BodyCoding(1, lambda number: None)
    codec, data = coding.encode(letter(1))
    assert codec & COMPRESSED
    size = len(letter(1))
    assert coding.decode(codec, data, size) == letter(1)
    for wrong in (size - 1, size + 1):
        with pytest.raises(DamagedFile):
            coding.decode(codec, data, wrong)
    with pytest.raises(DamagedFile):
        coding.decode(codec, b"\0" + data, size)
    with pytest.raises(DamagedFile, match="dictionary 3"):
        coding.decode(codec | 3 << 2, data, size)


def test_a_dictionary_that_is_not_the_one_is_noticed() -> None:
    made = {
        number: zstandard.train_dictionary(
            16_384, [letter(number * 1000 + n) for n in range(400)], dict_id=number
        ).as_bytes()
        for number in (1, 2)
    }
    coding = BodyCoding(1, made.get)
    coding.use(1)
    codec, data = coding.encode(letter(9))
    assert coding.decode(codec, data, len(letter(9))) == letter(9)
    swapped = BodyCoding(1, {1: made[2]}.get)
    with pytest.raises(DamagedFile):
        swapped.decode(codec, data, len(letter(9)))


def test_long_bodies_are_compressed_without_it() -> None:
    made = zstandard.train_dictionary(16_384, [letter(n) for n in range(400)], dict_id=1).as_bytes()
    coding = BodyCoding(1, {1: made}.get)
    coding.use(1)
    long = letter(1, 4_000)
    assert len(long) > DICTIONARY_LIMIT
    codec, data = coding.encode(long)
    assert (codec & COMPRESSED, dictionary_of(codec)) == (COMPRESSED, 0)
    assert coding.decode(codec, data, len(long)) == long


def test_compressors_do_not_share_a_dictionary(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is prepared in one for a compressor is freed when it is prepared for another."""
    used: list[zstandard.ZstdCompressionDict] = []

    def compressor(dict_data: zstandard.ZstdCompressionDict | None = None, **named: Any) -> zstandard.ZstdCompressor:
        if dict_data is None:
            return zstandard.ZstdCompressor(**named)
        used.append(dict_data)
        return zstandard.ZstdCompressor(dict_data=dict_data, **named)

    monkeypatch.setattr(body_coding, "ZstdCompressor", compressor)
    made = zstandard.train_dictionary(16_384, [letter(n) for n in range(400)], dict_id=1).as_bytes()
    coding = BodyCoding(1, {1: made}.get)
    coding.use(1)
    codec, data = coding.encode(letter(7))
    assert coding.decode(codec, data, len(letter(7))) == letter(7)
    assert coding.compressor(None)(letter(7)) == coding.compressor(made)(letter(7)) == data
    assert coding.encode(letter(7)) == (codec, data)
    assert len(used) == len(set(map(id, used))) == 3


def test_threads_compress_one_at_a_time() -> None:
    made = zstandard.train_dictionary(16_384, [letter(n) for n in range(400)], dict_id=1).as_bytes()
    coding = BodyCoding(1, {1: made}.get)
    bodies = [letter(n, words) for n in range(100) for words in (120, 1_200, 3_000)]

    def work(which: int) -> list[bool]:
        if which == 2:
            coding.use(1)
        coded = [(body, *coding.encode(body)) for body in bodies[which:] + bodies[:which]]
        return [coding.decode(codec, data, len(body)) == body for body, codec, data in coded]

    with ThreadPoolExecutor(4) as threads:
        for right in threads.map(work, range(8)):
            assert all(right)
