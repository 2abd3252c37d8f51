"""Mailbox names: RFC 9051 §5.1, §5.1.2."""

import pytest

from pennypost.model.errors import BadMailboxName
from pennypost.store import names


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("INBOX", "INBOX"),
        ("inbox", "INBOX"),
        ("iNbOx/a", "INBOX/a"),
        ("a/inbox", "a/inbox"),
        ("inboxes", "inboxes"),
        ("\u0131nbox", "\u0131nbox"),
        ("Cafe\u0301", "Caf\u00e9"),
        (" spaced name ", " spaced name "),
        ('a&b\\c"d', 'a&b\\c"d'),
        ("\u65e5\u672c\u8a9e/\U0001f4ee", "\u65e5\u672c\u8a9e/\U0001f4ee"),
    ],
)
def test_names_as_they_are_stored(written: str, stored: str) -> None:
    assert names.normalise(written) == stored
    assert names.normalise(stored) == stored


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        "a\r\nb",
        "a\0b",
        "a\x7fb",
        "a\x85b",
        "a\u2028b",
        "a\ud800b",
        "50%",
        "all*",
        "#news",
        "x" * 256,
        "/".join("x" * 200 for _ in range(6)),
        "/".join("x" * 33),
        "\u00fc" * 128,
    ],
)
def test_names_that_are_refused(bad: str) -> None:
    with pytest.raises(BadMailboxName):
        names.normalise(bad)


def test_limits_are_inclusive() -> None:
    assert names.normalise("x" * names.MAX_LEVEL_OCTETS)
    assert names.normalise("/".join("x" * names.MAX_LEVELS))


def test_above_and_below() -> None:
    assert names.ancestors("a/b/c") == ["a", "a/b"]
    assert names.ancestors("a") == []
    first, end = names.below("a")
    assert [name for name in ("a", "a!", "a/", "a/b", "a/\U0010ffff", "a0", "ab") if first <= name < end] == [
        "a/",
        "a/b",
        "a/\U0010ffff",
    ]
