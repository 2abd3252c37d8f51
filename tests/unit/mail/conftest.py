"""A store with one domain and two accounts, and a clock that tests turn."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pennypost.mail.passwords import account_credential
from pennypost.mail.settings import AuthSettings
from pennypost.model.ids import AccountId
from pennypost.model.units import KIB, Octets
from pennypost.store import directory
from pennypost.store.settings import StoreSettings
from pennypost.store.store import Store

QUICK = AuthSettings(hash_memory=Octets(8 * KIB), hash_passes=1, hash_threads=1)


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, duration: timedelta) -> None:
        self.now += duration


@dataclass
class World:
    store: Store
    clock: Clock
    anna: AccountId
    bert: AccountId


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = Clock()
    store = await Store.open(StoreSettings(data_dir=tmp_path / "data"), clock=clock)
    await store.write(lambda tx: directory.add_domain(tx, "penny.test"))
    ids = []
    for name in ("anna", "bert"):
        new = account_credential(f"{name}'s secret", QUICK)
        account = await store.write(
            lambda tx, name=name, new=new: directory.add_account(
                tx, f"{name}@penny.test", name.title(), new.password_hash, new.scram_sha1, new.scram_sha256
            )
        )
        ids.append(account.id)
    yield World(store, clock, ids[0], ids[1])
    await store.close()
