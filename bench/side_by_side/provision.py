"""Make a data folder with the users the load tools expect: provision.py FOLDER COUNT."""

import asyncio
import sys
from pathlib import Path

from pennypost.mail.passwords import account_credential
from pennypost.mail.settings import AuthSettings
from pennypost.store import directory
from pennypost.store.engine import Transaction
from pennypost.store.settings import StoreSettings
from pennypost.store.store import Store


async def provision(folder: Path, count: int) -> None:
    """One hash serves all of them: what is measured is not the making of passwords."""
    new = account_credential("pw", AuthSettings())
    store = await Store.open(StoreSettings(data_dir=folder))

    async def fill(tx: Transaction) -> None:
        await directory.add_domain(tx, "bench.test")
        for name in (*(f"p{i:04d}" for i in range(1, count + 1)), "pbig"):
            address = f"{name}@bench.test"
            await directory.add_account(tx, address, name, new.password_hash, new.scram_sha1, new.scram_sha256)

    await store.write(fill)
    await store.close()


if __name__ == "__main__":
    asyncio.run(provision(Path(sys.argv[1]), int(sys.argv[2])))
