"""kill -9 of workers that write derived values: what is in the file then is what messages have."""

import random
from contextlib import closing
from pathlib import Path

import apsw

from pennypost.store.derived import Derived
from pennypost.store.sqlite.derived_file import FILE, SqliteDerivedFile

from .derived_load import listed, values
from .kills import SEED, after_kills


async def test_workers_that_are_killed_leave_no_wrong_value(tmp_path: Path) -> None:
    async for store, account in after_kills(tmp_path / "data", "derived_load", random.Random(SEED)):
        with closing(apsw.Connection(str(tmp_path / "data" / FILE))) as connection:
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
