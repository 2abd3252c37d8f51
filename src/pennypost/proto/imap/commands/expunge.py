"""EXPUNGE (RFC 9051 §6.4.3) and UID EXPUNGE (RFC 9051 §6.4.9, RFC 4315 §2.1)."""

from dataclasses import dataclass

from pennypost.proto.imap.reader import Reader
from pennypost.proto.imap.sequence import SequenceSet


@dataclass(frozen=True, slots=True)
class Expunge:
    r"""Remove the messages with `\Deleted`. `uids`: only these of them; None is all."""

    uids: SequenceSet | None = None


def parse_expunge(reader: Reader) -> Expunge:
    reader.end()
    return Expunge()


def parse_uid_expunge(reader: Reader) -> Expunge:
    reader.space("a sequence set")
    uids = reader.sequence_set()
    reader.end()
    return Expunge(uids)
