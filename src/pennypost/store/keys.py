"""The forms in which names of ours are stored and compared: domains as A-labels, addresses as keys."""

import re
import unicodedata

import idna

from pennypost.model.address import Address
from pennypost.model.errors import BadAddress

MAX_DOMAIN_OCTETS = 255
"""RFC 5321 §4.5.3.1.2."""
MAX_LOCAL_PART_OCTETS = 64
"""RFC 5321 §4.5.3.1.1; of UTF-8 (RFC 6531 §3.3)."""
MAX_ALIAS_TARGETS = 1000

_NO_DOMAIN = re.compile(r"[\x00-\x20\x7f@]")

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_SERVED_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


def canonical_domain(name: str) -> str:
    """Give a domain name in lower case and A-labels (RFC 5890 §2.3.2.1), without a final dot.

    An address literal ("[192.0.2.1]") stays as it is, in lower case. Raises BadAddress for what is no domain name.
    """
    name = name.removesuffix(".")
    if not name.isascii():
        try:
            return idna.encode(name, uts46=True).decode("ascii")
        except idna.IDNAError as error:
            raise BadAddress("Bad domain name") from error
    if not name or len(name) > MAX_DOMAIN_OCTETS or _NO_DOMAIN.search(name) is not None:
        raise BadAddress("Bad domain name")
    return name.lower()


def served_domain(name: str) -> str:
    """Give the canonical name of a domain that we are to serve: letters, digits and hyphens (RFC 5321 §4.1.2 Domain).

    Stricter than `canonical_domain`, which also takes what others write. Raises BadAddress.
    """
    try:
        name = canonical_domain(name)
    except BadAddress:
        name = ""
    if _SERVED_DOMAIN.fullmatch(name) is None:
        raise BadAddress('Bad domain name: labels of letters, digits and hyphens are expected, as "example.org"')
    return name


def local_key(local_part: str) -> str:
    """Give the form in which local parts of ours are compared: NFC (RFC 6532 §3.1), without regard to case."""
    return local_part.lower() if local_part.isascii() else unicodedata.normalize("NFC", local_part.casefold())


def address_key(address: Address) -> str:
    """Give the form in which addresses of ours are stored and compared; the domain in A-labels. Raises BadAddress."""
    return f"{local_key(address.local_part)}@{canonical_domain(address.domain)}"


def split_key(key: str) -> tuple[str, str]:
    """Cut "local@domain" into its two parts: the last "@" divides them, since a domain has none."""
    local, _, domain = key.rpartition("@")
    return local, domain


def parse_key(text: str) -> str:
    """Give the key of an address written as `local@domain`, unquoted, as administrators do. Raises BadAddress."""
    return key_of(parse_target(text))


def parse_target(text: str) -> str:
    """Give an address, written in the same way, to which mail goes on: the local part as it is, since only its own host
    knows which differences count (RFC 5321 §2.4). Raises BadAddress."""
    local, domain = split_key(text.strip())
    if not local or len(local.encode("utf-8", "replace")) > MAX_LOCAL_PART_OCTETS:
        raise BadAddress
    if not local.isprintable():
        raise BadAddress
    return f"{local}@{canonical_domain(domain)}"


def key_of(target: str) -> str:
    """Give the key that a target has if it is ours."""
    local, domain = split_key(target)
    return f"{local_key(local)}@{domain}"
