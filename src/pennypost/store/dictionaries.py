"""Dictionaries that small bodies are compressed with (docs/decisions/0019): made from the bodies that there are.

The first is made when there are `FIRST` bodies, another one whenever there are `GROWTH` times as many: what people
write and are sent changes, and a body that was compressed stays as it is. A dictionary is a row like any other: it is
committed before a body is compressed with it, and never removed. Workers come upon one that another has made when they
read such a body, or by `refresh`.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

import zstandard

from pennypost.store.blob_files import DamagedFile
from pennypost.store.blobs import Blobs
from pennypost.store.body_coding import COMPRESS_FROM, DICTIONARY_LIMIT, ENCODED, BodyCoding
from pennypost.store.engine import Engine, Row, Transaction, to_microseconds

FIRST = 1_000
"""Bodies from which the first dictionary is made."""

GROWTH = 8

DICTIONARY_OCTETS = 112 * 1024
"""What one has at the most: what zstd recommends. A worker holds it about three times."""

SAMPLES = 2_000
"""Bodies that one is made from, spread over those that came since the one before."""

SAMPLE_OCTETS = 8 * 1024 * 1024
"""What they have together at the most, uncompressed."""

_BATCH = 100
"""Bodies read in one scan."""

_SCATTER = 2_654_435_761
"""Ids times this, of 32 bits, are in no order that bodies could have, and the same each time."""

_TESTED = 4
"""One in so many is not learnt from, and tells what the dictionary is worth."""

_WORTHWHILE = 0.97
"""To how much of what they take now it has to bring bodies."""


class Made(NamedTuple):
    """A dictionary that was made. `ratio`: what bodies take with it, of what they took; None where it is not used."""

    number: int
    ratio: float | None


def look_up(engine: Engine, number: int) -> bytes | None:
    """Give a dictionary, here and now and on any thread. None: it is not there, or both its copies are damaged."""
    for row in engine.look_up("SELECT data, spare, hash FROM dictionary WHERE id = ?", number):
        for copy in row[:2]:
            if copy is not None and hashlib.sha256(copy).digest() == row[2]:
                return bytes(copy)
    return None


async def refresh(engine: Engine, coding: BodyCoding) -> None:
    """Compress with the newest dictionary from now on, if that is another one. A damaged one is left alone."""
    newest = await engine.glance(
        lambda tx: tx.fetch_one("SELECT id FROM dictionary WHERE data IS NOT NULL ORDER BY id DESC LIMIT 1")
    )
    if newest is not None and newest[0] > coding.dictionary:
        with suppress(DamagedFile):  # `check` tells
            coding.use(newest[0])


async def is_due(tx: Transaction) -> bool:
    """Whether there are enough bodies for another dictionary."""
    last = await tx.fetch_one("SELECT bodies FROM dictionary ORDER BY id DESC LIMIT 1")
    highest = await _highest(tx)
    return highest >= (max(FIRST, last[0] * GROWTH) if last else FIRST)


async def make(engine: Engine, blobs: Blobs) -> Made:
    """Make a dictionary, and compress with it from now on if it is worthwhile. One worker at a time.

    Takes a second or so of one core, on a thread, and holds up nobody.
    """
    await refresh(engine, blobs.coding)
    number, first, highest = await engine.scan(_next)
    bodies = await _sample(engine, blobs, first, highest)
    data, ratio = await asyncio.to_thread(_train, blobs.coding, bodies, number)
    await engine.write(partial(_keep, number=number, data=data, bodies=highest))
    await refresh(engine, blobs.coding)
    return Made(number, ratio)


async def _highest(tx: Transaction) -> int:
    row = await tx.fetch_one("SELECT COALESCE(MAX(id), 0) FROM blob")
    assert row is not None
    return int(row[0])


async def _next(tx: Transaction) -> tuple[int, int, int]:
    """Give the next dictionary's number, and the ids of the first and the last body that came since the last one."""
    last = await tx.fetch_one("SELECT COALESCE(MAX(id), 0), COALESCE(MAX(bodies), 0) FROM dictionary")
    assert last is not None
    return last[0] + 1, last[1] + 1, await _highest(tx)


async def _keep(tx: Transaction, number: int, data: bytes | None, bodies: int) -> None:
    await tx.execute(
        "INSERT INTO dictionary (id, data, spare, hash, bodies, made_at) VALUES (?, ?, ?, ?, ?, ?)",
        number,
        data,
        data,
        None if data is None else hashlib.sha256(data).digest(),
        bodies,
        to_microseconds(tx.now),
    )


_FROM = (
    "SELECT size, codec, data, place FROM blob WHERE id BETWEEN ? AND ? AND place IS NULL AND size BETWEEN ? AND ? "
    f"AND codec < {ENCODED} ORDER BY id LIMIT 1"
)


async def _sample(engine: Engine, blobs: Blobs, first: int, highest: int) -> list[bytes]:
    """Give bodies that a dictionary could be used for, in no order."""
    step = max(1, (highest - first) // SAMPLES)
    places = list(range(first, highest + 1, step))
    places.sort(key=lambda place: place * _SCATTER % 2**32)
    found: list[bytes] = []
    octets = 0
    for start in range(0, len(places), _BATCH):
        rows = await engine.scan(partial(_read, places=places[start : start + _BATCH], step=step))
        for row in rows:
            octets += row[0]
            if octets > SAMPLE_OCTETS:
                return found
            with suppress(DamagedFile):
                found.append(blobs.decode(row))
    return found


async def _read(tx: Transaction, places: Sequence[int], step: int) -> list[Row]:
    """Give a small body from behind each place, where there is one."""
    rows = [await tx.fetch_one(_FROM, place, place + step - 1, COMPRESS_FROM, DICTIONARY_LIMIT) for place in places]
    return [row for row in rows if row is not None]


def _train(coding: BodyCoding, bodies: Sequence[bytes], number: int) -> tuple[bytes | None, float | None]:
    """Make a dictionary; None, if it would be of no use. Gives what bodies take with it, of what they take now."""
    tested, learnt = bodies[::_TESTED], [body for at, body in enumerate(bodies) if at % _TESTED]
    if len(learnt) < FIRST // 4:
        return None, None
    try:
        made = zstandard.train_dictionary(DICTIONARY_OCTETS, [*learnt], dict_id=number, level=coding.level)
    except zstandard.ZstdError:  # too little in them that is alike
        return None, None
    data: bytes = made.as_bytes()
    before = sum(map(len, map(coding.compressor(None), tested)))
    after = sum(map(len, map(coding.compressor(data), tested)))
    return (data, after / before) if after < before * _WORTHWHILE else (None, None)
