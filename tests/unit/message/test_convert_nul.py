"""Octets of 0 become base64, and nothing else is changed (RFC 3516 §4.4)."""

import pytest

from pennypost.message.convert import NotConvertible, without_nul
from pennypost.message.decode import transfer_decode
from pennypost.message.digest import parse
from pennypost.message.headers import split

LEAF = b"Content-Type: image/x\r\nContent-Transfer-Encoding: %b\r\n\r\n%b"


def multipart(*parts: bytes, subtype: bytes = b"mixed") -> bytes:
    inner = b"".join(b"--b\r\n%b\r\n" % part for part in parts)
    return b"MIME-Version: 1.0\r\nContent-Type: multipart/%b; boundary=b\r\n\r\n%b--b--\r\n" % (subtype, inner)


@pytest.mark.parametrize(
    "octets",
    [
        b"Subject: a\r\n\r\nbody\xff\r\x00"[:-1],
        LEAF % (b"binary", b"\x01\r\r\n\n"),
        multipart(LEAF % (b"binary", b"\xff"), b"\r\ntext"),
    ],
)
def test_without_them_nothing_is_changed(octets: bytes) -> None:
    assert without_nul(octets) == octets


@pytest.mark.parametrize("content", [b"\x00", b"a\x00\r\nb\n\x00", bytes(range(256)) * 20])
@pytest.mark.parametrize("encoding", [b"binary", b"8bit", b"7bit"])
def test_the_content_stays(content: bytes, encoding: bytes) -> None:
    leaf = LEAF % (encoding, content)
    for octets, place in (
        (leaf, ()),
        (multipart(b"\r\none", leaf, b"\r\nthree"), (1,)),
        (multipart(multipart(leaf)), (0, 0)),
    ):
        made = without_nul(octets)
        assert b"\0" not in made
        header, body = split(made)
        part = parse(header, body).index
        for at in place:
            part = part.children[at]
        assert part.encoding == b"base64"
        assert transfer_decode(body[part.body_start : part.body_end], part.encoding) == content
        assert without_nul(made) == made


def test_in_an_enclosed_message() -> None:
    octets = b"Content-Type: message/rfc822\r\n\r\n" + LEAF % (b"binary", b"\x00")
    assert without_nul(octets).endswith(b"Content-Transfer-Encoding: base64\r\n\r\nAA==")


@pytest.mark.parametrize(
    "octets",
    [
        b"Subject: \x00\r\n\r\n",
        LEAF % (b"base64", b"AA\x00=="),
        LEAF % (b"quoted-printable", b"\x00"),
        multipart(b"X: \x00\r\n\r\n"),
        multipart(b"\r\ntext").replace(b"\r\n\r\n--b", b"\r\n\r\npre\x00amble\r\n--b", 1),
        multipart(b"\r\ntext") + b"epi\x00logue",
        multipart(LEAF % (b"binary", b"\x00"), subtype=b"signed"),
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\nno parts\x00",
    ],
)
def test_where_they_cannot_be_encoded(octets: bytes) -> None:
    with pytest.raises(NotConvertible):
        without_nul(octets)
