"""Header fields that clients list their mailboxes by, kept in memory: what FETCH HEADER.FIELDS of many messages reads.

Clients ask the same few fields of every message, again and again. A message never changes, so what was chosen from its
header once is kept: in pages of neighbouring message ids, compressed as one, since fields of neighbours are alike (a
quarter of the room, and a fifth of a microsecond a message to have them back). A page serves who asks for several of
its messages at once; few are read from the store as quickly. The pages that were asked for longest ago are forgotten.
"""

from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from operator import ge

from zstandard import ZstdCompressor, ZstdDecompressor

from pennypost.message.headers import field_selector
from pennypost.model.ids import AccountId, MessageId
from pennypost.model.units import KIB, MIB
from pennypost.store import messages
from pennypost.store.engine import Engine, Transaction
from pennypost.store.messages import Column

MAX_OCTETS = 32 * MIB
"""What is kept in all, about: fields of some 300,000 messages."""

MANY = 16
"""From so many messages of a page on it is made, or read."""

_PAGE_BITS = 8
"""A page is of so many neighbouring ids: 2 to the power of it."""

PAGE_OCTETS = 512 * KIB
"""Fields that have more together are not kept."""

_NAMES_OCTETS = 1 * KIB
"""Nor are those of more names than this."""

_KEY_OCTETS = 400
"""What a page takes beside its contents, about."""

_HEADER = (Column.HEADER,)

_Key = tuple[AccountId, frozenset[bytes], int]


@dataclass(frozen=True, slots=True)
class _Page:
    """Fields of messages with ascending ids. `ends`: where each one's are in `octets`, one more than there are ids."""

    ids: "array[int]"
    ends: "array[int]"
    octets: bytes

    def size_octets(self, names: frozenset[bytes]) -> int:
        return len(self.octets) + 12 * len(self.ids) + sum(map(len, names)) + _KEY_OCTETS


class FieldPages:
    """The pages of one worker. Used from one event loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pages: OrderedDict[_Key, _Page] = OrderedDict()
        self._octets = 0
        self._compressor = ZstdCompressor(level=1)
        self._decompressor = ZstdDecompressor()
        self._last: tuple[_Page, list[bytes]] | None = None
        """The page that was read last, unpacked: batches of messages do not end where pages do."""

    def __len__(self) -> int:
        return len(self._pages)

    async def fields(self, account: AccountId, wanted: Sequence[int], names: Iterable[bytes]) -> list[bytes | None]:
        """Give what `headers.select_fields` chooses from each message's header; None for one that is gone.

        At most `messages.FETCH_BATCH` messages at a time.
        """
        called = frozenset(name.lower() for name in names)
        ids = wanted if isinstance(wanted, array) else array("q", wanted)
        if not any(map(ge, ids, ids[1:])):
            return await self._ascending(account, ids, called)
        places = sorted(range(len(ids)), key=ids.__getitem__)  # they were moved here, in another order
        found: list[bytes | None] = [None] * len(ids)
        texts = await self._ascending(account, array("q", [ids[place] for place in places]), called)
        for place, text in zip(places, texts, strict=True):
            found[place] = text
        return found

    async def _ascending(self, account: AccountId, ids: "array[int]", names: frozenset[bytes]) -> list[bytes | None]:
        parts = [((account, names, number), part) for number, part in _by_page(ids)]
        known = [self._known(key, part) for key, part in parts]
        missing = [MessageId(id) for (_, part), texts in zip(parts, known, strict=True) if texts is None for id in part]
        read = await self._read(account, missing, field_selector(names)) if missing else {}
        found: list[bytes | None] = []
        for (key, part), texts in zip(parts, known, strict=True):
            if texts is not None:
                found += texts
                continue
            found += map(read.get, part)
            self._keep(key, {identifier: read[identifier] for identifier in part if identifier in read})
        return found

    async def _read(
        self, account: AccountId, wanted: Sequence[MessageId], select: Callable[[bytes], bytes]
    ) -> dict[int, bytes]:
        async def operation(tx: Transaction) -> dict[int, bytes]:
            rows = await messages.fetch(tx, account, wanted, _HEADER)
            return {identifier: select(header) for identifier, (header,) in rows.items()}

        return await self._engine.read(operation)

    def _known(self, key: _Key, ids: "array[int]") -> Sequence[bytes] | None:
        """Give the fields of ascending ids of one page, if it has all of them."""
        page = self._pages.get(key)
        if page is None or len(ids) < MANY:
            return None
        self._pages.move_to_end(key)
        held = page.ids
        first = bisect_left(held, ids[0])
        if held[first : first + len(ids)] == ids:
            return self._texts(page)[first : first + len(ids)]
        places = [bisect_left(held, identifier) for identifier in ids]
        if places[-1] == len(held) or any(held[at] != identifier for at, identifier in zip(places, ids, strict=True)):
            return None
        texts = self._texts(page)
        return [texts[at] for at in places]

    def _texts(self, page: _Page) -> list[bytes]:
        if self._last is None or self._last[0] is not page:
            octets = self._decompressor.decompress(page.octets)
            self._last = page, [octets[start:end] for start, end in pairwise(page.ends)]
        return self._last[1]

    def _keep(self, key: _Key, there: dict[int, bytes]) -> None:
        """Put the fields of messages into their page, with those that are in it."""
        names = key[1]
        if len(there) < MANY or sum(map(len, names)) > _NAMES_OCTETS:
            return
        before = self._pages.pop(key, None)
        if before is not None:
            self._octets -= before.size_octets(names)
            there |= zip(before.ids, self._texts(before), strict=True)
        ascending = sorted(there)
        texts = [there[identifier] for identifier in ascending]
        ends = array("I", accumulate(map(len, texts), initial=0))
        if ends[-1] > PAGE_OCTETS:
            return
        page = _Page(array("q", ascending), ends, self._compressor.compress(b"".join(texts)))
        self._pages[key] = page
        self._octets += page.size_octets(names)
        while self._octets > MAX_OCTETS:
            (_, oldest_names, _), oldest = self._pages.popitem(last=False)
            self._octets -= oldest.size_octets(oldest_names)


def _by_page(ids: "array[int]") -> Iterator[tuple[int, "array[int]"]]:
    """Cut ascending ids into those of each page."""
    start = 0
    while start < len(ids):
        number = ids[start] >> _PAGE_BITS
        end = bisect_left(ids, (number + 1) << _PAGE_BITS, start)
        yield number, ids[start:end]
        start = end
