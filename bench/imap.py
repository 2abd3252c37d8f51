"""IMAP and POP3 of two servers, side by side: how long each takes for the same commands on the same mailboxes.

    python -m bench.imap NAME=HOST:IMAP:POP3:USER:PASSWORD NAME=… [--rounds N] [--only ROW,…] [--boxes b10k,b100k]

The user has the mailboxes `b10k` and `b100k`, and the same messages as the latter in INBOX; `side_by_side/imap.sh`
makes them. Each row is measured N times on each server in turn, and the medians are compared: the first server's time
over the second's. The client does nothing but look for the tagged reply. Rows of writing work on copies. `--before
COMMAND` is run before each measurement, on connections that are then new: to begin with cold caches.
"""

import argparse
import multiprocessing
import re
import socket
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

ANSWER_SECONDS = 60.0
"""How long a server may say nothing."""

IDLE_SECONDS = 5.0
"""How long it may say nothing to a client in IDLE: Dovecot was seen to look only every half a minute, for a hundred
changes. A round in which that happens does not count."""

WORKED = 10_000
"""Messages that rows of writing, and RETR, work on."""


@dataclass(frozen=True)
class Target:
    """A server, and whose mailboxes are there."""

    name: str
    host: str
    imap: int
    pop3: int
    user: str
    password: str

    @classmethod
    def parse(cls, text: str) -> "Target":
        name, _, rest = text.partition("=")
        host, imap, pop3, user, password = rest.split(":")
        return cls(name, host, int(imap), int(pop3), user, password)


class Lines:
    """A connection that is read in large pieces."""

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port), ANSWER_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()

    def receive(self) -> None:
        octets = self.socket.recv(1 << 18)
        if not octets:
            raise EOFError(f"the connection was closed behind {bytes(self.buffer[-200:])!r}")
        self.buffer += octets

    def line(self) -> bytes:
        while (end := self.buffer.find(b"\n")) < 0:
            self.receive()
        line = bytes(self.buffer[: end + 1])
        del self.buffer[: end + 1]
        return line


class Imap(Lines):
    """A client that is logged in."""

    def __init__(self, target: Target) -> None:
        super().__init__(target.host, target.imap)
        self.count = 0
        self.line()
        self.command(f'LOGIN "{target.user}" "{target.password}"')

    def send(self, command: str) -> bytes:
        self.count += 1
        tag = b"x%07d" % self.count
        self.socket.sendall(tag + b" " + command.encode() + b"\r\n")
        return tag

    def command(self, command: str, *, may_fail: bool = False) -> bytes:
        """Send a command and wait for its reply. Gives the last 4 KiB of the answer."""
        return self.finish(self.send(command), may_fail=may_fail)

    def finish(self, tag: bytes, *, may_fail: bool = False) -> bytes:
        want, buffer = b"\r\n" + tag + b" ", self.buffer
        buffer[:0] = b"\r\n"
        while not (buffer.endswith(b"\r\n") and (at := buffer.rfind(want, max(0, len(buffer) - 4096))) >= 0):
            if len(buffer) > 65536:
                del buffer[:-4096]
            self.receive()
        answer = bytes(buffer[-4096:])
        status = bytes(buffer[at + len(want) :])
        buffer.clear()
        if not status.upper().startswith(b"OK") and not may_fail:
            raise RuntimeError(status.decode("utf-8", "replace"))
        return answer

    def select(self, mailbox: str) -> int:
        found = re.search(rb"\* (\d+) EXISTS", self.command(f'SELECT "{mailbox}"'))
        assert found is not None
        return int(found[1])

    def append(self, message: bytes) -> None:
        self.socket.sendall(b"a APPEND INBOX {%d+}\r\n%b\r\n" % (len(message), message))
        self.finish(b"a")


