"""COPY (RFC 9051 §6.4.7), MOVE (RFC 6851 §3.1), UID EXPUNGE (RFC 4315 §2.1)."""

import pytest
from tests.unit.proto.imap.parsing import parse, reason

from pennypost.proto.imap.commands.copy import Copy
from pennypost.proto.imap.commands.expunge import Expunge
from pennypost.proto.imap.commands.move import Move
from pennypost.proto.imap.sequence import SequenceSet

SOME = SequenceSet(((1, 1), (3, 5)))


def test_well_formed() -> None:
    assert parse(b"COPY 1,3:5 work") == Copy(SOME, "work", False)
    assert parse(b"UID COPY 1,3:5 inbox") == Copy(SOME, "INBOX", True)
    assert parse(b'MOVE 1,3:5 "a b"') == Move(SOME, "a b", False)
    assert parse(b"uid move 1,3:5 {1}\r\na") == Move(SOME, "a", True)
    assert parse(b"UID EXPUNGE 1,3:5") == Expunge(SOME)


@pytest.mark.parametrize("verb", [b"COPY", b"UID COPY", b"MOVE", b"UID MOVE"])
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (b"", "expected a space and a sequence set"),
        (b" x a", "expected a sequence set, as 1:5,9 or 7:*"),
        (b" 1", "expected a space and a mailbox name"),
        (b" 1 ", "expected a mailbox name"),
        (b" 1 a b", "expected the end of the command"),
    ],
)
def test_malformed(verb: bytes, arguments: bytes, expected: str) -> None:
    assert reason(verb + arguments) == expected


def test_uid_expunge_malformed() -> None:
    assert reason(b"UID EXPUNGE") == "expected a space and a sequence set"
    assert reason(b"UID EXPUNGE 1 2") == "expected the end of the command"
