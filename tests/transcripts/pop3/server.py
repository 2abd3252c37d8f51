r"""Assembles a POP3 server on a store of its own.

Headers of the transcripts here:

    % account: anna secret            an account, anna@penny.test
    % message: Subject: x\r\n\r\ny    a message in the INBOX of the account before it (escapes as in `C~:`)
    % referral: imap://x@y.example/   where the mailboxes of the account before it are
    % setting: login_delay 60         a field of Pop3Settings: a number, of seconds where it is a duration, or true
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.transcripts.script import unescape

from pennypost.mail.authenticate import Authenticator
from pennypost.mail.passwords import account_credential
from pennypost.mail.settings import AuthSettings
from pennypost.message.digest import digest
from pennypost.message.headers import split
from pennypost.model.ids import AccountId
from pennypost.model.units import KIB, Octets
from pennypost.proto.imap.server_url import server_url
from pennypost.servers.pop3.door import Pop3Door
from pennypost.servers.pop3.settings import Pop3Settings
from pennypost.store import blobs, directory, mailboxes, messages
from pennypost.store.engine import Transaction
from pennypost.store.settings import StoreSettings
from pennypost.store.store import Store

QUICK = AuthSettings(hash_memory=Octets(8 * KIB), hash_passes=1, hash_threads=1)


@asynccontextmanager
async def pop3_door(folder: Path, headers: dict[str, list[str]]) -> AsyncIterator[Pop3Door]:
    """Give a door on a new store in `folder`."""
    store = await Store.open(StoreSettings(data_dir=folder / "data"))
    try:
        await store.write(lambda tx: directory.add_domain(tx, "penny.test"))
        account: AccountId | None = None
        for line in headers.get("account", []):
            name, password = line.split(" ", 1)
            account = await add_account(store, name, password)
        for octets in headers.get("message", []):
            assert account is not None
            await append(store, account, unescape(octets))
        for url in headers.get("referral", []):
            assert account is not None
            await refer(store, account, server_url(url, "anna@penny.test"))
        settings = Pop3Settings(**dict(map(_setting, headers.get("setting", []))))
        yield Pop3Door(store, Authenticator(store, QUICK, bytes(32)), settings)
    finally:
        await store.close()


async def add_account(store: Store, name: str, password: str) -> AccountId:
    """Add NAME@penny.test."""
    new = account_credential(password, QUICK)
    account = await store.write(
        lambda tx: directory.add_account(
            tx, f"{name}@penny.test", name.title(), new.password_hash, new.scram_sha1, new.scram_sha256
        )
    )
    return account.id


async def refer(store: Store, account: AccountId, url: str) -> None:
    """Send the account to another server (RFC 2221)."""
    await store.write(lambda tx: directory.set_referral(tx, account, url))


async def append(store: Store, account: AccountId, octets: bytes) -> None:
    """Put a message into the account's INBOX."""
    header, body = split(octets)
    small = len(body) <= store.settings.inline_limit
    draft = store.blobs.draft(body) if small else await store.blobs.draft_large(body)
    parsed = digest(header, body)

    async def operation(tx: Transaction) -> None:
        inbox = await mailboxes.require(tx, account, "INBOX")
        blob = await blobs.put(tx, draft)
        new = messages.NewMessage(header, blob, len(body), parsed, datetime(2026, 11, 23, tzinfo=UTC))
        await messages.append(tx, account, inbox.id, new)

    await store.write(operation)


def _setting(line: str) -> tuple[str, Any]:
    name, value = line.split()
    kinds = {field.name: field.type for field in fields(Pop3Settings)}
    if kinds[name] is timedelta:
        return name, timedelta(seconds=float(value))
    return name, value == "true" if kinds[name] is bool else int(value)