class Pop3(Lines):
    """A POP3 client that is logged in."""

    def __init__(self, target: Target) -> None:
        super().__init__(target.host, target.pop3)
        self.ok()
        for command in (f"USER {target.user}", f"PASS {target.password}"):
            self.socket.sendall(command.encode() + b"\r\n")
            self.ok()

    def ok(self) -> None:
        line = self.line()
        if not line.startswith(b"+OK"):
            raise RuntimeError(line.decode("utf-8", "replace"))

    def multi_line(self, command: str) -> None:
        self.socket.sendall(command.encode() + b"\r\n")
        self.ok()
        self.text()

    def text(self) -> None:
        buffer = self.buffer
        if buffer.startswith(b".\r\n"):
            del buffer[:3]
            return
        start = 0
        while (end := buffer.find(b"\r\n.\r\n", start)) < 0:
            start = max(0, len(buffer) - 4)
            self.receive()
        del buffer[: end + 5]

    def retrieve(self, count: int) -> None:
        """RETR of the first messages, 25 commands on their way at a time."""
        sent = 0
        for done in range(count):
            if sent < count and sent - done < 25:
                more = min(25, count - sent)
                self.socket.sendall(b"".join(b"RETR %d\r\n" % (sent + i + 1) for i in range(more)))
                sent += more
            self.ok()
            self.text()


# -- The rows

Measure = Callable[[Target], float]


def timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


@dataclass
class Rows:
    """What is measured: name, ratio to reach, and how. Connections are kept for the next round."""

    boxes: list[str]
    open_boxes: dict[tuple[str, str, str], Imap] = field(default_factory=dict)

    def client(self, target: Target, box: str, use: str = "reading") -> Imap:
        known = self.open_boxes.get((target.name, box, use))
        if known is None:
            known = self.open_boxes[target.name, box, use] = Imap(target)
            known.select(box)
        return known

    def all(self) -> Iterator[tuple[str, float, Measure]]:
        for box in self.boxes:
            yield from self.reading(box)
        for box in self.boxes:
            yield from self.searching(box)
        yield from self.writing()
        yield "APPEND 2 KB, 1 connection", 2, lambda target: appending(target, 1, 300)
        yield "APPEND 2 KB, 10 connections", 2, lambda target: appending(target, 10, 1000)
        yield "IDLE until EXISTS, p99", 0, idle_latency
        yield "POP3 LIST, INBOX", 1.5, lambda target: pop3(target, lambda c: c.multi_line("LIST"))
        yield "POP3 UIDL, INBOX", 1.5, lambda target: pop3(target, lambda c: c.multi_line("UIDL"))
        yield f"POP3 RETR of {WORKED}", 1.5, lambda target: pop3(target, lambda c: c.retrieve(WORKED))

    def reading(self, box: str) -> Iterator[tuple[str, float, Measure]]:
        fields = "From To Cc Subject Date Message-ID References"
        everything = "UID FLAGS ENVELOPE BODYSTRUCTURE INTERNALDATE RFC822.SIZE"
        yield f"{box} LOGIN + SELECT", 1, lambda target: timed(lambda: Imap(target).select(box))
        for name, command, ratio in (
            ("FETCH (UID FLAGS)", "FETCH 1:* (UID FLAGS)", 2),
            ("FETCH (… ENVELOPE BODYSTRUCTURE …)", f"FETCH 1:* ({everything})", 2),
            ("FETCH HEADER.FIELDS", f"FETCH 1:* (BODY.PEEK[HEADER.FIELDS ({fields})])", 2),
            (f"FETCH BODY[] of {WORKED}", f"FETCH 1:{WORKED} (BODY.PEEK[])", 1.5),
        ):
            yield f"{box} {name}", ratio, self.command(box, command)

    def searching(self, box: str) -> Iterator[tuple[str, float, Measure]]:
        for command, ratio in (
            ("SEARCH UNSEEN", 1),
            ("SEARCH SUBJECT quokka", 2),
            ("SEARCH FROM marguerite", 2),
            ("SEARCH BODY zebrawood", 20),
            ("SEARCH TEXT ultrarareword", 20),
            ("SORT (REVERSE DATE) UTF-8 ALL", 1),
            ("THREAD REFERENCES UTF-8 ALL", 1),
        ):
            yield f"{box} {command}", ratio, self.command(box, command)

    def command(self, box: str, command: str) -> Measure:
        def measure(target: Target) -> float:
            client = self.client(target, box)
            return timed(lambda: client.command(command))

        return measure

    def writing(self) -> Iterator[tuple[str, float, Measure]]:
        """One after the other: each works on what the one before has left."""
        every = f"1:{WORKED}"

        def begin(target: Target) -> Imap:
            client = self.client(target, "b10k", "writing")
            client.select("b10k")  # a mailbox that is selected cannot be deleted everywhere
            for box in ("bench-copied", "bench-moved"):
                client.command(f"DELETE {box}", may_fail=True)
                client.command(f"CREATE {box}")
            return client

        def copy(target: Target) -> float:
            client = begin(target)
            return timed(lambda: client.command(f"COPY {every} bench-copied"))

        def on(box: str, command: str, before: str = "") -> Measure:
            def measure(target: Target) -> float:
                client = self.client(target, "b10k", "writing")
                client.select(box)
                if before:
                    client.command(before)
                return timed(lambda: client.command(command))

            return measure

        yield f"COPY of {WORKED}", 2, copy
        yield f"STORE +FLAGS of {WORKED}", 2, on("bench-copied", f"STORE {every} +FLAGS (\\Answered $Label1)")
        yield f"STORE +FLAGS.SILENT of {WORKED}", 2, on("bench-copied", f"STORE {every} +FLAGS.SILENT (\\Flagged)")
        yield f"MOVE of {WORKED}", 2, on("bench-copied", f"MOVE {every} bench-moved")
        delete = f"STORE {every} +FLAGS.SILENT (\\Deleted)"
        yield f"EXPUNGE of {WORKED}", 2, on("bench-moved", "EXPUNGE", delete)


