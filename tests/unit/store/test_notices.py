"""Notices reach the subscribers of all workers, and nothing in them can fail."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pennypost.model.ids import AccountId, ModSeq
from pennypost.store.notices import BUCKETS, Notices


class Workers:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.all: list[Notices] = []

    def start(self) -> Notices:
        self.all.append(Notices(self.folder))
        return self.all[-1]


@pytest.fixture
async def workers(tmp_path: Path) -> Iterator[Workers]:  # type: ignore[misc]
    workers = Workers(tmp_path / "run")
    yield workers
    for notices in workers.all:
        notices.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 -- what is waited for has no event
            await asyncio.sleep(0.001)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.suffix == ".notices"}


def post(notices: Notices, *pairs: tuple[int, int]) -> None:
    notices.post([(AccountId(account), ModSeq(modseq)) for account, modseq in pairs])


async def test_own_subscribers_are_called_at_once(workers: Workers) -> None:
    notices = workers.start()
    got: list[int] = []
    end = notices.subscribe(AccountId(1), got.append)
    post(notices, (1, 5), (2, 6), (1, 7))
    assert got == [7]
    end()
    end()
    post(notices, (1, 8))
    assert got == [7]


async def test_other_workers_hear_of_it(workers: Workers) -> None:
    one, two, three = workers.start(), workers.start(), workers.start()
    got: list[tuple[int, int]] = []
    for n, notices in enumerate((two, three)):
        notices.subscribe(AccountId(1), lambda modseq, n=n: got.append((n, modseq)))  # type: ignore[misc]
    post(one, (1, 5), (9, 9))
    await until(lambda: len(got) == 2)
    assert sorted(got) == [(0, 5), (1, 5)]


async def test_a_worker_that_comes_later_hears_of_it_too(workers: Workers) -> None:
    one = workers.start()
    post(one, (1, 1))
    got: list[int] = []
    two = workers.start()
    two.subscribe(AccountId(1), got.append)
    post(one, (1, 2))
    await until(lambda: got == [2])


async def test_many_at_once_arrive_packed(workers: Workers) -> None:
    one, two = workers.start(), workers.start()
    got: set[int] = set()
    for account in range(3000):
        two.subscribe(AccountId(account), lambda _, account=account: got.add(account))  # type: ignore[misc]
    post(one, *((account, 1) for account in range(3000)))
    await until(lambda: len(got) == 3000)


async def test_a_worker_that_does_not_read_holds_up_nobody(workers: Workers) -> None:
    one, deaf, two = workers.start(), workers.start(), workers.start()
    asyncio.get_running_loop().remove_reader(deaf._socket.fileno())
    got: list[int] = []
    two.subscribe(AccountId(1), got.append)
    for modseq in range(2000):
        post(one, (1, modseq))
        if modseq % 5 == 0:
            await asyncio.sleep(0)
    await until(lambda: bool(got) and got[-1] == 1999)


async def test_a_dead_workers_socket_is_removed(workers: Workers) -> None:
    one, dead = workers.start(), workers.start()
    workers.all.remove(dead)
    asyncio.get_running_loop().remove_reader(dead._socket.fileno())
    dead._socket.close()  # as a killed process leaves it: the name stays
    dead.subscribe(AccountId(1), lambda modseq: None)
    assert names(workers.folder) == {one._name, dead._name}
    post(one, (2, 1))
    assert names(workers.folder) == {one._name, dead._name}
    post(one, (1, 1))
    assert names(workers.folder) == {one._name}
    assert len(list(workers.folder.iterdir())) == 2  # and what it is interested in


async def test_a_worker_that_begins_removes_what_dead_ones_left(workers: Workers) -> None:
    dead, alive = workers.start(), workers.start()
    workers.all.remove(dead)
    asyncio.get_running_loop().remove_reader(dead._socket.fileno())
    dead._socket.close()
    one = workers.start()
    assert names(workers.folder) == {one._name, alive._name}
    assert len(list(workers.folder.iterdir())) == 4


async def test_nothing_is_sent_to_who_watches_others(workers: Workers) -> None:
    one, two = workers.start(), workers.start()
    got: list[int] = []
    end = two.subscribe(AccountId(1), got.append)
    second = two.subscribe(AccountId(1), got.append)
    post(one, (2, 5))
    with pytest.raises(BlockingIOError):
        two._socket.recv(100)
    post(one, (1 + BUCKETS, 6))  # of the same bucket
    assert two._socket.recv(100)
    end()
    post(one, (1, 7))
    await until(lambda: got == [7])
    second()
    post(one, (1, 8))
    with pytest.raises(BlockingIOError):
        two._socket.recv(100)


async def test_who_cannot_say_what_it_watches_is_told_everything(workers: Workers) -> None:
    one, two = workers.start(), workers.start()
    for path in workers.folder.glob("*.interest"):
        path.unlink()
    post(one, (2, 5))
    assert two._socket.recv(100)


async def test_a_callback_may_unsubscribe_others(workers: Workers) -> None:
    notices = workers.start()
    got: list[int] = []
    ends: list[Callable[[], None]] = []

    def callback(modseq: int) -> None:
        got.append(modseq)
        ends[1]()

    ends.extend(notices.subscribe(AccountId(1), lambda modseq: callback(modseq)) for _ in range(2))
    post(notices, (1, 1))
    post(notices, (1, 2))
    assert got == [1, 1, 2]


async def test_a_subscriber_that_fails_is_not_the_others_business(workers: Workers) -> None:
    notices = workers.start()
    errors: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: errors.append(context["exception"]))
    got: list[int] = []
    error = RuntimeError("mine")

    def fail(modseq: int) -> None:
        raise error

    notices.subscribe(AccountId(1), fail)
    notices.subscribe(AccountId(1), got.append)
    post(notices, (1, 1))
    assert got == [1]
    assert errors == [error]


async def test_permissions(workers: Workers) -> None:
    notices = workers.start()
    assert workers.folder.stat().st_mode & 0o777 == 0o700
    assert (workers.folder / notices._name).stat().st_mode & 0o777 == 0o600


async def test_a_folder_with_a_long_name(tmp_path: Path) -> None:
    workers = Workers(tmp_path / ("x" * 100) / "run")
    one, two = workers.start(), workers.start()
    got: list[int] = []
    two.subscribe(AccountId(1), got.append)
    post(one, (1, 3))
    await until(lambda: got == [3])
    one.close()
    two.close()
    assert list(workers.folder.iterdir()) == []


async def test_a_strange_datagram_is_dropped(workers: Workers) -> None:
    one, two = workers.start(), workers.start()
    got: list[int] = []
    two.subscribe(AccountId(1), got.append)
    one._socket.sendto(b"nonsense!", two._path(two._name))
    post(one, (1, 4))
    await until(lambda: got == [4])
