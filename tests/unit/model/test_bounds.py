"""What settings may be."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest

from pennypost.model.bounds import bounded, positive_times, sizes

MINUTE = timedelta(minutes=1)


@dataclass
class Settings:
    count: int = 0
    other: int | None = None
    size: int = 0
    wait: timedelta = timedelta(0)


@pytest.mark.parametrize(
    ("check", "told"),
    [
        (lambda: bounded(Settings(3), "count", "other", least=4), "count: expected at least 4"),
        (
            lambda: bounded(Settings(-1, -2), "count", "size", "other", least=0),
            "count: expected 0 or more\nother: expected 0 or more",
        ),
        (lambda: bounded(Settings(10), "count", least=1, most=9), "count: expected 1 to 9"),
        (lambda: bounded(Settings(wait=2 * MINUTE), "wait", most=MINUTE), "wait: expected at most 1 min"),
        (lambda: positive_times(Settings(), "wait"), "wait: expected more than 0 s"),
        (
            lambda: bounded(Settings(), "wait", above=timedelta(0), most=MINUTE),
            "wait: expected more than 0 s and at most 1 min",
        ),
        (lambda: sizes(Settings(), "size", least=8192, most=2**20), "size: expected 8 KiB to 1 MiB"),
        (lambda: sizes(Settings(), "size"), "size: expected at least 1 octet"),
    ],
)
def test_what_is_out_of_bounds(check: Callable[[], None], told: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        check()
    assert str(caught.value) == told


def test_what_is_within_bounds() -> None:
    bounded(Settings(1), "count", "other", least=1, most=1)
    positive_times(Settings(wait=timedelta(microseconds=1)), "wait")
    sizes(Settings(size=1), "size", most=1)
