"""What clients list their mailboxes by, kept: what FETCH of header fields, ENVELOPE or BODYSTRUCTURE of many reads.

Clients ask the same few things of every message, again and again. A message never changes, so what was chosen of it
once is kept: in pages of neighbouring message ids, compressed as one, since fields of neighbours are alike (a quarter
of the room, and a fifth of a microsecond a message to have them back). A page serves who asks for many messages at
once; few are read from the store as quickly. The pages that were asked for longest ago are forgotten, but stay on disk
(`derived`), from where several are read at a time: who asks for one goes on to the next.
"""

from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Sequence
from operator import ge
from typing import Any

from pennypost.model.ids import AccountId, MessageId
from pennypost.model.units import KIB, MIB
from pennypost.store import messages
from pennypost.store.choices import Choice
from pennypost.store.derived import Damaged, Derived, Packing, Page, Place, by_ascending_ids, by_page, joined
from pennypost.store.engine import Engine, Transaction

MAX_OCTETS = 48 * MIB
"""What is kept in memory, about: fields, ENVELOPE and BODYSTRUCTURE of some 300,000 messages."""

MANY = 16
"""So many messages at once are looked for in pages, and a page of so many is written."""

_PAGE_BITS = 8
"""A page is of so many neighbouring ids: 2 to the power of it."""

_STRETCH_BITS = 4
"""So many pages are looked for on disk at once: 2 to the power of it."""

_MAX_STRETCHES = 10_000
"""Stretches of which it is known that they were looked for."""

PAGE_OCTETS = 512 * KIB
"""What has more together is not kept."""

_NAME_OCTETS = 1 * KIB
"""Nor is what has a longer name than this."""

_KEY_OCTETS = 400
"""What a page takes beside its contents, about."""

_Key = tuple[AccountId, Choice, int]


