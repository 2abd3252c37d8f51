"""A reverse-path for each recipient, so that a bounce says what it is about by the address it comes to (VERP).

    lists+user=example.org=tag@ours

The tag is the message's trace id behind a keyed hash of sender, recipient and trace (`path_keys`), all in base32: so a
bounce to the address is known to be about this recipient of this message, whatever it says itself, and nobody can make
one up who has not seen it.
"""

from base64 import b32decode, b32encode
from collections.abc import Container
from contextlib import suppress
from dataclasses import dataclass

from pennypost.mail import path_keys, srs
from pennypost.model.address import Address
from pennypost.model.errors import BadAddress
from pennypost.store.engine import Transaction
from pennypost.store.keys import MAX_LOCAL_PART_OCTETS, canonical_domain
from pennypost.store.store import Store

_TRACE_OCTETS = 8
_TRACE_LETTERS = 13
_TAG_LETTERS = path_keys.HASH_LETTERS + _TRACE_LETTERS
_KIND = "verp"


@dataclass(frozen=True, slots=True)
class Returned:
    """What the address of a bounce says. `trace`: of the message, as `timeline.trace_number` has it."""

    sender: Address
    recipient: Address
    trace: int


def wanted(sender: Address | None, domains: Container[str], separator: str) -> bool:
    """Whether mail of a sender goes so. `domains`: whose does, in lower case. `separator`: parts a subaddress from the
    local part, which leads the bounces back to the sender; empty: nothing does, and nothing goes so. What an alias
    sends on has a path already from which nothing but itself leads back."""
    if sender is None or not separator or srs.is_rewritten(sender):
        return False
    return sender.domain.lower() in domains


async def reverse_path(store: Store, sender: Address, recipient: Address, trace: int) -> Address:
    """Give the reverse-path under which a message goes to one recipient.

    Where that is too long (RFC 5321 §4.5.3.1.1) it has no tag, or is the sender's as it is. The recipient's domain
    stands there in A-labels: with a local part in ASCII it goes where addresses in UTF-8 do not.
    """
    with suppress(BadAddress):
        recipient = Address(recipient.local_part, canonical_domain(recipient.domain))
    local = f"{sender.local_part}{store.settings.subaddress_separator}{recipient.local_part}={recipient.domain}"
    if not _fits(local):
        return sender
    key = await store.glance(path_keys.current)
    if key is None:
        key = await store.write(path_keys.make_current)
    written = _written(trace)
    tagged = f"{local}={path_keys.hash_of(key, _KIND, sender.key, recipient.key, written)}{written}"
    return Address(tagged if trace and _fits(tagged) else local, sender.domain)


async def read(tx: Transaction, address: Address, separator: str) -> Returned | None:
    """Read the address that a bounce came to. None: we did not write it, or too long ago. May run as a read."""
    local, _, tag = address.local_part.rpartition("=")
    path, _, domain = local.rpartition("=")
    if not (separator and path and len(tag) == _TAG_LETTERS and tag.isascii() and tag.isalnum()):
        return None
    written = tag[path_keys.HASH_LETTERS :].lower()
    at = path.find(separator)
    while at >= 0:  # either side may have separators of its own
        sender = Address(path[:at], address.domain)
        recipient = Address(path[at + len(separator) :], domain)
        if await path_keys.is_ours(tx, tag[: path_keys.HASH_LETTERS], _KIND, sender.key, recipient.key, written):
            return Returned(sender, recipient, _trace(written))
        at = path.find(separator, at + 1)
    return None


def _fits(local: str) -> bool:
    return len(local.encode()) <= MAX_LOCAL_PART_OCTETS


def _written(trace: int) -> str:
    return b32encode(trace.to_bytes(_TRACE_OCTETS, signed=True)).decode("ascii").rstrip("=").lower()


def _trace(written: str) -> int:
    return int.from_bytes(b32decode(written.upper() + "==="), signed=True)
