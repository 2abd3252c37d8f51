"""What the store holds, in figures: `store stats`, metrics."""

from dataclasses import dataclass

from pennypost.model.ids import AccountId
from pennypost.store import queue_view
from pennypost.store.engine import Transaction
from pennypost.store.queue_view import QueueCount


@dataclass(frozen=True, slots=True)
class StoreStats:
    """Figures over the whole store. Octets of bodies: as they were received, and as they take room here."""

    domains: int
    accounts: int
    aliases: int
    mailboxes: int
    messages: int
    entries: int
    message_octets: int
    blobs: int
    blob_octets: int
    inline_blobs: int
    inline_octets: int
    attachments: int
    """Kept once, whatever messages they came in."""
    spared_octets: int
    """What those would take, as they were received, that stand in further bodies."""
    changes: int
    queue: QueueCount
    being_removed: int
    """Mailboxes and accounts whose rows wait to be removed."""


@dataclass(frozen=True, slots=True)
class AccountStats:
    """Figures of one account."""

    account: AccountId
    name: str
    mailboxes: int
    messages: int
    used_octets: int
    quota_octets: int | None


_FIGURES = {
    "domains": "SELECT COUNT(*) FROM domain",
    "accounts": "SELECT COUNT(*) FROM account WHERE removed = 0",
    "aliases": "SELECT COUNT(DISTINCT address) FROM address WHERE target IS NOT NULL",
    "mailboxes": "SELECT COUNT(*) FROM mailbox WHERE removed = 0",
    "messages": "SELECT COALESCE(SUM(message_count), 0) FROM account",
    "entries": "SELECT COALESCE(SUM(entry_count), 0) FROM account",
    "message_octets": "SELECT COALESCE(SUM(used_octets), 0) FROM account",
    "blobs": "SELECT COUNT(*) FROM blob",
    "blob_octets": "SELECT COALESCE(SUM(size), 0) FROM blob",
    "inline_blobs": "SELECT COUNT(*) FROM blob WHERE place IS NULL",
    "inline_octets": "SELECT COALESCE(SUM(LENGTH(data)), 0) FROM blob WHERE place IS NULL",
    "changes": "SELECT COUNT(*) FROM change",
    "being_removed": "SELECT (SELECT COUNT(*) FROM mailbox WHERE removed = 1) "
    "+ (SELECT COUNT(*) FROM account WHERE removed = 1)",
}

_ATTACHMENTS = (
    "SELECT COUNT(*), COALESCE(SUM(b.size), 0), COALESCE(SUM(p.uses * b.size), 0) "
    "FROM (SELECT part, COUNT(*) AS uses FROM blob_part GROUP BY part) p JOIN blob b ON b.id = p.part"
)
"""How many there are; their octets, once each; and as often as they stand in bodies."""


async def stats(tx: Transaction) -> StoreStats:
    """Count everything. Reads whole tables: for `scan`."""
    figures: dict[str, int] = {}
    for name, sql in _FIGURES.items():
        row = await tx.fetch_one(sql)
        assert row is not None
        figures[name] = int(row[0])
    row = await tx.fetch_one(_ATTACHMENTS)
    assert row is not None
    attachments, once, used = map(int, row)
    figures["blob_octets"] -= used  # bodies count them already
    return StoreStats(queue=await queue_view.count(tx), attachments=attachments, spared_octets=used - once, **figures)


async def by_account(tx: Transaction) -> list[AccountStats]:
    """Give the figures of every account, sorted by name."""
    rows = await tx.fetch_all(
        "SELECT a.id, a.name, (SELECT COUNT(*) FROM mailbox m WHERE m.account = a.id AND m.removed = 0), "
        "a.message_count, a.used_octets, a.quota_octets FROM account a WHERE a.removed = 0 ORDER BY a.name"
    )
    return [AccountStats(*row) for row in rows]
