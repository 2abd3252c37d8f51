import pytest
from tests.unit.proto.imap.parsing import parse, reason

from pennypost.proto.imap.commands.enable import Enable
from pennypost.proto.imap.limits import MAX_LIST_ITEMS


def test_well_formed() -> None:
    """RFC 9051 §6.3.1, RFC 5161 §3.1: what is not known is to be ignored, so it is read."""
    assert parse(b"ENABLE imap4rev2") == Enable(("IMAP4REV2",))
    assert parse(b"ENABLE UTF8=ACCEPT X-FOO") == Enable(("UTF8=ACCEPT", "X-FOO"))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"ENABLE", "expected a space and a capability"),
        (b"ENABLE ", "expected a capability"),
        (b"ENABLE A  B", "expected a capability"),
        (b"ENABLE A(", "expected a space and a capability"),
        (b"ENABLE" + b" A" * (MAX_LIST_ITEMS + 1), "too many capabilities"),
    ],
)
def test_malformed(line: bytes, expected: str) -> None:
    assert reason(line) == expected
