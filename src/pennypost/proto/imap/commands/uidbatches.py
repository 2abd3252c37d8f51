"""UIDBATCHES (RFC 10022)."""

from dataclasses import dataclass

from pennypost.proto.imap.reader import BadSyntax, Reader


@dataclass(frozen=True, slots=True)
class UidBatches:
    """Ask for the UID ranges that hold `size` messages each, the newest first. `first`, `last`: only these batches."""

    size: int
    first: int = 1
    last: int | None = None


def parse_uidbatches(reader: Reader) -> UidBatches:
    reader.space("a batch size")
    size = reader.number("a batch size")
    first, last = 1, None
    if not reader.at_end():
        reader.space("a range of batches")
        first = reader.number("the first batch")
        reader.expect(b":", "a range of batches")
        last = reader.number("the last batch")
        if not first or not last:
            raise BadSyntax("expected batches from 1 on")
        first, last = min(first, last), max(first, last)
    reader.end()
    if not size:
        raise BadSyntax("expected a number of messages from 1 on")
    return UidBatches(size, first, last)
