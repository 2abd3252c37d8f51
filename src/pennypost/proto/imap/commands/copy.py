"""COPY and UID COPY (RFC 9051 §6.4.7)."""

from dataclasses import dataclass

from pennypost.proto.imap.reader import Reader
from pennypost.proto.imap.sequence import SequenceSet


@dataclass(frozen=True, slots=True)
class Copy:
    """Copy messages to the end of a mailbox, all or none. `uid`: `messages` are UIDs."""

    messages: SequenceSet
    mailbox: str
    uid: bool


def parse_copy(reader: Reader) -> Copy:
    return _parse(reader, uid=False)


def parse_uid_copy(reader: Reader) -> Copy:
    return _parse(reader, uid=True)


def _parse(reader: Reader, uid: bool) -> Copy:
    reader.space("a sequence set")
    messages = reader.sequence_set()
    reader.space("a mailbox name")
    mailbox = reader.mailbox()
    reader.end()
    return Copy(messages, mailbox, uid)
