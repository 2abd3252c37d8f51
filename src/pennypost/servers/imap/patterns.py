"""Matching mailbox names against the patterns of LIST (RFC 9051 §6.3.9): `*` is anything, `%` stops at a delimiter."""

import re
from collections.abc import Iterable

from pennypost.model.mailbox import DELIMITER
from pennypost.proto.imap.responses import codes
from pennypost.proto.imap.responses.status import no
from pennypost.servers.imap.errors import Refused

MAX_STEPS = 10_000_000
"""Characters of patterns times characters of names that one command compares, simple patterns aside: up to two
seconds in which nobody else has his turn."""

_RUN = re.compile(r"[*%]{2,}")


class Patterns:
    """The patterns of one LIST or LSUB, each joined to the reference.

    Matching takes time proportional to pattern × name, whatever the pattern: no backtracking. A name that begins with
    INBOX is compared without regard to case there (RFC 9051 §5.1).
    """

    __slots__ = ("_patterns", "_steps")

    def __init__(self, reference: str, patterns: Iterable[str]) -> None:
        self._patterns = tuple(_joined(reference, pattern) for pattern in patterns)
        self._steps = 0

    @property
    def shows_above(self) -> bool:
        """Whether names are to be shown that are no mailboxes and have some below: "%" at the end of a pattern asks for
        them (RFC 9051 §6.3.9)."""
        return any(pattern.endswith("%") for pattern in self._patterns)

    def may_match_below(self, head: str) -> bool:
        """Whether `head`, or a name below it, may match: cheap, and never wrongly False."""
        literals = (pattern.partition("*")[0].partition("%")[0] for pattern in self._patterns)
        return any(literal.startswith(head) or head.startswith(literal) for literal in literals)

    def match(self, name: str) -> bool:
        """Whether any of the patterns matches all of `name`. Raises Refused when all this takes too much."""
        return any(self._matches(pattern, name) for pattern in self._patterns)

    def _matches(self, pattern: str, name: str) -> bool:
        if pattern == "*":
            return True
        if name == "INBOX" or name.startswith("INBOX" + DELIMITER):
            pattern = _fold_inbox(pattern)
        beginning, wildcard, rest = pattern[:-1], pattern[-1:], ""
        if "*" not in beginning and "%" not in beginning:  # what clients ask for
            if wildcard not in ("*", "%"):
                return name == pattern
            rest = name.removeprefix(beginning)
            return name.startswith(beginning) and (wildcard == "*" or DELIMITER not in rest)
        self._steps += len(pattern) * len(name)
        if self._steps > MAX_STEPS:
            raise Refused(no("The patterns are too complex for so many mailboxes", codes.LIMIT))
        return _walk(pattern, name)


def _joined(reference: str, pattern: str) -> str:
    """Interpret a pattern below its reference: a plain prefix here (RFC 9051 §6.3.9). A run of wildcards is one."""
    return _RUN.sub(lambda run: "*" if "*" in run.group() else "%", reference + pattern)


def _fold_inbox(pattern: str) -> str:
    """Put what a pattern says of the first level into capitals, as far as it spells the beginning of INBOX."""
    head = pattern[:5]
    for at, char in enumerate(head):
        if char in "*%":
            head = head[:at]
            break
    return head.upper() + pattern[len(head) :] if "INBOX".startswith(head.upper()) else pattern


def _walk(pattern: str, name: str) -> bool:
    """Follow all ways through the pattern at once. `live`: the pattern positions the name so far can have led to."""
    live = _skip_wildcards(pattern, {0})
    for char in name:
        following: set[int] = set()
        for at in live:
            if at == len(pattern):
                continue
            token = pattern[at]
            if token == "*" or (token == "%" and char != DELIMITER):
                following.add(at)
            elif token == char and token != "%":
                following.add(at + 1)
        if not following:
            return False
        live = _skip_wildcards(pattern, following)
    return len(pattern) in live


def _skip_wildcards(pattern: str, positions: set[int]) -> set[int]:
    """Add the positions after wildcards, which may stand for nothing."""
    reached = set(positions)
    for at in positions:
        following = at
        while following < len(pattern) and pattern[following] in "*%":
            following += 1
            reached.add(following)
    return reached
