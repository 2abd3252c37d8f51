"""Derived values on SQLite: pages in a file of its own (docs/decisions/0021).

A row is a page. Rows ascend in the order in which they were put in, so the oldest come first, and pages that were made
together are read together. What says whose values they are stands before them: sweeping does not read the values.
"""

import sys
import unicodedata
from array import array
from collections.abc import Sequence
from functools import partial

import apsw

from pennypost.model.ids import AccountId
from pennypost.store.derived import Damaged, KeptPage, Packing, Page, Place
from pennypost.store.settings import StoreSettings
from pennypost.store.sqlite.side_file import Rules, SideFile

FILE = "derived.db"

VERSION = f"1 {sys.byteorder} {unicodedata.unidata_version}"
"""What is stored with the pages: those made by other rules are made anew. It changes with how any kind of value is
derived or laid out. Folded texts depend on Unicode's version."""

_TABLES = ("page",)
_SCHEMA = """
CREATE TABLE page (
  id INTEGER PRIMARY KEY,
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

    async def accounts(self) -> list[AccountId]:
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


def _keys(packing: Packing, page: Page) -> bytes:
    return packing.packed(page.ids.tobytes() + page.stamps.tobytes())


def _ids_and_stamps(packing: Packing, keys: bytes) -> "tuple[array[int], array[int]]":
    """Undo `_keys`. Raises Damaged."""
    both = array("q", packing.unpacked(keys))
    count = len(both) // 2
    return both[:count], both[count:]


def _pages(connection: apsw.Connection, account: AccountId, kind: str, numbers: Sequence[int]) -> dict[int, Page]:
    found, packing = {}, Packing()
    for number in numbers:
        sql = "SELECT keys, content FROM page WHERE account = ? AND kind = ? AND number = ?"
        for keys, content in connection.execute(sql, (account, kind, number)):
            try:
                found[number] = Page(*_ids_and_stamps(packing, keys), content)
            except Damaged:
                continue
    return found


def _put(connection: apsw.Connection, pages: Sequence[tuple[Place, Page]], limit: int) -> None:
    packing = Packing()
    connection.executemany(
        "INSERT OR REPLACE INTO page (account, kind, number, keys, content) VALUES (?, ?, ?, ?, ?)",
        [(*place, _keys(packing, page), page.content) for place, page in pages],
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


def _accounts(connection: apsw.Connection) -> list[AccountId]:
    return [AccountId(row[0]) for row in connection.execute("SELECT DISTINCT account FROM page")]


def _listed(connection: apsw.Connection, account: AccountId, after: int, limit: int) -> list[KeptPage]:
    sql = "SELECT id, keys FROM page WHERE account = ? AND id > ? ORDER BY id LIMIT ?"
    found, packing = [], Packing()
    for row, keys in connection.execute(sql, (account, after, limit)):
        try:
            found.append(KeptPage(row, _ids_and_stamps(packing, keys)[0]))
        except Damaged:
            found.append(KeptPage(row, _NO_IDS))
    return found


def _remove(connection: apsw.Connection, rows: Sequence[int]) -> None:
    connection.executemany("DELETE FROM page WHERE id = ?", [(row,) for row in rows])


def _forget(connection: apsw.Connection, account: AccountId) -> None:
    connection.execute("DELETE FROM page WHERE account = ?", (account,))
