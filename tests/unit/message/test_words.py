"""Encoded words (RFC 2047), also as they are written wrongly, and raw UTF-8 (RFC 6532)."""

import re

import pytest

from pennypost.message.words import decode_words, encode_words


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"plain", "plain"),
        (b"=?utf-8?q?a_b=C3=BC?=", "a bü"),
        (b"=?UTF-8?B?w7w=?=", "ü"),
        (b"=?utf-8?B?w7w?=", "ü"),  # padding forgotten
        (b"=?iso-8859-1?Q?Keld_J=F8rn_Simonsen?=", "Keld Jørn Simonsen"),
        (b"(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"),  # RFC 2047 §8
        (b"(=?ISO-8859-1?Q?a?= b)", "(a b)"),
        (b"x =?utf-8?q?a?= =?utf-8?q?b?= y", "x ab y"),
        (b"=?utf-8?b?w7w=?= =?iso-8859-1?q?=FC?=", "üü"),
        (b"=?utf-8?q?=C3?= =?utf-8?q?=BC?=", "ü"),  # a character cut in two
        (b"=?utf-8*en?q?a?=", "a"),  # RFC 2231 §5
        (b"=?ISO-2022-JP?B?GyRCJUYlOSVIGyhC?=", "テスト"),
        (b"=?none?q?a?=", "=?none?q?a?="),
        (b"=?utf-8?x?a?=", "=?utf-8?x?a?="),
        (b"=?utf-8?q?open", "=?utf-8?q?open"),
        (b"=?idna?q?a?=", "=?idna?q?a?="),
        (b"raw \xc3\xbc", "raw ü"),
        (b"raw \xfc =?utf-8?q?a?=", "raw ü a"),
        (b"=?utf-8?q?a b?=", "a b"),
    ],
)
def test_decode(raw: bytes, text: str) -> None:
    assert decode_words(raw) == text


@pytest.mark.parametrize(
    "text", ["", "plain", "Grüße", "ü" * 200, "日本語" * 50, "=?utf-8?q?no?=", "a\tb", "\U0001f600" * 30]
)
def test_encode(text: str) -> None:
    raw = encode_words(text)
    assert decode_words(raw.replace(b"\r\n", b"")) == text
    assert raw.isascii()
    assert all(len(word) <= 75 for word in re.split(rb"\r\n ", raw) if b"=?" in word)
