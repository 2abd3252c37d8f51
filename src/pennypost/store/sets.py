"""Sets of numbers: as change rows write them, and cut into pieces that statements of constant text can name.

A set is written as IMAP writes one (RFC 9051 §9 sequence-set): "5:7,9". Numbers come ascending, without doubles.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

LONG_RUN = 8
"""From this many numbers in a row on, they are named by their ends."""

PIECE_SIZES = (1, 4, 16, 64, 256)
"""How many placeholders an IN may have: few, so that each statement is prepared a few times only."""

_NAMED_BY_ENDS = "BETWEEN ? AND ?"


class Piece(NamedTuple):
    """A part of a set: `clause` stands after a column's name and takes `values`; `numbers` are what it names."""

    clause: str
    values: tuple[int, ...]
    numbers: Sequence[int]


def runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Give the ranges, both ends inclusive, of ascending numbers."""
    found: list[tuple[int, int]] = []
    first = last = None
    for number in numbers:
        if first is None or last is None:
            first = last = number
        elif number == last + 1:
            last = number
        elif number > last:
            found.append((first, last))
            first = last = number
        else:
            raise ValueError("numbers must ascend")
    if first is not None and last is not None:
        found.append((first, last))
    return found


def to_text(numbers: Sequence[int]) -> str:
    """Write ascending numbers as a set. A single number, the usual case, is written at once."""
    if len(numbers) == 1:
        return str(numbers[0])
    return ",".join(f"{first}:{last}" if last > first else str(first) for first, last in runs(numbers))


def ranges(text: str | None) -> list[tuple[int, int]]:
    """Read a set that `to_text` wrote, as ranges with both ends inclusive; None is the empty set."""
    if not text:
        return []
    found = []
    for part in text.split(","):
        first, _, last = part.partition(":")
        found.append((int(first), int(last or first)))
    return found


def numbers(text: str | None) -> Iterator[int]:
    """Read a set that `to_text` wrote, number by number."""
    for first, last in ranges(text):
        yield from range(first, last + 1)


def pieces(ascending: Sequence[int]) -> Iterator[Piece]:
    """Cut a set into pieces, in order: what a piece names lies wholly before what the next one names."""
    if len(ascending) == 1:
        yield Piece("IN (?)", (ascending[0],), ascending)
        return
    start = 0  # of what was not yet given out
    position = 0
    for first, last in runs(ascending):
        length = last - first + 1
        if length >= LONG_RUN:
            yield from listed(ascending[start:position])
            yield Piece(_NAMED_BY_ENDS, (first, last), ascending[position : position + length])
            start = position + length
        position += length
    yield from listed(ascending[start:])


def listed(ascending: Sequence[int]) -> Iterator[Piece]:
    """Cut a set into pieces that list all their numbers."""
    largest = PIECE_SIZES[-1]
    for start in range(0, len(ascending), largest):
        part = ascending[start : start + largest]
        size = next(size for size in PIECE_SIZES if size >= len(part))
        padded = (*part, *(part[-1],) * (size - len(part)))
        yield Piece(_in(size), padded, part)


@lru_cache(maxsize=len(PIECE_SIZES))
def _in(size: int) -> str:
    return f"IN ({', '.join('?' * size)})"
