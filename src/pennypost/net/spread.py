"""Spread connections evenly over the workers of a server.

Theory of operation. Each worker has a listening socket of its own, and the kernel chooses one by a hash of the two
addresses: of ten connections one worker of two often gets seven, and those that stay, as IMAP's do, stay where they
are. So the worker that accepted one looks who has fewest. If that is not itself it hands the descriptor over, before an
octet was read, through a socket that the other listens to; to the client nothing has happened.

Who has how many stands in memory that all workers share. Each number is written by one worker only, so nothing is
locked: how many connections a worker has; how many it has handed to each other; how many of those from each other it
has taken up. What was handed over and not taken up yet counts for the worker it was handed to, or a burst would go
to one. One that is not there, or not ready yet, is handed nothing: it says itself when it takes connections up, and the
supervisor says so of one that died (`Spread.gone`). What had been handed to that one it finds when it is there again.
"""

import asyncio
import mmap
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress

_ONE = 8
"""Octets of a number."""

_TOLERANCE = 4
"""Among many a difference of a sixteenth (a shift by so many bits) is no reason to hand one over."""

_AT_ONCE = 64
"""Connections that are taken up in one round of the loop."""


class Spread:
    """What the workers share. Make it before they are forked. `names`: of the listeners."""

    def __init__(self, names: Sequence[str], workers: int) -> None:
        self.names = tuple(names)
        self.workers = workers
        self.row = 1 + 2 * workers
        self.ready = len(names) * workers * self.row
        """Where it stands who takes up what is handed to him."""
        self._map = mmap.mmap(-1, (self.ready + workers) * _ONE)
        self.cells = memoryview(self._map).cast("q")
        self.channels = [_channel() for _ in range(workers)]

    def present(self, worker: int) -> None:
        """Say that a worker takes up what is handed to it."""
        self.cells[self.ready + worker] = 1

    def gone(self, worker: int) -> None:
        """Say that a worker does not, for now."""
        self.cells[self.ready + worker] = 0

    def others(self, worker: int) -> list[int]:
        """Give the other workers that do."""
        return [other for other in range(self.workers) if other != worker and self.cells[self.ready + other]]

    def close(self) -> None:
        """Let go of the descriptors. Those whom somebody has handed over and nobody took up are cut off."""
        for taking, handing in self.channels:
            taking.close()
            handing.close()
        self.cells.release()
        self._map.close()


def _channel() -> tuple[socket.socket, socket.socket]:
    """Make the two ends of a worker's channel: where it takes, where others hand."""
    taking, handing = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    taking.setblocking(False)
    handing.setblocking(False)
    return taking, handing


class Share:
    """One listener of one worker. Count its connections with `entered` and `left`."""

    def __init__(self, spread: Spread, index: int, worker: int) -> None:
        self._spread = spread
        self._index = index
        self._worker = worker
        self._first = index * spread.workers
        self._own = (self._first + worker) * spread.row
        spread.cells[self._own] = 0

    def entered(self) -> None:
        """Count one connection more."""
        self._spread.cells[self._own] += 1

    def left(self) -> None:
        """Count one connection less."""
        self._spread.cells[self._own] -= 1

    def took(self, giver: int) -> None:
        """Count a connection that another worker handed over."""
        self._spread.cells[self._own + 1 + self._spread.workers + giver] += 1

    def hand_over(self, descriptor: int) -> bool:
        """Hand an accepted connection to the worker that has fewest. False: it stays here. The descriptor stays ours
        in either case: close it."""
        spread = self._spread
        own = self._load(self._worker)
        others = spread.others(self._worker) if own else []
        if not others:
            return False
        fewest, other = min((self._load(worker), worker) for worker in others)
        if fewest >= own - (own >> _TOLERANCE):
            return False
        try:
            socket.send_fds(spread.channels[other][1], [bytes((self._worker, self._index))], [descriptor])
        except OSError:  # it is full: the other has enough to do
            return False
        spread.cells[self._own + 1 + other] += 1
        return True

    def _load(self, worker: int) -> int:
        """Give how many connections a worker has, or is about to take up."""
        spread = self._spread
        cells, row, count = spread.cells, spread.row, spread.workers
        at = (self._first + worker) * row
        load = cells[at]
        for giver in range(count):
            load += cells[(self._first + giver) * row + 1 + worker] - cells[at + 1 + count + giver]
        return load


class WorkerSpread:
    """What one worker takes up. Make it on the worker's loop."""

    def __init__(self, spread: Spread, worker: int) -> None:
        spread.gone(worker)
        self._spread = spread
        self._worker = worker
        self._channel = spread.channels[worker][0]
        self._shares = [Share(spread, index, worker) for index in range(len(spread.names))]
        self._by_name = dict(zip(spread.names, self._shares, strict=True))
        self._names = spread.names
        self._adopt: Callable[[str, socket.socket], None] | None = None

    def share(self, name: str) -> Share:
        """Give the share of one listener. KeyError: there is none of this name."""
        return self._by_name[name]

    def begin(self, adopt: Callable[[str, socket.socket], None]) -> None:
        """Call `adopt` with the listener's name and the socket of each connection that is handed over from now on."""
        self._adopt = adopt
        asyncio.get_running_loop().add_reader(self._channel, self._take_up)
        self._spread.present(self._worker)

    def stop(self) -> None:
        """Take up what was handed over so far, and no more. Idempotent."""
        self._spread.gone(self._worker)
        if self._adopt is not None:
            self._take_up()
            self._adopt = None
            asyncio.get_running_loop().remove_reader(self._channel)

    def _take_up(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                message, descriptors, _, _ = socket.recv_fds(self._channel, 2, 1)
            except OSError:
                return  # nothing is there
            if len(message) < 2:
                return
            giver, index = message
            self._shares[index].took(giver)
            for descriptor in descriptors:
                self._take(self._names[index], descriptor)

    def _take(self, name: str, descriptor: int) -> None:
        try:
            sock = socket.socket(fileno=descriptor)
        except OSError:  # the peer is gone already
            with suppress(OSError):
                os.close(descriptor)
            return
        sock.setblocking(False)
        sock.set_inheritable(False)  # which Python sees to but for descriptors that come this way (PEP 446)
        assert self._adopt is not None
        self._adopt(name, sock)
