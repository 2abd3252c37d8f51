from datetime import date

import pytest
from tests.unit.proto.imap.parsing import parse, reason

from pennypost.model.flags import Flags
from pennypost.proto.imap.commands.search import Search, SearchReturn
from pennypost.proto.imap.limits import MAX_NESTING, MAX_SEARCH_KEYS
from pennypost.proto.imap.search_keys import (
    All,
    And,
    BodyKey,
    DateKey,
    DateRelation,
    FlagKey,
    HeaderKey,
    KeywordKey,
    Not,
    Or,
    RecentKey,
    SearchKey,
    SequenceKey,
    SizeKey,
    TextKey,
    UidKey,
)
from pennypost.proto.imap.sequence import STAR, SequenceSet

A, B, C = HeaderKey("From", "a"), HeaderKey("To", "b"), HeaderKey("Cc", "c")


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        # RFC 9051 §6.4.4
        (b"ALL", All()),
        (b"ANSWERED", FlagKey(Flags.ANSWERED, True)),
        (b"deleted", FlagKey(Flags.DELETED, True)),
        (b"DRAFT", FlagKey(Flags.DRAFT, True)),
        (b"FLAGGED", FlagKey(Flags.FLAGGED, True)),
        (b"SEEN", FlagKey(Flags.SEEN, True)),
        (b"UNANSWERED", FlagKey(Flags.ANSWERED, False)),
        (b"UNDELETED", FlagKey(Flags.DELETED, False)),
        (b"UNDRAFT", FlagKey(Flags.DRAFT, False)),
        (b"UNFLAGGED", FlagKey(Flags.FLAGGED, False)),
        (b"UNSEEN", FlagKey(Flags.SEEN, False)),
        (b"KEYWORD $Junk", KeywordKey("$Junk", True)),
        (b"UNKEYWORD $Junk", KeywordKey("$Junk", False)),
        (b'BCC ""', HeaderKey("Bcc", "")),
        (b"CC c", C),
        (b"FROM a", A),
        (b'SUBJECT "x y"', HeaderKey("Subject", "x y")),
        (b"TO b", B),
        (b"HEADER X-Foo {3}\r\na b", HeaderKey("X-Foo", "a b")),
        (b"BODY x", BodyKey("x")),
        (b"TEXT x", TextKey("x")),
        (b"BEFORE 1-Feb-1994", DateKey(DateRelation.BEFORE, date(1994, 2, 1), False)),
        (b'ON "01-feb-1994"', DateKey(DateRelation.ON, date(1994, 2, 1), False)),
        (b"SINCE 28-Feb-1994", DateKey(DateRelation.SINCE, date(1994, 2, 28), False)),
        (b"SENTBEFORE 1-Feb-1994", DateKey(DateRelation.BEFORE, date(1994, 2, 1), True)),
        (b"SENTON 1-Feb-1994", DateKey(DateRelation.ON, date(1994, 2, 1), True)),
        (b"SENTSINCE 1-Feb-1994", DateKey(DateRelation.SINCE, date(1994, 2, 1), True)),
        (b"LARGER 1000", SizeKey(True, 1000)),
        (b"SMALLER 9223372036854775807", SizeKey(False, 2**63 - 1)),
        (b"UID 3,5:7", UidKey(SequenceSet(((3, 3), (5, 7))))),
        (b"2,4:*", SequenceKey(SequenceSet(((2, 2), (4, STAR))))),
        (b"*", SequenceKey(SequenceSet(((STAR, STAR),)))),
        (b"$", SequenceKey(SequenceSet((), saved=True))),
        (b"NOT SEEN", Not(FlagKey(Flags.SEEN, True))),
        (b"FROM a TO b", And((A, B))),
        (b"OR FROM a TO b", Or((A, B))),
        (b"OR FROM a OR TO b CC c", Or((A, B, C))),
        (b"OR OR FROM a TO b CC c", Or((Or((A, B)), C))),
        (b"OR FROM a (TO b CC c)", Or((A, And((B, C))))),
        (b"OR NOT FROM a NOT OR TO b CC c", Or((Not(A), Not(Or((B, C)))))),
        (b"((FROM a))", A),
        # RFC 3501 §6.4.4
        (b"RECENT", RecentKey(True)),
        (b"OLD", RecentKey(False)),
        (b"NEW", And((RecentKey(True), FlagKey(Flags.SEEN, False)))),
    ],
)
def test_keys(keys: bytes, expected: SearchKey) -> None:
    assert parse(b"SEARCH " + keys) == Search(False, expected)
    assert parse(b"UID SEARCH " + keys) == Search(True, expected)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # RFC 4731 §3.1, RFC 5182 §2.1
        (b"()", SearchReturn.ALL),
        (b"(ALL)", SearchReturn.ALL),
        (b"(min MAX)", SearchReturn.MIN | SearchReturn.MAX),
        (b"(COUNT SAVE)", SearchReturn.COUNT | SearchReturn.SAVE),
    ],
)
def test_return_options(options: bytes, expected: SearchReturn) -> None:
    assert parse(b"SEARCH RETURN " + options + b" SEEN") == Search(False, FlagKey(Flags.SEEN, True), expected)


