"""Part numbers (RFC 9051 §6.4.5.1) and the stored form of an index."""

import pytest

from pennypost.message import structure
from pennypost.message.digest import digest
from pennypost.message.structure import Part, Section, Span, decode, encode, find_part, locate

# The example of RFC 9051 §6.4.5.1, shortened: 1 text, 2 octet-stream, 3 message(1 text, 2 octet-stream),
# 4 mixed(1 image, 2 message(1 text, 2 alternative(1 text, 2 richtext)))
HEADER = b"Content-Type: multipart/mixed; boundary=A\r\n\r\n"
BODY = b"\r\n".join(
    [
        b"--A", b"", b"one",
        b"--A", b"Content-Type: application/octet-stream", b"", b"two",
        b"--A", b"Content-Type: message/rfc822", b"",
        b"Subject: three", b"Content-Type: multipart/mixed; boundary=C", b"",
        b"--C", b"", b"three one", b"--C", b"Content-Type: application/octet-stream", b"", b"three two", b"--C--",
        b"--A", b"Content-Type: multipart/mixed; boundary=D", b"",
        b"--D", b"Content-Type: image/gif", b"", b"four one",
        b"--D", b"Content-Type: message/rfc822", b"",
        b"Subject: four two", b"Content-Type: multipart/mixed; boundary=E", b"",
        b"--E", b"", b"four two one",
        b"--E", b"Content-Type: multipart/alternative; boundary=F", b"",
        b"--F", b"", b"four two two one", b"--F", b"Content-Type: text/richtext", b"", b"four two two two", b"--F--",
        b"--E--",
        b"--D--",
        b"--A--", b"",
    ]
)  # fmt: skip
INDEX = digest(HEADER, BODY).index


def octets(numbers: str, section: Section = Section.CONTENT) -> bytes | None:
    span = locate(INDEX, tuple(int(number) for number in numbers.split(".")), section)
    return None if span is None else BODY[span.start : span.end]


@pytest.mark.parametrize(
    ("numbers", "content"),
    [
        ("1", b"one"),
        ("2", b"two"),
        ("3.1", b"three one"),
        ("3.2", b"three two"),
        ("4.1", b"four one"),
        ("4.2.1", b"four two one"),
        ("4.2.2.1", b"four two two one"),
        ("4.2.2.2", b"four two two two"),
        ("0", None),
        ("5", None),
        ("1.1", None),
        ("3.3", None),
        ("4.2.2.2.1", None),
    ],
)
def test_part_numbers(numbers: str, content: bytes | None) -> None:
    assert octets(numbers) == content


def test_sections() -> None:
    assert octets("3", Section.HEADER) == b"Subject: three\r\nContent-Type: multipart/mixed; boundary=C\r\n\r\n"
    text = octets("3", Section.TEXT)
    assert text is not None
    assert text.startswith(b"--C\r\n")
    assert text.endswith(b"--C--")
    assert octets("3") == (octets("3", Section.HEADER) or b"") + text
    assert octets("2", Section.MIME) == b"Content-Type: application/octet-stream\r\n\r\n"
    assert octets("1", Section.HEADER) is None
    assert octets("4.2.2", Section.TEXT) is None
    assert locate(INDEX, (), Section.HEADER) == Span(0, 0, True)
    assert locate(INDEX, (), Section.TEXT) == Span(0, len(BODY))
    assert locate(INDEX, (), Section.MIME) is None


def test_a_message_that_is_no_multipart() -> None:
    index = digest(b"A: b\r\n\r\n", b"text").index
    assert locate(index, (1,), Section.CONTENT) == Span(0, 4)
    assert locate(index, (1,), Section.MIME) == Span(0, 0, True)
    assert locate(index, (1,), Section.HEADER) is None
    assert find_part(index, (1, 1)) is None
    assert find_part(index, (2,)) is None


def test_a_message_that_is_a_message() -> None:
    index = digest(b"Content-Type: message/rfc822\r\n\r\n", b"Subject: in\r\n\r\ntext").index
    assert locate(index, (1,), Section.HEADER) == Span(0, 15)
    assert locate(index, (1, 1), Section.CONTENT) == Span(15, 19)
    assert find_part(index, (1, 1, 1)) is None


def test_stored_form() -> None:
    assert decode(encode(INDEX)) == INDEX
    assert encode(INDEX)[:1] == b"\x01"
    assert len(encode(Part(0, 0, 5))) < 60


@pytest.mark.parametrize("stored", [b"", b"\x02", b"\x01", b"\x01\xc0", b"\x01\x93\x00\x00", encode(INDEX)[:-1]])
def test_what_is_no_stored_index(stored: bytes) -> None:
    with pytest.raises(ValueError, match="MIME index"):
        structure.decode(stored)
