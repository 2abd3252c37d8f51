from datetime import UTC, datetime

import pytest
from tests.unit.proto.imap.parsing import reason

from pennypost.model.flags import Flags
from pennypost.proto.imap.commands.append import Append, begin_append, end_append
from pennypost.proto.imap.commands.catenate import AppendRest
from pennypost.proto.imap.flags import FlagList
from pennypost.proto.imap.reader import BadSyntax, Reader

NONE = FlagList(Flags.NONE, ())


def begin(arguments: bytes) -> Append | None:
    return begin_append(Reader(arguments))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        # RFC 9051 §6.3.12
        (b" inbox {310}", Append("INBOX", NONE, None, 310, False, True)),
        (b" a {0+}", Append("a", NONE, None, 0, False, False)),
        (b" {1}\r\na {7}", Append("a", NONE, None, 7, False, True)),
        (
            b' a (\\Seen $X) "17-Jul-1996 02:44:25 -0700" {7}',
            Append("a", FlagList(Flags.SEEN, ("$X",)), datetime(1996, 7, 17, 9, 44, 25, tzinfo=UTC), 7, False, True),
        ),
        (b' a " 1-Jan-2026 00:00:00 +0000" {7}', Append("a", NONE, datetime(2026, 1, 1, tzinfo=UTC), 7, False, True)),
        (b" a () {7}", Append("a", NONE, None, 7, False, True)),
        # RFC 3516 §4.4
        (b" a ~{7}", Append("a", NONE, None, 7, True, True)),
        (b" a ~{7+}", Append("a", NONE, None, 7, True, False)),
    ],
)
def test_well_formed(arguments: bytes, expected: Append) -> None:
    assert begin(arguments) == expected


def test_a_literal_right_after_the_verb_is_the_name() -> None:
    assert begin(b" {5}") is None
    assert begin(b" {5+}") is None


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (b"{5}", "expected a space and a mailbox name"),
        (b" ~{5}", "expected a space and a message literal"),
        (b" a{5}", "expected a space and a message literal"),
        (b" a  {5}", "expected a message literal"),
        (b" a (\\Seen){5}", "expected a space and a message literal"),
        (b" a (\\Recent) {5}", "\\Recent cannot be set"),
        (b' a "yesterday" {5}', 'expected a date and time, as " 1-Feb-2026 10:00:00 +0000"'),
        (b' a "31-Feb-2026 00:00:00 +0000" {5}', 'expected a date and time, as " 1-Feb-2026 10:00:00 +0000"'),
        (b' a "17-Jul-1996 02:44:25 -0700" (\\Seen) {5}', "expected a message literal"),
        (b" a (\\Seen) (\\Seen) {5}", "expected a message literal"),
        (b" a {9999999999999999999}", "literal is too large"),
    ],
)
def test_malformed(arguments: bytes, expected: str) -> None:
    with pytest.raises(BadSyntax) as caught:
        begin(arguments)
    assert caught.value.reason == expected


def test_without_a_message() -> None:
    assert reason(b"APPEND") == "expected a space and a mailbox name"
    assert reason(b"APPEND a") == "expected a space and a message literal"
    assert reason(b"APPEND a x") == "expected a message literal"
    assert reason(b'APPEND a "text"') == 'expected a date and time, as " 1-Feb-2026 10:00:00 +0000"'


def test_nothing_follows_the_message() -> None:
    before = Append("a", NONE, None, 7, False, True)
    assert end_append(Reader(b""), before) == AppendRest()
    with pytest.raises(BadSyntax):
        end_append(Reader(b" x"), before)
