"""How a next hop is treated: how many connections it gets, how fast, and when it is left alone for a while.

A hop is tried with one message; when that is answered it gets a few connections, and more while it takes what it is
sent. When it says that it is too much (421, or a transient refusal of the whole transaction) the number is halved, and
it is left alone for a moment; when it says so with one connection, a gap is put between messages, too. When nobody
answers it is left alone for longer each time. What was learnt is undone step by step by success. The last reason is
kept for the administrator.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pennypost.mail.queue.settings import QueueSettings
from pennypost.model.relaying import RelayOutcome, RelayState
from pennypost.store.dispatch import Pace

BUSY_HOLD = timedelta(seconds=10)
"""How long a hop is left alone that says it is too much; doubled each time."""
BUSY_HOLD_MOST = timedelta(minutes=10)

DEAD_HOLD = timedelta(minutes=1)
"""How long a hop is left alone that nobody answers at; doubled each time."""
DEAD_HOLD_MOST = timedelta(minutes=30)

FIRST_GAP = timedelta(seconds=1)
MOST_GAP = timedelta(minutes=1)
LEAST_GAP = timedelta(milliseconds=100)
"""Gaps that shrink below this are none."""

_MOST_DOUBLINGS = 10


_NOBODY_THERE = ("4.4.1", "4.4.3", "4.4.4")
"""No answer from a host, none from the DNS, no route (RFC 3463 §3.5)."""


@dataclass(frozen=True, slots=True)
class Slowed:
    """What an outcome says against a hop. `reachable`: somebody is there. `said`: he said so; else the connection was
    lost, which may be about the one message."""

    reason: str
    reachable: bool
    said: bool = True


def complaint(outcome: RelayOutcome) -> Slowed | None:
    """Find what an outcome says against sending more to the same hop now; None: nothing does."""
    results = outcome.results
    if not results or any(r.state is not RelayState.DEFERRED or not r.transaction_failed for r in results):
        told = next((r for r in results if r.state is RelayState.DEFERRED and r.reply.startswith("421")), None)
        return None if told is None else Slowed(told.reply, reachable=True)
    first = results[0]
    return Slowed(first.reply, bool(first.remote) and first.status not in _NOBODY_THERE, first.reply[:1] == "4")


class HopPace:
    """The pace of one next hop in one worker. `busy`: messages on their way to it."""

    __slots__ = ("_at_first", "_begun_at", "_known", "_lost", "_most", "_successes", "changed", "connections", "state")

    def __init__(self, settings: QueueSettings, state: Pace) -> None:
        self._most = settings.hop_connections
        self._at_first = min(settings.hop_connections_at_first, self._most)
        self.state = state
        self.connections = state.connections if state.connections is not None and not state.failures else 1
        self.changed = False
        """Whether `state` is to be written down."""
        self._begun_at: datetime | None = None
        self._successes = 0
        self._lost = False
        self._known = False

    @property
    def failing(self) -> bool:
        """Whether its last attempts failed: one is tried, and what waits shares its fate."""
        return self.state.failures > 0

    @property
    def easy(self) -> bool:
        """Whether the hop is known, and takes what it is sent: there is nothing to be careful about, or to write
        down."""
        state = self.state
        return self._known and not (
            state.failures or state.gap or state.held_until or state.connections or self.changed or self._lost
        )

    @property
    def gap(self) -> timedelta:
        return self.state.gap

    def held(self, now: datetime) -> bool:
        """Whether it is left alone now."""
        return self.state.held_until is not None and self.state.held_until > now

    def next_start(self, now: datetime) -> datetime:
        """Give when the next message may be begun."""
        at = now
        if self._begun_at is not None and self.state.gap:
            at = max(at, self._begun_at + self.state.gap)
        if self.state.held_until is not None:
            at = max(at, self.state.held_until)
        return at

    def begin(self, now: datetime) -> None:
        """Note that a message is begun."""
        self._begun_at = now

    def succeeded(self) -> None:
        """Note that the hop took, or judged, a message."""
        self._lost = False
        if not self._known:
            self._known = True
            if self.state.connections is None:
                self.connections = self._at_first
        self._successes += 1
        if self._successes >= self.connections and self.connections < self._most:
            self._successes = 0
            self.connections += 1
        state = self.state
        gap = state.gap * 0.8 if state.gap * 0.8 >= LEAST_GAP else timedelta(0)
        if gap or self.connections < self._at_first:
            now = replace(state, failures=0, gap=gap, held_until=None, connections=self.connections)
        else:
            now = Pace()
        if now != state:
            self.state = now
            self.changed = True

    def slowed(self, why: Slowed, now: datetime, chance: float) -> bool:
        """Note that a hop was too busy, or not there. False: nothing follows: it is known already, from an attempt
        beside this one, or may have been by chance."""
        state = self.state
        if self.held(now):
            return False
        if why.reachable and not why.said and not self._lost and not state.failures:
            self._lost = True  # one connection that was lost says nothing yet
            return False
        failures = state.failures + 1
        doubled = 2 ** min(failures - 1, _MOST_DOUBLINGS)
        gap = state.gap
        if why.reachable:
            if self.connections == 1:
                gap = min(max(gap * 2, FIRST_GAP), MOST_GAP)
            hold = min(BUSY_HOLD * doubled, BUSY_HOLD_MOST)
        else:
            hold = min(DEAD_HOLD * doubled, DEAD_HOLD_MOST)
        self.connections = max(1, self.connections // 2)
        self._successes = 0
        held_until = now + hold * (0.9 + 0.2 * chance)
        self.state = Pace(failures, self.connections, gap, held_until, why.reason)
        self.changed = True
        return True
