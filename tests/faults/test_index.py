"""kill -9 of workers that index: what the index says it knows it knows, neither more nor less."""

import random
from contextlib import closing
from pathlib import Path

import apsw

from pennypost.message.search_text import folded, query_words
from pennypost.model.ids import AccountId
from pennypost.store.search import Hits
from pennypost.store.sqlite.search_index import FILE, SqliteSearchIndex
from pennypost.store.store import Store

from .kills import SEED, after_kills


async def words_of(store: Store, account: AccountId) -> dict[int, str]:
    """Give the word that each message has for itself."""
    found: dict[int, str] = {}
    for message, blob in await store.scan(
        lambda tx: tx.fetch_all("SELECT id, blob FROM message WHERE account = ?", account)
    ):
        body = await store.scan(lambda tx, blob=blob: store.blobs.read(tx, blob))
        found[message] = body.split()[1].decode()
    return found


async def find(index: SqliteSearchIndex, account: AccountId, word: str) -> Hits:
    wanted = query_words(folded(word))
    assert wanted is not None
    return await index.find(account, wanted, header=True, body=True, fuzzy=False)


async def test_an_index_whose_workers_are_killed_says_what_is_true(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    async for store, account in after_kills(tmp_path / "data", "index_load", chance):
        index = SqliteSearchIndex(store.settings)
        words = await words_of(store, account)
        known = await find(index, account, "common")
        assert sorted(known.messages) == sorted(message for message in words if message <= known.upto)
        await store.search.catch_up(account)
        assert sorted((await find(index, account, "common")).messages) == sorted(words)
        for message in chance.sample(sorted(words), min(50, len(words))):
            # Words that begin with it are of other messages: r0p1x1 and r0p1x12.
            found = {words[one] for one in (await find(index, account, words[message])).messages}
            assert found == {word for word in words.values() if word.startswith(words[message])}
        await index.close()
        await store.close()
        with closing(apsw.Connection(str(tmp_path / "data" / FILE))) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            connection.execute("INSERT INTO text (text) VALUES ('integrity-check')")
