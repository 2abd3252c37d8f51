"""DELETE (RFC 9051 §6.3.5)."""

from dataclasses import dataclass

from pennypost.proto.imap.reader import Reader


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a mailbox. `given`: what the client calls it, if not in NFC."""

    mailbox: str
    given: str | None = None


def parse_delete(reader: Reader) -> Delete:
    reader.space("a mailbox name")
    mailbox, given = reader.mailbox_as_given()
    reader.end()
    return Delete(mailbox, given)
