"""Bodies with attachments, and what tests ask of a store that holds some."""

import base64
import contextlib
import random
from pathlib import Path

from pennypost.model.ids import BlobId
from pennypost.store.blob_drafts import BlobDraft
from pennypost.store.blobs import put
from pennypost.store.engine import Row, Transaction
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


def open_files(store: Store) -> int:
    """Count the descriptors of this process that are of bodies."""
    folder, count = str(store.settings.data_dir / "blobs"), 0
    for fd in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            count += str(fd.readlink()).startswith(folder)
    return count
