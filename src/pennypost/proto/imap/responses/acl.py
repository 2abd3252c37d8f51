"""ACL, LISTRIGHTS and MYRIGHTS (RFC 4314 §3.6–3.8)."""

from collections.abc import Iterable

from pennypost.model.rights import ALL_RIGHTS, RIGHT_LETTERS, VIRTUAL_RIGHTS, Rights, format_rights
from pennypost.proto.imap.responses.text import astring, mailbox

_EACH = tuple(letter.encode("ascii") for letter in (*RIGHT_LETTERS.values(), *VIRTUAL_RIGHTS))


def acl(name: str, entries: Iterable[tuple[str, Rights]], utf8: bool) -> bytes:
    """ACL: identifiers, with "-" before those of negative rights, each with its rights."""
    parts = [b"* ACL", mailbox(name, utf8)]
    for identifier, rights in entries:
        parts += [astring(identifier.encode("utf-8")), _rights(rights)]
    return b" ".join(parts) + b"\r\n"


def listrights(name: str, identifier: str, always_all: bool, utf8: bool) -> bytes:
    """LISTRIGHTS: what an identifier always has, then what may be granted, each by itself. `always_all`: the owner."""
    head = [b"* LISTRIGHTS", mailbox(name, utf8), astring(identifier.encode("utf-8"))]
    grants = [_rights(ALL_RIGHTS)] if always_all else [b'""', *_EACH]
    return b" ".join([*head, *grants]) + b"\r\n"


def myrights(name: str, rights: Rights, utf8: bool) -> bytes:
    return b"* MYRIGHTS %b %b\r\n" % (mailbox(name, utf8), _rights(rights))


def _rights(rights: Rights) -> bytes:
    return format_rights(rights).encode("ascii") or b'""'
