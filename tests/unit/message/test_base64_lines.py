"""Base64 in lines, undone and written again."""

import base64
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pennypost.message.base64_lines import undone, written


def lines(octets: bytes, length: int) -> bytes:
    text = base64.b64encode(octets)
    return b"\r\n".join(text[at : at + length] for at in range(0, len(text), length))


@given(st.binary(max_size=3_000), st.sampled_from([4, 60, 64, 72, 76, 1020]))
def test_what_was_undone_is_written_as_it_was(octets: bytes, length: int) -> None:
    text = lines(octets, length)
    found = undone(text)
    assert found is not None
    assert found[1] == octets
    assert found[0] in (length, 0)
    assert written(found[1], found[0]) == text


@pytest.mark.parametrize("size", [1, 57, 57 * 128, 57 * 128 + 1, 57 * 255, 57 * 256 + 56, 1_000_000])
def test_any_number_of_lines(size: int) -> None:
    octets = random.Random(size).randbytes(size)
    assert written(octets, 76) == lines(octets, 76)
    assert written(memoryview(b"x" + octets)[1:], 76) == lines(octets, 76)


GOOD = lines(bytes(range(256)) * 4, 76)


@pytest.mark.parametrize(
    "text",
    [
        GOOD + b"\r\n",
        b"\r\n" + GOOD,
        GOOD.replace(b"\r\n", b"\r\n ", 1),
        GOOD.replace(b"\r\n", b"\n"),
        GOOD.replace(b"A", b"*", 1),
        GOOD.replace(b"A", b"-", 1),
        GOOD[:-4] + b"AB==",  # the bits that are not used are not 0
        GOOD[:-2],
        GOOD[:100] + b"\r\n" + GOOD[100:],
        lines(bytes(3_000), 75),
        lines(bytes(3_000), 1024),
        b"AAAA====",
        b"AA==\r\nAAAA",
    ],
)
def test_what_is_not_written_again_as_it_was_is_left_alone(text: bytes) -> None:
    assert undone(text) is None


@given(st.binary(max_size=200))
def test_anything_else_is_left_alone_or_comes_back(text: bytes) -> None:
    found = undone(text)
    assert found is None or written(found[1], found[0]) == text
