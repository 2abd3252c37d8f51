import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from pennypost.clients.screening.guard import Guard
from pennypost.clients.screening.settings import Fallback, ScreenerSettings
from pennypost.clients.screening.shape import Moment, Opinion, Ruling, ScreenerFailed, Screening, Visit
from pennypost.model.errors import PeerError
from pennypost.net.connection import PeerGone


class Nobody:
    name, kind, in_turn = "nobody", "clamav", False
    moments = frozenset({Moment.MESSAGE})

    def __init__(self, settings: ScreenerSettings) -> None:
        self.settings = settings

    def begin(self, visit: Visit) -> Screening:
        return Screening()

    async def close(self) -> None:
        pass


class Watch:
    def __init__(self, **settings: object) -> None:
        self.outcomes: list[str] = []
        self.open = 0
        made = ScreenerSettings(**settings)  # type: ignore[arg-type]
        self.guard = Guard(Nobody(made), self._observe, self._opened)

    def _observe(self, kind: str, outcome: str, seconds: float) -> None:
        self.outcomes.append(outcome)

    def _opened(self, kind: str, amount: int) -> None:
        self.open += amount


def raising(problem: Exception) -> Callable[[], "asyncio.Future[Opinion]"]:
    def ask() -> asyncio.Future[Opinion]:
        future: asyncio.Future[Opinion] = asyncio.get_running_loop().create_future()
        future.set_exception(problem)
        return future

    return ask


async def fine() -> Opinion:
    return Opinion(Ruling.JUNK)


@pytest.mark.parametrize(
    "problem", [ScreenerFailed("no"), OSError("no"), TimeoutError(), PeerGone(), PeerError("no"), EOFError()]
)
@pytest.mark.parametrize(("fallback", "ruling"), [(Fallback.ACCEPT, Ruling.ACCEPT), (Fallback.DEFER, Ruling.DEFER)])
async def test_a_failure_becomes_what_the_setting_says(problem: Exception, fallback: Fallback, ruling: Ruling) -> None:
    watch = Watch(on_failure=fallback)
    opinion = await watch.guard.ask(raising(problem))
    assert (opinion.ruling, opinion.failed, opinion.finished) == (ruling, True, True)
    assert (opinion.reply is not None) is (ruling is Ruling.DEFER)
    assert watch.outcomes == ["failed"]


async def test_a_bug_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        await Watch().guard.ask(raising(ZeroDivisionError()))


async def test_who_does_not_answer_is_not_waited_for() -> None:
    watch = Watch(timeout=timedelta(milliseconds=20))
    opinion = await watch.guard.ask(lambda: asyncio.get_running_loop().create_future())
    assert opinion.note == "failed: no answer in time"


async def test_who_fails_often_is_left_alone_and_comes_back() -> None:
    watch = Watch(failures=2, pause=timedelta(milliseconds=30))
    for _ in range(3):
        await watch.guard.ask(raising(OSError("no")))
    assert watch.outcomes == ["failed", "failed", "skipped"]
    assert watch.open == 1
    assert watch.guard.is_open
    await asyncio.sleep(0.04)
    assert (await watch.guard.ask(fine)).ruling is Ruling.JUNK
    assert watch.outcomes[-1] == "junk"
    assert watch.open == 0
    assert not watch.guard.is_open


async def test_who_is_cancelled_while_trying_leaves_it_to_the_next() -> None:
    watch = Watch(failures=1, pause=timedelta(milliseconds=1))
    await watch.guard.ask(raising(OSError("no")))
    await asyncio.sleep(0.01)
    task = asyncio.create_task(watch.guard.ask(lambda: asyncio.get_running_loop().create_future()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await watch.guard.ask(fine)).ruling is Ruling.JUNK


async def test_a_crowd_is_not_the_screeners_failure() -> None:
    watch = Watch(at_once=1, failures=1, timeout=timedelta(milliseconds=300), on_failure=Fallback.DEFER)

    async def slow() -> Opinion:
        await asyncio.sleep(0.1)
        return Opinion()

    opinions = await asyncio.gather(*(watch.guard.ask(slow) for _ in range(10)))
    late = [one for one in opinions if one.failed]
    assert {(one.ruling, one.note) for one in late} == {(Ruling.DEFER, "was not asked, too many are")}
    assert set(watch.outcomes) == {"accept", "skipped"}
    assert not watch.guard.is_open


async def test_only_so_many_are_asked_at_once() -> None:
    watch = Watch(at_once=2)
    running, most = 0, 0

    async def count() -> Opinion:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return Opinion()

    await asyncio.gather(*(watch.guard.ask(count) for _ in range(10)))
    assert most == 2
