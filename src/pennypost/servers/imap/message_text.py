"""Search keys that need the message itself: its header fields, its text, its Date (RFC 9051 §6.4.4).

Text matches as a substring of what a reader sees: encoded words, transfer encodings and charsets undone, HTML as the
text it shows, and without regard to case. Runs off the event loop.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

from pennypost.message import search_text, structure
from pennypost.message.dates import parse_date
from pennypost.message.headers import value, values
from pennypost.message.search_text import folded
from pennypost.proto.imap.dates import parse_date as parse_imap_date
from pennypost.proto.imap.search_keys import (
    And,
    BodyKey,
    DateKey,
    DateRelation,
    HeaderKey,
    Not,
    Or,
    SearchKey,
    TextKey,
)
from pennypost.servers.imap.matching import Known
from pennypost.store.engine import from_microseconds


@dataclass(slots=True)
class Read:
    """A message as it was read. `position`: in the search's slice. `body`, `stored_index`: empty unless needed."""

    position: int
    received_at: int
    header: bytes
    stored_index: bytes
    body: bytes
    _folded_header: str | None = field(default=None, init=False)
    _folded_body: str | None = field(default=None, init=False)

    @property
    def header_text(self) -> str:
        """All fields, folded for comparison."""
        if self._folded_header is None:
            self._folded_header = search_text.header_text(self.header)
        return self._folded_header

    @property
    def body_text(self) -> str:
        """All text of the body, with the headers of enclosed messages, folded for comparison."""
        if self._folded_body is None:
            self._folded_body = search_text.body_text(structure.decode(self.stored_index), self.body)
        return self._folded_body


Test = Callable[[Read], bool]


def needs_body(key: SearchKey) -> bool:
    match key:
        case And(keys=keys) | Or(keys=keys):
            return any(map(needs_body, keys))
        case Not(key=inner):
            return needs_body(inner)
    return isinstance(key, BodyKey | TextKey)


def compile_test(key: SearchKey, known: Known) -> Test:
    """Make the test of a key. `known`: tests what the snapshot answers, message by message: what matches is kept
    nowhere, since there may be thousands of keys."""
    match key:
        case And(keys=keys):
            tests = [compile_test(inner, known) for inner in keys]
            return lambda read: all(test(read) for test in tests)
        case Or(keys=keys):
            tests = [compile_test(inner, known) for inner in keys]
            return lambda read: any(test(read) for test in tests)
        case Not(key=inner):
            test = compile_test(inner, known)
            return lambda read: not test(read)
        case HeaderKey(name=name, text=wanted):
            return _header_test(name.encode("utf-8"), folded(wanted))
        case BodyKey(text=wanted):
            needle = folded(wanted)
            return lambda read: needle in read.body_text
        case TextKey(text=wanted):
            needle = folded(wanted)
            return lambda read: needle in read.header_text or needle in read.body_text
        case DateKey(relation=relation, day=day, sent=True):
            return lambda read: _compare(relation, sent_day(read), day)
    matching = known.test(key)
    return lambda read: matching(read.position)


_PUNCTUATION = re.compile(rb"[@.<>,]")


def _header_test(name: bytes, needle: str) -> Test:
    """Test a header field. An empty text asks whether the field is there (RFC 9051 §6.4.4)."""
    # A word without space is never cut by folding: if it is nowhere in a header that encodes nothing, it is not in the
    # field either.
    word = needle.encode("ascii") if needle.isascii() and " " not in needle else b""
    name = name.lower()
    # An address may be written with comments and blanks within: what is left and right of its punctuation is there.
    pieces = _PUNCTUATION.split(word) if name in search_text.ADDRESS_FIELDS else [word]

    def test(read: Read) -> bool:
        header = read.header
        if b"=?" not in header and header.isascii():
            lower = header.lower()
            if any(piece not in lower for piece in pieces):
                return False
        return any(needle in search_text.field_text(name, found) for found in values(header, name))

    return test


_DAY = re.compile(rb"(?:[A-Za-z]+\s*,)?\s*([0-9]{1,2})\s+([A-Za-z]{3})[a-z]*\s+([0-9]{4})(?![0-9])")


def sent_day(read: Read) -> date:
    """Give the day that the Date field names, as it is written there, whatever its zone; else the internal date's."""
    field_body = value(read.header, b"date")
    if field_body is not None:
        written = _DAY.match(field_body)
        if written is not None:
            try:
                return parse_imap_date(b"-".join(written.groups()))
            except ValueError:
                pass
        moment = parse_date(field_body)
        if moment is not None:
            return moment.date()
    return from_microseconds(read.received_at).date()


def _compare(relation: DateRelation, found: date, day: date) -> bool:
    match relation:
        case DateRelation.BEFORE:
            return found < day
        case DateRelation.ON:
            return found == day
        case DateRelation.SINCE:
            return found >= day
