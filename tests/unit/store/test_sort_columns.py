"""Sorting in blocks is sorting."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pennypost.store import sort_columns
from pennypost.store.sort_columns import sort_positions

COLUMNS = st.lists(st.tuples(st.booleans(), st.integers(1, 4)), min_size=1, max_size=3)


@given(st.lists(st.integers(0, 30), unique=True, max_size=31), COLUMNS, st.randoms(use_true_random=False))
def test_blocks_are_joined_in_order(positions: list[int], kinds: list[tuple[bool, int]], chance: Any) -> None:
    columns = [([chance.randrange(different) for _ in range(31)], descending) for descending, different in kinds]

    def rank(at: int) -> list[int]:
        return [-values[at] if descending else values[at] for values, descending in columns]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sort_columns, "BLOCK", 3)
        assert sort_positions(positions, columns) == sorted(positions, key=rank)
