"""Header fields that clients list their mailboxes by, kept: what FETCH HEADER.FIELDS of many messages reads.

Clients ask the same few fields of every message, again and again. A message never changes, so what was chosen from its
header once is kept: in pages of neighbouring message ids, compressed as one, since fields of neighbours are alike (a
quarter of the room, and a fifth of a microsecond a message to have them back). A page serves who asks for many messages
at once; few are read from the store as quickly. The pages that were asked for longest ago are forgotten, but stay on
disk (`derived`), from where several are read at a time: who asks for one goes on to the next.
"""

import json
from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import accumulate, pairwise
from operator import ge

from pennypost.message.headers import field_selector
from pennypost.model.ids import AccountId, MessageId
from pennypost.model.units import KIB, MIB
from pennypost.store import messages
from pennypost.store.derived import Damaged, Derived, Packing, Page, Place, by_page
from pennypost.store.engine import Engine, Transaction
from pennypost.store.messages import Column

MAX_OCTETS = 32 * MIB
"""What is kept in memory, about: fields of some 300,000 messages."""

MANY = 16
"""So many messages at once are looked for in pages, and a page of so many is written."""

_PAGE_BITS = 8
"""A page is of so many neighbouring ids: 2 to the power of it."""

_STRETCH_BITS = 4
"""So many pages are looked for on disk at once: 2 to the power of it."""

_MAX_STRETCHES = 10_000
"""Stretches of which it is known that they were looked for."""

PAGE_OCTETS = 512 * KIB
"""Fields that have more together are not kept."""

_NAMES_OCTETS = 1 * KIB
"""Nor are those of more names than this."""

_KEY_OCTETS = 400
"""What a page takes beside its contents, about."""

_HEADER = (Column.HEADER,)

