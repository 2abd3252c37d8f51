"""Connections are spread evenly: whoever accepts them, the worker that has fewest serves them."""

import asyncio
import socket
from collections import Counter
from datetime import timedelta

import pytest
import uvloop

from pennypost.net.listener import Listener, bind_tcp
from pennypost.net.settings import ListenerLimits
from pennypost.net.spread import Share, Spread, WorkerSpread

GRACE = timedelta(seconds=2)


class Worker:
    """A worker of this process: its listener tells each client which one it is, and echoes what it says."""

    def __init__(self, spread: Spread, number: int) -> None:
        self.spread = WorkerSpread(spread, number)
        self.name = b"%d\r\n" % number
        self.listener = Listener(
            "imap", self.serve, limits=ListenerLimits(), refusal=b"no\r\n", share=self.spread.share("imap")
        )

    async def serve(self, connection) -> None:
        connection.write(self.name)
        while data := await connection.read():
            connection.write(data)

    async def open(self) -> tuple[str, int]:
        (sock,) = bind_tcp("127.0.0.1", 0)
        await self.listener.open(sock)
        self.spread.begin(lambda _, sock: self.listener.adopt(sock))
        return self.listener.addresses[0]

    async def stop(self) -> None:
        self.spread.stop()
        await self.listener.stop(GRACE)


def ready(*names: str, workers: int = 2) -> Spread:
    """What workers share that all take up what is handed to them."""
    spread = Spread(names, workers)
    for worker in range(workers):
        spread.present(worker)
    return spread


def run(loops, work):
    with asyncio.Runner(loop_factory=loops) as runner:
        runner.run(work())


@pytest.mark.parametrize("loops", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_ten_connections_to_one_of_three_workers_are_served_by_all_and_lose_no_octet(loops):
    async def work():
        spread = Spread(["smtp", "imap"], 3)
        workers = [Worker(spread, number) for number in range(3)]
        address, *_ = [await worker.open() for worker in workers]
        names: Counter[bytes] = Counter()
        streams = []
        for number in range(10):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"early %d\r\n" % number)  # before anybody greets
            streams.append((reader, writer))
        for number, (reader, _) in enumerate(streams):
            names[await reader.readline()] += 1
            assert await reader.readline() == b"early %d\r\n" % number
        assert sorted(names.values()) == [3, 3, 4]
        for reader, writer in streams[:5]:
            writer.close()
            assert await reader.read() == b""
        for _ in range(100):
            if sum(worker.listener.connection_count for worker in workers) == 5:
                break
            await asyncio.sleep(0.01)
        assert sum(worker.listener.connection_count for worker in workers) == 5
        for worker in workers:
            await worker.stop()
        for _, writer in streams:
            writer.close()
        spread.close()

    run(loops, work)


async def test_a_connection_that_cannot_be_handed_over_stays():
    spread = ready("imap")
    worker = Share(spread, 0, 0)
    for _ in range(5000):
        worker.entered()
    with socket.socket() as one:
        handed = 0
        while worker.hand_over(one.fileno()):
            handed += 1
    assert 1 < handed < 4000, "the other takes nothing up, and its channel has an end"
    spread.close()


def test_among_many_a_small_difference_stays_as_it_is():
    spread = ready("imap")
    worker, other = Share(spread, 0, 0), Share(spread, 0, 1)
    for _ in range(1000):
        worker.entered()
    for _ in range(950):
        other.entered()
    with socket.socket() as one:
        assert not worker.hand_over(one.fileno())
        for _ in range(50):
            other.left()
        assert worker.hand_over(one.fileno())
    spread.close()


def test_the_count_of_a_worker_that_died_is_forgotten_and_what_was_handed_to_it_is_not():
    spread = ready("imap")
    worker, other = Share(spread, 0, 0), Share(spread, 0, 1)
    for _ in range(3):
        worker.entered()
        other.entered()
    with socket.socket() as one:
        assert not worker.hand_over(one.fileno())
        other = Share(spread, 0, 1)  # it is there again, and has none
        assert worker.hand_over(one.fileno())
        other = Share(spread, 0, 1)
        assert worker.hand_over(one.fileno())
        assert worker.hand_over(one.fileno())
        assert not worker.hand_over(one.fileno())
    for _ in range(3):
        other.took(0)
        other.entered()
    spread.close()


async def test_a_worker_that_takes_nothing_up_is_handed_nothing():
    spread = Spread(["imap"], 3)
    worker = Share(spread, 0, 0)
    for _ in range(3):
        worker.entered()
    second = WorkerSpread(spread, 1)
    with socket.socket() as one:
        assert not worker.hand_over(one.fileno()), "nobody is ready yet"
        second.begin(lambda _, sock: sock.close())
        assert worker.hand_over(one.fileno())
        second.stop()
        assert not worker.hand_over(one.fileno()), "it ends"
        third = WorkerSpread(spread, 2)
        third.begin(lambda _, sock: sock.close())
        assert worker.hand_over(one.fileno())
        spread.gone(2)
        assert not worker.hand_over(one.fileno()), "it died"
        WorkerSpread(spread, 2).begin(lambda _, sock: sock.close())
        assert worker.hand_over(one.fileno()), "and is there again"
    third.stop()
    spread.close()


async def test_what_was_handed_over_before_a_worker_stops_is_served_and_no_program_inherits_it():
    spread = ready("imap")
    worker, other = WorkerSpread(spread, 0).share("imap"), WorkerSpread(spread, 1)
    adopted: list[socket.socket] = []
    other.begin(lambda _, sock: adopted.append(sock))
    worker.entered()
    with socket.socket() as one:
        assert worker.hand_over(one.fileno())
    other.stop()
    (sock,) = adopted
    assert not sock.get_inheritable()
    sock.close()
    spread.close()
