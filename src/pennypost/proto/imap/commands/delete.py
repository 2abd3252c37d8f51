"""DELETE (RFC 9051 §6.3.5)."""

from dataclasses import dataclass

from pennypost.proto.imap.reader import Reader


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a mailbox."""

    mailbox: str


def parse_delete(reader: Reader) -> Delete:
    reader.space("a mailbox name")
    mailbox = reader.mailbox()
    reader.end()
    return Delete(mailbox)
