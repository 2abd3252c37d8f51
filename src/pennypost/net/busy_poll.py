"""Looking for the next command of a quick client instead of sleeping until it comes.

*Theory of operation.* A worker with nothing to do sleeps, and its processor with it. To wake both takes long beside a
short command: on a virtual machine, which has to be entered anew, some 60 of 350 µs. A client near by that does one
thing after the other sends its next command 50 to 250 µs after an answer. So the worker looks for it for that long,
round after round of its event loop, before it sleeps; where that pays: when one connection alone has been read from,
and what was waited for came as quickly, `QUICK_READS` times in a row. A command that does not come in time, or one of
anybody else, ends it.

*Who is near by.* What is waited for has to follow an answer (`Inbox.answered`): then the way there and back is in the
time that it takes, and clients on the far side of a network are never that quick. Octets in the midst of a message
follow those before them, and come as quickly from any distance where the line carries enough. So do commands that are
sent ahead of their answers: who does that may be looked for wherever it is.

*Who else computes.* Each round offers the processor to others. One who has been asleep goes first when it wakes; one
who has been looking has to wait until it is its turn again, for some milliseconds where somebody computes. An offer
that was taken for longer than would have been looked says so: then the worker sleeps as others do, and tries again
after `CROWDED_SECONDS`.

A worker with a single processor sleeps always, or it would keep its client from writing; so does one whose control
group grants it less than the time of two.
"""

import os
from math import inf
from pathlib import Path

POLL_SECONDS = 0.0003
"""How long is looked for a command."""

QUICK_READS = 8
"""So many reads of one connection in a row had to wait no longer than that, and the next is looked for."""

CROWDED_SECONDS = 1.0
"""How long nothing is looked for after somebody else has computed meanwhile. To find that out costs one slow answer, a
few milliseconds; on a quiet machine something else was taken for it every twenty seconds."""

_GROUP_OF_PROCESS = Path("/proc/self/cgroup")
_GROUPS = "/sys/fs/cgroup"


class BusyPoll:
    """What one event loop knows of who reads from it. Readers are told apart by numbers."""

    __slots__ = ("_in_a_row", "_not_before", "_reader")

    def __init__(self) -> None:
        self._reader = 0
        self._in_a_row = 0
        self._not_before = 0.0

    def is_alone(self, reader: int) -> bool:
        """Say who is about to wait. Gives whether the last one to do so was the same."""
        if reader == self._reader:
            return True
        self._reader = reader
        self._in_a_row = 0
        return False

    def is_due(self, now: float) -> bool:
        """Whether to look for what comes, without sleeping. `now`: of the monotonic clock."""
        return self._in_a_row >= QUICK_READS and now >= self._not_before

    def crowded(self, now: float) -> None:
        """Say that somebody else computes on this processor."""
        self._in_a_row = 0
        self._not_before = now + CROWDED_SECONDS

    def waited(self, reader: int, seconds: float) -> None:
        """Say how long one that was alone has waited, after an answer, until something came."""
        if reader == self._reader:
            self._in_a_row = self._in_a_row + 1 if seconds <= POLL_SECONDS else 0


def busy_poll(wanted: bool) -> BusyPoll | None:
    """Give what polls, for one event loop; None where it is not wanted, or would take the only processor."""
    return BusyPoll() if wanted and min(len(os.sched_getaffinity(0)), _granted()) >= 2 else None


def _granted() -> float:
    """Give how many processors' time the control group of this process may take (cgroup v2, `cpu.max`)."""
    try:
        group = _GROUP_OF_PROCESS.read_text("utf-8").rpartition("0::")[2].strip()
        quota, period = Path(f"{_GROUPS}{group}/cpu.max").read_text("ascii").split()
        return int(quota) / int(period)
    except (OSError, ValueError):  # no such group; or the quota is "max"
        return inf
