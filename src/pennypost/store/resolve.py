"""Where an address of ours leads (RFC 5321 §3.6.2, §3.9): accounts, addresses elsewhere, or nowhere.

Theory of operation
-------------------
An address is looked up as it is, then without its subaddress ("user+tag" as "user"; the tag is kept as `detail`), then
its domain's catch-all is taken. What is found is an account, or an alias whose targets are looked up in turn, each in
the same way: at most `MAX_DEPTH` aliases deep, and each address once, so that a circle ends. A target in no domain of
ours is remote. The catch-all answers for what was asked for, not for the targets of aliases: an alias that leads to
nobody leads there.

`postmaster` and `abuse` of every domain of ours always lead somewhere (RFC 5321 §4.5.1, RFC 2142 §2, §4): to their own
address or alias, else to the catch-all, else to the first account of the domain, else to the first of the server.

An account that is disabled gets no mail.
"""

from collections.abc import Sequence
from typing import NamedTuple

from pennypost.model.address import Address
from pennypost.model.errors import BadAddress, NoSuchRecipient, RecipientDisabled
from pennypost.model.ids import AccountId, MailboxId
from pennypost.store import names
from pennypost.store.engine import Row, Transaction
from pennypost.store.keys import address_key, key_of, local_key, split_key

MAX_DEPTH = 10
"""Aliases that lead to aliases."""
MAX_TARGETS = 1000
"""Addresses that one address may lead to, over all its aliases."""

ALWAYS_THERE = frozenset({"postmaster", "abuse"})


class LocalRecipient(NamedTuple):
    """An account that gets the message. `detail`: the tag of `user+tag` as it was written, or None.

    `name`: the account's primary address. `inbox`: the id of its INBOX. `bounded`: it, or its domain, has a quota.
    """

    account: AccountId
    detail: str | None
    name: str
    inbox: MailboxId
    bounded: bool


class Resolution(NamedTuple):
    """Where an address leads. Never both empty; no doubles in either."""

    accounts: tuple[LocalRecipient, ...]
    remote: tuple[Address, ...]


_LOOK_UP = (
    "SELECT r.account, r.target, a.enabled, a.name, m.id, a.quota_octets IS NOT NULL "
    "OR a.quota_messages IS NOT NULL OR EXISTS "
    "(SELECT 1 FROM domain d WHERE d.id = a.domain AND d.quota_octets IS NOT NULL) FROM address r "
    "LEFT JOIN account a ON a.id = r.account LEFT JOIN mailbox m ON m.account = r.account AND m.name = ? "
    "WHERE r.address = ? ORDER BY r.position"
)


class _Found:
    """What was gathered on the way."""

    def __init__(self) -> None:
        self.accounts: dict[AccountId, LocalRecipient] = {}
        self.remote: dict[str, Address] = {}
        self.seen: set[str] = set()
        self.disabled = False

    def __bool__(self) -> bool:
        return bool(self.accounts or self.remote)

    def take(self, row: Row, detail: str | None) -> None:
        account, _, enabled, name, inbox, bounded = row
        if enabled:
            self.accounts.setdefault(account, LocalRecipient(account, detail, name, inbox, bool(bounded)))
        else:
            self.disabled = True


async def resolve(tx: Transaction, address: Address, separator: str = "+") -> Resolution | None:
    """Find where an address leads. One statement for the address of an account.

    `separator`: what divides a local part from its subaddress; empty: nothing does. The bare `<Postmaster>` (RFC 5321
    §4.5.1), whose domain is empty, is taken.

    None: its domain is not ours. Raises NoSuchRecipient when it is ours and has no such address, RecipientDisabled
    when the address leads to disabled accounts only. May run as a read.
    """
    if not address.domain:
        return await _postmaster_of_server(tx, address)
    try:
        key = address_key(address)
    except BadAddress:
        return None
    found = _Found()
    if await _follow(tx, address, key, separator, found):
        if found:
            return _resolution(found)
        always = split_key(key)[0] in ALWAYS_THERE
        if not always:
            raise RecipientDisabled if found.disabled else NoSuchRecipient
    domain = split_key(key)[1]
    row = await tx.fetch_one("SELECT catch_all FROM domain WHERE name = ?", domain)
    if row is None:
        return None
    if row[0] is not None:
        target = _address(row[0])
        if await _follow(tx, target, key_of(row[0]), separator, found) is False and not await _is_ours(tx, row[0]):
            found.remote.setdefault(row[0], target)
    if not found and split_key(key)[0] in ALWAYS_THERE:
        await _first_account(tx, domain, found)
    if not found:
        raise RecipientDisabled if found.disabled else NoSuchRecipient
    return _resolution(found)


