"""Run one operation on the store, from a command: also while the server runs, since processes share the store."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from pennypost.app.config.load import Loaded
from pennypost.app.privileges import check_user, drop_privileges
from pennypost.cli.options import fail, reason_of
from pennypost.model.account import Account
from pennypost.model.errors import ConfigError, MailError, NoSuchAccount
from pennypost.model.ids import AccountId
from pennypost.model.text import printable
from pennypost.store import acl, directory
from pennypost.store.engine import StoreUnusable, Transaction
from pennypost.store.sqlite.migrate import known_migrations
from pennypost.store.store import Store

T = TypeVar("T")


def with_store(loaded: Loaded, work: Callable[[Store], Awaitable[T]]) -> T:
    """Open the store as the server's user, run `work`, close it. An expected failure ends the command with status 1."""
    problems = tuple(check_user(loaded.config.server))
    if problems:
        fail(str(ConfigError("", problems)))
    known_migrations()  # files of the program: the one we become may not be able to read them
    drop_privileges(loaded.config.server, ())

    async def run() -> T:
        store = await Store.open(loaded.config.store_settings)
        try:
            return await work(store)
        finally:
            await store.close()

    try:
        return asyncio.run(run())
    except MailError as error:
        fail(reason_of(error))
    except (StoreUnusable, OSError) as error:
        fail(str(error))


def write(loaded: Loaded, operation: Callable[[Transaction], Awaitable[T]]) -> T:
    """Run one operation that changes rows."""

    async def work(store: Store) -> T:
        return await store.write(operation)

    return with_store(loaded, work)


def read(loaded: Loaded, operation: Callable[[Transaction], Awaitable[T]]) -> T:
    """Run one operation that reads, however much."""

    async def work(store: Store) -> T:
        return await store.scan(operation)

    return with_store(loaded, work)


async def find_account(tx: Transaction, name: str) -> Account:
    """Find an account by its name. Raises NoSuchAccount, which names it."""
    account = await directory.find_account(tx, name)
    if account is None:
        form = "" if "@" in name else ', expected its address, as "user@example.org"'
        raise NoSuchAccount(f"No such account: {printable(name)}{form}")
    return account


async def require_grantee(tx: Transaction, owner: AccountId, identifier: str) -> None:
    """Refuse whom no mailbox of an account can be opened to, and say who it could be. Raises NoSuchAccount."""
    try:
        await acl.grantee(tx, owner, identifier)
    except NoSuchAccount:
        raise NoSuchAccount(
            f'No such identifier: {printable(identifier)}, expected the address of an account, "anyone" or '
            '"authenticated"'
        ) from None
