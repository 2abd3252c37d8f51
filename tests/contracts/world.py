"""A small world to test operations in: a store of some engine, an account or two, messages made to order."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pennypost.message.digest import digest
from pennypost.model.account import Account
from pennypost.model.flags import Flags
from pennypost.model.ids import AccountId, MailboxId
from pennypost.model.mailbox import Mailbox
from pennypost.store import blobs, check, directory, mailboxes, messages
from pennypost.store.blob_drafts import BlobDraft
from pennypost.store.check import Inconsistency
from pennypost.store.engine import Engine, Transaction
from pennypost.store.messages import Appended, NewMessage

NOW = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
DOMAIN = "example.org"


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def move(self, by: timedelta) -> None:
        self.now += by


def header(
    subject: str = "Greetings", message_id: str | None = None, references: Sequence[str] = (), sender: str = "bob"
) -> bytes:
    lines = [f"From: {sender}@example.net", "To: ann@example.org", f"Subject: {subject}"]
    lines += ["Date: Tue, 3 Feb 2026 05:05:06 +0100"]
    if message_id is not None:
        lines.append(f"Message-ID: <{message_id}>")
    if references:
        lines.append("References: " + " ".join(f"<{one}>" for one in references))
    return "\r\n".join([*lines, "", ""]).encode()


async def put(tx: Transaction, body: bytes) -> Any:
    return await blobs.put(tx, BlobDraft(hashlib.sha256(body).digest(), len(body), 0, body, None))


async def append(
    tx: Transaction,
    account: AccountId,
    mailbox: MailboxId,
    head: bytes | None = None,
    body: bytes = b"Hello.\r\n",
    flags: Flags = Flags.NONE,
    keywords: tuple[str, ...] = (),
) -> Appended:
    head = header() if head is None else head
    blob = await put(tx, body)
    new = NewMessage(head, blob, len(body), digest(head, body), NOW, flags, keywords)
    return await messages.append(tx, account, mailbox, new)


class World:
    """`engine`: what is tested. `broken`: set by a test that leaves the store inconsistent on purpose."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self.engine, self.clock = engine, clock
        self.broken = False

    async def write(self, function: Callable[..., Any], *values: Any, **named: Any) -> Any:
        return await self.engine.write(lambda tx: function(tx, *values, **named))

    async def read(self, function: Callable[..., Any], *values: Any, **named: Any) -> Any:
        return await self.engine.read(lambda tx: function(tx, *values, **named))

    async def account(self, name: str = "ann@example.org", **named: Any) -> AccountId:
        domain = name.rpartition("@")[2]
        if await self.read(directory.find_domain, domain) is None:
            await self.write(directory.add_domain, domain)
        made: Account = await self.write(directory.add_account, name, **named)
        return made.id

    async def mailbox(self, account: AccountId, name: str = "INBOX") -> Mailbox:
        found: Mailbox | None = await self.read(mailboxes.find, account, name)
        assert found is not None, name
        return found

    async def inbox(self, account: AccountId) -> MailboxId:
        return (await self.mailbox(account)).id

    async def append(self, account: AccountId, mailbox: MailboxId, *values: Any, **named: Any) -> Appended:
        appended: Appended = await self.write(append, account, mailbox, *values, **named)
        return appended

    async def fill(self, account: AccountId, mailbox: MailboxId, count: int, **named: Any) -> list[Appended]:
        async def operation(tx: Transaction) -> list[Appended]:
            return [
                await append(tx, account, mailbox, header(f"Number {n}", f"{n}@fill"), **named) for n in range(count)
            ]

        return await self.engine.write(operation)

    async def entries(self, account: AccountId, mailbox: MailboxId) -> list[messages.Entry]:
        found: list[messages.Entry] = await self.read(messages.entries, account, mailbox, [(1, 2**32 - 1)])
        return found

    async def uids(self, account: AccountId, mailbox: MailboxId) -> list[int]:
        return [entry.uid for entry in await self.entries(account, mailbox)]

    async def sql(self, statement: str, *values: Any) -> list[Any]:
        return await self.engine.write(lambda tx: tx.fetch_all(statement, *values))

    async def problems(self) -> list[Inconsistency]:
        return [found async for found in check.check_rows(self.engine)]