def _resolution(found: _Found) -> Resolution:
    return Resolution(tuple(found.accounts.values()), tuple(found.remote.values()))


def _address(target: str) -> Address:
    return Address(*split_key(target))


async def _look_up(tx: Transaction, address: Address, key: str, separator: str) -> tuple[list[Row], str | None]:
    """Look an address up as it is, then without its subaddress. Gives its rows and the subaddress that was cut off."""
    rows = await tx.fetch_all(_LOOK_UP, names.INBOX, key)
    if rows or not separator:
        return rows, None
    base, found, detail = address.local_part.partition(separator)
    if not found or not base:
        return rows, None
    base_key = f"{local_key(base)}@{split_key(key)[1]}"
    return await tx.fetch_all(_LOOK_UP, names.INBOX, base_key), detail or None


async def _follow(tx: Transaction, address: Address, key: str, separator: str, found: _Found) -> bool:
    """Gather where an address leads. False: there is no such address; what is gathered may still be nothing."""
    rows, detail = await _look_up(tx, address, key, separator)
    if not rows:
        return False
    pending: list[tuple[Sequence[Row], str | None]] = [(rows, detail)]
    found.seen.add(key)
    for _ in range(MAX_DEPTH + 1):
        deeper: list[tuple[Sequence[Row], str | None]] = []
        for level, tag in pending:
            for row in level:
                if row[0] is not None:
                    found.take(row, tag)
                elif row[1] not in found.seen and len(found.seen) <= MAX_TARGETS:
                    found.seen.add(row[1])
                    target = _address(row[1])
                    next_rows, own = await _look_up(tx, target, key_of(row[1]), separator)
                    if next_rows:
                        deeper.append((next_rows, own or tag))
                    elif not await _is_ours(tx, row[1]):
                        found.remote.setdefault(row[1], target)
        if not deeper:
            break
        pending = deeper
    return True


async def _is_ours(tx: Transaction, key: str) -> bool:
    return await tx.fetch_one("SELECT 1 FROM domain WHERE name = ?", split_key(key)[1]) is not None


_FIRST_OF_DOMAIN = (
    "SELECT a.id, NULL, 1, a.name, m.id, 1 FROM domain d JOIN account a ON a.domain = d.id "
    "LEFT JOIN mailbox m ON m.account = a.id AND m.name = ? "
    "WHERE d.name = ? AND a.enabled = 1 AND a.removed = 0 ORDER BY a.id LIMIT 1"
)
_FIRST_OF_SERVER = (
    "SELECT a.id, NULL, 1, a.name, m.id, 1 FROM account a LEFT JOIN mailbox m ON m.account = a.id AND m.name = ? "
    "WHERE a.enabled = 1 AND a.removed = 0 ORDER BY a.id LIMIT 1"
)


async def _first_account(tx: Transaction, domain: str, found: _Found) -> None:
    row = await tx.fetch_one(_FIRST_OF_DOMAIN, names.INBOX, domain)
    if row is None:
        row = await tx.fetch_one(_FIRST_OF_SERVER, names.INBOX)
    if row is not None:
        found.take(row, None)


async def _postmaster_of_server(tx: Transaction, address: Address) -> Resolution | None:
    """Find where the bare Postmaster leads: to that of the first domain (RFC 5321 §4.5.1)."""
    if local_key(address.local_part) != "postmaster":
        return None
    row = await tx.fetch_one("SELECT name FROM domain ORDER BY id LIMIT 1")
    return None if row is None else await resolve(tx, Address("postmaster", row[0]))


# -- Whose address it is


async def owns(tx: Transaction, account: AccountId, address: Address, separator: str = "+") -> bool:
    """Say whether an account may write as an address (RFC 6409 §6.1): its own, with any subaddress, or that of an
    alias that leads to it. A catch-all makes nobody an owner. May run as a read."""
    try:
        key = address_key(address)
    except BadAddress:
        return False
    found = _Found()
    await _follow(tx, address, key, separator, found)
    return account in found.accounts


async def identities(tx: Transaction, account: AccountId) -> list[str]:
    """List the addresses an account owns: its own first, then the aliases that lead to it, sorted."""
    rows = await tx.fetch_all(
        "WITH RECURSIVE owned (address, depth) AS ("
        "SELECT name, 0 FROM account WHERE id = ? AND removed = 0 UNION "
        "SELECT r.address, o.depth + 1 FROM owned o JOIN address r ON r.target = o.address WHERE o.depth < ?) "
        "SELECT address, MIN(depth) FROM owned GROUP BY address",
        account,
        MAX_DEPTH,
    )
    return [name for name, _ in sorted(rows, key=lambda row: (row[1] > 0, row[0]))]
