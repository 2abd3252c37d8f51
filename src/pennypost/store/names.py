"""Mailbox names (RFC 9051 §5.1): which are allowed, and the one form in which each is stored."""

import unicodedata

from pennypost.model.errors import BadMailboxName
from pennypost.model.mailbox import DELIMITER

INBOX = "INBOX"
OTHER_USERS = "Other Users"
SHARED = "Shared"
"""The first levels below which mailboxes of other accounts are shown (`places`). No account has one of that name."""

MAX_NAME_OCTETS = 1000
"""A whole name in UTF-8."""
MAX_LEVEL_OCTETS = 255
"""One level in UTF-8, so that it can be a file name elsewhere."""
MAX_LEVELS = 32

_REFUSED_CATEGORIES = frozenset({"Cc", "Cs", "Cn", "Zl", "Zp"})
_WILDCARDS = "%*"


def normalise(name: str) -> str:
    """Give the stored form of a name: NFC (RFC 9051 §5.1, RFC 5198 §2), the first level "INBOX" in capitals.

    Raises BadMailboxName: for an empty name or level; for more than the limits above; for control characters, line
    and paragraph separators, surrogates and what is not assigned (RFC 9051 §5.1); for the wildcards "%" and "*", which
    §5.1 allows and calls unwise, since LIST could not name such a mailbox alone; and for a leading "#", which §5.1.2
    keeps for namespaces.
    """
    name = unicodedata.normalize("NFC", name)
    levels = name.split(DELIMITER)
    if not all(levels):
        raise BadMailboxName("Mailbox name has an empty level")
    if name.startswith("#"):
        raise BadMailboxName("Mailbox name begins with #")
    if any(c in _WILDCARDS or unicodedata.category(c) in _REFUSED_CATEGORIES for c in name):
        raise BadMailboxName("Mailbox name has a character that is not allowed")
    if len(levels) > MAX_LEVELS:
        raise BadMailboxName("Mailbox name has too many levels")
    if len(name.encode()) > MAX_NAME_OCTETS or any(len(level.encode()) > MAX_LEVEL_OCTETS for level in levels):
        raise BadMailboxName("Mailbox name is too long")
    if levels[0] != INBOX and levels[0].isascii() and levels[0].upper() == INBOX:
        return DELIMITER.join((INBOX, *levels[1:]))
    return name


def own(name: str) -> str:
    """Give the stored form of the name of a mailbox that is to be made. Raises BadMailboxName as `normalise`, and for
    names that would hide the mailboxes of others."""
    name = normalise(name)
    if name.partition(DELIMITER)[0] in (OTHER_USERS, SHARED):
        raise BadMailboxName("Mailbox name is kept for mailboxes of others")
    return name


def ancestors(name: str) -> list[str]:
    """Give the names above a name, the topmost first."""
    levels = name.split(DELIMITER)
    return [DELIMITER.join(levels[:depth]) for depth in range(1, len(levels))]


def below(name: str) -> tuple[str, str]:
    """Give the bounds, the second exclusive, between which all names below a name sort by code point."""
    return name + DELIMITER, name + chr(ord(DELIMITER) + 1)
