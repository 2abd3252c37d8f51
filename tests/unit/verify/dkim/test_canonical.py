"""RFC 6376 §3.4, with its own examples (§3.4.5)."""

import hashlib

import pytest

from pennypost.verify.dkim import canonical
from pennypost.verify.dkim.canonical import Canonicalization, body, hash_body, header_field

SIMPLE, RELAXED = Canonicalization.SIMPLE, Canonicalization.RELAXED


def whole(octets: bytes, form: Canonicalization) -> bytes:
    return b"".join(body(octets, form))


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (b"A: X\r\n", b"a:X"),
        (b"B : Y\t\r\n\tZ  \r\n", b"b:Y Z"),
        (b"Subject:\r\n", b"subject:"),
        (b"SUBJect: a:b :c", b"subject:a:b :c"),
    ],
)
def test_header_fields(field: bytes, expected: bytes) -> None:
    assert header_field(field, RELAXED) == expected
    assert header_field(field, SIMPLE) == field.rstrip(b"\r\n")


@pytest.mark.parametrize(
    ("octets", "relaxed", "simple"),
    [
        (b" C \r\nD \t E\r\n\r\n\r\n", b" C\r\nD E\r\n", b" C \r\nD \t E\r\n"),
        (b"", b"", b"\r\n"),
        (b"\r\n\r\n", b"", b"\r\n"),
        (b"a", b"a\r\n", b"a\r\n"),
        (b"a  ", b"a\r\n", b"a  \r\n"),
        (b"\r\n\r\na\r\n", b"\r\n\r\na\r\n", b"\r\n\r\na\r\n"),
        (b" \r\n\t\r\n", b"", b" \r\n\t\r\n"),
        (b"a\r\n \r\n\r\nb", b"a\r\n\r\n\r\nb\r\n", b"a\r\n \r\n\r\nb\r\n"),
        (b"a\rb\nc\r\n", b"a\rb\nc\r\n", b"a\rb\nc\r\n"),
    ],
)
def test_bodies(octets: bytes, relaxed: bytes, simple: bytes) -> None:
    assert whole(octets, RELAXED) == relaxed
    assert whole(octets, SIMPLE) == simple


@pytest.mark.parametrize("piece", [1, 2, 3, 5, 8])
@pytest.mark.parametrize(
    "octets",
    [
        b"a \t b\r\n\r\n\r\nc  \r\n" * 3,
        b"no line end at all",
        b"   \r\n  x   y  \r\n\r\n\r\n",
        b"a\r\n\r\n\r\n\r\n\r\n\r\n",
        b"a  b   c    d     e",
        b"trailing   ",
        b"\r\n\r\n",
        b"a\r\r\nb",
    ],
)
def test_pieces_do_not_matter(octets: bytes, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = whole(octets, RELAXED), whole(octets, SIMPLE)
    monkeypatch.setattr(canonical, "PIECE", piece)
    assert (whole(octets, RELAXED), whole(octets, SIMPLE)) == expected


def test_no_piece_is_much_larger_than_another() -> None:
    octets = memoryview(b"x" * 100 * canonical.PIECE)
    assert max(map(len, body(octets, RELAXED))) <= 2 * canonical.PIECE


def test_one_walk_serves_all() -> None:
    found = hash_body(b"abc\r\n", RELAXED, [("sha256", None), ("sha256", 2), ("sha1", None)])
    assert found["sha256", None].digest() == hashlib.sha256(b"abc\r\n").digest()
    assert found["sha256", 2].digest() == hashlib.sha256(b"ab").digest()
    assert found["sha1", None].digest() == hashlib.sha1(b"abc\r\n").digest()
    assert {one.octets for one in found.values()} == {5}
