"""RENAME (RFC 9051 §6.3.6)."""

from dataclasses import dataclass

from pennypost.proto.imap.reader import Reader


@dataclass(frozen=True, slots=True)
class Rename:
    """Give a mailbox, and those below it, another name. INBOX stays and loses its messages to the new name.

    `given`: what the client calls the mailbox, if that or the new name is not in NFC.
    """

    mailbox: str
    new_name: str
    given: str | None = None


def parse_rename(reader: Reader) -> Rename:
    reader.space("a mailbox name")
    mailbox, given = reader.mailbox_as_given()
    reader.space("the new mailbox name")
    new_name, new_given = reader.mailbox_as_given()
    reader.end()
    if given is None and new_given is not None:
        given = mailbox
    return Rename(mailbox, new_name, given)
