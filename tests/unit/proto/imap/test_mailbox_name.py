"""RFC 3501 §5.1.3, RFC 9051 §5.1."""

import pytest

from pennypost.proto.imap.mailbox_name import (
    decode_name,
    decode_pattern,
    decode_utf7,
    denormalised,
    encode_name,
    encode_utf7,
)

NAMES = [
    ("", b""),
    ("a b", b"a b"),
    ("&", b"&-"),
    ("a&b&&c", b"a&-b&-&-c"),
    ("~peter/mail/台北/日本語", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
    ("Entwürfe", b"Entw&APw-rfe"),
    ("ü&ü", b"&APw-&-&APw-"),
    ("\U0001f4ee", b"&2D3c7g-"),
    ("tab\there", b"tab&AAk-here"),
]


@pytest.mark.parametrize(("name", "octets"), NAMES)
def test_utf7_both_ways(name: str, octets: bytes) -> None:
    assert encode_utf7(name) == octets
    assert decode_utf7(octets) == name


@pytest.mark.parametrize(
    "octets",
    [
        b"&",
        b"a&b",
        b"&AP",
        b"&APw",
        b"&A-",
        b"&APw=-",
        b"&AP/-",
        b"&AGE-",  # a printable character in base64
        b"&APw-&APw-",  # a shift that is not needed
        b"&2D0-",  # half a pair
        b"&APx-",  # bits that mean nothing
        b"\xc3\xbc",
        b"a\x00b",
        b"a\tb",
        b"a\x7fb",
    ],
)
def test_one_spelling_only(octets: bytes) -> None:
    with pytest.raises(ValueError, match="modified UTF-7"):
        decode_utf7(octets)


@pytest.mark.parametrize(
    ("octets", "name"),
    [(b"inbox", "INBOX"), (b"INBOX", "INBOX"), (b"iNbOx/Sub", "INBOX/Sub"), (b"inboxes", "inboxes"), (b"inbo", "inbo")],
)
def test_inbox_is_one_name(octets: bytes, name: str) -> None:
    assert decode_name(octets, utf8=False) == name
    assert decode_name(octets, utf8=True) == name


def test_names_are_composed() -> None:
    assert decode_name("u\u0308".encode(), utf8=True) == "ü"
    assert decode_name(encode_utf7("u\u0308"), utf8=False) == "ü"
    assert decode_pattern("u\u0308*".encode(), utf8=True) == "ü*"
    assert decode_pattern(b"&APw-%", utf8=False) == "ü%"
    assert decode_pattern(b"inbox", utf8=False) == "inbox"


def test_what_is_not_composed_is_told_apart() -> None:
    assert denormalised("u\u0308".encode()) == "u\u0308"
    assert denormalised("inbox/u\u0308".encode()) == "inbox/u\u0308"
    assert denormalised("ü".encode()) is None
    assert denormalised(b"inbox") is None


def test_encode() -> None:
    assert encode_name("ü", utf8=True) == "ü".encode()
    assert encode_name("ü", utf8=False) == b"&APw-"


def test_not_utf8() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        decode_name(b"\xff", utf8=True)
