import pytest
from hypothesis import given
from hypothesis import strategies as st

from pennypost.proto.imap.sequence import STAR, Ranges, SequenceSet, intersect, merge, without


@pytest.mark.parametrize(
    ("ranges", "largest", "expected"),
    [
        # RFC 9051 §9, seq-range: in either order; 6.4.8: "*" is the largest in use, also where it is the smaller
        (((1, STAR),), 7, ((1, 7),)),
        (((9, STAR),), 7, ((7, 9),)),
        (((STAR, STAR),), 7, ((7, 7),)),
        (((STAR, STAR),), 0, ()),
        (((1, STAR),), 0, ()),
        (((3, 5),), 4, ((3, 5),)),
        (((5, 6), (1, 2), (3, 3)), 9, ((1, 3), (5, 6))),
        (((1, 9), (2, 3)), 9, ((1, 9),)),
        (((1, 2), (4, 5), (STAR, STAR)), 5, ((1, 2), (4, 5))),
    ],
)
def test_resolve(ranges: Ranges, largest: int, expected: Ranges) -> None:
    assert SequenceSet(ranges).resolve(largest) == expected


def test_highest() -> None:
    assert SequenceSet(((1, 5), (3, STAR))).highest == 5
    assert SequenceSet(((STAR, STAR),)).highest == 0
    assert SequenceSet((), saved=True).highest == 0


def test_merge() -> None:
    assert merge([]) == ()
    assert merge([(4, 4), (1, 2), (2, 3)]) == ((1, 4),)


RANGES = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)).map(lambda pair: (min(pair), max(pair)))).map(merge)


def numbers(ranges: Ranges) -> set[int]:
    return {number for low, high in ranges for number in range(low, high + 1)}


@given(RANGES, RANGES, st.sets(st.integers(1, 40)))
def test_arithmetic_of_ranges_is_that_of_sets(one: Ranges, other: Ranges, some: set[int]) -> None:
    assert numbers(intersect(one, other)) == numbers(one) & numbers(other)
    assert numbers(without(one, sorted(some))) == numbers(one) - some
