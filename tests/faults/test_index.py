"""kill -9 of workers that index: what the index says it knows it knows, neither more nor less."""

import os
import random
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import apsw

import pennypost
from pennypost.message.search_text import folded, query_words
from pennypost.model.ids import AccountId
from pennypost.store import directory
from pennypost.store.search import Hits
from pennypost.store.sqlite.search_index import FILE, SqliteSearchIndex
from pennypost.store.store import Store

from .load import settings

ROOT = Path(__file__).parents[2]
ROUNDS = max(3, int(os.environ.get("PENNYPOST_KILL_ROUNDS", "15")) // 3)
PROCESSES = 2


def start(module: str, data_dir: Path, name: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", f"tests.faults.{module}", str(data_dir), name],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(Path(pennypost.__file__).parents[1])},
    )


def load_and_kill(data_dir: Path, round_: int, chance: random.Random, module: str = "index_load") -> None:
    processes = [start(module, data_dir, f"r{round_}p{n}") for n in range(PROCESSES)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() in (b"indexed\n", b"listed\n")
    time.sleep(chance.uniform(0.0, 0.4))
    for process in processes:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


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
    data_dir = tmp_path / "data"
    store = await Store.open(settings(data_dir))
    await store.write(lambda tx: directory.add_domain(tx, "example.com"))
    account = (await store.write(lambda tx: directory.add_account(tx, "one@example.com"))).id
    await store.close()
    chance = random.Random(os.environ.get("PENNYPOST_KILL_SEED", "pennypost"))
    for round_ in range(ROUNDS):
        load_and_kill(data_dir, round_, chance)
        store = await Store.open(settings(data_dir))
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
        with closing(apsw.Connection(str(data_dir / FILE))) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            connection.execute("INSERT INTO text (text) VALUES ('integrity-check')")
