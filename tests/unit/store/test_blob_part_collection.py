"""Attachments go when nothing refers to them, and not before."""

import asyncio
import os
import random

import pytest
from tests.unit.store.attachments import LOGO, PHOTO, draft, encoded, keep, letter, read, value
from tests.unit.store.conftest import Clock

from pennypost.model.ids import BlobId
from pennypost.store import check
from pennypost.store.blobs import REFRESH, note_dropped, note_unused, put
from pennypost.store.collection import Collected, collect
from pennypost.store.engine import Transaction
from pennypost.store.store import Store


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
