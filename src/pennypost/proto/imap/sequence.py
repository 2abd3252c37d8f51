"""Sequence sets: message numbers and UIDs as clients write them (RFC 9051 §9, sequence-set)."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from pennypost.model.ids import MAX_UID

Ranges = tuple[tuple[int, int], ...]
"""First and last, inclusive; ascending and apart from each other where a function says so."""

STAR = MAX_UID + 1
"""How `*` is kept: the largest number in use, whatever it is. Above every real number, so that it sorts last."""


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """A sequence set as it was sent: pairs in the client's order, each pair low to high, `*` as `STAR`.

    `saved`: it was `$`, the result of the last SEARCH that saved one (RFC 9051 §6.4.4.1); `ranges` is empty then.
    """

    ranges: Ranges
    saved: bool = False

    def resolve(self, largest: int) -> Ranges:
        """Give what it means when `largest` is the highest number in use: ascending ranges, none touching another.

        Numbers above `largest` that were written out stay; for UIDs they match nothing (RFC 9051 §6.4.8), for message
        numbers see `highest`. In an empty mailbox (`largest` 0) a range with `*` holds nothing.
        """
        found = self.ranges
        if len(found) == 1 and found[0][1] != STAR:
            return found
        pairs = []
        for low, high in found:
            if high != STAR:
                pairs.append((low, high))
            elif largest:
                first = largest if low == STAR else low
                pairs.append((first, largest) if first <= largest else (largest, first))
        return merge(pairs)

    @property
    def highest(self) -> int:
        """The largest number written out; 0 if there is only `*`. A message number past the last message is BAD."""
        return max((bound for pair in self.ranges for bound in pair if bound != STAR), default=0)


def merge(pairs: list[tuple[int, int]]) -> Ranges:
    """Sort ranges and join those that overlap or touch."""
    if len(pairs) <= 1:
        return tuple(pairs)
    pairs.sort()
    merged: list[tuple[int, int]] = []
    first, last = pairs[0]
    for low, high in pairs[1:]:
        if low > last + 1:
            merged.append((first, last))
            first, last = low, high
        elif high > last:
            last = high
    merged.append((first, last))
    return tuple(merged)


def intersect(one: Sequence[tuple[int, int]], other: Sequence[tuple[int, int]]) -> Ranges:
    """Give what two sets have in common; both as ascending ranges apart from each other."""
    found: list[tuple[int, int]] = []
    at = 0
    for low, high in one:
        while at < len(other) and other[at][1] < low:
            at += 1
        for first, last in other[at:]:
            if first > high:
                break
            found.append((max(first, low), min(last, high)))
    return tuple(found)


def without(ranges: Sequence[tuple[int, int]], numbers: Sequence[int]) -> Ranges:
    """Give ranges without some ascending numbers."""
    found: list[tuple[int, int]] = []
    for low, high in ranges:
        for number in numbers[bisect_left(numbers, low) : bisect_right(numbers, high)]:
            if low < number:
                found.append((low, number - 1))
            low = number + 1
        if low <= high:
            found.append((low, high))
    return tuple(found)
