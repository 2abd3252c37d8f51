"""kill -9 of workers that write derived values: what is in the file then is what messages have."""

import os
import random
from contextlib import closing
from pathlib import Path

import apsw

from pennypost.store import directory
from pennypost.store.derived import Derived
from pennypost.store.sqlite.derived_file import FILE, SqliteDerivedFile
from pennypost.store.store import Store

from .derived_load import listed, values
from .load import settings
from .test_index import ROUNDS, load_and_kill


async def test_workers_that_are_killed_leave_no_wrong_value(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    store = await Store.open(settings(data_dir))
    await store.write(lambda tx: directory.add_domain(tx, "example.com"))
    account = (await store.write(lambda tx: directory.add_account(tx, "one@example.com"))).id
    await store.close()
    chance = random.Random(os.environ.get("PENNYPOST_KILL_SEED", "pennypost"))
    for round_ in range(ROUNDS):
        load_and_kill(data_dir, round_, chance, "derived_load")
        store = await Store.open(settings(data_dir))
        with closing(apsw.Connection(str(data_dir / FILE))) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        ids, stamps = await listed(store, account)
        there = await store.derived.pages(account, "SENT", [id >> 12 for id in ids])
        assert there or len(ids) < 100
        found = []
        for enabled in (True, False):
            derived = Derived(store.engine, SqliteDerivedFile(store.settings), enabled=enabled)
            found.append(await values(store, derived, account, ids, stamps))
            await derived.close()
        assert found[0] == found[1]
        await store.close()
