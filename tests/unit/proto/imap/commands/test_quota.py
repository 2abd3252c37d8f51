import pytest
from tests.unit.proto.imap.parsing import parse, reason

from pennypost.proto.imap.commands.quota import GetQuota, SetQuota


def test_well_formed() -> None:
    """RFC 9208 §4.1."""
    assert parse(b'GETQUOTA ""') == GetQuota("")
    assert parse(b'SETQUOTA "" (storage 512)') == SetQuota("", (("STORAGE", 512),))
    assert parse(b"SETQUOTA #a (STORAGE 1 MESSAGE 2)") == SetQuota("#a", (("STORAGE", 1), ("MESSAGE", 2)))
    assert parse(b"SETQUOTA #a ()") == SetQuota("#a", ())


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"GETQUOTA", "expected a space and a quota root"),
        (b"GETQUOTA a b", "expected the end of the command"),
        (b"SETQUOTA", "expected a space and a quota root"),
        (b"SETQUOTA a", "expected a space and a list of quota limits"),
        (b"SETQUOTA a STORAGE 1", "expected a list of quota limits"),
        (b"SETQUOTA a (STORAGE)", "expected a space and a quota limit"),
        (b"SETQUOTA a (STORAGE x)", "expected a quota limit"),
        (b"SETQUOTA a (STORAGE -1)", "expected a quota limit"),
        (b"SETQUOTA a (STORAGE 9223372036854775808)", "expected a quota limit of at most 9223372036854775807"),
        (b"SETQUOTA a (STORAGE 1", "expected a quota resource or a closing parenthesis"),
        (b"SETQUOTA a (" + b" ".join([b"A 1"] * 257) + b")", "too many quota limits"),
    ],
)
def test_malformed(line: bytes, expected: str) -> None:
    assert reason(line) == expected
