import pytest
from tests.unit.proto.imap.parsing import parse, reason

from pennypost.proto.imap.commands.authenticate import Authenticate


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"AUTHENTICATE plain", Authenticate("PLAIN")),
        # SASL-IR, RFC 4959 §3
        (b"AUTHENTICATE PLAIN AGEAYg==", Authenticate("PLAIN", b"\x00a\x00b")),
        (b"AUTHENTICATE EXTERNAL =", Authenticate("EXTERNAL", b"")),
        (b"AUTHENTICATE SCRAM-SHA-256-PLUS", Authenticate("SCRAM-SHA-256-PLUS")),
    ],
)
def test_well_formed(line: bytes, expected: Authenticate) -> None:
    assert parse(line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"AUTHENTICATE", "expected a space and a SASL mechanism"),
        (b"AUTHENTICATE ", "expected a SASL mechanism"),
        (b'AUTHENTICATE "PLAIN"', "expected a SASL mechanism"),
        (b"AUTHENTICATE PLAIN ", "expected an initial response"),
        (b"AUTHENTICATE PLAIN AGE", "expected base64, with its padding"),
        (b"AUTHENTICATE PLAIN A-B=", "expected base64, with its padding"),
        (b"AUTHENTICATE PLAIN AGEAYg== x", "expected the end of the command"),
    ],
)
def test_malformed(line: bytes, expected: str) -> None:
    assert reason(line) == expected


def test_a_response_is_not_shown() -> None:
    assert "secret" not in repr(Authenticate("PLAIN", b"secret"))
