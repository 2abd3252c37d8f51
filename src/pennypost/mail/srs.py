"""Give forwarded mail a reverse-path of ours, and find back from it: the Sender Rewriting Scheme.

Theory of operation
-------------------
A host that forwards mail is not among those that the sender's domain lists, so SPF fails at the next one (RFC 7208
§D.3). Hence the reverse-path becomes an address of the domain that forwards, in which the sender's is written:

    carl@example.org            SRS0=hash=day=example.org=carl@ours
    SRS0=rest@first             SRS1=hash=first==rest@ours, for mail that a first host has forwarded already
    SRS1=hash=first=rest@other  SRS1=hash=first=rest@ours
    what would be too long      SRS0=hash=day==number@ours: the address is kept in the store (RFC 5321 §4.5.3.1.1)

A bounce to such an address goes on to whom it names, so nobody else may be able to make one: the hash is keyed
(`path_keys`). `day`, modulo 1024 and in two letters, bounds how long an address is good for; that of an SRS1 address is
the first host's to look at. All of it may come back in another case.
"""

from datetime import datetime

from pennypost.mail.path_keys import KEPT, VALID_DAYS, current, hash_of, is_ours, make_current
from pennypost.model.address import Address
from pennypost.model.errors import BadAddress
from pennypost.store import directory, srs
from pennypost.store.engine import Transaction
from pennypost.store.keys import MAX_LOCAL_PART_OCTETS, canonical_domain

_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_DAYS = 1024
_HEADS = ("SRS0=", "SRS1=")


def _day(now: datetime) -> int:
    return int(now.timestamp()) // 86_400 % _DAYS


def _stamp(day: int) -> str:
    return _LETTERS[day >> 5] + _LETTERS[day & 31]


def _of_other_host(sender: Address) -> tuple[str, str] | None:
    """Take an address apart that another host made: the first one that forwarded, and what it wrote behind "SRS0"."""
    local = sender.local_part
    head, rest = local[:4].upper(), local[4:]
    if rest[:1] not in ("=", "-", "+"):
        return None
    if head == "SRS0":
        return sender.domain, rest
    parts = rest[1:].split("=", 2)
    return (parts[1], parts[2]) if head == "SRS1" and len(parts) == 3 and parts[1] and parts[2] else None


# -- Writing


async def is_needed(tx: Transaction, sender: Address) -> bool:
    """Whether mail of a sender needs another reverse-path when it is forwarded: one of a domain of ours does not."""
    try:
        return await directory.find_domain(tx, canonical_domain(sender.domain)) is None
    except BadAddress:
        return True


async def glance(tx: Transaction, sender: Address, domain: str) -> Address | None:
    """Give the reverse-path under which `domain` forwards a sender's mail. Only reads. None: `rewrite` has to write."""
    if not await is_needed(tx, sender):
        return sender
    key = await current(tx)
    if key is None:
        return None
    made = _write(key, sender, domain, tx.now)
    return made if len(made.local_part.encode()) <= MAX_LOCAL_PART_OCTETS else None


async def rewrite(tx: Transaction, sender: Address, domain: str) -> Address:
    """Give the reverse-path under which `domain`, one of ours, forwards a sender's mail: an operation.

    Makes a key where there is none, or only old ones; keeps an address that is too long.
    """
    if not await is_needed(tx, sender):
        return sender
    key = await make_current(tx)
    made = _write(key, sender, domain, tx.now)
    if len(made.local_part.encode()) <= MAX_LOCAL_PART_OCTETS:
        return made
    number = await srs.keep_address(tx, sender, KEPT)
    stamp = _stamp(_day(tx.now))
    return Address(f"SRS0={hash_of(key, '0', stamp, sender.key)}={stamp}=={number}", domain)


def _write(key: bytes, sender: Address, domain: str, now: datetime) -> Address:
    if (other := _of_other_host(sender)) is not None:
        first, rest = other
        return Address(f"SRS1={hash_of(key, '1', first, rest)}={first}={rest}", domain)
    stamp = _stamp(_day(now))
    return Address(f"SRS0={hash_of(key, '0', stamp, sender.key)}={stamp}={sender.domain}={sender.local_part}", domain)


# -- Reading


def is_rewritten(address: Address) -> bool:
    """Whether an address looks like one that this or another host has made for what it forwards."""
    return address.local_part[:5].upper() in _HEADS


async def find_back(tx: Transaction, address: Address) -> Address | None:
    """Give the sender whom a reverse-path of ours stands for. None: it is none, or not any more. May run as a read."""
    head, rest = address.local_part[:5].upper(), address.local_part[5:]
    if head not in _HEADS:
        return None
    try:
        if await directory.find_domain(tx, canonical_domain(address.domain)) is None:
            return None
    except BadAddress:
        return None
    return await (_back_to_sender if head == "SRS0=" else _back_to_host)(tx, rest)


async def _back_to_sender(tx: Transaction, text: str) -> Address | None:
    parts = text.split("=", 3)
    if len(parts) != 4 or not parts[3]:
        return None
    hashed, stamp, domain, local = parts
    stamp = stamp.lower()
    if len(stamp) != 2 or any(letter not in _LETTERS for letter in stamp):
        return None
    day = _LETTERS.index(stamp[0]) * 32 + _LETTERS.index(stamp[1])
    if (_day(tx.now) - day) % _DAYS > VALID_DAYS:
        return None
    if domain:
        sender = Address(local, domain)
    else:
        if not (local.isascii() and local.isdigit() and len(local) <= 18):
            return None
        kept = await srs.address_of(tx, int(local))
        if kept is None:
            return None
        sender = kept
    return sender if await is_ours(tx, hashed, "0", stamp, sender.key) else None


async def _back_to_host(tx: Transaction, text: str) -> Address | None:
    parts = text.split("=", 2)
    if len(parts) != 3 or not parts[1] or not parts[2]:
        return None
    hashed, first, rest = parts
    return Address(f"SRS0{rest}", first) if await is_ours(tx, hashed, "1", first, rest) else None
