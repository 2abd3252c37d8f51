import tomllib
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pennypost.app.config.values import parse_duration, parse_octets, render_value
from pennypost.model.secret import Secret
from pennypost.model.units import render_duration, render_octets


@pytest.mark.parametrize(
    ("text", "octets"),
    [("25 MiB", 25 * 2**20), ("1.5 KiB", 1536), ("0 octets", 0), ("7 B", 7), ("2GiB", 2**31), ("1 TiB", 2**40)],
)
def test_sizes(text: str, octets: int) -> None:
    assert parse_octets(text) == octets


@pytest.mark.parametrize(
    "text", ["", "25", "25 MB", "MiB", "-1 KiB", "1 KiB 2 KiB", "0.3 B", "25 mib", "9999999 TiB", "9" * 400 + " B"]
)
def test_sizes_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_octets(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5 min", 300),
        ("5 minutes", 300),
        ("1 h 30 min", 5400),
        ("250 ms", 0.25),
        ("2 weeks", 14 * 86400),
        ("1 day", 86400),
        ("0 s", 0),
        ("10 secs", 10),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "min", "5 m", "5 min oops", "1 fortnight", "-5 min", "9999999 weeks"])
def test_durations_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_duration(text)


@given(st.integers(0, 2**50))
def test_a_size_that_was_written_is_read_back(octets: int) -> None:
    assert parse_octets(render_octets(octets)) == octets


@given(st.integers(0, 10**12))
def test_a_duration_that_was_written_is_read_back(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(render_duration(duration)) == duration


def test_a_secret_is_never_shown() -> None:
    secret = Secret("hunter2")
    assert "hunter2" not in repr(secret) + str(secret) + f"{secret}" + render_value(secret)


def test_text_is_escaped() -> None:
    assert render_value('a"b\\c\n') == '"a\\"b\\\\c\\u000a"'


def test_what_is_rendered_is_toml() -> None:
    value = {"plain-key": 1.5, "127.0.1.4/30": 'a "quoted" text'}
    assert tomllib.loads(f"x = {render_value(value)}") == {"x": value}
