"""The full-text index on SQLite: FTS5 in a file of its own (docs/decisions/0010).

The table keeps no text, and of each word only in which messages it stands (`detail=none`). Words come as
`message.search_text` cuts them, so the tokenizer does no more than split at blanks: `ascii` takes every other character
for a letter, whatever version of Unicode SQLite knows. Each word stands behind the number of its account, so that a
search, of beginnings of words too, touches nothing that others have, and behind the sign of its field: a list of fields
kept with every word and message would take more than twice the room. A row's number is the account's and the message's
together.
"""

import unicodedata
from array import array
from collections.abc import Sequence
from functools import partial

import apsw

from pennypost.message.search_text import Query, Words
from pennypost.model.ids import AccountId
from pennypost.store.engine import Row
from pennypost.store.search import NOT_INDEXED, Document, Hits, IndexState
from pennypost.store.settings import StoreSettings
from pennypost.store.sqlite.side_file import Rules, SideFile, end_transaction

FILE = "search.db"
_MESSAGE_BITS = 40
_DELETE_STEP = 500

_HEADER, _BODY, _PLAIN_HEADER, _PLAIN_BODY = "\u00b7", "\u00b6", "\u00ab", "\u00bb"
"""What stands between an account's number and a word, by its field: no part of any word, a letter for the tokenizer."""

VERSION = f"4 {unicodedata.unidata_version}"
"""What is stored with the index: one that was made by other rules is made anew. Words depend on Unicode's version."""

_TABLES = ("text", "unsure", "progress")
_SCHEMA = """
CREATE TABLE progress (account INTEGER PRIMARY KEY, created_at INTEGER NOT NULL, upto INTEGER NOT NULL);
CREATE TABLE unsure (id INTEGER PRIMARY KEY);
CREATE VIRTUAL TABLE text USING fts5(words, content='', contentless_delete=1, detail=none, tokenize='ascii');
"""


class SqliteSearchIndex:
    """The `SearchIndex` in `settings.data_dir`."""

    def __init__(self, settings: StoreSettings) -> None:
        self._file = SideFile(settings.data_dir, Rules(FILE, VERSION, _TABLES, _SCHEMA))

    async def state(self, account: AccountId) -> IndexState:
        return await self._file.read(lambda connection: _state(connection, account))

    async def add(self, account: AccountId, before: IndexState, after: IndexState, new: Sequence[Document]) -> bool:
        return await self._file.write(lambda connection: _add(connection, account, before, after, new))

    async def find(self, account: AccountId, query: Query, header: bool, body: bool, fuzzy: bool) -> Hits:
        match = match_expression(account, query, header, body, fuzzy)
        return await self._file.read(lambda connection: _find(connection, account, match))

    async def messages(self, account: AccountId, after: int, limit: int) -> list[int]:
        low, high = _rows(account)
        return await self._file.read(
            lambda connection: [row[0] - low for row in _all(connection, _ROWS, low + after, high, limit)]
        )

    async def remove(self, account: AccountId, messages: Sequence[int]) -> None:
        low, _ = _rows(account)
        rows = [(low + message,) for message in messages]
        for start in range(0, len(rows), _DELETE_STEP):
            await self._file.write(partial(_delete, rows=rows[start : start + _DELETE_STEP]))

    async def accounts(self) -> dict[AccountId, IndexState]:
        return await self._file.read(_accounts)

    async def forget(self, account: AccountId) -> None:
        await self._file.write(lambda connection: _forget(connection, account))

    async def clear(self) -> None:
        await self._file.write(_clear)

    async def close(self) -> None:
        await self._file.close()


def match_expression(account: AccountId, query: Query, header: bool, body: bool, fuzzy: bool) -> str:
    """Write what FTS5 is to look for. Words are letters and digits only: nothing has to be quoted within them."""
    signs = [*((_HEADER,) if header else ()), *((_BODY,) if body else ())]
    if fuzzy:
        signs += [*((_PLAIN_HEADER,) if header else ()), *((_PLAIN_BODY,) if body else ())]

    def any_field(word: str, end: str) -> str:
        return "(" + " OR ".join(f'"{account}{sign}{word}"{end}' for sign in signs) + ")"

    words = [any_field(word, "") for word in dict.fromkeys(query.words[:-1])]
    words.append(any_field(query.words[-1], "" if query.last_is_whole else "*"))
    return " AND ".join(words)


