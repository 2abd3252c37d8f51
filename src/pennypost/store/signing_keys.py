"""Keys that sign mail of our domains (RFC 6376): their rows. What is in them is `mail.signing`'s.

A domain has keys of several algorithms, and of each algorithm the youngest that is active signs. A key that was
followed by another stays published as long as signatures of it may be looked at; then it is removed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from pennypost.model.errors import AlreadyExists, NoSuchCredential
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
    `selector`._domainkey.`domain`."""

    domain: str
    selector: str
    algorithm: str
    private_key: bytes
    sealed: bool
    record: str
    created_at: datetime
    active_from: datetime


_COLUMNS = "domain, selector, algorithm, private_key, sealed, record, created_at, active_from"


async def add(tx: Transaction, key: StoredKey) -> None:
    """Keep a new key. Raises NoSuchDomain, AlreadyExists."""
    await require_domain(tx, key.domain)
    row = await tx.fetch_one(
        f"INSERT INTO signing_key ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (domain, selector) DO NOTHING RETURNING domain",
        key.domain,
        key.selector,
        key.algorithm,
        key.private_key,
        int(key.sealed),
        key.record,
        to_microseconds(key.created_at),
        to_microseconds(key.active_from),
    )
    if row is None:
        raise AlreadyExists(f"{key.domain} has a key with the selector {key.selector} already")


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
        raise NoSuchCredential(f"{domain} has no key with the selector {selector}")


def states(keys: Sequence[StoredKey], now: datetime) -> dict[str, tuple[KeyState, datetime | None]]:
    """Give, by selector, the state of each key of one domain, and since when it is retired."""
    found: dict[str, tuple[KeyState, datetime | None]] = {}
    for key in keys:
        later = [k.active_from for k in keys if k.algorithm == key.algorithm and _order(key) < _order(k)]
        succeeded = min((instant for instant in later if instant <= now), default=None)
        if key.active_from > now:
            found[key.selector] = (KeyState.WAITING, None)
        elif succeeded is None:
            found[key.selector] = (KeyState.ACTIVE, None)
        else:
            found[key.selector] = (KeyState.RETIRED, succeeded)
    return found


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
    domain, selector, algorithm, private_key, sealed, record, created_at, active_from = row
    return StoredKey(
        domain,
        selector,
        algorithm,
        private_key,
        bool(sealed),
        record,
        from_microseconds(created_at),
        from_microseconds(active_from),
    )
