"""What STATUS and LIST … RETURN (STATUS) ask for (RFC 9051 §6.3.11)."""

from enum import Enum

from pennypost.proto.imap.limits import MAX_LIST_ITEMS
from pennypost.proto.imap.reader import BadSyntax, Reader, one_of


class StatusItem(Enum):
    """One status data item; the value is what stands on the wire."""

    MESSAGES = b"MESSAGES"
    RECENT = b"RECENT"  # RFC 3501 §6.3.10
    UIDNEXT = b"UIDNEXT"
    UIDVALIDITY = b"UIDVALIDITY"
    UNSEEN = b"UNSEEN"
    DELETED = b"DELETED"
    HIGHESTMODSEQ = b"HIGHESTMODSEQ"  # RFC 7162 §3.1.7
    MAILBOXID = b"MAILBOXID"  # RFC 8474 §4.3
    SIZE = b"SIZE"  # RFC 8438 §3.1
    APPENDLIMIT = b"APPENDLIMIT"  # RFC 7889 §3.2
    DELETED_STORAGE = b"DELETED-STORAGE"  # RFC 9208 §4.1.4: in units of 1024 octets


_ITEMS = {item.value: item for item in StatusItem}


def read_status_items(reader: Reader) -> tuple[StatusItem, ...]:
    """Read `(item item …)`; what is asked twice is kept once, in the order asked."""
    reader.expect(b"(", "a list of status items")
    items: dict[StatusItem, None] = {}
    for _ in range(MAX_LIST_ITEMS):
        item = _ITEMS.get(reader.word("a status item"))
        if item is None:
            raise BadSyntax(f"expected a status item: {one_of(_ITEMS)}")
        items[item] = None
        if not reader.skip(b" "):
            reader.expect(b")", "a status item or a closing parenthesis")
            return tuple(items)
    raise BadSyntax(f"expected at most {MAX_LIST_ITEMS} status items")
