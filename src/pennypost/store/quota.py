"""Quota of accounts and domains (RFC 9208): octets of messages, each counted once however often it is filed; messages,
mailboxes and octets of annotations of accounts.

An account's use is a column kept up to date. A domain's is the sum over its accounts, taken only when it has a quota.
"""

from dataclasses import dataclass

from pennypost.model.errors import NoSuchAccount, OverQuota
from pennypost.model.ids import AccountId, DomainId, ModSeq
from pennypost.store.engine import Transaction


@dataclass(frozen=True, slots=True)
class Usage:
    """What an account uses and may use, and its domain if that has a quota. None: no bound."""

    used_octets: int
    message_count: int
    quota_octets: int | None
    domain_used_octets: int | None
    domain_quota_octets: int | None
    quota_messages: int | None

    def has_room(self, octets: int) -> bool:
        """Say whether a message of so many octets more stays within the quotas."""
        if self.quota_messages is not None and self.message_count >= self.quota_messages:
            return False
        if self.quota_octets is not None and self.used_octets + octets > self.quota_octets:
            return False
        return self.domain_quota_octets is None or (self.domain_used_octets or 0) + octets <= self.domain_quota_octets


async def usage(tx: Transaction, account: AccountId) -> Usage:
    """Give an account's figures. One statement, two when its domain has a quota. Raises NoSuchAccount."""
    row = await tx.fetch_one(
        "SELECT a.used_octets, a.message_count, a.quota_octets, d.quota_octets, a.domain, a.quota_messages "
        "FROM account a LEFT JOIN domain d ON d.id = a.domain WHERE a.id = ? AND a.removed = 0",
        account,
    )
    if row is None:
        raise NoSuchAccount
    used, count, quota, domain_quota, domain, quota_messages = row
    domain_used = await domain_usage(tx, domain) if domain_quota is not None else None
    return Usage(used, count, quota, domain_used, domain_quota, quota_messages)


@dataclass(frozen=True, slots=True)
class Counts:
    """What an account has beside messages, and may have: mailboxes that can be selected, octets of annotations."""

    mailboxes: int
    annotation_octets: int
    quota_mailboxes: int | None
    quota_annotation_octets: int | None


async def counts(tx: Transaction, account: AccountId) -> Counts:
    """Count what an account has beside messages. Raises NoSuchAccount."""
    row = await tx.fetch_one(
        "SELECT (SELECT COALESCE(SUM(m.selectable), 0) FROM mailbox m WHERE m.account = a.id), "
        "(SELECT COALESCE(SUM(LENGTH(n.entry) + LENGTH(n.value)), 0) FROM annotation n WHERE n.account = a.id), "
        "a.quota_mailboxes, a.quota_annotation_octets FROM account a WHERE a.id = ? AND a.removed = 0",
        account,
    )
    if row is None:
        raise NoSuchAccount
    return Counts(*row)


@dataclass(frozen=True, slots=True)
class Limits:
    """What an account may hold; None: no bound."""

    octets: int | None = None
    messages: int | None = None
    mailboxes: int | None = None
    annotation_octets: int | None = None


async def limit(tx: Transaction, account: AccountId, limits: Limits) -> None:
    """Set all bounds of an account anew (RFC 9208 §4.1.3). What it holds already stays. Raises NoSuchAccount."""
    tx.directory_changed()
    changed = await tx.execute(
        "UPDATE account SET quota_octets = ?, quota_messages = ?, quota_mailboxes = ?, quota_annotation_octets = ? "
        "WHERE id = ? AND removed = 0",
        limits.octets,
        limits.messages,
        limits.mailboxes,
        limits.annotation_octets,
        account,
    )
    if not changed:
        raise NoSuchAccount


async def domain_usage(tx: Transaction, domain: DomainId) -> int:
    """Give the octets of all accounts of a domain."""
    row = await tx.fetch_one("SELECT COALESCE(SUM(used_octets), 0) FROM account WHERE domain = ?", domain)
    return int(row[0]) if row else 0


async def check(tx: Transaction, account: AccountId, octets: int) -> None:
    """Raise OverQuota unless so many octets more fit into the quotas of the account and of its domain.

    A courtesy before a message is taken (RFC 5321 §4.2.2: 452); what decides is `charge`, when it is stored.
    An account that is full already has no room for a message of no size.
    """
    if not (await usage(tx, account)).has_room(max(octets, 1)):
        raise OverQuota


async def charge(
    tx: Transaction, account: AccountId, *, numbers: int, octets: int, messages: int, entries: int
) -> ModSeq:
    """Draw `numbers` from the modification sequence, and add to the account's counters, in one statement.

    Gives the last number drawn. Raises OverQuota when octets are added that do not fit: the operation must let it
    through, so that everything is rolled back. Raises NoSuchAccount.
    """
    row = await tx.fetch_one(
        "UPDATE account SET modseq = modseq + ?, used_octets = used_octets + ?, "
        "message_count = message_count + ?, entry_count = entry_count + ? WHERE id = ? AND removed = 0 "
        "RETURNING modseq, used_octets, quota_octets, domain, message_count, quota_messages, "
        "(SELECT d.quota_octets FROM domain d WHERE d.id = account.domain)",
        numbers,
        octets,
        messages,
        entries,
        account,
    )
    if row is None:
        raise NoSuchAccount
    modseq, used, quota, domain, count, quota_messages, domain_quota = row
    if messages > 0 and quota_messages is not None and count > quota_messages:
        raise OverQuota
    if octets > 0:
        if quota is not None and used > quota:
            raise OverQuota
        if domain_quota is not None and await domain_usage(tx, domain) > domain_quota:
            raise OverQuota
    return ModSeq(modseq)


async def release(tx: Transaction, account: AccountId, *, octets: int, messages: int, entries: int) -> ModSeq:
    """Take from the account's counters what went, and draw one number from the modification sequence."""
    row = await tx.fetch_one(
        "UPDATE account SET modseq = modseq + 1, used_octets = used_octets - ?, message_count = message_count - ?, "
        "entry_count = entry_count - ? WHERE id = ? RETURNING modseq",
        octets,
        messages,
        entries,
        account,
    )
    if row is None:
        raise NoSuchAccount
    return ModSeq(row[0])
