"""Looking for the next command of a quick client, instead of sleeping until it comes."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pennypost.net import busy_poll as busy_poll_module
from pennypost.net import inbox as inbox_module
from pennypost.net.busy_poll import CROWDED_SECONDS, POLL_SECONDS, QUICK_READS, BusyPoll, busy_poll
from pennypost.net.inbox import Inbox

QUICK, SLOW = POLL_SECONDS / 2, POLL_SECONDS * 2
NOW = 1000.0


def after_quick_reads(count: int = QUICK_READS, reader: int = 1) -> BusyPoll:
    poll = BusyPoll()
    poll.is_alone(reader)
    for _ in range(count):
        assert poll.is_alone(reader)
        poll.waited(reader, QUICK)
    return poll


def test_it_is_due_when_one_reader_was_quick_many_times() -> None:
    assert not after_quick_reads(QUICK_READS - 1).is_due(NOW)
    assert after_quick_reads().is_due(NOW)


def test_a_read_that_took_longer_ends_it() -> None:
    poll = after_quick_reads()
    poll.waited(1, SLOW)
    assert not poll.is_due(NOW)


def test_another_reader_ends_it() -> None:
    poll = after_quick_reads()
    assert not poll.is_alone(2)
    assert not poll.is_due(NOW)
    assert not poll.is_alone(1)


def test_what_comes_late_for_another_does_not_count() -> None:
    poll = after_quick_reads()
    poll.waited(2, SLOW)
    assert poll.is_due(NOW)


def test_it_is_not_due_for_a_while_after_somebody_else_computed() -> None:
    poll = after_quick_reads()
    poll.crowded(NOW)
    for _ in range(QUICK_READS):
        assert not poll.is_due(NOW + CROWDED_SECONDS)
        poll.waited(1, QUICK)
    assert not poll.is_due(NOW + CROWDED_SECONDS - 0.001)
    assert poll.is_due(NOW + CROWDED_SECONDS)


def test_it_needs_a_second_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    assert busy_poll(True) is not None
    assert busy_poll(False) is None
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert busy_poll(True) is None


@pytest.mark.parametrize(
    ("quota", "enough"),
    [("max 100000", True), ("200000 100000", True), ("199999 100000", False), ("50000 100000", False), ("", True)],
)
def test_it_needs_what_two_processors_take(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quota: str, enough: bool
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    groups = tmp_path / "cgroup"
    groups.write_text("0::/mail/pennypost.service\n")
    monkeypatch.setattr(busy_poll_module, "_GROUP_OF_PROCESS", groups)
    monkeypatch.setattr(busy_poll_module, "_GROUPS", str(tmp_path))
    assert busy_poll(True) is not None  # such a group has no quota
    own = tmp_path / "mail" / "pennypost.service"
    own.mkdir(parents=True)
    (own / "cpu.max").write_text(f"{quota}\n")
    assert (busy_poll(True) is not None) is enough


def due_inbox() -> tuple[Inbox, BusyPoll]:
    """Give one whose next wait begins with looking."""
    poll = BusyPoll()
    inbox = Inbox(poll)
    inbox.answered = True
    poll.is_alone(id(inbox))
    for _ in range(QUICK_READS):
        poll.waited(id(inbox), QUICK)
    assert poll.is_due(NOW)
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
    assert not poll.is_due(NOW)


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


class Turns:
    """A clock that goes on by a `round` of looking, and by an `offer` of the processor, and who had a turn."""

    def __init__(self) -> None:
        self.had: list[str] = []
        self.now = NOW
        self.round = self.offer = 0.0

    def sched_yield(self) -> None:
        self.had.append("looks")
        self.now += self.offer

    def monotonic(self) -> float:
        self.now += self.round
        return self.now


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Turns:
    """Time stands still."""
    turns = Turns()
    monkeypatch.setattr(inbox_module, "sched_yield", turns.sched_yield)
    monkeypatch.setattr(inbox_module, "monotonic", turns.monotonic)
    return turns


async def test_others_have_their_turn_while_it_looks(turns: Turns) -> None:
    inbox, _ = due_inbox()
    task = asyncio.create_task(inbox.wait())
    for _ in range(3):
        await asyncio.sleep(0)
        turns.had.append("other")
    inbox.feed(b"x")
    await task
    assert turns.had == ["looks", "other"] * 3


async def after_a_hundred_rounds(inbox: Inbox) -> None:
    """Wait for what comes then."""
    task = asyncio.create_task(inbox.wait())
    for _ in range(100):
        await asyncio.sleep(0)
    inbox.feed(b"x")
    await task
    inbox.take()


async def test_it_looks_for_so_long_and_then_sleeps(turns: Turns) -> None:
    inbox, _ = due_inbox()
    turns.round = POLL_SECONDS / 8.5  # twice in each round the time is asked for
    await after_a_hundred_rounds(inbox)
    assert turns.had == ["looks"] * 5


async def test_it_sleeps_where_somebody_else_computes(turns: Turns) -> None:
    inbox, poll = due_inbox()
    turns.offer = SLOW
    await after_a_hundred_rounds(inbox)
    assert turns.had == ["looks"]
    for _ in range(QUICK_READS):
        poll.waited(id(inbox), QUICK)
    assert not poll.is_due(turns.now)
    inbox.answered = True
    await after_a_hundred_rounds(inbox)
    assert turns.had == ["looks"]


async def test_an_offer_that_is_soon_over_changes_nothing(turns: Turns) -> None:
    inbox, poll = due_inbox()
    turns.offer = POLL_SECONDS / 4
    task = await looking(inbox)
    inbox.feed(b"x")
    await task
    assert poll.is_due(turns.now)


async def read_quickly(inbox: Inbox, *, answered: bool) -> None:
    """Wait for what comes at once, time and again."""
    for _ in range(QUICK_READS + 1):
        inbox.answered = answered
        task = await looking(inbox)
        inbox.feed(b"x")
        await task
        inbox.take()


async def test_it_does_not_look_when_it_is_not_due(turns: Turns) -> None:
    poll = BusyPoll()
    await read_quickly(Inbox(poll), answered=True)
    assert poll.is_due(NOW)
    assert turns.had == []


async def test_what_follows_no_answer_is_not_looked_for_and_does_not_count(turns: Turns) -> None:
    inbox, poll = due_inbox()
    await read_quickly(inbox, answered=False)
    assert turns.had == []
    assert poll.is_due(NOW)  # the answer to it all is
    other = BusyPoll()
    await read_quickly(Inbox(other), answered=False)
    assert not other.is_due(NOW)


async def test_who_reads_in_the_midst_of_a_message_is_not_alone_with_another(turns: Turns) -> None:
    inbox, poll = due_inbox()
    await read_quickly(Inbox(poll), answered=False)
    inbox.answered = True
    await after_a_hundred_rounds(inbox)
    assert turns.had == []


async def test_octets_that_wait_already_are_no_answer() -> None:
    inbox = Inbox()
    assert not inbox.answered
    inbox.answered = True
    inbox.feed(b"the rest of one command, and half of ")
    assert inbox.answered
    inbox.take()
    assert not inbox.answered
    inbox.answered = True
    inbox.interrupt()
    assert inbox.take() is None
    assert inbox.answered
