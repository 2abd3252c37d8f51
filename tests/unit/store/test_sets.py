"""Sets of numbers: their text, and the pieces that statements name."""

from array import array
from itertools import compress, pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pennypost.store import sets

ascending = st.lists(st.integers(1, 3000), unique=True, max_size=700).map(sorted)
dense = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), max_size=12)


def spread(steps: list[tuple[int, int]]) -> list[int]:
    numbers, at = [], 0
    for gap, length in steps:
        at += gap + 1
        numbers += range(at, at + length)
        at += length
    return numbers


@settings(max_examples=100, deadline=None)
@given(ascending | dense.map(spread))
def test_text_and_pieces_keep_the_set(numbers: list[int]) -> None:
    text = sets.to_text(numbers) if numbers else None
    assert list(sets.numbers(text)) == numbers
    assert sets.ranges(text) == sets.runs(numbers)
    named = []
    for piece in sets.pieces(numbers):
        assert piece.clause.count("?") == len(piece.values)
        if piece.clause.startswith("BETWEEN"):
            assert list(range(piece.values[0], piece.values[1] + 1)) == list(piece.numbers)
        else:
            assert set(piece.values) == set(piece.numbers)
            assert len(piece.values) in sets.PIECE_SIZES
        named += list(piece.numbers)
    assert named == numbers


@pytest.mark.parametrize(("numbers", "text"), [([5], "5"), ([5, 6, 7, 9], "5:7,9"), ([1, 3], "1,3"), ([4, 5], "4:5")])
def test_the_text(numbers: list[int], text: str) -> None:
    assert sets.to_text(numbers) == text


def test_numbers_must_ascend() -> None:
    for wrong in ([2, 1], [1, 1]):
        with pytest.raises(ValueError, match="ascend"):
            sets.runs(wrong)


def test_a_long_run_is_named_by_its_ends() -> None:
    pieces = list(sets.pieces([1, *range(10, 1000), 2000, 2002]))
    assert [piece.clause for piece in pieces] == ["IN (?)", "BETWEEN ? AND ?", "IN (?, ?, ?, ?)"]
    assert pieces[2].values == (2000, 2002, 2002, 2002)
    assert list(sets.pieces([])) == []


@settings(max_examples=100, deadline=None)
@given((ascending | dense.map(spread)).filter(bool), st.randoms(use_true_random=False))
def test_what_is_picked(numbers: list[int], chance: Random) -> None:
    marks = bytes([chance.random() < 0.7 for _ in numbers])
    where, chosen = sets.spans(marks), list(compress(numbers, marks))
    assert sets.picked(array("q", numbers), where) == array("q", chosen)
    assert sets.picked_text(array("q", numbers), where) == sets.to_text(chosen)
    chance.shuffle(numbers)
    assert list(sets.numbers(sets.text_of(numbers))) == sorted(numbers)


def test_text_of_some_in_a_row() -> None:
    where = sets.spans(bytes([1, 0, 1, 1, 0, 0, 1]))
    assert where == [(0, 1), (2, 4), (6, 7)]
    assert sets.picked_text(array("I", range(7, 14)), where) == "7,9:10,13"


@settings(max_examples=100, deadline=None)
@given(ascending | dense.map(spread), dense.map(spread))
def test_what_lies_within_ranges(numbers: list[int], wanted: list[int]) -> None:
    column, ranges = array("q", numbers), sets.runs(wanted)
    places = sets.within(column, ranges)
    rest = sets.others(places, len(column))
    assert list(sets.picked(column, places)) == [number for number in numbers if number in set(wanted)]
    assert list(sets.picked(column, rest)) == [number for number in numbers if number not in set(wanted)]
    assert all(end < start for (_, end), (start, _) in pairwise(places))
    assert all(end < start for (_, end), (start, _) in pairwise(rest))
