"""Header blocks are cut, looked up and edited without another octet changing (RFC 5322 §2.1–2.2)."""

import pytest

from pennypost.message import headers
from pennypost.message.limits import MAX_HEADER_FIELDS

BLOCK = (
    b"Received: from a\r\n\tby b\r\nFrom: x@example.org\r\nSUBJECT : hi\r\n there\r\nReceived: c\r\nno field\r\n\r\n"
)


@pytest.mark.parametrize(
    ("octets", "header_block"),
    [
        (b"A: b\r\n\r\nbody", b"A: b\r\n\r\n"),
        (b"A: b\n\nbody\r\n\r\n", b"A: b\n\n"),
        (b"A: b\n\r\nbody", b"A: b\n\r\n"),
        (b"A: b\r\n\nbody", b"A: b\r\n\n"),
        (b"\r\nbody", b"\r\n"),
        (b"\nbody", b"\n"),
        (b"A: b\r\n", b"A: b\r\n"),
        (b"", b""),
        (b"A: b\r\r\nbody", b"A: b\r\r\nbody"),
        (b"A: b\n \n\nbody", b"A: b\n \n\n"),
        (b"\rA\r\n\r\n", b"\rA\r\n\r\n"),
    ],
)
def test_split(octets: bytes, header_block: bytes) -> None:
    assert headers.split(octets) == (header_block, octets[len(header_block) :])


@pytest.mark.parametrize("ending", [b"\r\n\r\n", b"\n\n"])
def test_split_across_slices(ending: bytes) -> None:
    for size in range(headers.SLICE_OCTETS - 4, headers.SLICE_OCTETS + 3):
        header_block = b"A" * size + ending
        assert headers.split(header_block + b"body") == (header_block, b"body")


@pytest.mark.parametrize(
    ("folded", "unfolded"),
    [
        (b" a\r\n b ", b"a b"),
        (b"a\n\tb", b"a b"),
        (b"a \r\n \r\n\tb", b"a b"),
        (b"a  b", b"a  b"),
        (b"\r\n a", b"a"),
        (b"", b""),
    ],
)
def test_unfold(folded: bytes, unfolded: bytes) -> None:
    assert headers.unfold(folded) == unfolded


def test_values_and_presence() -> None:
    assert headers.values(BLOCK, b"received") == [b"from a by b", b"c"]
    assert headers.value(BLOCK, b"Subject") == b"hi there"  # RFC 5322 §4.5: white space before the colon
    assert headers.value(BLOCK, b"to") is None
    assert headers.has_field(BLOCK, b"FROM")
    assert not headers.has_field(BLOCK, b"no field")
    assert [name for name, _ in headers.field_list(BLOCK)] == [b"received", b"from", b"subject", b"received"]


def test_nothing_hides_behind_a_bound() -> None:
    padding = b"".join(b"X-%d: %b\r\n" % (number, b"x" * 100) for number in range(5_000))
    assert headers.values(b"From: a@b\r\n" + padding + b"From: c@d\r\n\r\n", b"from") == [b"a@b", b"c@d"]
    assert len(headers.field_list(padding)) == MAX_HEADER_FIELDS


def test_select_fields() -> None:
    """RFC 9051 §6.4.5.1: in the order and octets of the message, with an empty line at the end."""
    assert headers.select_fields(BLOCK, [b"subject", b"FROM"]) == (
        b"From: x@example.org\r\nSUBJECT : hi\r\n there\r\n\r\n"
    )
    assert headers.select_fields(BLOCK, [b"to"]) == b"\r\n"
    assert headers.select_other_fields(BLOCK, [b"received", b"subject"]) == b"From: x@example.org\r\n\r\n"
    assert headers.select_other_fields(b"A: 1\nB: 2\n\n", [b"b"]) == b"A: 1\n\r\n"


def test_prepend_puts_the_first_field_on_top() -> None:
    made = headers.prepend(BLOCK, (b"Return-Path", b"<a@b>"), (b"Received", b"from x\r\n\tby y"))
    assert made == b"Return-Path: <a@b>\r\nReceived: from x\r\n\tby y\r\n" + BLOCK


def test_remove() -> None:
    assert headers.remove(BLOCK, [b"received"]) == b"From: x@example.org\r\nSUBJECT : hi\r\n there\r\nno field\r\n\r\n"
    assert (
        headers.remove(BLOCK, [b"subject", b"from"]) == b"Received: from a\r\n\tby b\r\nReceived: c\r\nno field\r\n\r\n"
    )
    assert headers.remove(BLOCK, [b"bcc"]) is BLOCK
    assert headers.remove(b"Bcc: a\r\n b\r\n\r\n", [b"bcc"]) == b"\r\n"
    assert headers.remove(b"A: b\nBcc: x", [b"bcc"]) == b"A: b\n"
