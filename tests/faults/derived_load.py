"""A process that delivers and lists what it delivered as fast as it can. It is meant to be killed.

    python -m tests.faults.derived_load DATA_DIR NAME

A line on standard output for each time that all messages were listed and their pages were handed over to be written.
"""

import asyncio
import sys
from array import array
from itertools import count
from pathlib import Path
from typing import Any

from tests.faults.index_load import deliver
from tests.faults.load import say, settings

from pennypost.model.ids import AccountId, MailboxId
from pennypost.store import derived, directory
from pennypost.store.choices import HeaderFields
from pennypost.store.derived import Derived
from pennypost.store.field_pages import FieldPages
from pennypost.store.messages import FETCH_BATCH
from pennypost.store.sort_columns import SortColumns
from pennypost.store.sort_values import SortColumn
from pennypost.store.store import Store

SUBJECT = HeaderFields.called([b"subject"])
COLUMNS = (SortColumn.SENT, SortColumn.SUBJECT, SortColumn.SUBJECT_FIELD)


async def listed(store: Store, account: AccountId) -> tuple["array[int]", "array[int]"]:
    rows = await store.scan(
        lambda tx: tx.fetch_all("SELECT message, received_at FROM entry WHERE account = ? ORDER BY message", account)
    )
    return array("q", [row[0] for row in rows]), array("q", [row[1] for row in rows])


async def values(
    store: Store, derived: Derived, account: AccountId, ids: "array[int]", stamps: "array[int]"
) -> list[list[Any]]:
    """Give what a mailbox of these messages is listed, sorted and searched by."""
    pages, fields = FieldPages(store.engine, derived), []
    for start in range(0, len(ids), FETCH_BATCH):
        end = start + FETCH_BATCH
        fields += await pages.chosen(account, ids[start:end], stamps[start:end], SUBJECT)
    uids, columns = array("I", range(1, len(ids) + 1)), SortColumns(store.engine, derived)
    return [fields, *[list(await columns.column(account, MailboxId(1), one, uids, ids, stamps)) for one in COLUMNS]]


async def write(store: Store, account: AccountId, name: str) -> None:
    for n in count():
        await deliver(store, account, b"body", f"Subject: {name}x{n}\r\n\r\n".encode())


async def read(store: Store, account: AccountId) -> None:
    while True:
        ids, stamps = await listed(store, account)
        await values(store, store.derived, account, ids, stamps)
        say("listed")
        await asyncio.sleep(0)


async def main(data_dir: Path, name: str) -> None:
    derived.DELAY_SECONDS = 0.0
    derived.BATCH_OCTETS = 10_000
    store = await Store.open(settings(data_dir))
    account = (await store.scan(directory.accounts))[0].id
    await asyncio.gather(write(store, account, name), read(store, account))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
