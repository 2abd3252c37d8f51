"""STATUS (RFC 9051 §6.3.11)."""

from dataclasses import dataclass

from pennypost.proto.imap.reader import Reader
from pennypost.proto.imap.status_items import StatusItem, read_status_items


@dataclass(frozen=True, slots=True)
class Status:
    """Ask for numbers of a mailbox without opening it."""

    mailbox: str
    items: tuple[StatusItem, ...]


def parse_status(reader: Reader) -> Status:
    reader.space("a mailbox name")
    mailbox = reader.mailbox()
    reader.space("a list of status items")
    items = read_status_items(reader)
    reader.end()
    return Status(mailbox, items)
