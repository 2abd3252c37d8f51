"""The chance that a message is junk, from how often its tokens came in junk and in wanted mail before.

Each token that was seen gives a chance of its own, drawn towards one half the less it was seen (Robinson). Those that
say most are combined by Fisher's method, once for junk and once for wanted mail: a message that looks like both, or
like neither, comes out in the middle.

Fisher's method takes its clues to be independent. A pair of words is not independent of its words, so it has to say
more than they do to count, and has to be seen more often to be believed. What is left of that, and what little teaching
cannot know, is `certain`'s to weigh.
"""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pennypost.junk.tokens import Tokens

MAX_CLUES = 150
"""Tokens that count: those that say most."""

_UNKNOWN = 0.5
SILENT = 0.5
"""What a token says that counts for nothing."""
_WORD_STRENGTH, _PAIR_STRENGTH = 0.2, 0.45
"""How many times being seen not knowing weighs as much as."""
_WORD_LEAST, _PAIR_LEAST = 0.1, 0.4
"""A token whose chance is nearer than this to one half says nothing."""

ENOUGH_LEARNT = 1000
"""Messages of each kind from which on a chance is what it says."""

MIN_LEARNT = 20
"""Messages of each kind that must have been learnt before anything is said."""


class Count(NamedTuple):
    """How many wanted messages, and how many junk ones, had a token; or were learnt in all."""

    wanted: int = 0
    junk: int = 0


def chance(learnt: Count, counts: Mapping[int, Count], tokens: Tokens) -> float | None:
    """Give the chance that a message with these tokens is junk, from 0 to 1. None: too little was learnt to say.

    `learnt`: messages in all; `counts`: of the tokens that are known.
    """
    if not suffices(learnt):
        return None
    known = [(counts.get(token), word_clue) for token in tokens.words]
    known += [(counts.get(token), pair_clue) for token in tokens.pairs]
    return combined(clue_of(learnt, count.wanted, count.junk) for count, clue_of in known if count is not None)


def combined(clues: Iterable[float]) -> float:
    """Give the chance that a message is junk by what its tokens say."""
    speaking = [clue for clue in clues if clue != SILENT]
    if not speaking:
        return _UNKNOWN
    if len(speaking) > MAX_CLUES:
        speaking.sort(key=_closeness)
        del speaking[MAX_CLUES:]
    degrees = 2 * len(speaking)
    for_junk = 1 - _chi_square(-2 * _log_of_product([1 - clue for clue in speaking]), degrees)
    for_wanted = 1 - _chi_square(-2 * _log_of_product(speaking), degrees)
    return (for_junk - for_wanted + 1) / 2


def _closeness(clue: float) -> float:
    return -abs(clue - 0.5)


def _log_of_product(factors: list[float]) -> float:
    """Take few logarithms. A clue is at least 1e-4, so that fifty of them are more than the least float."""
    return math.fsum(math.log(math.prod(factors[at : at + 50])) for at in range(0, len(factors), 50))


def suffices(learnt: Count) -> bool:
    """Whether enough was learnt to say anything."""
    return learnt.wanted >= MIN_LEARNT and learnt.junk >= MIN_LEARNT


def certain(learnt: Count, likely: float) -> float:
    """Draw a chance towards one half where little was learnt: who has seen fifty messages cannot know what one in a
    thousand is like."""
    share = min(learnt.wanted, learnt.junk, ENOUGH_LEARNT) / ENOUGH_LEARNT
    if likely > _UNKNOWN:
        return max(1 - (1 - likely) / share, _UNKNOWN)
    return min(likely / share, _UNKNOWN)


def word_clue(learnt: Count, wanted: int, junk: int) -> float:
    """Give what a word says that came in so many messages: the chance that one with it is junk, or SILENT."""
    clue = token_chance(learnt, Count(wanted, junk), _WORD_STRENGTH)
    return clue if abs(clue - 0.5) >= _WORD_LEAST else SILENT


def pair_clue(learnt: Count, wanted: int, junk: int) -> float:
    """Give what a pair of words says."""
    clue = token_chance(learnt, Count(wanted, junk), _PAIR_STRENGTH)
    return clue if abs(clue - 0.5) >= _PAIR_LEAST else SILENT


def token_chance(learnt: Count, count: Count, strength: float = _WORD_STRENGTH) -> float:
    """Give the chance that a message with this token is junk, as far as it alone says."""
    seen = count.junk + count.wanted
    if not seen:
        return _UNKNOWN
    in_junk, in_wanted = count.junk / learnt.junk, count.wanted / learnt.wanted
    plain = in_junk / (in_junk + in_wanted)
    return min(max((strength * _UNKNOWN + seen * plain) / (strength + seen), 1e-4), 1 - 1e-4)


def _chi_square(value: float, degrees: int) -> float:
    """Give the chance that chi square with so many (even) degrees of freedom is at least `value`."""
    half = value / 2
    term = total = math.exp(-half) if half < 700 else 0.0
    if not term:
        # Beyond what a float holds the sum is taken by logarithms.
        logs = [-half + i * math.log(half) - math.lgamma(i + 1) for i in range(degrees // 2)]
        top = max(logs)
        return min(math.exp(top) * math.fsum(math.exp(log - top) for log in logs), 1.0)
    for i in range(1, degrees // 2):
        term *= half / i
        total += term
    return min(total, 1.0)
