"""Recipients that bounced for good: mail to them is refused, so that hosts do not take us for somebody who does not
listen."""

from dataclasses import dataclass
from datetime import datetime

from pennypost.model.address import Address
from pennypost.model.errors import BadAddress
from pennypost.store.engine import Transaction, from_microseconds, to_microseconds
from pennypost.store.keys import address_key


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A recipient that gets no mail. `address`: its key, with the domain in A-labels; `reply`: what its host said."""

    address: str
    reply: str
    created_at: datetime


async def suppress(tx: Transaction, address: Address, reply: str) -> None:
    """Let no more mail be taken for a recipient. The last reply is kept."""
    await tx.execute(
        "INSERT INTO suppression (address, reply, created_at) VALUES (?, ?, ?) "
        "ON CONFLICT (address) DO UPDATE SET reply = excluded.reply, created_at = excluded.created_at",
        _key(address),
        reply,
        to_microseconds(tx.now),
    )


async def find(tx: Transaction, address: Address) -> Suppressed | None:
    """Say whether, and why, a recipient gets no mail. One look into an index; may run as a read."""
    row = await tx.fetch_one("SELECT address, reply, created_at FROM suppression WHERE address = ?", _key(address))
    return None if row is None else Suppressed(row[0], row[1], from_microseconds(row[2]))


async def listed(tx: Transaction, domain: str | None = None, limit: int = 10_000) -> list[Suppressed]:
    """List suppressed recipients by address, of one domain or all."""
    rows = await tx.fetch_all(
        "SELECT address, reply, created_at FROM suppression WHERE ? IS NULL OR address LIKE '%@' || ? "
        "ORDER BY address LIMIT ?",
        domain,
        (domain or "").casefold(),
        limit,
    )
    return [Suppressed(address, reply, from_microseconds(at)) for address, reply, at in rows]


async def remove(tx: Transaction, address: Address) -> bool:
    """Let mail be taken again. Gives whether there was anything to remove."""
    return await tx.execute("DELETE FROM suppression WHERE address = ?", _key(address)) > 0


def _key(address: Address) -> str:
    """Give the form in which recipients are compared, however their domain is written."""
    try:
        return address_key(address)
    except BadAddress:
        return address.key
