"""CANCELUPDATE (RFC 5267 §4.3.5)."""

from dataclasses import dataclass

from pennypost.proto.imap.limits import MAX_LIST_ITEMS
from pennypost.proto.imap.reader import BadSyntax, Reader


@dataclass(frozen=True, slots=True)
class CancelUpdate:
    """Hear no more of the searches that had these tags."""

    tags: frozenset[bytes]


def parse_cancelupdate(reader: Reader) -> CancelUpdate:
    tags: set[bytes] = set()
    while not tags or not reader.at_end():
        reader.space("the tag of a search")
        tags.add(reader.astring("the tag of a search"))
        if len(tags) > MAX_LIST_ITEMS:
            raise BadSyntax("too many tags")
    reader.end()
    return CancelUpdate(frozenset(tags))