def _tagged(account: AccountId, words: Words) -> str:
    """Put before each word whose it is, and in which field it stands."""
    fields = (
        (_HEADER, words.header),
        (_BODY, words.body),
        (_PLAIN_HEADER, words.plain_header),
        (_PLAIN_BODY, words.plain_body),
    )
    return " ".join([f"{account}{sign}" + text.replace(" ", f" {account}{sign}") for sign, text in fields if text])


def _rows(account: AccountId) -> tuple[int, int]:
    low = account << _MESSAGE_BITS
    return low, low + (1 << _MESSAGE_BITS) - 1


_ROWS = """
SELECT rowid FROM text WHERE rowid > ?1 AND rowid <= ?2
UNION SELECT id FROM unsure WHERE id > ?1 AND id <= ?2 ORDER BY 1 LIMIT ?3
"""


def _all(connection: apsw.Connection, sql: str, *values: int | str) -> list[Row]:
    return connection.execute(sql, values).fetchall()


def _state(connection: apsw.Connection, account: AccountId) -> IndexState:
    rows = _all(connection, "SELECT created_at, upto FROM progress WHERE account = ?", account)
    return IndexState(*rows[0]) if rows else NOT_INDEXED


def _accounts(connection: apsw.Connection) -> dict[AccountId, IndexState]:
    rows = _all(connection, "SELECT account, created_at, upto FROM progress")
    return {AccountId(row[0]): IndexState(row[1], row[2]) for row in rows}


def _add(
    connection: apsw.Connection, account: AccountId, before: IndexState, after: IndexState, new: Sequence[Document]
) -> bool:
    if _state(connection, account) != before:
        return False
    if before != NOT_INDEXED and (before.created_at != after.created_at or after.upto < before.upto):
        _forget(connection, account)
    low = _rows(account)[0]
    connection.executemany(
        "INSERT INTO text (rowid, words) VALUES (?, ?)",
        [(low + one.message, _tagged(account, one.words)) for one in new if one.words.whole],
    )
    connection.executemany(
        "INSERT INTO unsure VALUES (?)", [(low + one.message,) for one in new if not one.words.whole]
    )
    connection.execute("INSERT OR REPLACE INTO progress VALUES (?, ?, ?)", (account, *after))
    return True


def _find(connection: apsw.Connection, account: AccountId, match: str) -> Hits:
    low, high = _rows(account)
    connection.execute("BEGIN")
    try:
        state = _state(connection, account)
        rows = _all(connection, "SELECT rowid FROM text WHERE text MATCH ?", match)
        unsure = _all(connection, "SELECT id FROM unsure WHERE id BETWEEN ? AND ?", low, high)
    finally:
        end_transaction(connection, "ROLLBACK")
    return Hits(array("q", [row[0] - low for row in rows]), [row[0] - low for row in unsure], state.upto)


def _delete(connection: apsw.Connection, rows: Sequence[tuple[int]]) -> None:
    connection.executemany("DELETE FROM text WHERE rowid = ?", rows)
    connection.executemany("DELETE FROM unsure WHERE id = ?", rows)


def _forget(connection: apsw.Connection, account: AccountId) -> None:
    low, high = _rows(account)
    rows = connection.execute("SELECT rowid FROM text WHERE rowid BETWEEN ? AND ?", (low, high)).fetchall()
    connection.executemany("DELETE FROM text WHERE rowid = ?", rows)
    connection.execute("DELETE FROM unsure WHERE id BETWEEN ? AND ?", (low, high))
    connection.execute("DELETE FROM progress WHERE account = ?", (account,))


def _clear(connection: apsw.Connection) -> None:
    connection.execute("INSERT INTO text (text) VALUES ('delete-all')")
    connection.execute("DELETE FROM unsure")
    connection.execute("DELETE FROM progress")
