"""Keys that sign mail of our domains (RFC 6376): their rows. What is in them is `mail.signing`'s.

A domain has keys of several algorithms, and of each algorithm the youngest that is active signs. A key that was
followed by another stays published as long as signatures of it may be looked at; then it is removed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from pennypost.model.errors import AlreadyExists, NoSuchCredential
from pennypost.model.text import printable
from pennypost.store.directory import require_domain
from pennypost.store.engine import Row, Transaction, from_microseconds, to_microseconds


class KeyState(Enum):
    """Where a key is in its life."""

    WAITING = "waiting"
    """To be published; it does not sign yet."""
    ACTIVE = "active"
    RETIRED = "retired"
    """Another one signs. It is to stay published for a while."""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key. `private_key`: PKCS #8 in DER, or sealed. `record`: the text of its TXT record at
    `selector`._domainkey.`domain`. `active_from`: it does not sign before. `published_at`: when it was seen there; a
    key that follows another does not sign before, either."""

    domain: str
    selector: str
    algorithm: str
    private_key: bytes
    sealed: bool
    record: str
    created_at: datetime
    active_from: datetime
    published_at: datetime | None = None


_COLUMNS = "domain, selector, algorithm, private_key, sealed, record, created_at, active_from, published_at"


async def add(tx: Transaction, key: StoredKey) -> None:
    """Keep a new key. Raises NoSuchDomain, AlreadyExists: there is, or was, a key with this selector.

    A selector never comes again: others may remember the key that it had, and signatures of that one would fail.
    """
    await require_domain(tx, key.domain)
    row = await tx.fetch_one(
        "INSERT INTO used_selector (domain, selector) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING domain",
        key.domain,
        key.selector,
    )
    if row is None:
        raise AlreadyExists(f"{key.domain} has, or had, a key with the selector {key.selector}")
    await tx.execute(
        f"INSERT INTO signing_key ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        key.domain,
        key.selector,
        key.algorithm,
        key.private_key,
        int(key.sealed),
        key.record,
        to_microseconds(key.created_at),
        to_microseconds(key.active_from),
        None if key.published_at is None else to_microseconds(key.published_at),
    )


async def selectors(tx: Transaction, domain: str) -> set[str]:
    """Give the selectors that a domain has, or had."""
    rows = await tx.fetch_all("SELECT selector FROM used_selector WHERE domain = ?", domain)
    return {selector for (selector,) in rows}


async def published(tx: Transaction, domain: str, selector: str) -> None:
    """Note that a key was seen in the DNS."""
    await tx.execute(
        "UPDATE signing_key SET published_at = ? WHERE domain = ? AND selector = ? AND published_at IS NULL",
        to_microseconds(tx.now),
        domain,
        selector,
    )


async def of_domain(tx: Transaction, domain: str) -> list[StoredKey]:
    """Give a domain's keys, those that sign first come first."""
    rows = await tx.fetch_all(
        f"SELECT {_COLUMNS} FROM signing_key WHERE domain = ? ORDER BY active_from, selector", domain
    )
    return [_key(row) for row in rows]


async def every(tx: Transaction) -> list[StoredKey]:
    """Give all keys, by domain."""
    rows = await tx.fetch_all(f"SELECT {_COLUMNS} FROM signing_key ORDER BY domain, active_from, selector")
    return [_key(row) for row in rows]


async def remove(tx: Transaction, domain: str, selector: str) -> None:
    """Forget a key. Raises NoSuchCredential."""
    if not await tx.execute("DELETE FROM signing_key WHERE domain = ? AND selector = ?", domain, selector):
        missing = f"{domain} has no key with the selector {printable(selector)}"
        raise NoSuchCredential(f"{missing}: pennypost dkim list {domain} shows those there are")


def states(keys: Sequence[StoredKey], now: datetime) -> dict[str, tuple[KeyState, datetime | None]]:
    """Give, by selector, the state of each key of one domain, and since when it is retired."""
    found: dict[str, tuple[KeyState, datetime | None]] = {}
    for key in keys:
        others = [k for k in keys if k.algorithm == key.algorithm and k is not key]
        later = [_signs_from(k) for k in others if _order(key) < _order(k)]
        succeeded = min((instant for instant in later if instant is not None and instant <= now), default=None)
        follows = any(_order(k) < _order(key) for k in others)
        if key.active_from > now or (follows and key.published_at is None):
            found[key.selector] = (KeyState.WAITING, None)
        elif succeeded is None:
            found[key.selector] = (KeyState.ACTIVE, None)
        else:
            found[key.selector] = (KeyState.RETIRED, succeeded)
    return found


def _signs_from(key: StoredKey) -> datetime | None:
    """Give when a key takes the place of those before it; None: it is not known to be published."""
    return None if key.published_at is None else max(key.active_from, key.published_at)


def _order(key: StoredKey) -> tuple[datetime, str]:
    return key.active_from, key.selector


def active(keys: Sequence[StoredKey], now: datetime) -> list[StoredKey]:
    """Give those keys of one domain that sign now: one of each algorithm."""
    found = states(keys, now)
    return [key for key in keys if found[key.selector][0] is KeyState.ACTIVE]


async def remove_retired(tx: Transaction, keep: timedelta) -> list[StoredKey]:
    """Forget keys that have been retired for so long. Gives them: their records can be taken out of the DNS."""
    keys = await every(tx)
    gone: list[StoredKey] = []
    for domain in {key.domain for key in keys}:
        own = [key for key in keys if key.domain == domain]
        found = states(own, tx.now)
        for key in own:
            since = found[key.selector][1]
            if since is not None and since + keep <= tx.now:
                await remove(tx, domain, key.selector)
                gone.append(key)
    return gone


def _key(row: Row) -> StoredKey:
    domain, selector, algorithm, private_key, sealed, record, created_at, active_from, published_at = row
    return StoredKey(
        domain,
        selector,
        algorithm,
        private_key,
        bool(sealed),
        record,
        from_microseconds(created_at),
        from_microseconds(active_from),
        None if published_at is None else from_microseconds(published_at),
    )
