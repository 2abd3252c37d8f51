"""Search keys that the mailbox's snapshot answers: flags, numbers, sizes, internal dates (RFC 9051 §6.4.4).

Messages are positions in one `Slice` of the whole mailbox, taken when the search began. A known key is a filter of
ascending positions; what needs the message itself is left to `message_text`.
"""

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import compress

from pennypost.proto.imap.search_keys import (
    AgeKey,
    All,
    And,
    BodyKey,
    DateKey,
    DateRelation,
    FilterKey,
    FlagKey,
    Fuzzy,
    HeaderKey,
    KeywordKey,
    ModSeqKey,
    Not,
    Or,
    RecentKey,
    SearchKey,
    SequenceKey,
    SizeKey,
    TextKey,
    UidKey,
    inner_keys,
)
from pennypost.proto.imap.sequence import SequenceSet
from pennypost.servers.imap.recent import Recents
from pennypost.servers.imap.selected import Selected, Slice
from pennypost.store import sets
from pennypost.store.engine import to_microseconds
from pennypost.store.entry_columns import Words
from pennypost.store.snapshot import Marked

Positions = Sequence[int]

_SECOND = 1_000_000

TESTS_OF_A_TURN = 500_000
"""Tests of messages after which others have their turn: some 30 ms."""


def is_known(key: SearchKey) -> bool:
    """Whether the snapshot alone answers a key."""
    match key:
        case And(keys=keys) | Or(keys=keys):
            return all(map(is_known, keys))
        case Not(key=inner):
            return is_known(inner)
        case HeaderKey() | BodyKey() | TextKey() | Fuzzy() | FilterKey():
            return False
        case DateKey(sent=sent):
            return not sent
    return True


def asks_modseq(key: SearchKey) -> bool:
    """Whether a key asks for mod-sequences anywhere: the answer tells one then (RFC 7162 §3.1.5)."""
    return isinstance(key, ModSeqKey) or any(map(asks_modseq, inner_keys(key)))