_Key = tuple[AccountId, frozenset[bytes], int]


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
        self._last: tuple[Page, list[bytes]] | None = None
        """The page that was read last, unpacked: batches of messages do not end where pages do."""

    def __len__(self) -> int:
        return len(self._pages)

    async def fields(
        self, account: AccountId, wanted: Sequence[int], stamps: Sequence[int], names: Iterable[bytes]
    ) -> list[bytes | None]:
        """Give what `headers.select_fields` chooses from each message's header; None for one that is gone.

        At most `messages.FETCH_BATCH` messages at a time. `stamps`: when each was received, as its entry says.
        """
        called = frozenset(name.lower() for name in names)
        ids = wanted if isinstance(wanted, array) else array("q", wanted)
        times = stamps if isinstance(stamps, array) else array("q", stamps)
        if not any(map(ge, ids, ids[1:])):
            return await self._ascending(account, ids, times, called)
        places = sorted(range(len(ids)), key=ids.__getitem__)  # they were moved here, in another order
        found: list[bytes | None] = [None] * len(ids)
        ids, times = (array("q", [column[place] for place in places]) for column in (ids, times))
        texts = await self._ascending(account, ids, times, called)
        for place, text in zip(places, texts, strict=True):
            found[place] = text
        return found

    async def _ascending(
        self, account: AccountId, ids: "array[int]", stamps: "array[int]", names: frozenset[bytes]
    ) -> list[bytes | None]:
        if len(ids) < MANY or sum(map(len, names)) > _NAMES_OCTETS:
            read = await self._read(account, ids, field_selector(names))
            return list(map(read.get, ids))
        parts = [
            ((account, names, number), ids[start:end], stamps[start:end])
            for number, start, end in by_page(ids, _PAGE_BITS)
        ]
        for key, _, _ in parts:
            if key not in self._pages:
                await self._look_for(key)
        known = [self._known(*part) for part in parts]
        missing = [id for (_, part, _), texts in zip(parts, known, strict=True) if texts is None for id in part]
        read = await self._read(account, missing, field_selector(names)) if missing else {}
        found: list[bytes | None] = []
        for (key, part, times), texts in zip(parts, known, strict=True):
            if texts is not None:
                found += texts
                continue
            found += map(read.get, part)
            self._keep(key, {id: (time, read[id]) for id, time in zip(part, times, strict=True) if id in read})
        return found

    async def _read(
        self, account: AccountId, wanted: Sequence[int], select: Callable[[bytes], bytes]
    ) -> dict[int, bytes]:
        async def operation(tx: Transaction) -> dict[int, bytes]:
            rows = await messages.fetch(tx, account, list(map(MessageId, wanted)), _HEADER)
            return {identifier: select(header) for identifier, (header,) in rows.items()}

        return await self._engine.read(operation)

    # -- Pages on disk

    async def _look_for(self, key: _Key) -> None:
        """Have a page from disk, with its neighbours, if that was not tried since it was last in memory."""
        account, names, number = key
        stretch = (account, names, number >> _STRETCH_BITS)
        if stretch in self._looked_for:
            return
        if len(self._looked_for) >= _MAX_STRETCHES:
            self._looked_for.clear()
        self._looked_for.add(stretch)
        first = stretch[2] << _STRETCH_BITS
        numbers = range(first, first + (1 << _STRETCH_BITS))
        for found, page in (await self._derived.pages(account, _kind(names), numbers)).items():
            if (account, names, found) not in self._pages:
                self._put((account, names, found), page)

    # -- Pages in memory

    def _known(self, key: _Key, ids: "array[int]", stamps: "array[int]") -> Sequence[bytes] | None:
        """Give the fields of ascending ids of one page, if it has all of them."""
        page = self._pages.get(key)
        if page is None:
            return None
        self._pages.move_to_end(key)
        first = bisect_left(page.ids, ids[0])
        end = first + len(ids)
        try:
            if page.ids[first:end] == ids:
                if page.stamps[first:end] == stamps:
                    return self._texts(page)[first:end]
            else:
                places = _places(page.ids, ids)
                if places is None:
                    return None
                if all(page.stamps[at] == stamp for at, stamp in zip(places, stamps, strict=True)):
                    texts = self._texts(page)
                    return [texts[at] for at in places]
        except Damaged:
            pass
        self._take_out(key)  # it is of no use, or of messages that had these ids before the store was brought back
        return None

    def _texts(self, page: Page) -> list[bytes]:
        if self._last is None or self._last[0] is not page:
            octets = self._packing.unpacked(page.content)
            ends = array("I", octets[: 4 * len(page.ids) + 4])
            self._last = page, [octets[start:end] for start, end in pairwise(ends)]
        return self._last[1]

    def _keep(self, key: _Key, there: dict[int, tuple[int, bytes]]) -> None:
        """Put the fields of messages into their page, with those that are in it."""
        if not there:
            return
        before = self._take_out(key)
        if before is not None:
            with suppress(Damaged):
                there = dict(zip(before.ids, zip(before.stamps, self._texts(before), strict=True), strict=True)) | there
        ascending = array("q", sorted(there))
        texts = [there[identifier][1] for identifier in ascending]
        ends = array("I", accumulate(map(len, texts), initial=4 * len(texts) + 4))
        if ends[-1] > PAGE_OCTETS:
            return
        content = self._packing.packed(b"".join([ends.tobytes(), *texts]))
        page = Page(ascending, array("q", [there[identifier][0] for identifier in ascending]), content)
        self._put(key, page)
        if len(ascending) >= MANY:
            account, names, number = key
            self._derived.keep(Place(account, _kind(names), number), page)

    def _put(self, key: _Key, page: Page) -> None:
        self._pages[key] = page
        self._octets += _size_octets(key, page)
        while self._octets > MAX_OCTETS:
            account, names, number = oldest = next(iter(self._pages))
            self._take_out(oldest)
            self._looked_for.discard((account, names, number >> _STRETCH_BITS))

    def _take_out(self, key: _Key) -> Page | None:
        page = self._pages.pop(key, None)
        if page is not None:
            self._octets -= _size_octets(key, page)
        return page


def _kind(names: frozenset[bytes]) -> str:
    """Name the fields, whatever octets a client had in their names."""
    return "fields " + json.dumps(sorted(name.decode("latin-1") for name in names))


def _size_octets(key: _Key, page: Page) -> int:
    return page.size_octets() + sum(map(len, key[1])) + _KEY_OCTETS


def _places(held: "array[int]", ids: "array[int]") -> list[int] | None:
    """Find where ascending ids are among others; None if one is not there."""
    places = [bisect_left(held, identifier) for identifier in ids]
    if places[-1] == len(held) or any(held[at] != identifier for at, identifier in zip(places, ids, strict=True)):
        return None
    return places
