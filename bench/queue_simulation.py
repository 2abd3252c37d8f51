"""A large queue under a clock that is turned, not waited for: a million messages to ten thousand destinations.

    python -m bench.queue_simulation [--messages N] [--destinations N] [--hours H]

One destination in twenty takes half a minute for each message, another one in twenty does not answer; the others take
0.2 to 0.4 s. One sender has half of the queue. While it is worked off, somebody sends a message to a healthy
destination every other second: what is told is how long those took (fairness), how long the backlog took, how much
memory the manager used, and how often it looked and found nothing (no busy looping). The manager, the schedule, the
pacing and the statements are the real ones, over a SQLite file that is not synced; the network is not there.
"""

import argparse
import asyncio
import os
import random
import selectors
import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import apsw
import structlog

from pennypost.mail.queue.manager import QueueManager
from pennypost.mail.queue.outbox import TURN_STEP_MICROSECONDS, Outbox, Outgoing
from pennypost.mail.queue.routing import Router
from pennypost.mail.queue.settings import QueueSettings
from pennypost.model.address import Address
from pennypost.model.envelope import Envelope, Recipient
from pennypost.model.ids import BlobId
from pennypost.model.relaying import NextHop, OutgoingMessage, RecipientResult, RelayOutcome, RelayState
from pennypost.store import blobs
from pennypost.store.engine import Transaction, to_microseconds
from pennypost.store.queue import DeliveryState, QueuedMessage
from pennypost.store.settings import StoreSettings
from pennypost.store.sqlite.connection import SqliteTransaction, run
from pennypost.store.sqlite.migrate import known_migrations

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
HEADER = b"From: a@bulk.example\r\nSubject: news\r\n\r\n"
SLOW_SECONDS = 30.0
DEAD_SECONDS = 30.0
PROBE_SECONDS = 2.0


class TurnedSelector(selectors.DefaultSelector):
    """Turns the loop's clock instead of waiting."""

    loop: "TurnedLoop"

    def select(self, timeout: float | None = None) -> list[Any]:
        self.loop.rounds += 1
        if timeout is None:
            raise RuntimeError("nothing will ever happen again")
        if timeout > 0:
            self.loop.now += timeout
        return super().select(0)


class TurnedLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        selector = TurnedSelector()
        selector.loop = self
        self.now, self.rounds = 0.0, 0
        super().__init__(selector)

    def time(self) -> float:
        return self.now


class UnsyncedStore:
    """What the manager needs of a store, on the spot and without a thread."""

    worker = 0
    directory_generation = 0

    def __init__(self, file: Path, loop: TurnedLoop) -> None:
        self.loop = loop
        self.settings = StoreSettings(file.parent)
        self.connection = apsw.Connection(str(file), statementcachesize=200)
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-65536", "locking_mode=EXCLUSIVE"):
            self.connection.execute(f"PRAGMA {pragma}").fetchall()
        for text in known_migrations():
            self.connection.execute(text)
        self.transaction = SqliteTransaction(self.connection)
        self.noticed: list[Callable[[int], None]] = []
        self.writes = self.idle_looks = 0

    def clock(self) -> datetime:
        return BEGIN + timedelta(seconds=self.loop.now)

    async def write(self, operation: Any) -> Any:
        self.transaction.now, self.transaction.notices = self.clock(), []
        self.connection.execute("BEGIN")
        result = run(operation, self.transaction)
        self.transaction.control("COMMIT")
        self.writes += 1
        if self.transaction.notices:
            for callback in self.noticed:
                callback(0)
        if result == []:
            self.idle_looks += 1
        return result

    async def write_large(self, operation: Any) -> Any:
        return await self.write(operation)

    async def write_rows(self, operation: Any, rows: int) -> Any:
        return await self.write(operation)

    async def read(self, operation: Any) -> Any:
        self.transaction.now = self.clock()
        return run(operation, self.transaction)

    glance = scan = read

    def subscribe(self, account: int, callback: Callable[[int], None]) -> Callable[[], None]:
        self.noticed.append(callback)
        return lambda: self.noticed.remove(callback)


