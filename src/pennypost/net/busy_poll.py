"""Looking for the next command of a quick client instead of sleeping until it comes.

*Theory of operation.* A worker with nothing to do sleeps, and its processor with it. To wake both takes long beside a
short command: on a virtual machine, which has to be entered anew, some 60 of 350 µs. A client near by that does one
thing after the other sends its next command 50 to 250 µs after an answer. So the worker looks for it for that long,
round after round of its event loop, before it sleeps; where that pays: when one connection alone has been read from,
and what was waited for came as quickly, `QUICK_READS` times in a row. A command that does not come in time, or one of
anybody else, ends it. Clients on the far side of a network are never that quick.

A worker with a single processor sleeps always: it would keep its client from writing.
"""

import os

POLL_SECONDS = 0.0003
"""How long is looked for a command."""

QUICK_READS = 8
"""So many reads of one connection in a row had to wait no longer than that, and the next is looked for."""


class BusyPoll:
    """What one event loop knows of who reads from it. Readers are told apart by numbers."""

    __slots__ = ("_in_a_row", "_reader")

    def __init__(self) -> None:
        self._reader = 0
        self._in_a_row = 0

    def is_alone(self, reader: int) -> bool:
        """Say who is about to wait. Gives whether the last one to do so was the same."""
        if reader == self._reader:
            return True
        self._reader = reader
        self._in_a_row = 0
        return False

    @property
    def due(self) -> bool:
        """Whether to look for what comes, without sleeping."""
        return self._in_a_row >= QUICK_READS

    def waited(self, reader: int, seconds: float) -> None:
        """Say how long one that was alone has waited until something came."""
        if reader == self._reader:
            self._in_a_row = self._in_a_row + 1 if seconds <= POLL_SECONDS else 0


def busy_poll(wanted: bool) -> BusyPoll | None:
    """Give what polls, for one event loop; None where it is not wanted, or would take the only processor."""
    return BusyPoll() if wanted and len(os.sched_getaffinity(0)) > 1 else None
