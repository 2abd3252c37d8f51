"""RFC 9051 §4.3."""

import pytest

from pennypost.proto.imap.responses.text import astring, literal8, mailbox, nstring, string, text_string


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", b'""'),
        (b"a b", b'"a b"'),
        (b'a"b\\c', b'"a\\"b\\\\c"'),
        (b"tab\t", b'"tab\t"'),
        (b"a\r\nb", b"{4}\r\na\r\nb"),
        (b"\xff", b"{1}\r\n\xff"),
        (b"x" * 1024, b'"' + b"x" * 1024 + b'"'),
        (b"x" * 1025, b"{1025}\r\n" + b"x" * 1025),
        (b"a\n", b"{2}\r\na\n"),
    ],
)
def test_string(value: bytes, expected: bytes) -> None:
    assert string(value) == expected
    assert nstring(value) == expected


def test_nil() -> None:
    assert nstring(None) == b"NIL"
    assert astring(b"nil") == b'"nil"'


def test_astring() -> None:
    assert astring(b"X-Foo]") == b"X-Foo]"
    assert astring(b"a b") == b'"a b"'
    assert astring(b"") == b'""'


def test_literal8() -> None:
    assert literal8(b"a\x00") == b"~{2}\r\na\x00"


@pytest.mark.parametrize(
    ("name", "rev1", "rev2"),
    [
        ("INBOX", b"INBOX", b"INBOX"),
        ("INBOX/a", b'"INBOX/a"', b'"INBOX/a"'),
        ('a"b', b'"a\\"b"', b'"a\\"b"'),
        ("a&b", b'"a&-b"', b'"a&b"'),
        ("ü", b'"&APw-"', '"ü"'.encode()),
        ("NIL", b'"NIL"', b'"NIL"'),
    ],
)
def test_mailbox(name: str, rev1: bytes, rev2: bytes) -> None:
    assert mailbox(name, utf8=False) == rev1
    assert mailbox(name, utf8=True) == rev2


def test_text() -> None:
    assert text_string("ü", utf8=True) == '"ü"'.encode()
    assert text_string("ü", utf8=False) == b"{2}\r\n" + "ü".encode()
    assert text_string("a\nü", utf8=True) == b"{4}\r\n" + "a\nü".encode()
