"""Keep N workers running: start them, start them again, pass signals on, stop them.

Theory of operation. The supervisor forks its workers and does nothing else: it has no event loop, no thread and no
store, so that it cannot fail with them. It waits on one selector for signals (through a wake-up socket) and for what
the workers write into their pipes: `R` once, when every door is open, then `.` every second. A worker that dies is
started again, after a pause that doubles while it keeps dying young; one whose loop has not turned for HANG_TIME is
killed, and so started again. A worker that dies before it was ever ready on the first start ends the server: what is
wrong then is wrong for good, and the worker has logged it. The other way, workers see the end of the supervisor as the
end of a pipe that only it holds open.
"""

import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, Protocol

import structlog

from pennypost.app.notify import ServiceManager

BEAT_INTERVAL = 1.0
"""Seconds between a worker's signs of life."""

HANG_TIME = 60.0
"""Seconds without one after which a worker is killed. A disk may stall for long; a loop never does."""

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 30.0
STEADY_TIME = 60.0
"""Seconds a worker has to live for its next restart to be at once."""

KILL_MARGIN = 5.0
"""Seconds beyond the grace of the sessions after which workers are killed."""

SAME_SIGNAL = 1.0
"""Seconds in which a second signal to stop is taken for the first one: who manages services sends it to each process,
or repeats it at once. Killed workers would leave the store's log to be recovered."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)

_log = structlog.stdlib.get_logger("pennypost.supervisor")


class WorkerPort(Protocol):
    """How a worker speaks to its supervisor."""

    @property
    def lifeline(self) -> int | None:
        """A descriptor that ends when the supervisor does; None when there is none."""

    def ready(self) -> None:
        """Every door is open."""

    def beat(self) -> None:
        """The loop turns; called every BEAT_INTERVAL."""


Work = Callable[[int, WorkerPort], int]
"""What a worker does until it is stopped: its number, its port -> the exit status."""


class SoloPort:
    """The port of a worker that runs in the supervisor's own process."""

    lifeline: int | None = None

    def __init__(self, service: ServiceManager) -> None:
        self._service = service

    def ready(self) -> None:
        self._service.ready()

    def beat(self) -> None:
        if self._service.watchdog_interval is not None:
            self._service.alive()


@dataclass(frozen=True, slots=True)
class _Pipe:
    """The port of a forked worker."""

    descriptor: int
    lifeline: int | None

    def ready(self) -> None:
        os.write(self.descriptor, b"R")

    def beat(self) -> None:
        try:
            os.write(self.descriptor, b".")
        except OSError:
            return  # full or broken: the lifeline tells of a supervisor that is gone


@dataclass(slots=True)
class _Worker:
    """What the supervisor knows of one worker. Instants are of the monotonic clock. `pid` 0: it does not run."""

    number: int
    pid: int = 0
    pipe: int = -1
    started: float = 0.0
    last_beat: float = 0.0
    ready: bool = False
    pause: float = 0.0
    due: float = 0.0