def pop3(target: Target, work: Callable[[Pop3], None]) -> float:
    client = Pop3(target)
    spent = timed(lambda: work(client))
    client.socket.sendall(b"QUIT\r\n")
    client.ok()
    return spent


def message(number: int) -> bytes:
    text = b"".join(b"Line %d of message %d, of which nobody reads a word.\r\n" % (i, number) for i in range(32))
    return b"From: a@bench.test\r\nTo: b@bench.test\r\nSubject: number %d\r\n\r\n%b" % (number, text)


def append_some(target: Target, first: int, count: int, ready: Any) -> None:
    client = Imap(target)
    ready.wait()
    for number in range(first, first + count):
        client.append(message(number))
    ready.wait()


def appending(target: Target, connections: int, count: int) -> float:
    """Seconds for `count` messages into INBOX over some connections, a process for each."""
    ready = multiprocessing.Barrier(connections + 1)
    share = count // connections
    clients = [
        multiprocessing.Process(target=append_some, args=(target, number * share, share, ready))
        for number in range(connections)
    ]
    for client in clients:
        client.start()
    ready.wait()
    spent = timed(ready.wait)
    for client in clients:
        client.join()
    return spent


def idle_latency(target: Target, changes: int = 100) -> float:
    """Seconds from the OK of another session's APPEND until a session in IDLE is told: 99 of 100 take no longer."""
    idle, other = Imap(target), Imap(target)
    idle.select("INBOX")
    idle.send("IDLE")
    idle.line()
    idle.socket.settimeout(IDLE_SECONDS)
    waits = []
    for number in range(changes):
        time.sleep(0.02)
        other.append(message(number))
        begun = time.perf_counter()
        while b"EXISTS" not in idle.line():
            pass
        waits.append(time.perf_counter() - begun)
    return sorted(waits)[int(len(waits) * 0.99) - 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs=2, type=Target.parse)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--boxes", default="b10k,b100k")
    parser.add_argument("--before", default="", help="a command of the shell to run before each measurement")
    parser.add_argument("--only", default="", help="rows whose name holds one of these texts, parted by commas")
    options = parser.parse_args()
    first, second = options.targets
    only = [text for text in options.only.split(",") if text]
    every = Rows(options.boxes.split(","))
    rows = [row for row in every.all() if not only or any(text in row[0] for text in only)]
    seconds: dict[tuple[str, str], list[float]] = {}
    for number in range(options.rounds):
        for name, _, measure in rows:
            for target in (first, second) if number % 2 == 0 else (second, first):
                if options.before:
                    every.open_boxes.clear()
                    subprocess.run(options.before, shell=True, check=True)
                try:
                    seconds.setdefault((name, target.name), []).append(measure(target))
                except (RuntimeError, EOFError, TimeoutError) as problem:
                    print(f"{target.name}: {name}: {problem}")
                    every.open_boxes.clear()
    print(f"| ms, medians of {options.rounds} | {first.name} | {second.name} | ratio | to reach |")
    print("|---|---:|---:|---:|---:|")
    for name, wanted, _ in rows:
        times = [seconds.get((name, target.name), []) for target in (first, second)]
        if all(times):
            one, two = (statistics.median(each) for each in times)
            print(f"| {name} | {one * 1e3:.1f} | {two * 1e3:.1f} | {one / two:.2f} | {wanted or '≤ 5 ms'} |")


if __name__ == "__main__":
    main()
