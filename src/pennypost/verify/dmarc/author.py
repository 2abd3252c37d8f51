"""Whose name a message bears: the Author Domain (RFC 9989 §5.3.1), and tricks with From (§11.5)."""

import re
from dataclasses import dataclass
from enum import Enum

import idna

from pennypost.message import headers
from pennypost.message.addresses import addresses, parse_addresses

MAX_FIELDS = 5
"""From fields that are looked at; there should be one."""
MAX_OCTETS = 64 * 1024
"""Octets of one field. A message with more has no author who can be checked, either."""
MAX_ADDRESSES = 50
"""Addresses of one field. A message with more has no author who can be checked."""

_ADDRESS_IN_NAME = re.compile(r"[A-Za-z0-9._%+\-]{1,64}@([A-Za-z0-9\-]{1,63}(?:\.[A-Za-z0-9\-]{1,63}){1,8})")


class Forgery(Enum):
    """What is wrong with From. The values are for people."""

    SEVERAL_FIELDS = "more than one From field"
    NO_FIELD = "no From field"
    NO_DOMAIN = "a From field without a domain that can be checked"
    SEVERAL_DOMAINS = "From names several domains"
    OTHER_NAME = "the name in From shows an address of another domain"


@dataclass(frozen=True, slots=True)
class Author:
    """`domains`: each Author Domain once, lower case, A-labels, in order."""

    domains: tuple[str, ...]
    forgeries: tuple[Forgery, ...] = ()


def find_author(header_block: bytes) -> Author:
    """Find the Author Domains of a message."""
    fields = headers.values(header_block, b"from")
    forgeries: list[Forgery] = []
    if not fields:
        return Author((), (Forgery.NO_FIELD,))
    if len(fields) > 1:
        forgeries.append(Forgery.SEVERAL_FIELDS)
    domains: dict[str, None] = {}
    for value in fields[:MAX_FIELDS]:
        if len(value) > MAX_OCTETS:
            return Author((), (*forgeries, Forgery.NO_DOMAIN))
        listed = parse_addresses(value)
        if len(listed) > MAX_ADDRESSES:
            return Author((), (*forgeries, Forgery.SEVERAL_DOMAINS, Forgery.NO_DOMAIN))
        for address in addresses(listed):
            domain = domain_name(address.domain)
            if domain is None:
                forgeries.append(Forgery.NO_DOMAIN)
            else:
                domains[domain] = None
        names = [entry.display_name for entry in listed if entry.name]
        shown = {domain_name(found[1]) for name in names for found in _ADDRESS_IN_NAME.finditer(name[:1000])}
        if shown and not shown <= set(domains):
            forgeries.append(Forgery.OTHER_NAME)
    if not domains:
        forgeries.append(Forgery.NO_DOMAIN)
    if len(domains) > 1:
        forgeries.append(Forgery.SEVERAL_DOMAINS)
    return Author(tuple(domains), tuple(dict.fromkeys(forgeries)))


def domain_name(text: str) -> str | None:
    """Give a domain in lower case and A-labels (RFC 5890 §2.3.2.1); None for literals and what is no domain."""
    text = text.strip().removesuffix(".")
    if not text.isascii():
        try:
            text = idna.encode(text, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            return None
    text = text.lower()
    labels = text.split(".")
    if len(text) > 253 or any(not label or len(label) > 63 for label in labels):
        return None
    if any(not ("!" <= c <= "~") or c in '[]()<>@,;:\\"' for c in text):
        return None
    return text
