"""One worker process: an event loop, the signals, one Server in it."""

import asyncio
import gc
import signal
import sys
from collections.abc import Callable
from typing import Protocol

import structlog

from pennypost.app.logging import FLUSH_INTERVAL, LogOutput
from pennypost.app.sockets import Sockets
from pennypost.app.supervisor import BEAT_INTERVAL, WorkerPort
from pennypost.model.errors import ConfigError, MailError
from pennypost.store.engine import StoreUnusable

try:
    import uvloop  # here, not when it is needed: root may have been given up by then
except ImportError:
    uvloop = None  # type: ignore[assignment]

_log = structlog.stdlib.get_logger("pennypost.worker")


class Serving(Protocol):
    """What a worker runs."""

    async def start(self, sockets: Sockets) -> None:
        """Open every door on sockets that are bound."""

    async def stop(self) -> None:
        """Close the doors, let sessions finish, close the store."""

    def reload(self) -> None:
        """Read certificates anew."""


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Make the loop: uvloop's where it is installed, which is not on every platform."""
    return uvloop.new_event_loop() if uvloop is not None else asyncio.new_event_loop()


SWITCH_SECONDS = 0.0005
"""How long a thread that reads or compresses a large message keeps the loop from going on. Python's own 5 ms took the
99th percentile of other sessions' commands from 34 to 60 ms (bench/big_messages.py)."""


GARBAGE_THRESHOLD = 20_000
"""New objects, beyond those that went, after which the collector of cycles looks for garbage. Sessions make many that
live for one message: with Python's own 700 it looked at them again and again, a twentieth of a delivery's time."""


def run_worker(make: Callable[[], Serving], sockets: Sockets, port: WorkerPort, log: LogOutput) -> int:
    """Serve until SIGTERM (or SIGINT where it is not ignored), or until the supervisor is gone. Gives the exit status.

    `make`: makes the server, inside the loop.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(_work(make, sockets, port, log))


async def _work(make: Callable[[], Serving], sockets: Sockets, port: WorkerPort, log: LogOutput) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    server = make()
    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, server.reload)
    if port.lifeline is not None:
        loop.add_reader(port.lifeline, stop.set)
    try:
        await server.start(sockets)
    except (ConfigError, MailError, StoreUnusable, OSError) as problem:
        _log.error("cannot start", problem=str(problem))
        await server.stop()
        return 1
    gc.collect()
    gc.freeze()  # what lives as long as the process is not looked at by each collection
    gc.set_threshold(GARBAGE_THRESHOLD, 10, 10)
    port.ready()
    log.buffered = True
    beats = [
        asyncio.create_task(_every(BEAT_INTERVAL, port.beat)),
        asyncio.create_task(_every(FLUSH_INTERVAL, log.flush)),
    ]
    try:
        await stop.wait()
    finally:
        if port.lifeline is not None:
            loop.remove_reader(port.lifeline)
        await server.stop()
        for beat in beats:
            beat.cancel()
        log.buffered = False
        log.flush()
    return 0


async def _every(seconds: float, call: Callable[[], None]) -> None:
    while True:
        call()
        await asyncio.sleep(seconds)
