"""What was derived from messages, kept on disk beside the store: so it need not be derived again after a restart.

Theory of operation
-------------------
Header fields, and what is sorted, threaded and searched by, are taken out of messages once and kept in memory
(`field_pages`, `sort_columns`). Here they are kept in a file as well, which may be thrown away at any time. Only what
clients asked for is kept, in pages: values of one kind, of messages of one account whose ids are neighbours.

A message never changes and its id is never given twice, so a page is never wrong, whoever made it. But a store that is
brought back from an older copy gives ids again. So a page says of each message when it was received, to the
microsecond, and who reads a value compares that with what the mailbox says.

Pages are written behind: after the answer that they were made for, in transactions of bounded size, on a thread. What
is not written yet when a worker dies is lost, and derived again. Two workers that write one page are both right.

Messages that are gone stay until their pages are swept out, once an hour; a worker that had them in memory may write
them after that, and what was written since is swept, too. The oldest pages go when the file is as large as it may be.
"""

import asyncio
from array import array
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import structlog
from zstandard import ZstdCompressor, ZstdDecompressor, ZstdError, frame_content_size

from pennypost.model.errors import MailError
from pennypost.model.ids import AccountId
from pennypost.model.units import MIB
from pennypost.net.incident import log_incident
from pennypost.store import messages
from pennypost.store.engine import Engine, Transaction

DELAY_SECONDS = 1.0
"""How long a page waits to be written: it may grow, and answers go first."""

MAX_WAITING = 32 * MIB
"""Octets that wait to be written; what comes beyond that is not."""

BATCH_OCTETS = 1 * MIB
"""What is written in one transaction, unless one page has more."""

MAX_UNPACKED = 16 * MIB
"""Octets that a page may have unpacked."""

SWEEP_STEP = 64
"""Pages that are looked at in one go."""

_log = structlog.stdlib.get_logger("pennypost.derived")


class Place(NamedTuple):
    """Which page it is. `kind`: names what is in it; `number`: of the range of ids, as the kind divides them."""

    account: AccountId
    kind: str
    number: int


@dataclass(frozen=True, slots=True)
class Page:
    """Values of messages. `ids` ascend; `stamps`: when each was received, microseconds; `content`: as `Packing.packed`
    gives it, of what the kind makes of the values."""

    ids: "array[int]"
    stamps: "array[int]"
    content: bytes

    def size_octets(self) -> int:
        return len(self.content) + 16 * len(self.ids)


class KeptPage(NamedTuple):
    """A page of a file, as it is swept. `row`: its own number there, which ascends."""

    row: int
    ids: "array[int]"


class DerivedFile(Protocol):
    """An engine that keeps pages, shared by the workers. What it is given is durable at some time, or never."""

    async def pages(self, account: AccountId, kind: str, numbers: Sequence[int]) -> dict[int, Page]:
        """Give those of the pages that are there. One that is damaged is not."""
        ...

    async def put(self, pages: Sequence[tuple[Place, Page]]) -> None:
        """Put pages in, each in the place of what was there; remove the oldest where they take too much room."""
        ...

    async def accounts(self) -> dict[AccountId, int]:
        """Give the accounts that something is there of, each with the last row that was put in. Rows are never used
        twice."""
        ...

    async def listed(self, account: AccountId, after: int, limit: int) -> list[KeptPage]:
        """List pages of an account, ascending, from above the row `after`."""
        ...

    async def remove(self, rows: Sequence[int]) -> None:
        """Remove pages."""
        ...

    async def forget(self, account: AccountId) -> None:
        """Remove everything of an account."""
        ...

    async def close(self) -> None:
        """Let go of everything. Idempotent."""
        ...


