"""RENAME (RFC 9051 §6.3.6)."""

from dataclasses import dataclass

from pennypost.proto.imap.reader import Reader


@dataclass(frozen=True, slots=True)
class Rename:
    """Give a mailbox, and those below it, another name. INBOX stays and loses its messages to the new name."""

    mailbox: str
    new_name: str


def parse_rename(reader: Reader) -> Rename:
    reader.space("a mailbox name")
    mailbox = reader.mailbox()
    reader.space("the new mailbox name")
    new_name = reader.mailbox()
    reader.end()
    return Rename(mailbox, new_name)
