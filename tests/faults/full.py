"""A process whose disk gets full, and gets room again. Exits with 0 when the store did as it should.

    python -m tests.faults.full DATA_DIR ballast|limit

`ballast`: the file system is small, and a file in it is removed to make room. `limit`: files may not grow beyond a
limit of the process, which is then lifted.
"""

import asyncio
import random
import resource
import sys
from pathlib import Path

from pennypost.model.errors import StorageFull
from pennypost.model.units import MIB
from pennypost.store.blobs import put
from pennypost.store.engine import Transaction
from pennypost.store.settings import StoreSettings
from pennypost.store.store import Store

ENOUGH = 5_000
BALLAST = 6 * MIB


async def add(tx: Transaction, store: Store, number: int) -> int:
    await put(tx, store.blobs.draft(b"%d " % number + random.Random(number).randbytes(10_000)))
    await put(tx, store.blobs.draft(b"the other half of %d" % number))
    return number


async def present(store: Store) -> set[int]:
    rows = await store.scan(lambda tx: tx.fetch_all("SELECT id FROM blob ORDER BY id"))
    bodies = [await store.scan(lambda tx, b=blob: store.blobs.read(tx, b)) for (blob,) in rows]
    whole = {int(body.split()[0]) for body in bodies if body[:1].isdigit()}
    halves = {int(body.split()[-1]) for body in bodies if not body[:1].isdigit()}
    assert whole == halves, "half a transaction"
    return whole


async def fill(store: Store) -> set[int]:
    """Write until it is full, and some more; give what was acknowledged."""
    done: set[int] = set()
    refused = 0
    for start in range(0, ENOUGH, 20):
        writes = [store.write(lambda tx, n=number: add(tx, store, n)) for number in range(start, start + 20)]
        for result in await asyncio.gather(*writes, return_exceptions=True):
            match result:
                case StorageFull():
                    refused += 1
                case BaseException():
                    raise result
                case number:
                    done.add(number)
        if refused > 100:
            return done
    raise AssertionError("it never got full")


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def expect_full(attempt: str, store: Store) -> None:
    try:
        if attempt == "file":
            await store.blobs.draft_large(random.Random(0).randbytes(20 * MIB))
        else:
            with store.spools.new() as spool:
                for _ in range(40):
                    spool.write(b"x" * MIB)
    except StorageFull:
        return
    raise AssertionError(f"the disk was not full for a {attempt}")


async def main(data_dir: Path, kind: str) -> None:
    if kind == "ballast":
        (data_dir / "ballast").write_bytes(b"x" * BALLAST)
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4 * MIB, resource.RLIM_INFINITY))
    settings = StoreSettings(data_dir, compression_level=1, checkpoint_size=1 * MIB, log_limit=2 * MIB)
    store = await Store.open(settings)
    done = await fill(store)
    await expect_full("file", store)
    await expect_full("spool", store)
    assert not files(data_dir / "blobs")
    assert await present(store) == done
    if kind == "ballast":
        (data_dir / "ballast").unlink()
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    for number in range(ENOUGH, ENOUGH + 50):
        done.add(await store.write(lambda tx, n=number: add(tx, store, n)))
    await store.close()
    store = await Store.open(settings)
    assert await present(store) == done
    rows = await store.scan(lambda tx: tx.fetch_all("PRAGMA integrity_check"))
    assert rows == [("ok",)], rows
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
