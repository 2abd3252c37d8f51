import asyncio
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from pennypost.app import housekeeping
from pennypost.app.housekeeping import Housekeeper
from pennypost.mail.settings import AuthSettings
from pennypost.model.ids import ModSeq
from pennypost.store import directory, flag_notes, leases, mailboxes
from pennypost.store.collection import Collected
from pennypost.store.flag_change import FlagChange
from pennypost.store.settings import StoreSettings
from pennypost.store.store import Store


async def test_one_worker_keeps_house_until_it_resigns(tmp_path: Path) -> None:
    first = await Store.open(StoreSettings(tmp_path), worker=0)
    second = await Store.open(StoreSettings(tmp_path), worker=1)
    try:
        one, other = Housekeeper(first, AuthSettings()), Housekeeper(second, AuthSettings())
        assert await one.round()
        assert not await other.round()
        assert await one.round()
        await one.resign()
        assert await other.round()
    finally:
        await first.close()
        await second.close()


async def test_what_is_marked_is_removed_and_what_ran_out_is_swept(tmp_path: Path) -> None:
    store = await Store.open(StoreSettings(tmp_path))
    try:
        await store.write(lambda tx: directory.add_domain(tx, "example.org"))
        account = await store.write(lambda tx: directory.add_account(tx, "a@example.org"))
        await store.write(lambda tx: directory.remove_account(tx, account.id))
        await store.write(lambda tx: leases.acquire(tx, "past", "nobody", timedelta(seconds=-1)))
        assert await Housekeeper(store, AuthSettings()).round()
        for table in ("account", "mailbox"):
            assert await store.scan(lambda tx, table=table: tx.fetch_one(f"SELECT COUNT(*) FROM {table}")) == (0,)
        names = await store.scan(lambda tx: tx.fetch_all("SELECT name FROM lease"))
        assert names == [("housekeeping",)]
    finally:
        await store.close()


async def test_flags_that_were_noted_are_written(tmp_path: Path) -> None:
    store = await Store.open(StoreSettings(tmp_path))
    try:
        await store.write(lambda tx: directory.add_domain(tx, "example.org"))
        account = (await store.write(lambda tx: directory.add_account(tx, "a@example.org"))).id
        inbox = await store.read(lambda tx: mailboxes.find(tx, account, "INBOX"))
        assert inbox is not None
        seen = FlagChange(255, 1, None, ())
        for modseq, uids in ((ModSeq(7), "1:5000"), (ModSeq(9), "2:3")):
            await store.write(
                partial(flag_notes.add, account=account, mailbox=inbox.id, modseq=modseq, change=seen, uids=uids)
            )
        assert await Housekeeper(store, AuthSettings()).round()
        assert not await store.read(lambda tx: flag_notes.of(tx, account, inbox.id))
    finally:
        await store.close()


async def test_bodies_are_not_collected_at_once_after_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collected = asyncio.Event()

    async def collect(*_: object) -> Collected:
        collected.set()
        return Collected(0, 0, 0)

    monkeypatch.setattr(housekeeping, "collect", collect)
    monkeypatch.setattr(housekeeping, "INTERVAL", timedelta(milliseconds=1))
    monkeypatch.setattr(housekeeping, "COLLECTION_DELAY", timedelta(milliseconds=300))
    store = await Store.open(StoreSettings(tmp_path))
    task = asyncio.create_task(Housekeeper(store, AuthSettings()).run())
    try:
        await asyncio.sleep(0.15)
        assert await store.read(lambda tx: tx.fetch_one("SELECT name FROM lease")) == ("housekeeping",)
        assert not collected.is_set()
        await asyncio.wait_for(collected.wait(), 10)
    finally:
        task.cancel()
        await asyncio.wait([task])
        await store.close()
