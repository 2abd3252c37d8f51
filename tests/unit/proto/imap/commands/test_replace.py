from datetime import UTC, datetime

import pytest
from tests.unit.proto.imap.parsing import parse, reason

from pennypost.model.flags import Flags
from pennypost.proto.imap.commands.announcement import Announcement
from pennypost.proto.imap.commands.append import Append
from pennypost.proto.imap.commands.catenate import AppendRest, Catenate, CatenateText, Composed
from pennypost.proto.imap.commands.replace import begin_replace, begin_uid_replace, end_replace
from pennypost.proto.imap.flags import FlagList
from pennypost.proto.imap.limits import MAX_URLS
from pennypost.proto.imap.reader import BadSyntax, Reader
from pennypost.proto.imap.sequence import STAR, SequenceSet

NONE = FlagList(Flags.NONE, ())
FIRST = SequenceSet(((1, 1),))
DRAFT = FlagList(Flags.DRAFT, ())
DATE = datetime(2026, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        # RFC 8508 §3.3
        (b" 1 inbox {310}", Append("INBOX", NONE, None, 310, False, True, FIRST)),
        (b" * a {3+}", Append("a", NONE, None, 3, False, False, SequenceSet(((STAR, STAR),)))),
        (b" 1 {1}\r\na ~{7}", Append("a", NONE, None, 7, True, True, FIRST)),
        (b' 1 a (\\Draft) " 1-Feb-2026 00:00:00 +0000" {7}', Append("a", DRAFT, DATE, 7, False, True, FIRST)),
        # RFC 8508 §4.2
        (b" 1 a CATENATE (TEXT {7}", Append("a", NONE, None, 7, False, True, FIRST, catenates=True)),
        (
            b' 1 a CATENATE (URL "/b" URL {2+}\r\n/c TEXT ~{7+}',
            Append("a", NONE, None, 7, True, False, FIRST, urls=(b"/b", b"/c"), catenates=True),
        ),
        (
            b' 1 a (\\Draft) " 1-Feb-2026 00:00:00 +0000" CATENATE (URL /b UTF8 (~{7}',
            Append("a", DRAFT, DATE, 7, True, True, FIRST, urls=(b"/b",), catenates=True, wrapped=True),
        ),
    ],
)
def test_up_to_a_message_or_a_text(arguments: bytes, expected: Append) -> None:
    assert begin_replace(Reader(arguments)) == expected


def test_by_uid() -> None:
    """RFC 8508 §3.4."""
    assert begin_uid_replace(Reader(b" 1 a {3}")) == Append("a", NONE, None, 3, False, True, FIRST, uid=True)
    found = begin_uid_replace(Reader(b" 1 a CATENATE (URL /b TEXT {3}"))
    assert found == Append("a", NONE, None, 3, False, True, FIRST, uid=True, urls=(b"/b",), catenates=True)
    with pytest.raises(BadSyntax, match="expected a UID"):
        begin_uid_replace(Reader(b" * a {3}"))


@pytest.mark.parametrize(
    "arguments", [b" 1 {5}", b" 1 {5+}", b" 1 a CATENATE (URL {5}", b" 1 a CATENATE (URL /b URL {5+}"]
)
def test_a_literal_that_is_an_argument(arguments: bytes) -> None:
    assert begin_replace(Reader(arguments)) is None
    assert begin_uid_replace(Reader(arguments)) is None


def test_urls_alone() -> None:
    composed = (Composed(NONE, None, (b"/b", b"/c")),)
    assert parse(b'REPLACE 1 a CATENATE (URL "/b" URL /c)') == Catenate("a", composed, FIRST)
    assert parse(b"UID REPLACE 1 {1}\r\na CATENATE (URL {2}\r\n/b URL /c)") == Catenate("a", composed, FIRST, uid=True)
    dated = Composed(DRAFT, DATE, (b"/b",))
    line = b'REPLACE 1 a (\\Draft) " 1-Feb-2026 00:00:00 +0000" CATENATE (URL /b)'
    assert parse(line) == Catenate("a", (dated,), FIRST)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"REPLACE", "expected a space and a message"),
        (b"REPLACE 1", "expected a space and a mailbox name"),
        (b"REPLACE 1 a", "expected a space and a message literal"),
        (b"REPLACE 1 a x", "expected a message literal"),
        (b"REPLACE 1:2 a CATENATE (URL /b)", "expected one message"),
        (b"REPLACE 1,2 a CATENATE (URL /b)", "expected one message"),
        (b"REPLACE $ a CATENATE (URL /b)", "expected one message"),
        (b"UID REPLACE * a CATENATE (URL /b)", "expected a UID"),
        (b"REPLACE 1 a CATENATE", "expected a space and a list of parts"),
        (b"REPLACE 1 a CATENATE ()", "expected URL or TEXT"),
        (b"REPLACE 1 a CATENATE (URL /b", "expected a space and URL or TEXT"),
        (b"REPLACE 1 a CATENATE (URL /b) x", "expected the end of the command"),
        (b"REPLACE 1 a CATENATE (URL /b) CATENATE (URL /c)", "expected the end of the command"),
        (b"REPLACE 1 a CATENATE (" + b" ".join([b"URL /b"] * (MAX_URLS + 1)) + b")", "too many URLs"),
    ],
)
def test_malformed(line: bytes, expected: str) -> None:
    assert reason(line) == expected


def test_one_message_only() -> None:
    """RFC 8508 §4.7: there is no MULTIAPPEND in it."""
    with pytest.raises(BadSyntax, match="expected the end of the command"):
        begin_replace(Reader(b" 1 a CATENATE (URL /b) {3}"))
    for before in (
        Append("a", NONE, None, 7, False, True, FIRST),
        Append("a", NONE, None, 7, False, True, FIRST, catenates=True),
    ):
        closed = b")" if before.catenates else b""
        for more in (b" {3}", b" CATENATE (TEXT {3}", b" CATENATE (URL /b)", b"x"):
            with pytest.raises(BadSyntax, match="expected the end of the command"):
                end_replace(Reader(closed + more), before)


def test_what_follows_a_literal() -> None:
    plain = Append("a", NONE, None, 7, False, True, FIRST)
    assert end_replace(Reader(b""), plain) == AppendRest()
    text = Append("a", NONE, None, 7, True, True, FIRST, catenates=True)
    assert end_replace(Reader(b")"), text) == AppendRest()
    assert end_replace(Reader(b' URL "/b" URL /c)'), text) == AppendRest((b"/b", b"/c"))
    announced = CatenateText((b"/b",), Announcement(3, False, True, False))
    assert end_replace(Reader(b" URL /b TEXT {3}"), text) == announced
    wrapped = Append("a", NONE, None, 7, True, True, FIRST, catenates=True, wrapped=True)
    assert end_replace(Reader(b"))"), wrapped) == AppendRest()
    with pytest.raises(BadSyntax, match="a URL after a text has to be quoted"):
        end_replace(Reader(b" URL {3}"), text)
    with pytest.raises(BadSyntax, match="expected a space and URL or TEXT"):
        end_replace(Reader(b""), text)
