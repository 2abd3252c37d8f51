import pytest
from tests.unit.proto.imap.parsing import parse, reason

from pennypost.proto.imap.commands.id import Id


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"ID NIL", Id(())),
        (b"ID nil", Id(())),
        (b"ID ()", Id(())),
        (b'ID ("name" "mutt")', Id((("name", "mutt"),))),
        (b'ID ("name" "sodr" "version" NIL {2}\r\nos "x")', Id((("name", "sodr"), ("version", None), ("os", "x")))),
    ],
)
def test_well_formed(line: bytes, expected: Id) -> None:
    assert parse(line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"ID", "expected a space and a list of ID fields or NIL"),
        (b"ID x", "expected a list of ID fields or NIL"),
        (b"ID NIL NIL", "expected the end of the command"),
        (b'ID ("name")', "expected a space and an ID field value"),
        (b'ID ("name" mutt)', "expected an ID field value"),
        (b'ID ("name" "mutt"', "expected an ID field or a closing parenthesis"),
        (b'ID ("name" "mutt" )', "expected an ID field name"),
        (b'ID ("' + b"n" * 31 + b'" "x")', "ID field is too long"),
        (b'ID ("n" "' + b"x" * 1025 + b'")', "ID field is too long"),
        (b'ID ("n" "\xff")', "ID field is not UTF-8"),
        (b"ID (" + b" ".join([b'"n" "x"'] * 31) + b")", "too many ID fields"),
    ],
)
def test_malformed(line: bytes, expected: str) -> None:
    """RFC 2971 §3.3 gives the bounds."""
    assert reason(line) == expected
