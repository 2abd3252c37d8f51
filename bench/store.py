"""What the store costs: microseconds per delivery for lone and for grouped writers, in one process and in two.

    python -m bench.store [--messages N] [--data DIR]

A delivery is what the store does for one received message of 2 KB: `blobs.put` and `messages.append`, in one
transaction. Its body and digest are made before the clock starts, since they are no business of the store's. Figures:
wall clock per message, CPU per message (all threads of all processes), the time one caller waits, and how long the
event loop stood still.
"""

import argparse
import asyncio
import multiprocessing
import os
import resource
import shutil
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import uvloop

from pennypost.message.digest import digest
from pennypost.model.ids import AccountId, MailboxId
from pennypost.store import blobs, directory, mailboxes, messages
from pennypost.store.engine import Transaction
from pennypost.store.settings import StoreSettings
from pennypost.store.store import Store

ACCOUNTS = 100
_WORDS = b"the quick brown fox jumps over a lazy dog while seven wizards make toxic brew for the evil queen".split()


@dataclass(frozen=True)
class Figures:
    """Of one process. Seconds; `cpu` is of all its threads."""

    messages: int
    wall: float
    cpu: float
    waits: list[float]
    gaps: list[float]


def header(number: int) -> bytes:
    return (
        b"Received: from client.example (client.example [192.0.2.1]) by mx.example with ESMTPS id %d;\r\n"
        b"\tTue, 3 Feb 2026 10:00:00 +0000\r\nFrom: Alice Example <alice@example.org>\r\nTo: bob@example.com\r\n"
        b"Subject: Figures of the week %d\r\nDate: Tue, 3 Feb 2026 10:00:00 +0000\r\n"
        b"Message-ID: <%d.%d@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    ) % (number, number, number, time.time_ns())


def body(number: int, size: int = 1500) -> bytes:
    text, length = [b"%d" % number], 0
    while length < size:
        number = (number * 1103515245 + 12345) % 2**31
        text.append(_WORDS[number % len(_WORDS)])
        length += len(text[-1]) + 1
    return b" ".join(text) + b"\r\n"


async def populate(folder: Path) -> None:
    store = await Store.open(StoreSettings(folder))
    await store.write(lambda tx: directory.add_domain(tx, "example.com"))
    for number in range(ACCOUNTS):
        await store.write(lambda tx, n=number: directory.add_account(tx, f"user{n}@example.com", "User"))
    await store.close()


async def inboxes(store: Store) -> list[tuple[AccountId, MailboxId]]:
    async def operation(tx: Transaction) -> list[tuple[AccountId, MailboxId]]:
        found = []
        for account in await directory.accounts(tx):
            inbox = await mailboxes.require(tx, account.id, "INBOX")
            found.append((account.id, inbox.id))
        return found

    return await store.scan(operation)


async def deliver(folder: Path, first: int, total: int, tasks: int, barrier: Barrier | None) -> Figures:
    store = await Store.open(StoreSettings(folder))
    targets = await inboxes(store)
    bodies = [body(first + number) for number in range(total)]
    drafts = [store.blobs.draft(octets) for octets in bodies]
    ready = []
    for number, octets in enumerate(bodies):
        head = header(first + number)
        ready.append(messages.NewMessage(head, blobs.BlobId(0), len(octets), digest(head, octets), datetime.now(UTC)))
    waits: list[float] = []
    gaps: list[float] = []

    async def put_and_append(tx: Transaction, number: int) -> None:
        account, inbox = targets[number * 37 % len(targets)]
        blob = await blobs.put(tx, drafts[number])
        await messages.append(tx, account, inbox, ready[number]._replace(blob=blob))

    async def sender(task: int) -> None:
        for number in range(task, total, tasks):
            before = time.perf_counter()
            await store.write(lambda tx, n=number: put_and_append(tx, n))
            waits.append(time.perf_counter() - before)

    async def metronome() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            gaps.append(time.perf_counter() - before - 0.001)

    if barrier is not None:
        await asyncio.to_thread(barrier.wait)
    beat = asyncio.ensure_future(metronome())
    usage, before = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    await asyncio.gather(*(sender(task) for task in range(tasks)))
    wall = time.perf_counter() - before
    now = resource.getrusage(resource.RUSAGE_SELF)
    beat.cancel()
    await store.close()
    cpu = now.ru_utime + now.ru_stime - usage.ru_utime - usage.ru_stime
    return Figures(total, wall, cpu, sorted(waits), sorted(gaps))


def process(folder: Path, first: int, total: int, tasks: int, barrier: Barrier, results: "Queue[Figures]") -> None:
    results.put(uvloop.run(deliver(folder, first, total, tasks, barrier)))


def measure(folder: Path, total: int, tasks: int, processes: int) -> list[Figures]:
    if processes == 1:
        return [uvloop.run(deliver(folder, 0, total, tasks, None))]
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(processes), context.Queue()
    workers = [
        context.Process(target=process, args=(folder, n * 10**6, total // processes, tasks, barrier, results))
        for n in range(processes)
    ]
    for worker in workers:
        worker.start()
    figures = [results.get() for _ in workers]
    for worker in workers:
        worker.join()
    return figures


def percentile(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))]


def disk(folder: Path) -> float:
    """Measure what one sync of the disk takes: seconds, the median of many."""
    times = []
    with open(folder / "sync", "wb", buffering=0) as file:
        for _ in range(200):
            file.write(b"x" * 4096)
            before = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - before)
    return sorted(times)[100]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--messages", type=int, default=4000, help="per row of the table")
    options.add_argument("--data", type=Path, help="a folder on the disk to measure")
    chosen = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="pennypost-bench-", dir=chosen.data))
    try:
        print(f"one sync of this disk: {disk(folder) * 1e6:.0f} µs; messages per row: {chosen.messages}\n")
        print("| processes | callers each | µs/message | CPU µs/message | p50 ms | p99 ms | max ms | loop p99 ms |")
        print("|---|---|---|---|---|---|---|---|")
        for processes in (1, 2):
            for tasks in (1, 10, 50):
                data = folder / f"{processes}-{tasks}"
                uvloop.run(populate(data))
                figures = measure(data, chosen.messages // (4 if tasks == 1 else 1), tasks, processes)
                total = sum(one.messages for one in figures)
                waits = sorted(wait for one in figures for wait in one.waits)
                print(
                    f"| {processes} | {tasks} | {max(one.wall for one in figures) / total * 1e6:.0f}"
                    f" | {sum(one.cpu for one in figures) / total * 1e6:.0f} | {percentile(waits, 0.5) * 1e3:.2f}"
                    f" | {percentile(waits, 0.99) * 1e3:.2f} | {waits[-1] * 1e3:.1f}"
                    f" | {max(percentile(one.gaps, 0.99) for one in figures) * 1e3:.2f} |",
                    flush=True,
                )
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
