"""What was held at the door: shown to whom it is for at once, put into the inbox when its sender comes again.

A message that is held lies in the account's mailbox for junk like any other. The row here says which message it is, so
that the same one is not stored a second time. Senders who came again once are not held any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b

from pennypost.model.ids import AccountId, MailboxId, MessageId, Uid
from pennypost.store.engine import Transaction, to_microseconds


@dataclass(frozen=True, slots=True)
class Held:
    """A message that is held. `due`: its sender has waited long enough. `released`: it came again before."""

    message: MessageId
    due: bool
    released: bool


def hash_of(*parts: bytes) -> int:
    """Give the number by which a route or a message is known."""
    return int.from_bytes(blake2b(b"\0".join(parts), digest_size=8).digest(), "big", signed=True)


async def find(tx: Transaction, account: AccountId, key: int, delay: timedelta) -> Held | None:
    """Find a message that came before."""
    row = await tx.fetch_one(
        "SELECT message, first_at, released_at FROM greylist WHERE account = ? AND key = ?", account, key
    )
    if row is None:
        return None
    return Held(MessageId(row[0]), row[1] <= to_microseconds(tx.now - delay), row[2] is not None)


async def is_known(tx: Transaction, account: AccountId, route: int) -> bool:
    """Whether somebody came again by this route before."""
    return (
        await tx.fetch_one(
            "SELECT 1 FROM greylist WHERE account = ? AND route = ? AND released_at IS NOT NULL LIMIT 1", account, route
        )
        is not None
    )


async def waiting(tx: Transaction, account: AccountId) -> int:
    """Count what is held for an account: bounded by what the caller admits."""
    row = await tx.fetch_one("SELECT COUNT(*) FROM greylist WHERE account = ? AND released_at IS NULL", account)
    assert row is not None
    return int(row[0])


async def hold(tx: Transaction, account: AccountId, key: int, route: int, message: MessageId) -> None:
    """Note that a message is held."""
    await tx.execute(
        "INSERT INTO greylist (account, key, route, message, first_at) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (account, key) DO NOTHING",
        account,
        key,
        route,
        message,
        to_microseconds(tx.now),
    )


async def release(tx: Transaction, account: AccountId, key: int) -> None:
    """Note that the sender of a message came again."""
    await tx.execute(
        "UPDATE greylist SET released_at = ? WHERE account = ? AND key = ?", to_microseconds(tx.now), account, key
    )


async def released(tx: Transaction, account: AccountId, messages: Sequence[MessageId]) -> set[MessageId]:
    """Give those of some messages that were put into the inbox because their sender came again."""
    found: set[MessageId] = set()
    for message in messages:
        sql = "SELECT 1 FROM greylist WHERE account = ? AND message = ? AND released_at IS NOT NULL LIMIT 1"
        if await tx.fetch_one(sql, account, message) is not None:
            found.add(message)
    return found


async def places(tx: Transaction, account: AccountId, message: MessageId) -> list[tuple[MailboxId, Uid]]:
    """Give where a message lies."""
    rows = await tx.fetch_all("SELECT mailbox, uid FROM entry WHERE account = ? AND message = ?", account, message)
    return [(MailboxId(mailbox), Uid(uid)) for mailbox, uid in rows]


async def sweep(tx: Transaction, patience: timedelta, memory: timedelta, limit: int = 1000) -> int:
    """Forget what nobody came again for, and routes nobody used for long. Gives how many rows."""
    return await tx.execute(
        "DELETE FROM greylist WHERE (account, key) IN (SELECT account, key FROM greylist WHERE "
        "first_at < ? AND (released_at IS NULL OR first_at < ?) ORDER BY first_at LIMIT ?)",
        to_microseconds(tx.now - patience),
        to_microseconds(tx.now - memory),
        limit,
    )
