"""FUZZY: texts matched as well as it goes, and how relevant each match is (RFC 6203).

A text stands for its words. A message matches where most of them begin words of it, in any order, with or without their
accents: two thirds of them, rounded up. What is rare in the mailbox counts more than what is common, a word in the
header more than one in the body, one as it was typed more than one without accents. The full-text index knows all of
that of most messages; others are read, as ever (`text_keys`).
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from math import log
from typing import Any

from pennypost.message.headers import values
from pennypost.message.search_text import Query, folded, plain, query_words, words_of
from pennypost.message.words import decode_words
from pennypost.proto.imap.responses import codes
from pennypost.proto.imap.responses.search import ranges_of
from pennypost.proto.imap.responses.status import no
from pennypost.proto.imap.search_keys import And, BodyKey, Fuzzy, HeaderKey, Not, Or, SearchKey, TextKey, UidKey
from pennypost.proto.imap.sequence import SequenceSet
from pennypost.servers.imap.errors import Refused
from pennypost.servers.imap.matching import Positions
from pennypost.servers.imap.message_text import Read, Test
from pennypost.servers.imap.selected import Selected, Slice
from pennypost.servers.imap.session import Session
from pennypost.servers.imap.text_keys import Lookups

MAX_QUERY_WORDS = 16
"""Words of one text that are looked for."""

_IN_HEADER = 2.0
_IN_BODY = 1.0
_WITHOUT_ACCENTS = 0.6

Scores = dict[int, float]
"""By position, how relevant a message is: higher is more."""

ReadAll = Callable[[Test, bool, Positions], Awaitable[Sequence[int]]]
"""Reads messages, with their bodies or without, and gives those that a test is true of."""


async def resolved(
    session: Session,
    selected: Selected,
    key: SearchKey,
    piece: Slice,
    among: Positions,
    read: ReadAll,
    scores: Scores,
    lookups: Lookups,
) -> SearchKey:
    """Put UIDs in the place of fuzzy keys, and add up how relevant the messages are."""

    async def within(keys: Iterable[SearchKey]) -> tuple[SearchKey, ...]:
        return tuple([await resolved(session, selected, inner, piece, among, read, scores, lookups) for inner in keys])

    match key:
        case And(keys=keys):
            return And(await within(keys))
        case Or(keys=keys):
            return Or(await within(keys))
        case Not(key=inner):  # what does not match is not relevant
            return Not(await resolved(session, selected, inner, piece, among, read, {}, lookups))
        case Fuzzy(key=asked):
            query = query_words(folded(asked.text))
            if query is None:
                return asked
            if not lookups.may_ask():
                raise Refused(no("Too many texts to search fuzzily", codes.LIMIT))  # RFC 6203 §8
            words = tuple(dict.fromkeys(query.words))[:MAX_QUERY_WORDS]
            found = await _occurrences(session, selected, asked, words, piece, among, read, lookups)
            ranked = rank(found, len(piece.uids))
            for at, score in ranked.items():
                scores[at] = scores.get(at, 0.0) + score
            return UidKey(SequenceSet(ranges_of([piece.uids[at] for at in sorted(ranked)])))
    return key


def rank(occurrences: Sequence[Scores], count: int) -> Scores:
    """Score the messages that have most of the words. `occurrences`: of each word, where it is and how well.

    `count`: messages of the mailbox.
    """
    wanted = -(-2 * len(occurrences) // 3)
    totals: Scores = {}
    hits: dict[int, int] = {}
    for places in occurrences:
        rarity = log(1 + count / len(places)) if places else 0.0
        for at, strength in places.items():
            totals[at] = totals.get(at, 0.0) + strength * rarity
            hits[at] = hits.get(at, 0) + 1
    return {at: total for at, total in totals.items() if hits[at] >= wanted}


def relevancies(scores: Scores, positions: Iterable[int]) -> list[int]:
    """Give scores from 1 to 100, the best is 100 (RFC 6203 §4). Where nothing was weighed everything is as good."""
    best = max(scores.values(), default=0.0)
    if not best:
        return [100 for _ in positions]
    return [max(1, round(100 * scores.get(at, 0.0) / best)) for at in positions]


async def _occurrences(
    session: Session,
    selected: Selected,
    asked: HeaderKey | BodyKey | TextKey,
    words: Sequence[str],
    piece: Slice,
    among: Positions,
    read: ReadAll,
    lookups: Lookups,
) -> list[Scores]:
    """Find, of each word, the messages that have it."""
    found: list[Scores] = [{} for _ in words]
    to_read = among
    if not isinstance(asked, HeaderKey) and len(among) > lookups.few and session.door.store.search.enabled:
        to_read = await _look_up(session, selected, isinstance(asked, TextKey), words, piece, among, found, lookups)
    weigh = _weigher(asked)

    def test(message: Read) -> bool:
        in_header, in_body = weigh(message)
        for number, word in enumerate(words):
            strength = _strength(word, in_header, in_body)
            if strength:
                found[number][message.position] = strength
        return False

    if to_read:
        await read(test, not isinstance(asked, HeaderKey), to_read)
    return found


async def _look_up(
    session: Session,
    selected: Selected,
    header: bool,
    words: Sequence[str],
    piece: Slice,
    among: Positions,
    found: list[Scores],
    lookups: Lookups,
) -> list[int]:
    """Ask the index. Gives the positions of messages that it does not know."""
    upto: int | None = None
    unsure: set[int] = set()
    weights: list[dict[int, float]] = []
    for word in words:
        its: dict[int, float] = {}
        for text, in_header, fuzzy, strength in (
            (plain(word), header, True, _WITHOUT_ACCENTS),
            (word, False, False, _IN_BODY),
            *(((word, True, False, _IN_HEADER),) if header else ()),
        ):
            query = Query((text,), last_is_whole=False, exact=True)
            body = strength is not _IN_HEADER
            hits = await lookups.find(session, selected.account, query, header=in_header, body=body, fuzzy=fuzzy)
            its.update(dict.fromkeys(hits.messages, strength))
            unsure.update(hits.unsure)
            upto = hits.upto if upto is None else min(upto, hits.upto)
        weights.append(its)
    known, messages = upto or 0, piece.messages
    to_read = [at for at in among if messages[at] > known or messages[at] in unsure]
    left = set(to_read)
    for places, its in zip(found, weights, strict=True):
        places.update({at: its[messages[at]] for at in among if messages[at] in its and at not in left})
    return to_read


def _weigher(asked: HeaderKey | BodyKey | TextKey) -> Callable[[Read], tuple[set[str], set[str]]]:
    """Give what tells the words of a message that count as those of the header, and those of the body."""
    match asked:
        case HeaderKey(name=name):
            field = name.encode("utf-8")
            return lambda message: (
                words_of(" ".join([folded(decode_words(one)) for one in values(message.header, field)])),
                set(),
            )
        case BodyKey():
            return lambda message: (set(), words_of(message.body_text))
        case TextKey():
            return lambda message: (words_of(message.header_text), words_of(message.body_text))


def _strength(word: str, in_header: set[str], in_body: set[str]) -> float:
    if _begins_one(word, in_header):
        return _IN_HEADER
    if _begins_one(word, in_body):
        return _IN_BODY
    bare = plain(word)
    return _WITHOUT_ACCENTS if _begins_one(bare, map(plain, (*in_header, *in_body))) else 0.0


def _begins_one(word: str, words: Iterable[str]) -> bool:
    return any(one.startswith(word) for one in words)


def by_relevancy(scores: Scores, count: int) -> Sequence[Any]:
    """Make a column to sort by, the most relevant first (RFC 6203 §6)."""
    return [-scores.get(at, 0.0) for at in range(count)]