def test_charset() -> None:
    assert parse(b"SEARCH CHARSET utf-8 FROM {2}\r\n\xc3\xa9") == Search(False, HeaderKey("From", "é"), charset="UTF-8")
    assert parse(b'SEARCH RETURN (MIN) CHARSET "ISO-8859-1" FROM {1}\r\n\xe9') == Search(
        False, HeaderKey("From", "é"), SearchReturn.MIN, "ISO-8859-1"
    )
    assert parse(b'SEARCH FROM "\xc3\xa9"') == Search(False, HeaderKey("From", "é"))
    unknown = parse(b'SEARCH CHARSET X-FOO FROM "\xff"')
    assert isinstance(unknown, Search)
    assert (unknown.charset, unknown.charset_known) == ("X-FOO", False)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (b"", "expected a space and a search key"),
        (b" ", "expected a search key"),
        (b" FOO", "expected a search key, as ALL, FROM, SINCE, UID or a sequence set"),
        (b" SEEN  SEEN", "expected a search key"),
        (b" SEEN)", "expected the end of the command"),
        (b" (SEEN", "expected a search key or a closing parenthesis"),
        (b" ()", "expected a search key"),
        (b" NOT", "expected a space and a search key"),
        (b" OR SEEN", "expected a space and a second search key for OR"),
        (b" FROM", "expected a space and a text to search for"),
        (b" FROM (", "expected a text to search for"),
        (b" HEADER", "expected a space and a header field name"),
        (b" HEADER x", "expected a space and a text to search for"),
        (b' HEADER "\xc3\xa9" x', "expected a header field name in ASCII"),
        (b" KEYWORD \\Seen", "expected a keyword"),
        (b" LARGER x", "expected a number of octets"),
        (b" LARGER 9223372036854775808", "expected a number of octets of at most 9223372036854775807"),
        (b" SINCE 30-Feb-2026", "expected a date, as 1-Feb-2026"),
        (b" SINCE 2026-02-01", "expected a date, as 1-Feb-2026"),
        (b" SINCE", "expected a space and a date"),
        (b" UID x", "expected a sequence set, as 1:5,9 or 7:*"),
        (b" UID 0", "expected numbers from 1 on, or *, in the sequence set"),
        (b" 1:4294967296", "expected numbers of at most 4294967295 in the sequence set"),
        (b" 5,", "expected numbers from 1 on, or *, in the sequence set"),
        (b" CHARSET", "expected a space and a charset"),
        (b" CHARSET UTF-8", "expected a space and a search key"),
        (b' CHARSET UTF-8 FROM "\xff"', "expected a text to search for in the charset of the search"),
        (b' CHARSET US-ASCII FROM "\xc3\xa9"', "expected a text to search for in the charset of the search"),
        (b" SEEN CHARSET UTF-8", "expected a search key, as ALL, FROM, SINCE, UID or a sequence set"),
        (b" RETURN", "expected a space and SEARCH return options"),
        (b" RETURN ALL SEEN", "expected SEARCH return options"),
        (b" RETURN (FOO) SEEN", "expected a SEARCH return option: ALL, CONTEXT, COUNT, MAX, MIN, PARTIAL,"),
        (b" RETURN (ALL", "expected a SEARCH return option or a closing parenthesis"),
        (b" RETURN (ALL)", "expected a space and a search key"),
        (b" RETURN (" + b" ".join([b"ALL"] * 257) + b") SEEN", "too many SEARCH return options"),
    ],
)
def test_malformed(keys: bytes, expected: str) -> None:
    assert reason(b"SEARCH" + keys).startswith(expected)
    assert reason(b"UID SEARCH" + keys).startswith(expected)


@pytest.mark.parametrize(
    ("opening", "closing"), [(b"(", b")"), (b"NOT ", b""), (b"OR ", b" SEEN"), (b"(NOT ", b")"), (b"OR SEEN (", b")")]
)
def test_depth_is_bounded(opening: bytes, closing: bytes) -> None:
    levels = opening.count(b"(") + opening.count(b"NOT") + (opening == b"OR ") + (opening == b"OR SEEN (")
    fits = MAX_NESTING // levels
    assert isinstance(parse(b"SEARCH " + opening * fits + b"SEEN" + closing * fits), Search)
    deep = fits + 1
    assert reason(b"SEARCH " + opening * deep + b"SEEN" + closing * deep).startswith(
        "search keys are nested too deeply"
    )
    assert reason(b"SEARCH " + opening * 100_000).startswith("search keys are nested too deeply")


def test_a_chain_of_or_has_no_depth() -> None:
    """Clients look for hundreds of Message-IDs so."""
    chain = parse(b"SEARCH " + b"OR HEADER Message-ID x " * 900 + b"HEADER Message-ID x")
    assert isinstance(chain, Search)
    assert isinstance(chain.key, Or)
    assert len(chain.key.keys) == 901


def test_the_number_of_keys_is_bounded() -> None:
    assert isinstance(parse(b"SEARCH" + b" SEEN" * MAX_SEARCH_KEYS), Search)
    assert reason(b"SEARCH" + b" SEEN" * (MAX_SEARCH_KEYS + 1)).startswith("too many search keys")
