"""MOVE and UID MOVE (RFC 9051 §6.4.8, RFC 6851)."""

from dataclasses import dataclass

from pennypost.proto.imap.reader import Reader
from pennypost.proto.imap.sequence import SequenceSet


@dataclass(frozen=True, slots=True)
class Move:
    """Move messages to the end of a mailbox. `uid`: `messages` are UIDs."""

    messages: SequenceSet
    mailbox: str
    uid: bool


def parse_move(reader: Reader) -> Move:
    return _parse(reader, uid=False)


def parse_uid_move(reader: Reader) -> Move:
    return _parse(reader, uid=True)


def _parse(reader: Reader, uid: bool) -> Move:
    reader.space("a sequence set")
    messages = reader.sequence_set()
    reader.space("a mailbox name")
    mailbox = reader.mailbox()
    reader.end()
    return Move(messages, mailbox, uid)
