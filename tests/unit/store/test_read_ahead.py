"""What is read ahead of a FETCH: all of it, once, and no longer than somebody walks."""

import asyncio
from array import array
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pennypost.model.errors import ServerBusy
from pennypost.model.ids import AccountId, MailboxId
from pennypost.store import read_ahead
from pennypost.store.read_ahead import MANY, STEP, THREADS, ReadAhead

ANN, BOX = AccountId(1), MailboxId(2)


class Engine:
    """Notes what is asked for; waits until `go` is set."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, ...]] = []
        self.go = asyncio.Event()
        self.fails = False

    async def scan(self, operation: Callable[[Any], Awaitable[None]]) -> None:
        await operation(self)
        await self.go.wait()
        if self.fails:
            raise ServerBusy

    async def fetch_one(self, _: str, *values: int) -> None:
        self.asked.append(values)


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


@pytest.mark.parametrize("fails", [False, True])
async def test_all_is_read_once(fails: bool) -> None:
    engine = Engine()
    engine.fails = fails
    ahead = ReadAhead(engine)  # type: ignore[arg-type]
    uids = array("I", range(10, 10 + 5 * STEP + 7))
    assert ahead.is_due(ANN, BOX, MANY)
    with ahead.walking(ANN, BOX, uids):
        await settle()
        assert len(engine.asked) == THREADS
        engine.go.set()
        await settle()
    expected = [(ANN, BOX, first, min(first + STEP - 1, uids[-1])) for first in range(10, uids[-1] + 1, STEP)]
    assert sorted(engine.asked) == expected
    assert not ahead.is_due(ANN, BOX, MANY)
    assert ahead.is_due(ANN, MailboxId(3), MANY)
    assert not ahead.is_due(ANN, MailboxId(3), MANY - 1)


async def test_it_ends_with_the_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine()
    ahead = ReadAhead(engine)  # type: ignore[arg-type]
    monkeypatch.setattr(read_ahead, "_MAX_KNOWN", 1)
    for box in (1, 2, 1):  # of so few it is known that it was done
        assert ahead.is_due(ANN, MailboxId(box), MANY)
        with ahead.walking(ANN, MailboxId(box), range(1, 10 * STEP)):
            await settle()
    engine.go.set()
    await settle()
    assert len(engine.asked) == 3 * THREADS
    assert len(asyncio.all_tasks()) == 1
