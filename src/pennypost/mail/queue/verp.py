"""A reverse-path for each recipient, so that a bounce names him by the address it comes to, whatever it says (VERP)."""

from collections.abc import Container

from pennypost.model.address import Address
from pennypost.store.keys import MAX_LOCAL_PART_OCTETS


def wanted(sender: Address | None, domains: Container[str], separator: str) -> bool:
    """Whether mail of a sender goes so. `domains`: whose does, in lower case. `separator`: parts a subaddress from the
    local part, which leads the bounces back to the sender; empty: nothing does, and nothing goes so."""
    return sender is not None and bool(separator) and sender.domain.lower() in domains


def reverse_path(sender: Address, recipient: Address, separator: str) -> Address:
    """Give `lists@ours` as `lists+user=example.org@ours`; as it is where that is too long (RFC 5321 §4.5.3.1.1)."""
    local = f"{sender.local_part}{separator}{recipient.local_part}={recipient.domain}"
    return Address(local, sender.domain) if len(local.encode()) <= MAX_LOCAL_PART_OCTETS else sender
