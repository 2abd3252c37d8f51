"""What SORT and THREAD order by, kept in memory for the mailboxes they were asked of (RFC 5256).

A message never changes, so what was read once stays true: a mailbox's column only grows by what came into it. Columns
are parallel to ascending UIDs. The mailboxes that were asked for longest ago are forgotten, but what their columns are
made of stays on disk (`derived`): in pages of neighbouring message ids, whichever mailboxes they lie in.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import chain
from operator import le
from typing import Any, NamedTuple

import msgspec

from pennypost.model.ids import AccountId, MailboxId, MessageId
from pennypost.model.units import MIB
from pennypost.store import messages
from pennypost.store.derived import (
    MAX_UNPACKED,
    Damaged,
    Derived,
    Packing,
    Page,
    Place,
    by_ascending_ids,
    by_page,
    joined,
)
from pennypost.store.engine import Engine, Transaction
from pennypost.store.sort_values import SortColumn

MAX_OCTETS = 64 * MIB
"""What is kept in all, about; a column that is larger is not kept."""

MAX_SPARED = 4 * MAX_OCTETS
"""What a column may take, about, while it is in use, for those who can do without it."""

_MAX_KNOWN = 10_000
"""Columns that are known to be too large."""

MANY = 16
"""Of so many messages on values are looked for on disk, and so many new ones of a page are written."""

_PAGE_BITS = 12
"""A page is of so many neighbouring ids: 2 to the power of it."""

_TEXT_OCTETS = 56
_VALUE_OCTETS = 8


_NO_UIDS = array("I")


Order = tuple[tuple[Hashable, bool], ...]
"""What a mailbox was sorted by, as the caller names it: something that can be compared."""

MAX_ORDERS = 16
"""Orders that are kept of whole mailboxes."""


AnswerKey = tuple[AccountId, MailboxId, Hashable]
"""A mailbox, and what was asked of it."""

MAX_ANSWERS = 16
MAX_ANSWER = 4 * MIB
"""Octets of an answer that is kept."""


class TooLarge(Exception):
    """A column takes more than `MAX_SPARED`."""


class _Kept(NamedTuple):
    """A column that was read. `octets`: what it takes, about."""

    uids: "array[int]"
    values: Any
    octets: int


class SortColumns:
    """The columns of one worker. Used from one event loop."""

    def __init__(self, engine: Engine, derived: Derived) -> None:
        self._engine = engine
        self._derived = derived
        self._kept: OrderedDict[tuple[AccountId, MailboxId, SortColumn], _Kept] = OrderedDict()
        self._orders: OrderedDict[tuple[AccountId, MailboxId, Order], tuple[array[int], array[int]]] = OrderedDict()
        self._answers: OrderedDict[AnswerKey, tuple[array[int], bytes]] = OrderedDict()
        self._octets = 0
        self._too_large: set[tuple[AccountId, MailboxId, SortColumn]] = set()

    def has(self, account: AccountId, mailbox: MailboxId, column: SortColumn) -> bool:
        """Whether a column was read before: then it costs little to ask for it."""
        return (account, mailbox, column) in self._kept

    async def column(
        self,
        account: AccountId,
        mailbox: MailboxId,
        column: SortColumn,
        uids: "array[int]",
        messages_of: Sequence[int],
        stamps: Sequence[int],
        *,
        spared: bool = False,
    ) -> Sequence[Any]:
        """Give a column for messages with ascending UIDs, their ids, and when they were received, side by side.

        A message that is gone meanwhile has what a message without the field has. `spared`: the caller can do without
        it: raises TooLarge if it takes much memory, and from then on at once.
        """
        key = (account, mailbox, column)
        known = self._kept.get(key)
        if known is None:
            known = _Kept(_NO_UIDS, column.value.empty(), 0)
        elif known.uids == uids:
            self._kept.move_to_end(key)
            return known.values  # type: ignore[no-any-return]

        if spared and key in self._too_large:
            raise TooLarge
        most = MAX_SPARED - known.octets if spared else None
        missing = _missing(known.uids, uids)
        ids, times = _picked(messages_of, missing), _picked(stamps, missing)
        ascending = not any(map(le, ids[1:], ids))
        pages = await self._kept_pages(account, column, ids, ascending)

        async def operation(tx: Transaction) -> tuple[_Kept, list[tuple[int, Page]]]:
            gathering = _Gathering(column, pages, ascending, most)
            fresh = await gathering.values(tx, account, ids, times)
            return _grown(column, known, uids, missing, fresh), gathering.made() if self._derived.enabled else []

        try:
            kept, made = await self._engine.scan(operation)
        except TooLarge:
            if len(self._too_large) >= _MAX_KNOWN:
                self._too_large.clear()
            self._too_large.add(key)
            raise
        self._keep(key, kept)
        for number, page in made:
            self._derived.keep(Place(account, column.name, number), page)
        return kept.values  # type: ignore[no-any-return]

    async def _kept_pages(
        self, account: AccountId, column: SortColumn, ids: "array[int]", ascending: bool
    ) -> Mapping[int, Page]:
        if len(ids) < MANY:
            return {}
        if ascending:
            numbers = [number for number, _, _ in by_page(ids, _PAGE_BITS)]
        else:
            numbers = sorted({id >> _PAGE_BITS for id in ids})
        return await self._derived.pages(account, column.name, numbers)

    def _keep(self, key: tuple[AccountId, MailboxId, SortColumn], kept: "_Kept") -> None:
        before = self._kept.pop(key, None)
        if before is not None:
            self._octets -= before.octets
        if kept.octets > MAX_OCTETS:
            return
        self._kept[key] = kept
        self._octets += kept.octets
        while self._octets > MAX_OCTETS:
            _, oldest = self._kept.popitem(last=False)
            self._octets -= oldest.octets

    def order(self, account: AccountId, mailbox: MailboxId, order: Order, uids: "array[int]") -> "array[int] | None":
        """Give the positions of all messages of a mailbox, sorted, if that was done before."""
        known = self._orders.get((account, mailbox, order))
        if known is None or known[0] != uids:
            return None
        self._orders.move_to_end((account, mailbox, order))
        return known[1]

    def keep_order(
        self, account: AccountId, mailbox: MailboxId, order: Order, uids: "array[int]", positions: Sequence[int]
    ) -> None:
        """Keep what sorting a whole mailbox came to."""
        self._orders[(account, mailbox, order)] = (uids, array("I", positions))
        self._orders.move_to_end((account, mailbox, order))
        while len(self._orders) > MAX_ORDERS:
            self._orders.popitem(last=False)

    def answer(self, key: AnswerKey, uids: "array[int]") -> bytes | None:
        """Give what was answered before about a whole mailbox, if it holds the same messages."""
        known = self._answers.get(key)
        if known is None or known[0] != uids:
            return None
        self._answers.move_to_end(key)
        return known[1]

    def keep_answer(self, key: AnswerKey, uids: "array[int]", answer: bytes) -> None:
        """Keep what can be told of a mailbox from its messages alone."""
        if len(answer) > MAX_ANSWER:
            return
        self._answers[key] = (uids, answer)
        self._answers.move_to_end(key)
        while len(self._answers) > MAX_ANSWERS:
            self._answers.popitem(last=False)


def _missing(known: "array[int]", uids: "array[int]") -> Sequence[int]:
    """Give the positions of those UIDs, both ascending, that are not known."""
    count = len(known)
    if uids[:count] == known:
        return range(count, len(uids))
    there = set(known)
    return [at for at, uid in enumerate(uids) if uid not in there]


def _picked(column: Sequence[int], positions: Sequence[int]) -> "array[int]":
    if isinstance(positions, range):
        return array("q", column[positions.start : positions.stop])
    return array("q", [column[at] for at in positions])


def _grown(column: SortColumn, known: _Kept, uids: "array[int]", missing: Sequence[int], fresh: Sequence[Any]) -> _Kept:
    """Make of a column that was kept one of the messages that are there now. Off the event loop: it may be long."""
    if isinstance(missing, range):
        values = known.values[:]
        values.extend(fresh)
        return _Kept(uids, values, known.octets + _octets(column, fresh))
    there = dict(zip(known.uids, known.values, strict=True))
    there.update(zip([uids[at] for at in missing], fresh, strict=True))
    values = column.value.empty()
    values.extend([there[uid] for uid in uids])
    return _Kept(uids, values, _octets(column, values))


class _Gathering:
    """Values of messages from pages, and from the store what they lack. Off the event loop.

    `_pages`: what was on disk, by number; `_fresh`: what was read, by number: each message's id, when it was received,
    and its value; `_left`: octets that values may still take, None: any number.
    """

    def __init__(self, column: SortColumn, pages: Mapping[int, Page], ascending: bool, most: int | None = None) -> None:
        """`ascending`: whether the ids are that are to be asked for; `most`: octets that the values may take."""
        self._column = column
        self._is_ascending = ascending
        self._pages = pages
        self._fresh: dict[int, dict[int, tuple[int, Any]]] = {}
        self._packing = Packing()
        self._shared: dict[str, str] = {}
        self._left = most

    async def values(self, tx: Transaction, account: AccountId, ids: "array[int]", stamps: "array[int]") -> list[Any]:
        """Give the value of each message, in their order."""
        if self._is_ascending:
            return await self._ascending(tx, account, ids, stamps)
        return await by_ascending_ids(ids, stamps, lambda some, when: self._ascending(tx, account, some, when))

    def _take(self, values: Sequence[Any]) -> None:
        """Count values in. Raises TooLarge."""
        if self._left is not None:
            self._left -= _octets(self._column, values)
            if self._left < 0:
                raise TooLarge

    async def _ascending(
        self, tx: Transaction, account: AccountId, ids: "array[int]", stamps: "array[int]"
    ) -> list[Any]:
        """Raises TooLarge."""
        found: list[Any] = []
        missing: list[int] = []
        for number, start, end in by_page(ids, _PAGE_BITS):
            page = self._pages.get(number)
            there = None if page is None else self._values_of(page)
            if page is None or there is None:
                found += [None] * (end - start)
                missing += range(start, end)
                continue
            first = bisect_left(page.ids, ids[start])
            behind = first + end - start
            if page.ids[first:behind] == ids[start:end] and page.stamps[first:behind] == stamps[start:end]:
                there = there[first:behind]
                self._take(there)
                found += there
                continue
            by_id = dict(zip(zip(page.ids, page.stamps, strict=True), there, strict=True))
            wanted = list(zip(ids[start:end], stamps[start:end], strict=True))
            missing += [start + at for at, one in enumerate(wanted) if one not in by_id]
            there = list(map(by_id.get, wanted))
            self._take(there)
            found += there
        for start in range(0, len(missing), messages.FETCH_BATCH):
            batch = missing[start : start + messages.FETCH_BATCH]
            fresh = await self._read(tx, account, batch, ids, stamps)
            self._take(fresh)
            for at, value in zip(batch, fresh, strict=True):
                found[at] = value
        return found

    def _values_of(self, page: Page) -> Sequence[Any] | None:
        """Give what is in a page; None if it is damaged."""
        try:
            values = self._column.value.unpacked(self._packing.unpacked(page.content))
        except (Damaged, msgspec.DecodeError):
            return None
        return values if len(values) == len(page.ids) else None

    async def _read(
        self, tx: Transaction, account: AccountId, batch: Sequence[int], ids: "array[int]", stamps: "array[int]"
    ) -> list[Any]:
        kind = self._column.value
        wanted = [MessageId(ids[at]) for at in batch]
        rows = await messages.fetch(tx, account, wanted, kind.columns)
        found: list[Any] = []
        for at, one in zip(batch, wanted, strict=True):
            row = rows.get(one)
            if row is None:
                found.append(kind.gone)
                continue
            value = kind.value(row)
            if isinstance(value, str):
                value = self._shared.setdefault(value, value)
            found.append(value)
            self._fresh.setdefault(one >> _PAGE_BITS, {})[one] = (stamps[at], value)
        return found

    def made(self) -> list[tuple[int, Page]]:
        """Give the pages that have many more values now than they had on disk."""
        made = []
        for number, fresh in self._fresh.items():
            there = {id: both for id, both in fresh.items() if _can_be_kept(both[1])}
            if len(there) < MANY:
                continue
            before = self._pages.get(number)
            values = None if before is None else self._values_of(before)
            ids, stamps, values = joined(None if values is None else before, values or (), there)
            octets = self._column.value.packed(values)
            if len(octets) <= MAX_UNPACKED:
                made.append((number, Page(ids, stamps, self._packing.packed(octets))))
        return made


def _can_be_kept(value: Any) -> bool:
    """Whether UTF-8 has octets for it: for lone surrogates, which some encoded words come to, it has none."""
    return not isinstance(value, str) or value.isascii() or value.encode("utf-8", "ignore").decode() == value


def _octets(column: SortColumn, values: Sequence[Any]) -> int:
    """Estimate what values of a column take."""
    empty = column.value.empty()
    if not isinstance(empty, list):
        return len(values) * (empty.itemsize if isinstance(empty, array) else 1)
    present = list(filter(None, values))
    within = sum(map(len, present)) * _VALUE_OCTETS // 4
    return len(present) * _TEXT_OCTETS + (len(values) - len(present)) * _VALUE_OCTETS + within


BLOCK = 4_096
"""Positions that are sorted in one go: Python's sorting lets no other thread run."""

_SAMPLES = 8
"""Values looked at for each block that is to be made."""


def sort_positions(positions: Iterable[int], columns: Sequence[tuple[Sequence[Any], bool]]) -> list[int]:
    """Sort positions by columns, the first counting most; True: descending. What is equal keeps its order.

    Many are parted into blocks first, so that all of one block come before all of the next. For a thread: others have
    their turn meanwhile.
    """
    found = list(positions)
    for column, descending in reversed(columns):
        blocks = [found] if len(found) <= BLOCK else _parted(found, column)
        for block in blocks:
            block.sort(key=column.__getitem__, reverse=descending)
        found = list(chain.from_iterable(reversed(blocks) if descending else blocks))
    return found


def _parted(positions: list[int], column: Sequence[Any]) -> list[list[int]]:
    """Part positions by their values, in about as many blocks as are needed; each keeps their order."""
    count = len(positions) // BLOCK + 1
    step = max(1, len(positions) // (count * _SAMPLES))
    bounds = sorted([column[at] for at in positions[::step]])[_SAMPLES::_SAMPLES]
    blocks: list[list[int]] = [[] for _ in range(len(bounds) + 1)]
    for at in positions:
        blocks[bisect_right(bounds, column[at])].append(at)
    return blocks
