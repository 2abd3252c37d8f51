"""A circuit breaker: who has failed too often is left alone for a while, and then tried by one."""

from enum import Enum


class BreakerState(Enum):
    CLOSED = "closed"
    """It is asked."""
    OPEN = "open"
    """It is left alone."""
    PROBING = "probing"
    """One question is under way that decides."""


class CircuitBreaker:
    """`failures`: in a row, before it opens; `pause`: seconds until it is tried again. Instants are seconds of one
    clock."""

    def __init__(self, failures: int, pause: float) -> None:
        self._most = failures
        self._pause = pause
        self._failures = 0
        self._until = 0.0
        self.state = BreakerState.CLOSED

    def admits(self, now: float) -> bool:
        """Whether to ask. Who is told yes has to tell `succeeded`, `failed` or `gave_up`."""
        if self.state is BreakerState.CLOSED:
            return True
        if self.state is BreakerState.OPEN and now >= self._until:
            self.state = BreakerState.PROBING
            return True
        return False

    def succeeded(self) -> bool:
        """Take note of an answer. Gives whether that closed it."""
        was_closed = self.state is BreakerState.CLOSED
        self._failures = 0
        self.state = BreakerState.CLOSED
        return not was_closed

    def failed(self, now: float) -> bool:
        """Take note of a failure. Gives whether that opened it."""
        self._failures += 1
        if self.state is BreakerState.CLOSED and self._failures < self._most:
            return False
        if self.state is BreakerState.OPEN:  # a question of before
            return False
        opened = self.state is BreakerState.CLOSED
        self.state = BreakerState.OPEN
        self._until = now + self._pause
        return opened

    def gave_up(self) -> None:
        """Take note that whoever asked does not want to know any more: the next one may try."""
        if self.state is BreakerState.PROBING:
            self.state = BreakerState.OPEN