class Derived:
    """What is kept of derived values, as one worker uses it. Used from one event loop."""

    def __init__(self, engine: Engine, file: DerivedFile, *, enabled: bool = True) -> None:
        """`enabled`: whether anything is kept. Without it nothing is known of any message."""
        self.enabled = enabled
        self._engine = engine
        self._file = file
        self._waiting: dict[Place, Page] = {}
        self._octets = 0
        self._writing: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._swept: dict[AccountId, tuple[int, int]] = {}
        """Up to which modification sequence an account's pages were swept, and which row was the last one then."""

    async def prepare(self) -> None:
        """Open the file before somebody waits for it."""
        await self.pages(AccountId(0), "", ())

    async def pages(self, account: AccountId, kind: str, numbers: Sequence[int]) -> dict[int, Page]:
        """Give those of the pages that are kept. A file that cannot be used has none: no reason not to answer."""
        if not self.enabled:
            return {}
        try:
            return await self._file.pages(account, kind, numbers)
        except MailError:
            return {}
        except Exception as problem:
            log_incident("derived", problem)
            return {}

    def keep(self, place: Place, page: Page) -> None:
        """Let a page be written soon, in the place of the one that is there."""
        if not self.enabled or self._closing.is_set():
            return
        before = self._waiting.pop(place, None)
        if before is not None:
            self._octets -= before.size_octets()
        if self._octets + page.size_octets() > MAX_WAITING:
            return
        self._waiting[place] = page
        self._octets += page.size_octets()
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_behind())

    async def _write_behind(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), DELAY_SECONDS)
        try:
            while self._waiting:
                await self._file.put(self._batch())
        except MailError as error:
            _log.warning("derived values are not written", reason=str(error))
        except Exception as problem:
            log_incident("derived", problem)
        finally:
            self._waiting.clear()
            self._octets = 0
            self._writing = None

    def _batch(self) -> list[tuple[Place, Page]]:
        """Take what is to be written next, oldest first."""
        batch: list[tuple[Place, Page]] = []
        octets = 0
        while self._waiting and (not batch or octets < BATCH_OCTETS):
            place = next(iter(self._waiting))
            page = self._waiting.pop(place)
            batch.append((place, page))
            octets += page.size_octets()
        self._octets -= octets
        return batch

    async def sweep(self) -> int:
        """Remove the pages of accounts, and those that name messages, that are gone. Gives how many of the latter."""
        if not self.enabled:
            return 0
        try:
            return await self._sweep()
        except MailError as error:
            _log.warning("derived values are not swept", reason=str(error))
        except Exception as problem:
            log_incident("derived", problem)
        return 0

    async def _sweep(self) -> int:
        rows = await self._engine.scan(lambda tx: tx.fetch_all(_ACCOUNTS))
        modseqs: dict[AccountId, int] = {AccountId(account): modseq for account, modseq in rows}
        swept = 0
        for account, last in (await self._file.accounts()).items():
            if account not in modseqs:
                await self._file.forget(account)
            elif self._swept.get(account) != (modseqs[account], last):
                swept += await self._sweep_account(account)
                self._swept[account] = modseqs[account], last
        self._swept = {account: self._swept[account] for account in self._swept.keys() & modseqs.keys()}
        return swept

    async def _sweep_account(self, account: AccountId) -> int:
        swept, after = 0, 0
        while found := await self._file.listed(account, after, SWEEP_STEP):
            after = found[-1].row

            async def operation(tx: Transaction, found: Iterable[KeptPage] = found) -> list[int]:
                return [row for row, ids in found if not await _are_there(tx, account, ids)]

            gone = await self._engine.scan(operation)
            if gone:
                await self._file.remove(gone)
                swept += len(gone)
        return swept

    async def close(self) -> None:
        """Write what waits and let go of everything. Idempotent."""
        self._closing.set()
        if self._writing is not None:
            await self._writing
        await self._file.close()


_ACCOUNTS = "SELECT id, modseq FROM account WHERE removed = 0"


async def _are_there(tx: Transaction, account: AccountId, ids: "array[int]") -> bool:
    """Whether all of the messages are. No ids are those of a page that is damaged."""
    return bool(ids) and (await messages.there(tx, account, ids[0], ids[-1])).issuperset(ids)


def by_page(ids: "array[int]", bits: int) -> Iterator[tuple[int, int, int]]:
    """Cut ascending ids by pages of 2 to the power of `bits`: give each one's number, and from where to where it is."""
    start = 0
    while start < len(ids):
        number = ids[start] >> bits
        end = bisect_left(ids, (number + 1) << bits, start)
        yield number, start, end
        start = end


def joined(
    before: Page | None, values: Sequence[Any], fresh: Mapping[int, tuple[int, Any]]
) -> "tuple[array[int], array[int], list[Any]]":
    """Put new values, by id, each with when its message was received, to those of a page. Gives all ids, which ascend,
    with stamps and values."""
    there: dict[int, tuple[int, Any]] = {}
    if before is not None:
        there.update(zip(before.ids, zip(before.stamps, values, strict=True), strict=True))
    there.update(fresh)
    ids = array("q", sorted(there))
    return ids, array("q", [there[id][0] for id in ids]), [there[id][1] for id in ids]


async def by_ascending_ids(
    ids: "array[int]",
    stamps: "array[int]",
    values: "Callable[[array[int], array[int]], Awaitable[Sequence[Any]]]",
) -> list[Any]:
    """Ask for values of messages that were moved here in another order by ascending ids; give them in their order."""
    places = sorted(range(len(ids)), key=ids.__getitem__)
    ids, stamps = (array("q", [column[place] for place in places]) for column in (ids, stamps))
    found: list[Any] = [None] * len(ids)
    for place, value in zip(places, await values(ids, stamps), strict=True):
        found[place] = value
    return found


class Damaged(Exception):
    """Octets are not what `Packing` had made."""


class Packing:
    """How pages are compressed. For one thread at a time."""

    def __init__(self) -> None:
        self._compress = ZstdCompressor(level=1, write_checksum=True).compress  # damage shows by the sum
        self._decompress = ZstdDecompressor().decompress

    def packed(self, octets: bytes) -> bytes:
        return self._compress(octets)

    def unpacked(self, octets: bytes) -> bytes:
        """Undo `packed`. Raises Damaged."""
        try:
            if frame_content_size(octets) > MAX_UNPACKED:
                raise Damaged
            return self._decompress(octets)
        except ZstdError as error:
            raise Damaged from error
