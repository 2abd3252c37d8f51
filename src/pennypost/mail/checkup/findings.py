"""What checks say."""

from dataclasses import dataclass
from enum import Enum


class Grade(Enum):
    """How grave a finding is."""

    GOOD = "good"
    HINT = "hint"
    """It could be better; mail goes through."""
    PROBLEM = "problem"
    UNKNOWN = "unknown"
    """It could not be found out: nothing is said of how it is."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `check`: its name, one word. `found`: what was seen. `advice`: what to do, "" for
    what is good."""

    check: str
    grade: Grade
    found: str
    advice: str = ""


def good(check: str, found: str) -> Finding:
    return Finding(check, Grade.GOOD, found)


def hint(check: str, found: str, advice: str) -> Finding:
    return Finding(check, Grade.HINT, found, advice)


def problem(check: str, found: str, advice: str) -> Finding:
    return Finding(check, Grade.PROBLEM, found, advice)


_ASK_AGAIN = "Look again later; if it stays so, see whether the name servers of the zone and the resolver answer."


def unknown(check: str, found: str, advice: str = "") -> Finding:
    return Finding(check, Grade.UNKNOWN, found, advice)


def no_answer(check: str, name: str, kind: str) -> Finding:
    """The DNS failed: that is not the same as no record."""
    return unknown(check, f"the DNS does not answer for {kind} of {name}", _ASK_AGAIN)
