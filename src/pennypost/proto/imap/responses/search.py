"""SEARCH, ESEARCH and sets of numbers (RFC 9051 §7.3.7; RFC 3501 §7.2.5)."""

from collections.abc import Iterable, Sequence

import msgspec

from pennypost.proto.imap.responses.text import NIL, string
from pennypost.proto.imap.sequence import Ranges


def search(numbers: Sequence[int], modseq: int | None = None) -> bytes:
    """SEARCH of IMAP4rev1: every number, in one line; `modseq`: the highest of those found (RFC 7162 §3.1.5)."""
    if not numbers:
        return b"* SEARCH\r\n"
    tail = b"" if modseq is None else b" (MODSEQ %d)" % modseq
    return b"* SEARCH " + spaced(numbers) + tail + b"\r\n"


def spaced(numbers: Sequence[int]) -> bytes:
    """Write numbers with blanks between. As a list of JSON that takes a fifth of what printing a list takes."""
    return _ENCODE(list(numbers)).translate(_COMMA_TO_BLANK, b"[]")


_ENCODE = msgspec.json.Encoder().encode
_COMMA_TO_BLANK = bytes.maketrans(b",", b" ")


def esearch(
    tag: bytes,
    uid: bool,
    minimum: int | None = None,
    maximum: int | None = None,
    count: int | None = None,
    found: Ranges = (),
    modseq: int | None = None,
    partial: tuple[bytes, Ranges] | None = None,
    relevancy: Sequence[int] | None = None,
    mailbox: tuple[bytes, int] | None = None,
) -> bytes:
    """ESEARCH (RFC 9051 §7.3.4, RFC 4731 §3.1): what is None, or an empty `found`, is left out.

    `partial`: the range that was asked for, as it came, and what lies in it (RFC 9394 §3.1). `relevancy`: scores of
    what is told, in its order (RFC 6203 §4). `mailbox`: its name, as an astring, and its UIDVALIDITY (RFC 7377 §2.1).
    """
    where = b"" if mailbox is None else b" MAILBOX %b UIDVALIDITY %d" % mailbox
    parts = [b"* ESEARCH (TAG %b%b)" % (string(tag), where)]
    if uid:
        parts.append(b"UID")
    for name, value in ((b"MIN", minimum), (b"MAX", maximum), (b"COUNT", count)):
        if value is not None:
            parts.append(b"%b %d" % (name, value))
    if found:
        parts.append(b"ALL " + sequence_set(found))
    if partial is not None:
        parts.append(b"PARTIAL (%b %b)" % (partial[0], sequence_set(partial[1]) or NIL))
    if relevancy is not None:
        parts.append(b"RELEVANCY (%b)" % b" ".join([b"%d" % score for score in relevancy]))
    if modseq is not None:  # RFC 4731 §3.2
        parts.append(b"MODSEQ %d" % modseq)
    return b" ".join(parts) + b"\r\n"


Placed = tuple[int, Ranges]
"""Results, in order, and at which place of all results the first of them is: 1-based, 0 for mailbox order."""


def esearch_update(tag: bytes, uid: bool, removed: Sequence[Placed], added: Sequence[Placed]) -> bytes:
    """ESEARCH with REMOVEFROM and ADDTO (RFC 5267 §4.3.3, §4.3.4): each place counts after what stands before it."""
    parts = [b"* ESEARCH (TAG %b)" % string(tag)]
    if uid:
        parts.append(b"UID")
    for name, places in ((b"REMOVEFROM", removed), (b"ADDTO", added)):
        if places:
            pairs = [b"%d %b" % (place, sequence_set(ranges)) for place, ranges in places]
            parts.append(b"%b (%b)" % (name, b" ".join(pairs)))
    return b" ".join(parts) + b"\r\n"


def uidbatches(tag: bytes, batches: Iterable[tuple[int, int]]) -> bytes:
    """UIDBATCHES (RFC 10022): each batch from its greatest UID to its least."""
    line = b",".join([b"%d:%d" % (high, low) if high > low else b"%d" % low for high, low in batches])
    return b"* UIDBATCHES (TAG %b)%b%b\r\n" % (string(tag), b" " if line else b"", line)


def ranges_of(numbers: Iterable[int]) -> Ranges:
    """Gather ascending numbers into ranges."""
    ranges: list[tuple[int, int]] = []
    first = last = 0
    for number in numbers:
        if number == last + 1 and last:
            last = number
            continue
        if last:
            ranges.append((first, last))
        first = last = number
    if last:
        ranges.append((first, last))
    return tuple(ranges)


def sequence_set(ranges: Ranges) -> bytes:
    """Write ranges: `1,3:5`."""
    return b",".join([b"%d" % low if low == high else b"%d:%d" % (low, high) for low, high in ranges])


def uid_set(uids: Iterable[int]) -> bytes:
    """Write UIDs in the order given: it tells which became which (RFC 4315 §3). Ascending runs are joined."""
    return sequence_set(ranges_of(uids))
