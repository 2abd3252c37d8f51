"""THREAD and UID THREAD (RFC 5256 §3)."""

from dataclasses import dataclass
from enum import Enum

from pennypost.proto.imap.commands.search import NO_OPTIONS, Search, read_criteria
from pennypost.proto.imap.reader import BadSyntax, Reader, one_of


class ThreadAlgorithm(Enum):
    """How messages are tied together; the value is its name. REFS is that of draft-ietf-morg-inthread."""

    ORDEREDSUBJECT = b"ORDEREDSUBJECT"
    REFERENCES = b"REFERENCES"
    REFS = b"REFS"


@dataclass(frozen=True, slots=True)
class Thread:
    """Look for messages, and give them as trees."""

    search: Search
    algorithm: ThreadAlgorithm


_ALGORITHMS = {algorithm.value: algorithm for algorithm in ThreadAlgorithm}


def parse_thread(reader: Reader) -> Thread:
    return _parse(reader, uid=False)


def parse_uid_thread(reader: Reader) -> Thread:
    return _parse(reader, uid=True)


def _parse(reader: Reader, uid: bool) -> Thread:
    reader.space("a threading algorithm")
    algorithm = _ALGORITHMS.get(reader.word("a threading algorithm"))
    if algorithm is None:
        raise BadSyntax(f"expected a threading algorithm: {one_of(_ALGORITHMS)}")
    reader.space("a charset")
    return Thread(read_criteria(reader, uid, NO_OPTIONS), algorithm)
