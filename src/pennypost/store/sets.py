"""Sets of numbers: as change rows write them, and cut into pieces that statements of constant text can name.

A set is written as IMAP writes one (RFC 9051 §9 sequence-set): "5:7,9". Numbers come ascending, without doubles.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import compress
from operator import lt, sub
from typing import Any, NamedTuple, TypeVar, cast

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
    """Give the ranges, both ends inclusive, of ascending numbers. Raises ValueError if they do not ascend."""
    ascending = numbers if isinstance(numbers, list) else list(numbers)
    if not ascending:
        return []
    first, last = ascending[0], ascending[-1]
    if last - first == len(ascending) - 1 and ascending == list(range(first, last + 1)):
        return [(first, last)]
    steps = list(map(sub, ascending[1:], ascending))
    if min(steps, default=1) < 1:
        raise ValueError("numbers must ascend")
    breaks = list(compress(range(1, len(ascending)), map((1).__ne__, steps)))
    firsts = [first, *[ascending[at] for at in breaks]]
    lasts = [*[ascending[at - 1] for at in breaks], last]
    return list(zip(firsts, lasts, strict=True))


def ascending(numbers: Sequence[int]) -> Sequence[int]:
    """Give numbers in order and once each: themselves, if they are that already, which most often they are."""
    return numbers if all(map(lt, numbers, numbers[1:])) else sorted(set(numbers))


def _in_a_row(numbers: Sequence[int]) -> bool:
    """Whether each number is the one before it and one."""
    first, last = (numbers[0], numbers[-1]) if numbers else (0, 0)
    return last - first + 1 == len(numbers) and list(numbers) == list(range(first, last + 1))


def text_of(numbers: Sequence[int]) -> str:
    """Write numbers, in any order, as a set."""
    if len(numbers) > 1 and _in_a_row(numbers):
        return f"{numbers[0]}:{numbers[-1]}"
    return to_text(ascending(numbers))


Span = tuple[int, int]
"""Places in columns: the first, and the one behind the last."""


def spans(marks: bytes) -> list[Span]:
    """Give the stretches of places that are marked by 1; others have 0."""
    found: list[Span] = []
    start, length = marks.find(1), len(marks)
    while start >= 0:
        end = marks.find(0, start)
        if end < 0:
            end = length
        found.append((start, end))
        start = marks.find(1, end)
    return found


Column = TypeVar("Column", "array[int]", bytearray, list[str | None])


def picked(column: Column, where: Sequence[Span]) -> Column:
    """Give what is at some places of a column."""
    found: Any = column[:0]  # mypyc does not look at each type of the variable by itself
    for start, end in where:
        found += column[start:end]
    return cast("Column", found)


def others(where: Sequence[Span], length: int) -> list[Span]:
    """Give the places of columns of some length that are not among ascending ones apart from each other."""
    starts, ends = [0, *[end for _, end in where]], [*[start for start, _ in where], length]
    return [(start, end) for start, end in zip(starts, ends, strict=True) if start < end]


def within(numbers: Sequence[int], wanted: Sequence[tuple[int, int]]) -> list[Span]:
    """Give where in ascending numbers those are that lie in ranges, which ascend and have both ends inclusive."""
    spans: list[Span] = []
    for first, last in wanted:
        start, end = bisect_left(numbers, first), bisect_right(numbers, last)
        if start >= end:
            continue
        if spans and spans[-1][1] == start:
            start = spans.pop()[0]
        spans.append((start, end))
    return spans


def picked_text(numbers: "array[int]", where: Sequence[Span]) -> str:
    """Write those of ascending numbers that are at some places, apart from each other, as a set."""
    texts: list[str] = []
    for start, end in where:
        first, last = numbers[start], numbers[end - 1]
        if last - first >= end - start:  # some between are not among them
            texts.append(to_text(numbers[start:end]))
        else:
            texts.append(f"{first}:{last}" if last > first else str(first))
    return ",".join(texts)


def to_text(numbers: Sequence[int]) -> str:
    """Write ascending numbers as a set. A single number, the usual case, is written at once; so is an array that is
    one run by its ends: it was read in order."""
    if len(numbers) == 1:
        return str(numbers[0])
    if isinstance(numbers, array) and numbers and numbers[-1] - numbers[0] + 1 == len(numbers):
        return f"{numbers[0]}:{numbers[-1]}"
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


def pieces(numbers: Sequence[int]) -> Iterator[Piece]:
    """Cut a set, ascending, into pieces, in order: what a piece names lies wholly before what the next one names."""
    if len(numbers) == 1:
        yield Piece("IN (?)", (numbers[0],), numbers)
        return
    start = 0  # of what was not yet given out
    position = 0
    for first, last in runs(numbers):
        length = last - first + 1
        if length >= LONG_RUN:
            yield from listed(numbers[start:position])
            yield Piece(_NAMED_BY_ENDS, (first, last), numbers[position : position + length])
            start = position + length
        position += length
    yield from listed(numbers[start:])


def listed(numbers: Sequence[int]) -> Iterator[Piece]:
    """Cut a set into pieces that list all their numbers."""
    largest = PIECE_SIZES[-1]
    for start in range(0, len(numbers), largest):
        part = numbers[start : start + largest]
        size = next(size for size in PIECE_SIZES if size >= len(part))
        padded = (*part, *(part[-1],) * (size - len(part)))
        yield Piece(_in(size), padded, part)


@lru_cache(maxsize=len(PIECE_SIZES))
def _in(size: int) -> str:
    return f"IN ({', '.join('?' * size)})"
