"""What stands between us and a screener, whichever it is: time, a circuit breaker, and a number of questions at once.

A failure becomes an opinion, by `on_failure`; nothing else of a screener's troubles reaches who asks. What is no
trouble of the screener's but a bug of ours passes.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol

import structlog

from pennypost.clients.screening.breaker import BreakerState, CircuitBreaker
from pennypost.clients.screening.settings import Fallback
from pennypost.clients.screening.shape import Opinion, Reply, Ruling, Screener, ScreenerFailed, one_line
from pennypost.model.errors import PeerError
from pennypost.net.connection import ConnectionEnded, PeerTimeout

_log = structlog.stdlib.get_logger("pennypost.screening")

TROUBLE = (ScreenerFailed, OSError, TimeoutError, ConnectionEnded, PeerError, EOFError)
"""What a screener's failures look like."""

FAILED, SKIPPED = "failed", "skipped"
"""Outcomes beside the rulings: it was asked in vain; it was not asked, having failed before, or for lack of a turn."""

_LATER = Reply(451, "4.7.1", "The message could not be checked now, try again later")


def reason_of(problem: Exception) -> str:
    """Say in a few words what a screener's trouble was."""
    if isinstance(problem, TimeoutError | PeerTimeout):
        return "no answer in time"
    if isinstance(problem, ConnectionEnded):
        return "it hung up"
    return one_line(str(problem)) or type(problem).__name__


class Observer(Protocol):
    """Hears how questions ended, and which breakers are open."""

    def __call__(self, kind: str, outcome: str, seconds: float) -> None: ...


class Guard:
    """Guards one screener of one worker; make it on the loop."""

    def __init__(self, screener: Screener, observe: Observer, opened: Callable[[str, int], None]) -> None:
        settings = screener.settings
        self.screener = screener
        self.breaker = CircuitBreaker(settings.failures, settings.pause.total_seconds())
        self._observe = observe
        self._opened = opened
        self._turns = asyncio.Semaphore(settings.at_once)
        self._seconds = settings.patience.total_seconds()
        defer = settings.on_failure is Fallback.DEFER
        ruling = Ruling.DEFER if defer else Ruling.ACCEPT
        self._fallback = Opinion(ruling, reply=_LATER if defer else None, finished=True, failed=True)

    async def ask(self, question: Callable[[], Awaitable[Opinion]]) -> Opinion:
        """Ask. Never raises what is the screener's fault."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        kind = self.screener.kind
        if not self.breaker.admits(begun):
            self._observe(kind, SKIPPED, 0.0)
            return replace(self._fallback, note="was not asked, having failed before")
        try:
            if not await self._turn():
                self.breaker.gave_up()
                _log.warning("screener not asked", screener=self.screener.name, reason="too many are asking")
                self._observe(kind, SKIPPED, loop.time() - begun)
                return replace(self._fallback, note="was not asked, too many are")
            try:
                async with asyncio.timeout(self._seconds):
                    opinion = await question()
            finally:
                self._turns.release()
        except TROUBLE as problem:
            return self._trouble(problem, begun, loop.time())
        except BaseException:
            self.breaker.gave_up()
            raise
        if self.breaker.succeeded():
            self._opened(kind, -1)
            _log.info("screener answers again", screener=self.screener.name)
        self._observe(kind, opinion.ruling.value, loop.time() - begun)
        return opinion

    async def _turn(self) -> bool:
        """Wait for a turn, as long as a question may take. That there is none says nothing against the screener."""
        try:
            async with asyncio.timeout(self._seconds):
                await self._turns.acquire()
        except TimeoutError:
            return False
        return True

    def _trouble(self, problem: Exception, begun: float, now: float) -> Opinion:
        screener = self.screener
        reason = reason_of(problem)
        _log.warning("screener failed", screener=screener.name, reason=reason)
        if self.breaker.failed(now):
            self._opened(screener.kind, 1)
            pause = screener.settings.pause.total_seconds()
            _log.error("screener is left alone", screener=screener.name, seconds=pause)
        self._observe(screener.kind, FAILED, now - begun)
        return replace(self._fallback, note=f"failed: {reason}")

    @property
    def is_open(self) -> bool:
        """Whether it is not asked now."""
        return self.breaker.state is not BreakerState.CLOSED
