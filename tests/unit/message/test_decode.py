"""Content with its encodings undone (RFC 2045 §6), damaged or not."""

from base64 import b64encode

import pytest

from pennypost.message.charsets import codec_name, decode_text
from pennypost.message.decode import content, text, transfer_decode
from pennypost.message.limits import SLICE_OCTETS
from pennypost.message.structure import Part


@pytest.mark.parametrize(
    ("encoded", "encoding", "decoded"),
    [
        (b"as it is \xff", b"8bit", b"as it is \xff"),
        (b"YWJj\r\nZGVm\r\n", b"base64", b"abcdef"),
        (b"YW Jj!Z*GV m", b"base64", b"abcdef"),
        (b"YQ==YmM=", b"base64", b"abc"),  # joined from several
        (b"YWJ", b"base64", b"ab"),
        (b"YWJjZ", b"base64", b"abc"),
        (b"====", b"base64", b""),
        (b"a=3Db =\r\nc=C3=BC", b"quoted-printable", b"a=b c\xc3\xbc"),
        (b"trailing  \t\r\nnext \n", b"quoted-printable", b"trailing\r\nnext\n"),
        (b"bad =ZZ = x", b"quoted-printable", b"bad =ZZ = x"),
        (b"begin 644 x\n#86)C\n`\nend\n", b"x-uuencode", b"abc"),
        (b"nothing", b"x-uuencode", b"nothing"),
    ],
)
def test_transfer_decode(encoded: bytes, encoding: bytes, decoded: bytes) -> None:
    assert transfer_decode(encoded, encoding) == decoded


def test_an_unknown_encoding() -> None:
    assert transfer_decode(b"x", b"x-unknown") is None
    assert content(Part(0, 0, 1, encoding=b"x-unknown"), b"x") is None
    assert text(Part(0, 0, 1, encoding=b"x-unknown"), b"x") == "x"


@pytest.mark.parametrize("over", [0, 1, 2, 3])
def test_slices_do_not_show(over: int) -> None:
    octets = bytes(range(256)) * ((SLICE_OCTETS * 2) // 256) + b"x" * over
    encoded = b64encode(octets)
    folded = b"\r\n".join(encoded[at : at + 76] for at in range(0, len(encoded), 76))
    assert transfer_decode(folded, b"base64") == octets
    lines = b"=41=42 =\r\n" * (SLICE_OCTETS // 5)
    assert transfer_decode(lines, b"quoted-printable") == b"AB " * (SLICE_OCTETS // 5)
    unbroken = b"a" * (SLICE_OCTETS - over) + b"=41" * 3
    decoded = transfer_decode(unbroken, b"quoted-printable")
    assert decoded is not None
    assert decoded.endswith(b"A")


def part_of(octets: bytes, charset: bytes | None, subtype: bytes = b"plain") -> Part:
    parameters = () if charset is None else ((b"charset", charset),)
    return Part(0, 0, len(octets), subtype=subtype, parameters=parameters, encoding=b"8bit")


@pytest.mark.parametrize(
    ("octets", "charset", "expected"),
    [
        ("grün".encode(), b"UTF-8", "grün"),
        (b"gr\xfcn", b"iso-8859-1", "grün"),
        (b"\x93quoted\x94", b"iso-8859-1", "“quoted”"),  # windows-1252 by the wrong name
        ("grün".encode(), b"us-ascii", "grün"),
        ("grün".encode(), None, "grün"),
        ("grün".encode(), b"no-such", "grün"),
        (b"gr\xfcn", b"no-such", "grün"),
        ("日本語".encode("shift_jis"), b"Shift_JIS", "日本語"),
        ("日本語".encode("iso2022_jp"), b"iso-2022-jp", "日本語"),
        ("中文".encode("gb18030"), b"gb2312", "中文"),
        (b"a\xffb", b"utf-8", "a\ufffdb"),
        (b"x", b"idna", "x"),
        (b"a\r\nb\rc\nd", None, "a\nb\nc\nd"),
    ],
)
def test_text(octets: bytes, charset: bytes | None, expected: str) -> None:
    assert text(part_of(octets, charset), octets) == expected


def test_a_guess_from_what_is_there() -> None:
    octets = ("Съешь ещё этих мягких французских булок, да выпей чаю. " * 5).encode("koi8-r")
    guessed = decode_text(octets, b"no-such")
    assert "булок" in guessed or "\ufffd" not in guessed


def test_html_says_its_own_charset() -> None:
    octets = b"<html><meta charset='windows-1251'>\xcf\xf0\xe8\xe2\xe5\xf2"
    assert text(part_of(octets, None, b"html"), octets).endswith("Привет")


def test_a_limit_cuts_no_character() -> None:
    octets = "ü€😀".encode() * 100
    for limit in range(1, 40):
        assert "\ufffd" not in text(part_of(octets, b"utf-8"), octets, limit)
    assert text(part_of(octets, b"utf-8"), octets, 5) == "ü€"


@pytest.mark.parametrize("name", [b"", b"a" * 100, b"punycode", b"unicode_escape", b"zlib", b"rot13", b"\xff", b"a\0b"])
def test_what_is_no_charset(name: bytes) -> None:
    assert codec_name(name) is None
