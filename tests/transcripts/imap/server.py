"""A store, two accounts and an IMAP door over them: what IMAP's tests talk to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from pennypost.mail.authenticate import Authenticator
from pennypost.mail.passwords import NewCredential, account_credential
from pennypost.mail.prepare import Preparer
from pennypost.mail.settings import AuthSettings, DeliverySettings
from pennypost.message.digest import digest
from pennypost.message.headers import split
from pennypost.model.account import Account
from pennypost.model.flags import Flags
from pennypost.model.rights import ALL_RIGHTS, Rights
from pennypost.model.units import KIB, MIB, Octets
from pennypost.net.connection import Connection
from pennypost.proto.imap.server_url import server_url
from pennypost.servers.imap.door import ImapDoor
from pennypost.servers.imap.settings import ImapSettings
from pennypost.store import acl, blobs, directory, mailboxes, messages
from pennypost.store.acl import AclMode
from pennypost.store.engine import Transaction
from pennypost.store.messages import Appended, NewMessage
from pennypost.store.settings import StoreSettings
from pennypost.store.store import Store

AUTH = AuthSettings(hash_memory=Octets(8 * KIB), hash_passes=1)
CLEAR = ImapSettings(clear_text_login_on_loopback=True)
FIRST_ARRIVAL = datetime(2024, 2, 1, 10, 0, 0, tzinfo=UTC)


@cache
def credential(password: str) -> NewCredential:
    return account_credential(password, AUTH)


@dataclass
class World:
    """What a test has at hand. `alice` has the password secret, `bob` the password other; there is a carol too,
    with the password third, and support, a shared account to which bob has all rights but that to administer."""

    store: Store
    door: ImapDoor
    alice: Account
    bob: Account

    async def handler(self, connection: Connection) -> None:
        await self.door.handler(connection)

    async def deliver(
        self, octets: bytes, mailbox: str = "INBOX", flags: Flags = Flags.NONE, at: datetime = FIRST_ARRIVAL
    ) -> Appended:
        """Put a message into one of alice's mailboxes, as a delivery would."""
        header, body = split(octets)
        found = digest(header, body)
        draft = self.store.blobs.draft(body)
        if len(body) > self.store.settings.inline_limit:
            draft = await self.store.blobs.draft_large(body)

        async def operation(tx: Transaction) -> Appended:
            target = await mailboxes.require(tx, self.alice.id, mailbox)
            blob = await blobs.put(tx, draft)
            new = NewMessage(header, blob, len(body), found, at, flags)
            return await messages.append(tx, self.alice.id, target.id, new)

        return await self.store.write(operation)

    async def refer(self, name: str, url: str) -> None:
        """Send an account to another server."""

        async def operation(tx: Transaction) -> None:
            found = await directory.find_account(tx, name)
            assert found is not None
            await directory.set_referral(tx, found.id, server_url(url, name))

        await self.store.write(operation)


def simple_message(number: int) -> bytes:
    """Make the messages of the `% messages:` header: each sent a day after the one before."""
    return (
        f"From: Sender {number} <sender{number}@example.net>\r\n"
        "To: alice@example.org\r\n"
        f"Subject: Message {number}\r\n"
        f"Date: {number} Feb 2024 10:00:00 +0000\r\n"
        f"Message-ID: <m{number}@example.net>\r\n"
        "\r\n"
        f"Body of message {number}.\r\n"
    ).encode()


@asynccontextmanager
async def world(
    folder: Path, settings: ImapSettings = CLEAR, quota: int | None = None, max_message_size: int = 50 * MIB
) -> AsyncIterator[World]:
    """Open a store with the accounts of example.org, and a door over it. `quota`: of alice, in octets."""
    store = await Store.open(StoreSettings(data_dir=folder / "data"))
    preparer = Preparer(store, DeliverySettings())
    try:
        alice, bob = await store.write(lambda tx: _accounts(tx, quota))
        door = ImapDoor(store, Authenticator(store, AUTH, b"x" * 32), preparer, settings, max_message_size)
        yield World(store, door, alice, bob)
    finally:
        preparer.close()
        await store.close()


async def _accounts(tx: Transaction, quota: int | None) -> tuple[Account, Account]:
    await directory.add_domain(tx, "example.org")
    first, second = credential("secret"), credential("other")
    alice = await directory.add_account(
        tx, "alice@example.org", "Alice", first.password_hash, first.scram_sha1, first.scram_sha256, quota
    )
    bob = await directory.add_account(
        tx, "bob@example.org", "Bob", second.password_hash, second.scram_sha1, second.scram_sha256
    )
    third = credential("third")
    await directory.add_account(tx, "carol@example.org", "Carol", third.password_hash)
    support = await directory.add_account(tx, "support@example.org", "Support", shared=True)
    for mailbox in await mailboxes.list_all(tx, support.id):
        await acl.change(tx, support.id, mailbox.id, bob.name, AclMode.SET, ALL_RIGHTS & ~Rights.ADMINISTER)
    return alice, bob


def with_settings(**changes: Any) -> ImapSettings:
    """Give the settings of tests with some of them changed."""
    return replace(CLEAR, **changes)
