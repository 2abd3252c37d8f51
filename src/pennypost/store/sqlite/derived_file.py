"""Derived values on SQLite: pages in a file of its own (docs/decisions/0021).

A row is a page. Rows ascend in the order in which they were put in, so the oldest come first, and pages that were made
together are read together. What says whose values they are stands before them: sweeping does not read the values.
"""

import sys
import unicodedata
from array import array
from collections.abc import Sequence
from functools import partial
from zlib import crc32

import apsw

from pennypost.model.ids import AccountId
from pennypost.store.derived import Damaged, KeptPage, Packing, Page, Place
from pennypost.store.engine import Value
from pennypost.store.settings import StoreSettings
from pennypost.store.sqlite.side_file import Rules, SideFile

FILE = "derived.db"

VERSION = f"2 {sys.byteorder} {unicodedata.unidata_version}"
"""What is stored with the pages: those made by other rules are made anew. It changes with how any kind of value is
derived or laid out. Folded texts depend on Unicode's version."""

_TABLES = ("page",)
_SCHEMA = """
CREATE TABLE page (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  account INTEGER NOT NULL,
  kind TEXT NOT NULL,
  number INTEGER NOT NULL,
  keys BLOB NOT NULL,
  content BLOB NOT NULL,
  UNIQUE (account, kind, number)
);
"""

_ROOM_MADE = 8
"""When the file is too large, pages of this fraction of what it may be go at once."""


class SqliteDerivedFile:
    """The `DerivedFile` in `settings.data_dir`."""

    def __init__(self, settings: StoreSettings) -> None:
        self._file = SideFile(settings.data_dir, Rules(FILE, VERSION, _TABLES, _SCHEMA))
        self._limit = settings.derived_limit

    async def pages(self, account: AccountId, kind: str, numbers: Sequence[int]) -> dict[int, Page]:
        return await self._file.read(partial(_pages, account=account, kind=kind, numbers=numbers))

    async def put(self, pages: Sequence[tuple[Place, Page]]) -> None:
        await self._file.write(partial(_put, pages=pages, limit=self._limit))

    async def accounts(self) -> dict[AccountId, int]:
        return await self._file.read(_accounts)

    async def listed(self, account: AccountId, after: int, limit: int) -> list[KeptPage]:
        return await self._file.read(partial(_listed, account=account, after=after, limit=limit))

    async def remove(self, rows: Sequence[int]) -> None:
        await self._file.write(partial(_remove, rows=rows))

    async def forget(self, account: AccountId) -> None:
        await self._file.write(partial(_forget, account=account))

    async def close(self) -> None:
        await self._file.close()


_NO_IDS = array("q")


def _sum(place: Place, content: bytes) -> int:
    return crc32(content, crc32(repr(tuple(place)).encode()))


def _keys(packing: Packing, place: Place, page: Page) -> bytes:
    numbers = array("q", [_sum(place, page.content)])
    return packing.packed(numbers.tobytes() + page.ids.tobytes() + page.stamps.tobytes())


def _numbers(packing: Packing, keys: Value) -> "tuple[int, array[int], array[int]]":
    """Undo `_keys`: give the sum, ids and stamps. Raises Damaged."""
    octets = packing.unpacked(keys) if isinstance(keys, bytes) else b""
    if not octets or len(octets) % 16 != 8:
        raise Damaged
    numbers = array("q", octets)
    behind = 1 + len(numbers) // 2
    return numbers[0], numbers[1:behind], numbers[behind:]


def _page(packing: Packing, place: Place, keys: Value, content: Value) -> Page:
    """Give what is in a row. Raises Damaged."""
    sum_there, ids, stamps = _numbers(packing, keys)
    if not isinstance(content, bytes) or _sum(place, content) != sum_there:
        raise Damaged
    return Page(ids, stamps, content)


def _pages(connection: apsw.Connection, account: AccountId, kind: str, numbers: Sequence[int]) -> dict[int, Page]:
    found, packing = {}, Packing()
    for number in numbers:
        sql = "SELECT keys, content FROM page WHERE account = ? AND kind = ? AND number = ?"
        for keys, content in connection.execute(sql, (account, kind, number)):
            try:
                found[number] = _page(packing, Place(account, kind, number), keys, content)
            except Damaged:
                continue
    return found


def _put(connection: apsw.Connection, pages: Sequence[tuple[Place, Page]], limit: int) -> None:
    packing = Packing()
    connection.executemany(
        "INSERT OR REPLACE INTO page (account, kind, number, keys, content) VALUES (?, ?, ?, ?, ?)",
        [(*place, _keys(packing, place, page), page.content) for place, page in pages],
    )
    excess = _octets_used(connection) - limit
    if excess > 0:
        _remove_oldest(connection, excess + limit // _ROOM_MADE)


def _octets_used(connection: apsw.Connection) -> int:
    used, free, size = (connection.pragma(name) for name in ("page_count", "freelist_count", "page_size"))
    return int((used - free) * size)


def _remove_oldest(connection: apsw.Connection, octets: int) -> None:
    sql = "SELECT id, length(keys) + length(content) FROM page ORDER BY id"
    oldest = []
    for row, length in connection.execute(sql):
        oldest.append(row)
        octets -= length
        if octets <= 0:
            break
    _remove(connection, oldest)


def _accounts(connection: apsw.Connection) -> dict[AccountId, int]:
    sql = "SELECT account, MAX(id) FROM page GROUP BY account"
    return {AccountId(account): last for account, last in connection.execute(sql)}


def _listed(connection: apsw.Connection, account: AccountId, after: int, limit: int) -> list[KeptPage]:
    sql = "SELECT id, keys FROM page WHERE account = ? AND id > ? ORDER BY id LIMIT ?"
    found, packing = [], Packing()
    for row, keys in connection.execute(sql, (account, after, limit)):
        try:
            found.append(KeptPage(row, _numbers(packing, keys)[1]))
        except Damaged:
            found.append(KeptPage(row, _NO_IDS))
    return found


def _remove(connection: apsw.Connection, rows: Sequence[int]) -> None:
    connection.executemany("DELETE FROM page WHERE id = ?", [(row,) for row in rows])


def _forget(connection: apsw.Connection, account: AccountId) -> None:
    connection.execute("DELETE FROM page WHERE account = ?", (account,))