class FieldPages:
    """The pages of one worker. Used from one event loop."""

    def __init__(self, engine: Engine, derived: Derived) -> None:
        self._engine = engine
        self._derived = derived
        self._pages: OrderedDict[_Key, Page] = OrderedDict()
        self._octets = 0
        self._packing = Packing()
        self._looked_for: set[_Key] = set()
        """Stretches of pages that were looked for on disk, and are in memory if they were there."""
        self._last: tuple[Page, list[Any]] | None = None
        """The page that was read last, unpacked: batches of messages do not end where pages do."""

    def __len__(self) -> int:
        return len(self._pages)

    async def chosen(
        self, account: AccountId, wanted: Sequence[int], stamps: Sequence[int], choice: Choice
    ) -> list[Any]:
        """Give what is chosen of each message; None for one that is gone.

        At most `messages.FETCH_BATCH` messages at a time. `stamps`: when each was received, as its entry says.
        """
        ids = wanted if isinstance(wanted, array) else array("q", wanted)
        times = stamps if isinstance(stamps, array) else array("q", stamps)
        if not any(map(ge, ids, ids[1:])):
            return await self._ascending(account, ids, times, choice)
        return await by_ascending_ids(ids, times, lambda some, when: self._ascending(account, some, when, choice))

    async def _ascending(
        self, account: AccountId, ids: "array[int]", stamps: "array[int]", choice: Choice
    ) -> list[Any]:
        if len(ids) < MANY or len(choice.name) > _NAME_OCTETS:
            read = await self._read(account, ids, choice)
            return list(map(read.get, ids))
        parts = [
            ((account, choice, number), ids[start:end], stamps[start:end])
            for number, start, end in by_page(ids, _PAGE_BITS)
        ]
        for key, _, _ in parts:
            if key not in self._pages:
                await self._look_for(key)
        known = [self._known(*part) for part in parts]
        missing = [id for (_, part, _), values in zip(parts, known, strict=True) if values is None for id in part]
        read = await self._read(account, missing, choice) if missing else {}
        found: list[Any] = []
        for (key, part, times), values in zip(parts, known, strict=True):
            if values is not None:
                found += values
                continue
            found += map(read.get, part)
            self._keep(key, {id: (time, read[id]) for id, time in zip(part, times, strict=True) if id in read})
        return found

    async def _read(self, account: AccountId, wanted: Sequence[int], choice: Choice) -> dict[int, Any]:
        choose = choice.chooser()

        async def operation(tx: Transaction) -> dict[int, Any]:
            rows = await messages.fetch(tx, account, list(map(MessageId, wanted)), choice.columns)
            return {identifier: choose(row) for identifier, row in rows.items()}

        return await self._engine.read(operation)

    # -- Pages on disk

    async def _look_for(self, key: _Key) -> None:
        """Have a page from disk, with its neighbours, if that was not tried since it was last in memory."""
        account, choice, number = key
        stretch = (account, choice, number >> _STRETCH_BITS)
        if stretch in self._looked_for:
            return
        if len(self._looked_for) >= _MAX_STRETCHES:
            self._looked_for.clear()
        self._looked_for.add(stretch)
        first = stretch[2] << _STRETCH_BITS
        numbers = range(first, first + (1 << _STRETCH_BITS))
        try:
            pages = await self._derived.pages(account, choice.name, numbers)
        except BaseException:  # its client is gone
            self._looked_for.discard(stretch)
            raise
        for found, page in pages.items():
            if (account, choice, found) not in self._pages:
                self._put((account, choice, found), page)

    # -- Pages in memory

    def _known(self, key: _Key, ids: "array[int]", stamps: "array[int]") -> Sequence[Any] | None:
        """Give what was chosen of ascending ids of one page, if it has all of them."""
        page = self._pages.get(key)
        if page is None:
            return None
        self._pages.move_to_end(key)
        first = bisect_left(page.ids, ids[0])
        end = first + len(ids)
        try:
            if page.ids[first:end] == ids:
                if page.stamps[first:end] == stamps:
                    return self._values(key[1], page)[first:end]
            else:
                places = _places(page.ids, ids)
                if places is None:
                    return None
                if all(page.stamps[at] == stamp for at, stamp in zip(places, stamps, strict=True)):
                    values = self._values(key[1], page)
                    return [values[at] for at in places]
        except Damaged:
            pass
        self._take_out(key)  # it is of no use, or of messages that had these ids before the store was brought back
        return None

    def _values(self, choice: Choice, page: Page) -> list[Any]:
        """Give what is in a page. Raises Damaged."""
        if self._last is None or self._last[0] is not page:
            values = choice.unpacked(self._packing.unpacked(page.content), len(page.ids))
            if len(values) != len(page.ids):
                raise Damaged
            self._last = page, values
        return self._last[1]

    def _keep(self, key: _Key, there: dict[int, tuple[int, Any]]) -> None:
        """Put what was chosen of messages into their page, with what is in it."""
        if not there:
            return
        account, choice, number = key
        before, values = self._take_out(key), list[Any]()
        if before is not None:
            try:
                values = self._values(choice, before)
            except Damaged:
                before = None
        ids, stamps, values = joined(before, values, there)
        octets = choice.packed(values)
        if len(octets) > PAGE_OCTETS:
            return
        page = Page(ids, stamps, self._packing.packed(octets))
        self._put(key, page)
        if len(ids) >= MANY:
            self._derived.keep(Place(account, choice.name, number), page)

    def _put(self, key: _Key, page: Page) -> None:
        self._pages[key] = page
        self._octets += page.size_octets() + _KEY_OCTETS
        while self._octets > MAX_OCTETS:
            account, choice, number = oldest = next(iter(self._pages))
            self._take_out(oldest)
            self._looked_for.discard((account, choice, number >> _STRETCH_BITS))

    def _take_out(self, key: _Key) -> Page | None:
        page = self._pages.pop(key, None)
        if page is not None:
            self._octets -= page.size_octets() + _KEY_OCTETS
        return page


def _places(held: "array[int]", ids: "array[int]") -> list[int] | None:
    """Find where ascending ids are among others; None if one is not there."""
    places = [bisect_left(held, identifier) for identifier in ids]
    if places[-1] == len(held) or any(held[at] != identifier for at, identifier in zip(places, ids, strict=True)):
        return None
    return places
