import pytest
from tests.unit.proto.imap.parsing import parse, reason

from pennypost.proto.imap.commands.login import Login


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"LOGIN alice secret", Login("alice", "secret")),
        (b'login "al ice" "se\\"cr\\\\et"', Login("al ice", 'se"cr\\et')),
        (b"LOGIN {5}\r\nalice {8+}\r\na b\r\nc d", Login("alice", "a b\r\nc d")),
        (b"LOGIN NIL ]", Login("NIL", "]")),
        (b'LOGIN a ""', Login("a", "")),
        ('LOGIN "ælice" "ß"'.encode(), Login("ælice", "ß")),
    ],
)
def test_well_formed(line: bytes, expected: Login) -> None:
    assert parse(line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"LOGIN", "expected a space and a user name"),
        (b"LOGIN ", "expected a user name"),
        (b"LOGIN alice", "expected a space and a password"),
        (b"LOGIN  alice secret", "expected a user name"),
        (b"LOGIN alice  secret", "expected a password"),
        (b"LOGIN alice secret more", "expected the end of the command"),
        (b'LOGIN "alice secret', "expected a user name: a quoted string has a closing quote, and no NUL, CR"),
        (b'LOGIN alice "a\\b"', "expected a password: a quoted string has a closing quote, and no NUL, CR"),
        (b'LOGIN alice "a\nb"', "expected a password: a quoted string has a closing quote, and no NUL, CR"),
        (b'LOGIN alice "a\x00b"', "expected a password: a quoted string has a closing quote, and no NUL, CR"),
        (b'LOGIN alice"x" y', "expected a space and a password"),
        (b"LOGIN al(ice secret", "expected a space and a password"),
        (b"LOGIN alice {3}\r\na\x00b", "NUL in the literal for a password"),
        (b"LOGIN alice {9}\r\nabc", "expected a password: a literal, as {5}, and its octets"),
        (b"LOGIN alice {x}", "expected a password: a literal, as {5}, and its octets"),
        (b"LOGIN alice ~{1}\r\nx", "expected the end of the command"),
        (b'LOGIN alice "\xff"', "a password is not UTF-8"),
        (b"LOGIN \xc3\xa6 x", "expected a user name"),
    ],
)
def test_malformed(line: bytes, expected: str) -> None:
    assert reason(line).startswith(expected)


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(Login("alice", "secret"))
