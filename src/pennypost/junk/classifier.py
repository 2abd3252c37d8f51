"""The chance that a message is junk, from how often its tokens came in junk and in wanted mail before.

Each token that was seen gives a chance of its own, drawn towards one half the less it was seen (Robinson). Those that
say most are combined by Fisher's method, once for junk and once for wanted mail: a message that looks like both, or
like neither, comes out in the middle.

Fisher's method takes its clues to be independent. A pair of words is not independent of its words, so it has to say
more than they do to count, and has to be seen more often to be believed. What is left of that, and what little teaching
cannot know, is `certain`'s to weigh.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pennypost.junk.tokens import Tokens

MAX_CLUES = 150
"""Tokens that count: those that say most."""

_UNKNOWN = 0.5
_WORD_STRENGTH, _PAIR_STRENGTH = 0.2, 0.45
"""How many times being seen not knowing weighs as much as."""
_WORD_LEAST, _PAIR_LEAST = 0.1, 0.4
"""A token whose chance is nearer than this to one half says nothing."""

ENOUGH_LEARNT = 1000
"""Messages of each kind from which on a chance is what it says."""

MIN_LEARNT = 20
"""Messages of each kind that must have been learnt before anything is said."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many wanted messages, and how many junk ones, had a token; or were learnt in all."""

    wanted: int = 0
    junk: int = 0


def chance(learnt: Count, counts: Mapping[int, Count], tokens: Tokens) -> float | None:
    """Give the chance that a message with these tokens is junk, from 0 to 1. None: too little was learnt to say.

    `learnt`: messages in all; `counts`: of the tokens that are known.
    """
    if not suffices(learnt):
        return None
    clues = [
        *_clues(learnt, counts, tokens.words, _WORD_STRENGTH, _WORD_LEAST),
        *_clues(learnt, counts, tokens.pairs, _PAIR_STRENGTH, _PAIR_LEAST),
    ]
    if not clues:
        return _UNKNOWN
    clues.sort(key=lambda clue: -abs(clue - 0.5))
    del clues[MAX_CLUES:]
    for_junk = 1 - _chi_square(-2 * math.fsum(math.log(1 - clue) for clue in clues), 2 * len(clues))
    for_wanted = 1 - _chi_square(-2 * math.fsum(math.log(clue) for clue in clues), 2 * len(clues))
    return (for_junk - for_wanted + 1) / 2


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


def _clues(
    learnt: Count, counts: Mapping[int, Count], tokens: Iterable[int], strength: float, least: float
) -> Iterator[float]:
    for token in tokens:
        count = counts.get(token)
        if count is not None:
            clue = token_chance(learnt, count, strength)
            if abs(clue - 0.5) >= least:
                yield clue


def token_chance(learnt: Count, count: Count, strength: float = _WORD_STRENGTH) -> float:
    """Give the chance that a message with this token is junk, as far as it alone says."""
    in_junk, in_wanted = count.junk / learnt.junk, count.wanted / learnt.wanted
    seen = count.junk + count.wanted
    if not seen:
        return _UNKNOWN
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
