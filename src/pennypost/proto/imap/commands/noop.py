"""NOOP (RFC 9051 §6.1.2)."""

from dataclasses import dataclass

from pennypost.proto.imap.reader import Reader


@dataclass(frozen=True, slots=True)
class Noop:
    """Do nothing; a moment at which the mailbox's news may be told."""


def parse_noop(reader: Reader) -> Noop:
    reader.end()
    return Noop()