class Simulation:
    def __init__(self, store: UnsyncedStore, messages: int, destinations: int) -> None:
        self.store, self.messages, self.destinations = store, messages, destinations
        self.chance = random.Random(1)
        self.sent_at: list[float] = []
        self.probes: dict[str, float] = {}
        self.probe_waits: list[float] = []
        self.attempts = self.tried_dead = 0
        self.settings = QueueSettings()
        self.router = Router(self.settings)

    def is_slow(self, number: int) -> bool:
        return number % 20 == 7

    def is_dead(self, number: int) -> bool:
        return number % 20 == 13

    def fill(self) -> None:
        now = to_microseconds(self.store.clock())
        connection = self.store.connection
        connection.execute("BEGIN")
        connection.execute("INSERT INTO blob VALUES (1, x'00', 4, 0, x'00000000', NULL, 0)")
        connection.executemany(
            "INSERT INTO queued (id, blob, header, size, reverse_path, body, smtputf8, require_tls, created_at) "
            "VALUES (?, 1, ?, ?, ?, '7BIT', 0, 0, ?)",
            ((n, HEADER, len(HEADER) + 4, self.sender(n), now) for n in range(1, self.messages + 1)),
        )
        connection.executemany(
            "INSERT INTO delivery (id, queued, recipient_local, recipient_domain, notify, hop, state, turn, precedence,"
            "next_attempt_at, attempts, warned) VALUES (?, ?, ?, ?, 0, ?, 0, ?, 0, ?, 0, 0)",
            (
                (n, n, f"r{n}", hop, hop, now + self.place(n) * TURN_STEP_MICROSECONDS, now)
                for n, hop in ((n, f"h{n * 7919 % self.destinations}.example") for n in range(1, self.messages + 1))
            ),
        )
        connection.execute(
            "INSERT INTO destination (hop, due_at, failures, gap, held_until, changed_at) "
            "SELECT DISTINCT hop, ?, 0, 0, 0, ? FROM delivery",
            (now, now),
        )
        connection.execute("COMMIT")

    def sender(self, number: int) -> str:
        return "news@bulk.example" if self.is_bulk(number) else f"someone@s{number % 10_000}.example"

    def is_bulk(self, number: int) -> bool:
        return number // self.destinations % 2 == 1

    def place(self, number: int) -> int:
        """Which of its sender's messages it is, about."""
        return number // 2 if self.is_bulk(number) else number // 20_000

    async def relay(self, hop: NextHop, message: OutgoingMessage) -> RelayOutcome:
        self.attempts += 1
        number = int(hop.domain[1:].partition(".")[0])
        if self.is_dead(number):
            self.tried_dead += 1
            await asyncio.sleep(DEAD_SECONDS)
            return RelayOutcome(
                tuple(
                    RecipientResult(r, RelayState.DEFERRED, "4.4.1", "timed out", transaction_failed=True)
                    for r in message.envelope.recipients
                )
            )
        await asyncio.sleep(SLOW_SECONDS if self.is_slow(number) else self.chance.uniform(0.2, 0.4))
        now = self.store.loop.now
        for recipient in message.envelope.recipients:
            begun = self.probes.pop(recipient.address.local_part, None)
            if begun is not None:
                self.probe_waits.append(now - begun)
            elif not self.is_slow(number):
                self.sent_at.append(now)
        return RelayOutcome(
            tuple(
                RecipientResult(r, RelayState.SENT, "2.0.0", "250 2.0.0 ok", hop.domain)
                for r in message.envelope.recipients
            )
        )

    async def probe(self, outbox: Outbox) -> None:
        """Somebody sends a message to a healthy destination now and then."""
        for number in range(10**9):
            await asyncio.sleep(PROBE_SECONDS)
            hop = self.chance.randrange(self.destinations)
            if self.is_slow(hop) or self.is_dead(hop):
                continue
            name, now = f"probe{number}", self.store.clock()
            to = (Recipient(Address(name, f"h{hop}.example")),)
            envelope = Envelope(Address("anna", f"p{number % 50}.example"), to)
            places = outbox.places(envelope, None, now)
            draft = blobs.BlobDraft(b"", 4, 0, b"body", None)
            message = QueuedMessage(None, BlobId(1), HEADER, 4, envelope, now)
            self.probes[name] = self.store.loop.now

            async def operation(tx: Transaction, m: Any = message, p: Any = places, d: Any = draft) -> Outgoing:
                return Outgoing(await outbox.put(tx, m, p), p, m, d)

            outbox.committed([await self.store.write(operation)])

    async def run(self, hours: float) -> None:
        store: Any = self.store
        manager = QueueManager(store, self.settings, self.relay, "mx.example", self.router, chance=self.chance.random)
        outbox = Outbox(self.router, manager)
        tasks = [asyncio.create_task(manager.run()), asyncio.create_task(self.probe(outbox))]
        healthy = sum(
            not self.is_slow(hop) and not self.is_dead(hop)
            for hop in (n * 7919 % self.destinations for n in range(1, self.messages + 1))
        )
        began, loop, memory, most = time.process_time(), self.store.loop, resident(), 0
        while loop.now < hours * 3600 or len(self.sent_at) < healthy:
            await asyncio.sleep(10)
            most = max(most, resident())
            if loop.now % 600 < 10:
                print(f"  {loop.now / 60:5.0f} min: {len(self.sent_at):8d} of {healthy} healthy ones sent", flush=True)
        tasks[1].cancel()
        self.report(healthy, loop, time.process_time() - began, most - memory)
        await self.quiet(loop)
        await manager.stop(timedelta(0))
        await asyncio.wait(tasks)

    async def quiet(self, loop: TurnedLoop) -> None:
        """See what the manager does when nothing but the dead is left: an hour of it."""
        rounds, writes, attempts, now = loop.rounds, self.store.writes, self.attempts, loop.now
        for _ in range(6):
            await asyncio.sleep(600)
        assert loop.now >= now + 3600
        print(
            f"an hour with the dead ones only: {self.attempts - attempts} attempts, {self.store.writes - writes} "
            f"transactions, {loop.rounds - rounds} rounds of the loop"
        )

    def report(self, healthy: int, loop: TurnedLoop, cpu: float, memory: int) -> None:
        waits, sent = sorted(self.probe_waits), sorted(self.sent_at)
        left = dict(self.store.connection.execute("SELECT state, COUNT(*) FROM delivery GROUP BY state").fetchall())
        print(f"simulated {loop.now / 3600:.1f} h; {self.attempts} attempts; {cpu:.0f} s of processor time")
        print(
            f"  processor per attempt: {cpu / self.attempts * 1e6:.0f} µs; loop rounds per attempt: "
            f"{loop.rounds / self.attempts:.2f}; transactions per attempt: {self.store.writes / self.attempts:.2f}; "
            f"looks that took nothing: {self.store.idle_looks}"
        )
        print(f"  memory of the manager: {memory / 2**20:.0f} MiB more than before")
        print(
            f"  backlog to healthy destinations: {healthy} in {sent[-1] / 60:.1f} min, "
            f"p50 {sent[len(sent) // 2] / 60:.1f}, p99 {sent[int(len(sent) * 0.99)] / 60:.1f} min"
        )
        print(
            f"  new mail to healthy destinations meanwhile: {len(waits)}, p50 {waits[len(waits) // 2]:.2f} s, "
            f"p99 {waits[int(len(waits) * 0.99)]:.2f} s, longest {waits[-1]:.2f} s, under way {len(self.probes)}"
        )
        print(
            f"  attempts at dead destinations: {self.tried_dead}; left by state: "
            + ", ".join(f"{DeliveryState(s).name.lower()} {n}" for s, n in sorted(left.items()))
        )


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--messages", type=int, default=1_000_000)
    options.add_argument("--destinations", type=int, default=10_000)
    options.add_argument("--hours", type=float, default=1.0, help="simulate at least so long")
    chosen = options.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    folder = Path(tempfile.mkdtemp(prefix="pennypost-queue-"))
    try:
        loop = TurnedLoop()
        asyncio.set_event_loop(loop)
        simulation = Simulation(UnsyncedStore(folder / "queue.db", loop), chosen.messages, chosen.destinations)
        began = time.monotonic()
        simulation.fill()
        seconds = time.monotonic() - began
        print(f"{chosen.messages} messages to {chosen.destinations} destinations queued in {seconds:.0f} s")
        loop.run_until_complete(simulation.run(chosen.hours))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
