"""The supervisor runs as a process of its own here: it forks, and takes signals."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import pennypost
from pennypost.app.supervisor import SAME_SIGNAL

SOURCE = Path(pennypost.__file__).parents[1]

PROGRAM = """
    import os, select, signal, sys, time
    from pathlib import Path
    from pennypost.app.notify import ServiceManager
    from pennypost.app.supervisor import Supervisor

    folder = Path(sys.argv[1])
    behaviour = sys.argv[2]

    def work(number, port):
        stop = []
        signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
        signal.signal(signal.SIGHUP, lambda *_: (folder / f"hup-{number}").touch())
        if behaviour == "unable":
            return 3
        (folder / f"pid-{number}").write_text(str(os.getpid()))
        port.ready()
        while not stop:
            if select.select([port.lifeline], [], [], 0.02)[0]:
                (folder / f"orphan-{number}").touch()
                return 0
            port.beat()
        if behaviour == "stubborn":
            time.sleep(60)
        return 0

    died = lambda number: (folder / f"died-{number}").touch()
    sys.exit(Supervisor(2, work, ServiceManager(), 0.1, died).run())
"""


def until(look: Callable[[], object], seconds: float = 10.0) -> object:
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, "nothing happened in time"
        time.sleep(0.01)
    return found


class Run:
    def __init__(self, folder: Path, behaviour: str) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(PROGRAM), str(folder), behaviour],
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            stdout=subprocess.DEVNULL,
        )

    def pid(self, worker: int) -> int:
        file = self.folder / f"pid-{worker}"
        until(lambda: file.exists() and file.read_text())
        return int(file.read_text())


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Run]]:
    runs: list[Run] = []

    def begin(behaviour: str) -> Run:
        runs.append(Run(tmp_path, behaviour))
        return runs[-1]

    yield begin
    for run in runs:
        if run.process.poll() is None:
            run.process.kill()
        run.process.wait()


def test_a_killed_worker_is_started_again_and_the_end_is_orderly(start: Callable[[str], Run]) -> None:
    run = start("good")
    first, other = run.pid(0), run.pid(1)
    os.kill(first, signal.SIGKILL)
    until(lambda: run.pid(0) != first)
    assert (run.folder / "died-0").exists()
    assert not (run.folder / "died-1").exists()
    assert run.pid(1) == other
    run.process.send_signal(signal.SIGTERM)
    assert run.process.wait(10) == 0


def test_hangup_reaches_every_worker(start: Callable[[str], Run]) -> None:
    run = start("good")
    run.pid(0), run.pid(1)
    run.process.send_signal(signal.SIGHUP)
    until(lambda: (run.folder / "hup-0").exists() and (run.folder / "hup-1").exists())
    assert run.process.poll() is None


def test_workers_see_the_end_of_the_supervisor(start: Callable[[str], Run]) -> None:
    run = start("good")
    run.pid(0), run.pid(1)
    run.process.kill()
    until(lambda: (run.folder / "orphan-0").exists() and (run.folder / "orphan-1").exists())


def test_workers_that_cannot_start_end_the_server(start: Callable[[str], Run]) -> None:
    assert start("unable").process.wait(10) == 1


def test_the_second_signal_does_not_wait(start: Callable[[str], Run]) -> None:
    run = start("stubborn")
    run.pid(0), run.pid(1)
    run.process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    run.process.send_signal(signal.SIGTERM)  # sent to every process of a service, or repeated: it is the same one
    time.sleep(SAME_SIGNAL)
    assert run.process.poll() is None
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(10) == 0
