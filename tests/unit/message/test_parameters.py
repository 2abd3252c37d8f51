"""Content-Type and its kin (RFC 2045 §5.1, RFC 2183, RFC 2231, RFC 3282)."""

import pytest

from pennypost.message import parameters
from pennypost.message.limits import MAX_LANGUAGES, MAX_PARAMETERS


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"Text/HTML; Charset=UTF-8", (b"text", b"html", ((b"charset", b"UTF-8"),))),
        (b"text/plain", (b"text", b"plain", ((b"charset", b"us-ascii"),))),
        (b"text / plain ;charset = x", (b"text", b"plain", ((b"charset", b"x"),))),
        (b'image/png; name="a;b \\"c\\".png"; x=y', (b"image", b"png", ((b"name", b'a;b "c".png'), (b"x", b"y")))),
        (b"image/png; name=a b.png; ; =x; foo; y=(c) z", (b"image", b"png", ((b"name", b"a b.png"), (b"y", b"z")))),
        (b'image/png; name="open', (b"image", b"png", ((b"name", b"open"),))),
        (b"image/png; a=1; A=2", (b"image", b"png", ((b"a", b"1"),))),
        (b"image/png;;;", (b"image", b"png", ())),
        (b'multipart/mixed; boundary="a=b"', (b"multipart", b"mixed", ((b"boundary", b"a=b"),))),
        (b"text", None),
        (b"", None),
        (b"/plain", None),
    ],
)
def test_content_type(body: bytes, expected: object) -> None:
    assert parameters.parse_content_type(body) == expected


@pytest.mark.parametrize(
    ("body", "joined"),
    [
        (b"; f*0=ab; f*1=cd", ((b"f", b"abcd"),)),
        (b"; f*1=cd; f*0=ab", ((b"f", b"abcd"),)),
        (b"; f*0*=utf-8''a%20; f*1=50%; f*2*=%C3%BC", ((b"f*", b"utf-8''a%2050%25%C3%BC"),)),
        (b"; f*=utf-8'en'%C3%BC", ((b"f*", b"utf-8'en'%C3%BC"),)),
        (b"; f*0=a; f*2=c", ((b"f", b"a"), (b"f*2", b"c"))),
        (b"; f*0=a; f*1*=b", ((b"f*", b"''ab"),)),
        (b"; f*00=a; f*x=b", ((b"f*00", b"a"), (b"f*x", b"b"))),
    ],
)
def test_continuations(body: bytes, joined: object) -> None:
    """RFC 2231 §3, §4.1."""
    assert parameters.parse_parameters(body) == joined


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"; filename=a.txt", "a.txt"),
        (b"; filename*=iso-8859-1''%FC.txt", "ü.txt"),
        (b"; filename=x; filename*=utf-8''%C3%BC", "ü"),
        (b"; filename*=%C3%BC", "ü"),
        (b'; filename="=?utf-8?q?=C3=BC?="', "ü"),
        (b"; filename=\xc3\xbc", "ü"),
        (b"; filename*=nonsense''%FC", "ü"),
        (b"; other=1", None),
    ],
)
def test_text_value(body: bytes, text: str | None) -> None:
    assert parameters.text_value(parameters.parse_parameters(body), b"filename") == text


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"7bit", b"7bit"),
        (b"Base64", b"base64"),
        (b" quoted-printable ; x", b"quoted-printable"),
        (b"(c) 8bit (d)", b"8bit"),
        (b"", b"7bit"),
        (b"x-foo", b"x-foo"),
    ],
)
def test_encoding(body: bytes, encoding: bytes) -> None:
    assert parameters.parse_encoding(body) == encoding


def test_disposition_and_languages() -> None:
    assert parameters.parse_disposition(b'Attachment; filename="a b"') == (b"attachment", ((b"filename", b"a b"),))
    assert parameters.parse_disposition(b";") is None
    assert parameters.parse_languages(b"en, de-DE (German),, i-klingon") == (b"en", b"de-DE", b"i-klingon")
    assert len(parameters.parse_languages(b"en," * 200)) == MAX_LANGUAGES


def test_the_number_is_bounded() -> None:
    body = b"".join(b"; p%d=1" % number for number in range(MAX_PARAMETERS + 50))
    assert len(parameters.parse_parameters(body)) == MAX_PARAMETERS
