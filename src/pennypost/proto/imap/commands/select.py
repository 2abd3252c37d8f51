"""SELECT (RFC 9051 §6.3.2) and EXAMINE (RFC 9051 §6.3.3)."""

from dataclasses import dataclass

from pennypost.proto.imap.reader import Reader


@dataclass(frozen=True, slots=True)
class Select:
    """Open a mailbox. A mailbox that was open is closed first, also when this fails."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Examine:
    """Open a mailbox read-only: nothing may change, nor may `\\Recent` be lost."""

    mailbox: str


def parse_select(reader: Reader) -> Select:
    return Select(_mailbox(reader))


def parse_examine(reader: Reader) -> Examine:
    return Examine(_mailbox(reader))


def _mailbox(reader: Reader) -> str:
    reader.space("a mailbox name")
    mailbox = reader.mailbox()
    reader.end()
    return mailbox