class Supervisor:
    """Runs `count` workers until SIGTERM or SIGINT. SIGHUP is passed on to them. Use it in the main thread only.
    `died`: hears of each worker that ended."""

    def __init__(
        self,
        count: int,
        work: Work,
        service: ServiceManager,
        stop_seconds: float,
        died: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._workers = [_Worker(number) for number in range(count)]
        self._work = work
        self._service = service
        self._stop_seconds = stop_seconds
        self._died = died
        self._selector = selectors.DefaultSelector()
        self._all_ready = False
        self._kill_at: float | None = None
        self._stopped_at = 0.0
        self._status = 0
        self._next_alive = 0.0

    def run(self) -> int:
        """Run the workers. Gives 0 after an orderly stop, 1 when a worker could not be started."""
        self._life_reader, self._life_writer = os.pipe()
        wake_reader, wake_writer = socket.socketpair()
        wake_reader.setblocking(False)
        wake_writer.setblocking(False)
        self._wake = (wake_reader, wake_writer)
        handlers = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
        old_wake = signal.set_wakeup_fd(wake_writer.fileno(), warn_on_full_buffer=False)
        self._selector.register(wake_reader, selectors.EVENT_READ, None)
        try:
            while not self._is_over():
                self._turn()
        finally:
            signal.set_wakeup_fd(old_wake)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            self._selector.close()
            for end in (wake_reader, wake_writer):
                end.close()
            os.close(self._life_reader)
            os.close(self._life_writer)
        return self._status

    # -- One turn

    def _is_over(self) -> bool:
        return self._kill_at is not None and not any(worker.pid for worker in self._workers)

    def _turn(self) -> None:
        for key, _ in self._selector.select(self._start_due()):
            if key.data is None:
                self._take_signals()
            else:
                self._hear(key.data)
        now = time.monotonic()
        self._reap(now)
        self._kill_the_hung(now)
        self._tell_alive(now)

    def _start_due(self) -> float:
        """Start the workers whose time has come. Gives the seconds until something is to be done again."""
        now = time.monotonic()
        if self._kill_at is not None:
            if now >= self._kill_at:
                self._signal_all(signal.SIGKILL)
            return max(0.01, self._kill_at - now)
        for worker in self._workers:
            if not worker.pid and worker.due <= now:
                self._start(worker, now)
        return min([BEAT_INTERVAL, *(max(0.0, w.due - now) for w in self._workers if not w.pid)])

    def _start(self, worker: _Worker, now: float) -> None:
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # none may meet the child with our handlers
        pid = os.fork()
        if pid == 0:
            self._be_worker(worker.number, writer, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(writer)
        worker.pid, worker.pipe, worker.ready = pid, reader, False
        worker.started = worker.last_beat = now
        self._selector.register(reader, selectors.EVENT_READ, worker)

    def _be_worker(self, number: int, pipe: int, mask: set[int | signal.Signals]) -> NoReturn:
        """Go on as the worker, in the forked child: nothing of the supervisor is left open, and nothing returns."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            # A terminal's Ctrl-C reaches all of us, and the supervisor sends TERM; HUP has no meaning yet.
            for number_ in (signal.SIGINT, signal.SIGHUP):
                signal.signal(number_, signal.SIG_IGN)
            for number_ in (signal.SIGTERM, signal.SIGCHLD):
                signal.signal(number_, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            self._selector.close()
            for end in self._wake:
                end.close()
            os.close(self._life_writer)
            for worker in self._workers:
                if worker.pipe >= 0:
                    os.close(worker.pipe)
            status = self._work(number, _Pipe(pipe, self._life_reader))
        except BaseException as problem:
            _log.critical("worker failed", worker=number, exc_info=problem)
        finally:
            os._exit(status)

    # -- What happens

    def _take_signals(self) -> None:
        for number in self._wake[0].recv(256):
            match number:
                case signal.SIGTERM | signal.SIGINT:
                    self._stop(signal.Signals(number).name)
                case signal.SIGHUP:
                    _log.info("reload")
                    self._service.reloading()
                    self._signal_all(signal.SIGHUP)
                    self._service.ready()

    def _stop(self, why: str) -> None:
        """Let the workers finish; the second time, do not wait."""
        now = time.monotonic()
        if self._kill_at is not None:
            if now - self._stopped_at >= SAME_SIGNAL:
                self._signal_all(signal.SIGKILL)
            return
        _log.info("stopping", why=why)
        self._service.stopping()
        self._stopped_at = now
        self._kill_at = now + self._stop_seconds + KILL_MARGIN
        self._signal_all(signal.SIGTERM)

    def _signal_all(self, number: signal.Signals) -> None:
        for worker in self._workers:
            if worker.pid:
                os.kill(worker.pid, number)  # not reaped yet, so the pid is still its own

    def _hear(self, worker: _Worker) -> None:
        said = os.read(worker.pipe, 4096)
        if not said:
            self._selector.unregister(worker.pipe)
            os.close(worker.pipe)
            worker.pipe = -1
            return
        worker.last_beat = time.monotonic()
        if b"R" in said:
            worker.ready = True
            if not self._all_ready and all(each.ready for each in self._workers):
                self._all_ready = True
                _log.info("ready", workers=len(self._workers))
                self._service.ready()

    def _reap(self, now: float) -> None:
        for worker in self._workers:
            if not worker.pid:
                continue
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if not pid:
                continue
            worker.pid = 0
            self._died(worker.number)
            if worker.pipe >= 0:
                self._selector.unregister(worker.pipe)
                os.close(worker.pipe)
                worker.pipe = -1
            if self._kill_at is not None:
                continue
            code = os.waitstatus_to_exitcode(status)
            if not worker.ready and not self._all_ready:
                _log.error("a worker could not start", worker=worker.number, status=code)
                self._status = 1
                self._stop("a worker could not start")
                continue
            steady = now - worker.started >= STEADY_TIME
            worker.due = now + (0.0 if steady else worker.pause)
            worker.pause = FIRST_PAUSE if steady else min(LONGEST_PAUSE, max(FIRST_PAUSE, worker.pause * 2))
            _log.error("worker died", worker=worker.number, status=code, again_in_seconds=round(worker.due - now, 1))

    def _kill_the_hung(self, now: float) -> None:
        for worker in self._workers:
            if worker.pid and worker.ready and now - worker.last_beat > HANG_TIME:
                _log.error("worker hangs", worker=worker.number)
                os.kill(worker.pid, signal.SIGKILL)
                worker.last_beat = now

    def _tell_alive(self, now: float) -> None:
        interval = self._service.watchdog_interval
        if interval is not None and self._all_ready and now >= self._next_alive:
            self._service.alive()
            self._next_alive = now + interval.total_seconds()
