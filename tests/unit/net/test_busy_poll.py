"""Looking for the next command of a quick client, instead of sleeping until it comes."""

import asyncio
import os
from collections.abc import Callable

import pytest

from pennypost.net import inbox as inbox_module
from pennypost.net.busy_poll import POLL_SECONDS, QUICK_READS, BusyPoll, busy_poll
from pennypost.net.inbox import Inbox

QUICK, SLOW = POLL_SECONDS / 2, POLL_SECONDS * 2


def after_quick_reads(count: int = QUICK_READS, reader: int = 1) -> BusyPoll:
    poll = BusyPoll()
    poll.is_alone(reader)
    for _ in range(count):
        assert poll.is_alone(reader)
        poll.waited(reader, QUICK)
    return poll


def test_it_is_due_when_one_reader_was_quick_many_times() -> None:
    assert not after_quick_reads(QUICK_READS - 1).due
    assert after_quick_reads().due


def test_a_read_that_took_longer_ends_it() -> None:
    poll = after_quick_reads()
    poll.waited(1, SLOW)
    assert not poll.due


def test_another_reader_ends_it() -> None:
    poll = after_quick_reads()
    assert not poll.is_alone(2)
    assert not poll.due
    assert not poll.is_alone(1)


def test_what_comes_late_for_another_does_not_count() -> None:
    poll = after_quick_reads()
    poll.waited(2, SLOW)
    assert poll.due


def test_it_needs_a_second_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    assert busy_poll(True) is not None
    assert busy_poll(False) is None
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert busy_poll(True) is None


def due_inbox() -> tuple[Inbox, BusyPoll]:
    """Give one whose next wait begins with looking."""
    poll = BusyPoll()
    inbox = Inbox(poll)
    poll.is_alone(id(inbox))
    for _ in range(QUICK_READS):
        poll.waited(id(inbox), QUICK)
    assert poll.due
    return inbox, poll


async def looking(inbox: Inbox) -> "asyncio.Task[None]":
    """Begin to wait."""
    task = asyncio.create_task(inbox.wait())
    for _ in range(3):
        await asyncio.sleep(0)
    assert not task.done()
    return task


async def test_what_comes_while_it_looks_is_read() -> None:
    inbox, _ = due_inbox()
    task = await looking(inbox)
    inbox.feed(b"NOOP")
    await task
    assert inbox.take() == b"NOOP"


async def test_what_comes_after_it_looked_is_read_and_ends_it() -> None:
    inbox, poll = due_inbox()
    task = asyncio.create_task(inbox.wait())
    await asyncio.sleep(20 * POLL_SECONDS)
    inbox.feed(b"NOOP")
    await task
    assert inbox.take() == b"NOOP"
    assert not poll.due


def _interrupt(inbox: Inbox) -> None:
    inbox.interrupt()


def _end(inbox: Inbox) -> None:
    inbox.feed_end()


@pytest.mark.parametrize(("what", "expected"), [(_interrupt, None), (_end, b"")])
async def test_it_is_woken_while_it_looks(what: Callable[[Inbox], None], expected: bytes | None) -> None:
    inbox, _ = due_inbox()
    task = await looking(inbox)
    what(inbox)
    await task
    assert inbox.take() == expected


async def test_a_failure_is_told_while_it_looks() -> None:
    inbox, _ = due_inbox()
    task = await looking(inbox)
    inbox.fail(TimeoutError("too late"))
    with pytest.raises(TimeoutError, match="too late"):
        await task


async def test_it_can_be_cancelled_while_it_looks() -> None:
    inbox, _ = due_inbox()
    task = await looking(inbox)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    inbox.feed(b"later")
    assert inbox.take() == b"later"


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Who had a turn of the loop, while time stands still."""
    turns: list[str] = []
    monkeypatch.setattr(inbox_module, "sched_yield", lambda: turns.append("looks"))
    monkeypatch.setattr(inbox_module, "monotonic", lambda: 0.0)
    return turns


async def test_others_have_their_turn_while_it_looks(turns: list[str]) -> None:
    inbox, _ = due_inbox()
    task = asyncio.create_task(inbox.wait())
    for _ in range(3):
        await asyncio.sleep(0)
        turns.append("other")
    inbox.feed(b"x")
    await task
    assert turns == ["looks", "other"] * 3


async def test_it_does_not_look_when_it_is_not_due(turns: list[str]) -> None:
    inbox = Inbox(BusyPoll())
    for _ in range(QUICK_READS):
        task = await looking(inbox)
        inbox.feed(b"x")
        await task
        inbox.take()
    assert turns == []
