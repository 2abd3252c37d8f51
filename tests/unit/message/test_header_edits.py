"""Fields that are put into a header, changed and taken out: all other octets stay as they are."""

import pytest

from pennypost.message.headers import change, insert

HEADER = b"A: 1\r\nno field\r\nB: 2\r\n\tand more\r\na: 3\r\n\r\n"


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (0, b"X: y\r\nA: 1\r\nno field\r\nB: 2\r\n\tand more\r\na: 3\r\n\r\n"),
        (1, b"A: 1\r\nno field\r\nX: y\r\nB: 2\r\n\tand more\r\na: 3\r\n\r\n"),
        (2, b"A: 1\r\nno field\r\nB: 2\r\n\tand more\r\nX: y\r\na: 3\r\n\r\n"),
        (3, b"A: 1\r\nno field\r\nB: 2\r\n\tand more\r\na: 3\r\nX: y\r\n\r\n"),
        (None, b"A: 1\r\nno field\r\nB: 2\r\n\tand more\r\na: 3\r\nX: y\r\n\r\n"),
    ],
)
def test_insert(before: int | None, expected: bytes) -> None:
    assert insert(HEADER, b"X", b"y", before) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"", b"X: y\r\n"),
        (b"\r\n", b"X: y\r\n\r\n"),
        (b"A: 1", b"A: 1\r\nX: y\r\n"),
        (b"A: 1\r\n", b"A: 1\r\nX: y\r\n"),
    ],
)
def test_insert_where_there_is_little(header: bytes, expected: bytes) -> None:
    assert insert(header, b"X", b"y", None) == expected


@pytest.mark.parametrize(
    ("name", "occurrence", "body", "expected"),
    [
        (b"a", 1, b"z", HEADER.replace(b"A: 1", b"A: z")),
        (b"A", 2, b"z", HEADER.replace(b"a: 3", b"a: z")),
        (b"A", 3, b"z", HEADER.replace(b"a: 3\r\n", b"a: 3\r\nA: z\r\n")),
        (b"A", 0, b"z", HEADER.replace(b"A: 1", b"A: z").replace(b"a: 3", b"a: z")),
        (b"A", 0, None, b"no field\r\nB: 2\r\n\tand more\r\n\r\n"),
        (b"B", 1, None, b"A: 1\r\nno field\r\na: 3\r\n\r\n"),
        (b"B", 2, None, HEADER),
        (b"C", 0, None, HEADER),
        (b"C", 1, b"z", HEADER.replace(b"a: 3\r\n", b"a: 3\r\nC: z\r\n")),
    ],
)
def test_change(name: bytes, occurrence: int, body: bytes | None, expected: bytes) -> None:
    assert change(HEADER, name, occurrence, body) == expected
