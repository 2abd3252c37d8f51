"""CLOSE (RFC 9051 §6.4.1) and UNSELECT (RFC 9051 §6.4.2, RFC 3691)."""

from dataclasses import dataclass

from pennypost.proto.imap.reader import Reader


@dataclass(frozen=True, slots=True)
class Close:
    r"""Remove the messages with `\Deleted`, silently, and leave the mailbox; one opened read-only loses none."""


@dataclass(frozen=True, slots=True)
class Unselect:
    """Leave the mailbox and remove nothing."""


def parse_close(reader: Reader) -> Close:
    reader.end()
    return Close()


def parse_unselect(reader: Reader) -> Unselect:
    reader.end()
    return Unselect()
