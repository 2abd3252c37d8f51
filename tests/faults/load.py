"""A process that writes to a store as fast as it can, and says what it was told is done. It is meant to be killed.

    python -m tests.faults.load DATA_DIR NAME

Lines on standard output, each one write to a pipe, in the order of what they tell:

    a ID UID UID   the message lies in the INBOX of both accounts
    m ID UID       it was moved to the Archive of the first account
    e ID           it is about to be expunged from the second account
    x ID           it was
"""

import asyncio
import os
import random
import sys
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from pennypost.message.digest import digest
from pennypost.model.ids import AccountId, Uid
from pennypost.model.mailbox import MailboxRole
from pennypost.model.units import KIB, MIB
from pennypost.store import blobs, directory, mailboxes, messages
from pennypost.store.engine import Transaction
from pennypost.store.settings import StoreSettings
from pennypost.store.store import Store

NAMES = ("one@example.com", "two@example.com")
TASKS = 12


def settings(data_dir: Path) -> StoreSettings:
    """Small limits, so that files are written and the log begins anew all the time."""
    return StoreSettings(data_dir, inline_limit=2 * KIB, checkpoint_size=256 * KIB, log_limit=1 * MIB)


def say(line: str) -> None:
    os.write(1, line.encode() + b"\n")


class Load:
    def __init__(self, store: Store, name: str, accounts: tuple[AccountId, AccountId]) -> None:
        self.store = store
        self.name = name
        self.accounts = accounts
        self.random = random.Random(name)

    async def task(self, number: int) -> None:
        for n in count():
            await self.one(f"{self.name}.{number}.{n}", n)

    async def one(self, identifier: str, n: int) -> None:
        first, second = await self.deliver(identifier)
        say(f"a {identifier} {first} {second}")
        if n % 4 == 1:
            uid = await self.store.write(lambda tx: self.archive(tx, first))
            say(f"m {identifier} {uid}")
        if n % 4 == 2:
            say(f"e {identifier}")
            await self.store.write_large(lambda tx: self.expunge(tx, second))
            say(f"x {identifier}")

    async def deliver(self, identifier: str) -> tuple[Uid, Uid]:
        header = f"Message-ID: <{identifier}@example.com>\r\nSubject: {identifier}\r\n\r\n".encode()
        # Some bodies are the same for all, some lie in files, some are both.
        attached = b"\r\nContent-Transfer-Encoding: base64\r\n\r\n%b\r\n--b--\r\n"
        body = self.random.choice(
            [
                identifier.encode() * 20,
                identifier.encode() * 500,
                b"same " * 50,
                b"SAME " * 5000,
                identifier.encode() + attached % (b"logo" * 5000),
                identifier.encode() + attached % (b"PHOTO===" * 20_000),
            ]
        )
        if len(body) > self.store.settings.inline_limit:
            draft = await self.store.blobs.draft_large(body)
        else:
            draft = self.store.blobs.draft(body)
        summary = digest(header, body)

        async def operation(tx: Transaction) -> tuple[Uid, Uid]:
            blob = await blobs.put(tx, draft)
            message = messages.NewMessage(header, blob, len(body), summary, datetime.now(UTC))
            uids = []
            for account in self.accounts:
                inbox = await mailboxes.require(tx, account, "INBOX")
                uids.append((await messages.append(tx, account, inbox.id, message)).uid)
            return uids[0], uids[1]

        return await self.store.write(operation)

    async def archive(self, tx: Transaction, uid: Uid) -> Uid:
        inbox = await mailboxes.require(tx, self.accounts[0], "INBOX")
        archive = await mailboxes.by_role(tx, self.accounts[0], MailboxRole.ARCHIVE)
        assert archive is not None
        moved = await messages.move(tx, self.accounts[0], inbox.id, [uid], archive.id)
        return moved.pairs[0][1]

    async def expunge(self, tx: Transaction, uid: Uid) -> None:
        inbox = await mailboxes.require(tx, self.accounts[1], "INBOX")
        await messages.remove(tx, self.accounts[1], inbox.id, [uid])


async def main(data_dir: Path, name: str) -> None:
    store = await Store.open(settings(data_dir))
    found = {account.name: account.id for account in await store.scan(directory.accounts)}
    load = Load(store, name, (found[NAMES[0]], found[NAMES[1]]))
    await asyncio.gather(*(load.task(number) for number in range(TASKS)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