class Known:
    """Filters positions in `piece`, which holds the whole mailbox as the session sees it."""

    def __init__(self, selected: Selected, piece: Slice, recents: Recents, now: int) -> None:
        """`now`: microseconds since the epoch."""
        self._selected = selected
        self._piece = piece
        self._recents = recents
        self._now = now
        self._tests = 0
        self._judged: dict[str, dict[str | None, bool]] = {}

    async def filter(self, key: SearchKey, positions: Positions) -> Positions:
        """Give those of ascending positions that match a key the snapshot answers. Others have their turn meanwhile."""
        match key:
            case All():
                return positions
            case And(keys=keys):
                for inner in keys:
                    positions = await self.filter(inner, positions)
                return positions
            case Or(keys=keys):
                found: set[int] = set()
                for inner in keys:
                    found.update(await self.filter(inner, positions))
                return [position for position in positions if position in found]
            case Not(key=inner):
                found = set(await self.filter(inner, positions))
                return [position for position in positions if position not in found]
            case SequenceKey(messages=messages):
                return self._within(positions, self._ranges(messages, uid=False))
            case UidKey(uids=uids):
                return self._within(positions, self._ranges(uids, uid=True))
            case FlagKey(flag=flag, present=present) if isinstance(self._piece.flags, bytearray):
                wanted = self._piece.flags.translate(_table(int(flag), present))
                if isinstance(positions, range):
                    return list(compress(positions, wanted))
                return [position for position in positions if wanted[position]]
        test = self.test(key)
        self._tests += len(positions)
        if self._tests > TESTS_OF_A_TURN:
            self._tests = 0
            await asyncio.sleep(0)
        return [position for position in positions if test(position)]

    def test(self, key: SearchKey) -> Callable[[int], bool]:
        """Make the test of one key that the snapshot answers, for single positions: neither And, Or nor Not."""
        piece = self._piece
        flags, uids, sizes, received = piece.flags, piece.uids, piece.sizes, piece.received_at
        match key:
            case All():
                return lambda at: True
            case SequenceKey(messages=messages):
                return _one_of(self._ranges(messages, uid=False))
            case UidKey(uids=wanted):
                return _one_of(self._ranges(wanted, uid=True))
            case FlagKey(flag=flag, present=True):
                bit = int(flag)
                return lambda at: bool(flags[at] & bit)
            case FlagKey(flag=flag):
                bit = int(flag)
                return lambda at: not flags[at] & bit
            case KeywordKey(keyword=keyword, present=present):
                words = piece.keywords
                if words is None:
                    return lambda at: not present
                holds = self._holding(keyword, words)
                return lambda at: holds[words[at]] is present
            case RecentKey(present=present):
                recents = self._recents
                return lambda at: (uids[at] in recents) is present
            case SizeKey(larger=True, octets=octets):
                return lambda at: sizes[at] > octets
            case SizeKey(octets=octets):
                return lambda at: sizes[at] < octets
            case ModSeqKey(modseq=modseq):
                modseqs = piece.modseqs
                return lambda at: modseqs[at] >= modseq
            case AgeKey(younger=True, seconds=seconds):
                first = self._second_before(seconds)
                return lambda at: received[at] >= first
            case AgeKey(seconds=seconds):
                end = self._second_before(seconds) + _SECOND
                return lambda at: received[at] < end
            case DateKey(relation=relation, day=day):
                first, end = span(relation, day)
                return lambda at: first <= received[at] < end
        raise AssertionError(f"{type(key).__name__} needs the message")

    def _second_before(self, seconds: int) -> int:
        """Give when the second began that was so many seconds ago: WITHIN counts whole ones (RFC 5032 §2)."""
        return (self._now // _SECOND - seconds) * _SECOND

    def _holding(self, keyword: str, words: Words) -> dict[str | None, bool]:
        """Say of all keywords that messages have, packed, whether one is among them; case does not matter."""
        wanted = keyword.casefold()
        if wanted not in self._judged:
            self._judged[wanted] = {
                packed: packed is not None and wanted in packed.casefold().split(" ") for packed in set(words)
            }
        return self._judged[wanted]

    def _ranges(self, messages: SequenceSet, uid: bool) -> list[tuple[int, int]]:
        """Give the positions, first and behind the last, that a sequence set means.

        A message number that is not there matches nothing here: it names a condition, not a message to act upon.
        """
        column: Sequence[int] = self._piece.uids if uid or messages.saved else self._piece.numbers
        ranges: Sequence[tuple[int, int]]
        if messages.saved:
            ranges = [(saved, saved) for saved in self._selected.saved]
        else:
            uids = self._selected.view.uids
            ranges = messages.resolve((uids[-1] if uids else 0) if uid else self._selected.count)
        return [(bisect_left(column, low), bisect_right(column, high)) for low, high in ranges]

    @staticmethod
    def _within(positions: Positions, ranges: list[tuple[int, int]]) -> Positions:
        found: list[int] = []
        for first, end in ranges:
            found += positions[bisect_left(positions, first) : bisect_left(positions, end)]
        return found


def with_flag(selected: Selected, key: FlagKey, uid: bool) -> Sequence[int] | None:
    """Give numbers or UIDs of the messages that have a flag, or lack it: what is asked most. None: the session does not
    know the mailbox as the snapshot has it, so that it has to be asked message by message."""
    snapshot = selected.snapshot
    if selected.view.uids is not snapshot.uids:
        return None
    asked, flags, known = (int(key.flag), key.present, uid), bytes(snapshot.flags), snapshot.marked
    if known is not None and known.asked == asked and known.flags == flags and known.uids is snapshot.uids:
        return known.numbers
    column = snapshot.uids if uid else range(1, len(snapshot.uids) + 1)
    marks = flags.translate(_table(asked[0], key.present))
    found: list[int] = []
    if marks.count(b"\0\1") * _STRETCH > len(marks):
        found += compress(column, marks)
    else:
        for start, end in sets.spans(marks):  # most often what was not seen is together
            found += column[start:end]
    if len(found) <= MAX_MARKED:
        snapshot.marked = Marked(asked, flags, snapshot.uids, found)
    return found


MAX_MARKED = 10_000
"""Messages that a search for a flag may find and be remembered: a third of a megabyte, while the mailbox is open."""

_STRETCH = 40
"""To take a stretch of messages costs as much as to look at so many."""


@cache
def _table(bit: int, present: bool) -> bytes:
    """Translate flags to whether a message matches."""
    return bytes([bool(flags & bit) is present for flags in range(256)])


def _one_of(ranges: list[tuple[int, int]]) -> Callable[[int], bool]:
    """Make the test whether a position lies in one of some ascending ranges."""
    starts = [first for first, _ in ranges]

    def test(at: int) -> bool:
        place = bisect_right(starts, at) - 1
        return place >= 0 and at < ranges[place][1]

    return test


_EVER = 2**62


def span(relation: DateRelation, day: date) -> tuple[int, int]:
    """Give the microseconds, first and behind the last, that a condition on a day allows. Days are those of UTC, in
    which internal dates are told."""
    start = to_microseconds(datetime.combine(day, time(), UTC))
    end = start + timedelta(days=1) // timedelta(microseconds=1)
    match relation:
        case DateRelation.BEFORE:
            return -_EVER, start
        case DateRelation.ON:
            return start, end
        case DateRelation.SINCE:
            return start, _EVER
