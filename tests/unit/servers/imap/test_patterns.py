"""The wildcards of LIST (RFC 9051 §6.3.9)."""

import re
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pennypost.servers.imap.errors import Refused
from pennypost.servers.imap.patterns import Patterns


@pytest.mark.parametrize(
    ("reference", "pattern", "name", "expected"),
    [
        ("", "*", "a/b/c", True),
        ("", "%", "a", True),
        ("", "%", "a/b", False),
        ("", "a/%", "a/b", True),
        ("", "a/%", "a/b/c", False),
        ("", "a/*", "a/b/c", True),
        ("", "a/*", "a", False),
        ("a/", "%", "a/b", True),
        ("", "%/%", "a/b", True),
        ("", "a%c", "abc", True),
        ("", "a%c", "a/c", False),
        ("", "*c", "a/b/c", True),
        ("", "", "", True),
        ("", "", "a", False),
        ("", "Work", "work", False),
        ("", "inbox", "INBOX", True),
        ("", "iN%", "INBOX", True),
        ("", "inbox/%", "INBOX/a", True),
        ("", "inbox/A", "INBOX/a", False),
        ("", "inboxes", "inboxes", True),
        ("", "a%", "a", True),
        ("", "%*%", "a/b", True),
    ],
)
def test_matching(reference: str, pattern: str, name: str, expected: bool) -> None:
    assert Patterns(reference, (pattern,)).match(name) is expected


def test_one_of_several_is_enough() -> None:
    patterns = Patterns("", ("a", "b%"))
    assert patterns.match("bc")
    assert not patterns.match("c")


@settings(max_examples=200, deadline=None)
@given(st.text("ab/%*", max_size=8), st.text("ab/", max_size=10))
def test_it_agrees_with_regular_expressions(pattern: str, name: str) -> None:
    expression = "".join({"*": ".*", "%": "[^/]*"}.get(char, re.escape(char)) for char in pattern)
    assert Patterns("", (pattern,)).match(name) is bool(re.fullmatch(expression, name))


def test_a_hostile_pattern_takes_no_longer_than_pattern_times_name() -> None:
    began = process_time()
    assert not Patterns("", ("*a%" * 300,)).match("a" * 900 + "/b")
    assert process_time() - began < 5


@pytest.mark.parametrize("wildcards", ["*%", "%", "%*"])
def test_a_run_of_wildcards_is_one(wildcards: str) -> None:
    began = process_time()
    assert not Patterns("", (wildcards * 20_000 + "b",)).match("a" * 900)
    assert process_time() - began < 1


def test_patterns_that_take_too_long_are_refused() -> None:
    patterns = Patterns("", ["*a" * 400 + "b"] * 256)
    with pytest.raises(Refused, match="too complex"):
        list(map(patterns.match, ["a" * 900] * 10_000))
