"""A process that delivers, indexes and searches as fast as it can. It is meant to be killed.

    python -m tests.faults.index_load DATA_DIR NAME

A line on standard output for each batch that is in the index. Each message has a word of its own and one that all have.
"""

import asyncio
import sys
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from tests.faults.load import say, settings

from pennypost.message.digest import digest
from pennypost.message.search_text import folded, query_words
from pennypost.model.ids import AccountId
from pennypost.store import blobs, directory, mailboxes, messages
from pennypost.store.engine import Transaction
from pennypost.store.store import Store

HEADER = b"Subject: greetings\r\n\r\n"


async def deliver(store: Store, account: AccountId, body: bytes, header: bytes = HEADER) -> None:
    draft, summary = store.blobs.draft(body), digest(header, body)

    async def operation(tx: Transaction) -> None:
        blob = await blobs.put(tx, draft)
        inbox = await mailboxes.require(tx, account, "INBOX")
        message = messages.NewMessage(header, blob, len(body), summary, datetime.now(UTC))
        await messages.append(tx, account, inbox.id, message)

    await store.write(operation)


async def write(store: Store, account: AccountId, name: str) -> None:
    for n in count():
        await deliver(store, account, f"common {name}x{n}".encode() + b" filler" * 50)


async def index(store: Store, account: AccountId) -> None:
    for n in count():
        await store.search.step(account)
        say("indexed")
        if n % 40 == 39:
            await store.search.clear()
        if n % 10 == 5:
            wanted = query_words(folded("common"))
            assert wanted is not None
            await store.search.find(account, wanted, header=True)
        await asyncio.sleep(0)


async def main(data_dir: Path, name: str) -> None:
    store = await Store.open(settings(data_dir))
    account = (await store.scan(directory.accounts))[0].id
    await asyncio.gather(write(store, account, name), index(store, account))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
