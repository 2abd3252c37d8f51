"""IMAP clients that ask for what costs the server most: others go on, and its memory stays what it was."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.faults.wire import GROWN_MIB, Memory, Wire, connect, imap, latencies, many, still_serves
from tests.running import Account, RunningServer, until

MIB = 1024 * 1024
SETTINGS = ("auth.allow_cleartext_login=loopback",)
BOUND_SECONDS = 0.5
"""Generous: the machine that runs this does other things as well."""

EVERYTHING = b",".join([b"1:4294967295"] * 4000)


@contextmanager
def others_go_on(server: RunningServer, account: Account) -> Iterator[None]:
    """See that NOOP is answered on another connection all the while, and that memory does not grow."""
    memory, over = Memory(server), threading.Event()
    taken: list[float] = []

    def watch() -> None:
        with imap(server, account) as wire:
            while not over.is_set():
                taken.extend(latencies(wire, 0.05))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
        until(lambda: len(taken) > 20)
    finally:
        over.set()
        watcher.join()
    assert sorted(taken)[int(len(taken) * 0.99)] < BOUND_SECONDS, sorted(taken)[-5:]
    assert memory.growth() < GROWN_MIB * MIB


@contextmanager
def filled(server: RunningServer, account: Account, count: int) -> Iterator[Wire]:
    """Log in, and open an INBOX of so many messages."""
    with imap(server, account) as wire:
        one = b"From: a@example.net\r\nSubject: one of many\r\n\r\ntext\r\n"
        for start in range(0, count, 100):
            batch = b"".join(b" {%d+}\r\n%b" % (len(one), one) for _ in range(min(100, count - start)))
            wire.ask(b"a APPEND INBOX%b\r\n" % batch, b"a OK")
        wire.ask(b"s SELECT INBOX\r\n", b"s OK")
        yield wire


def test_literals_announced_and_never_sent(server: RunningServer, account: Account) -> None:
    """By strangers, as arguments; by an account, as arguments and as messages; and nothing comes behind them."""
    with others_go_on(server, account), many(server, "imap", 200) as wires:
        for wire in wires:
            wire.send(b"a LOGIN {4096}\r\n")
        for wire in wires:
            assert wire.line().startswith(b"+ ")
        with many(server, "imap", 40) as known:
            for at, wire in enumerate(known):
                wire.ask(f'l LOGIN {account.name} "{account.password}"\r\n'.encode(), b"l OK")
                wire.send(b"b APPEND INBOX {20000000}\r\n" if at % 2 else b"b SELECT {65536}\r\n")
            for wire in known:
                assert wire.line().startswith(b"+ ")
            still_serves(server, account)


def test_what_is_pipelined_behind_a_literal(server: RunningServer, account: Account) -> None:
    """What stands where a literal was announced is the literal, never a command; one that was refused is forgotten."""
    with connect(server, "imap") as wire:
        wire.until(rb"\* OK")
        wire.send(b"a LOGIN {8}\r\nb LOGOUTx\r\nc NOOP\r\n")
        lines = _all(wire, b"c OK")
        assert [line[:5] for line in lines] == [b"+ Rea", b"a BAD", b"c OK "]
        wire.send(b"d LOGIN {9000+}\r\n" + b"e LOGOUT\r\n" * 900 + b" x\r\nf NOOP\r\n")
        assert [line[:5] for line in _all(wire, b"f OK")] == [b"d BAD", b"f OK "]
    with imap(server, account) as wire:
        inside = b"Subject: x\r\n\r\nb DELETE Sent\r\n"
        wire.send(b"a APPEND Nowhere {%d+}\r\n%b\r\nc NOOP\r\n" % (len(inside), inside))
        answers = [line[:7] for line in re.findall(rb"[^\n]+", b"\n".join(_all(wire, b"c OK")))]
        assert answers == [b"a NO [T", b"c OK NO"]
        wire.send(b"d APPEND INBOX {%d+}\r\n%b (\r\ne STATUS Sent (MESSAGES)\r\n" % (len(inside), inside))
        assert [line[:5] for line in _all(wire, b"e OK")] == [b"d BAD", b"* STA", b"e OK "]


def _all(wire: Wire, ending: bytes) -> list[bytes]:
    lines = [wire.line()]
    while not lines[-1].startswith(ending):
        lines.append(wire.line())
    return lines


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (b"UID FETCH %b (UID)" % EVERYTHING, b"OK"),
        (b"UID STORE %b +FLAGS.SILENT (\\Seen)" % EVERYTHING, b"OK"),
        (b"UID SEARCH UID %b" % EVERYTHING, b"OK"),
        (b"SEARCH " + b"OR (%b) " % EVERYTHING[:2000].rpartition(b",")[0] * 20 + b"ALL", b"OK"),
        (b"SEARCH " + b"(" * 4000 + b"ALL" + b")" * 4000, b"BAD"),
        (b"SEARCH " + b"NOT " * 8000 + b"ALL", b"BAD"),
        (b"SEARCH " + b"OR " * 8000 + b"ALL ALL", b"BAD"),
        (b"SEARCH " + b"OR SUBJECT nowhere " * 900 + b"ALL", b"OK"),
        (b"UID FETCH 4294967296 UID", b"BAD"),
        (b"UID FETCH 1:99999999999999999999 UID", b"BAD"),
        (b"FETCH " + b"1," * 17000 + b"1 UID", b"BAD"),
        (b"FETCH 1 (" + b"BODY.PEEK[1.1.1.1.1.1.1.1.1] " * 1000 + b"UID)", b"BAD"),
        (b'SELECT "' + b"\\\\" * 30000 + b'"', b"NO"),
        (b'LIST "" ' + b"*%" * 500 + b"x", b"OK"),
    ],
    ids=lambda value: value[:24].decode("ascii", "replace") if isinstance(value, bytes) else None,
)
def test_what_costs_most(server: RunningServer, account: Account, command: bytes, answer: bytes) -> None:
    with filled(server, account, 300) as wire, others_go_on(server, account):
        wire.send(b"h " + command + b"\r\n")
        lines = _all(wire, b"h ")
        assert lines[-1].startswith(b"h " + answer), lines[-1]
        assert len(lines) < 310
        wire.ask(b"n NOOP\r\n", b"n OK")


def test_a_flood_of_logins(server: RunningServer, account: Account) -> None:
    """Wrong passwords, one behind the other, from many connections: who is in goes on, and nothing piles up."""
    with others_go_on(server, account):
        refused = 0
        with many(server, "imap", 20) as wires:
            for wire in wires:
                wire.pour(f"x LOGIN {account.name} wrong\r\n".encode(), 40)  # below what has the network banned
            end = time.monotonic() + 5
            for wire in wires:
                wire.sock.settimeout(max(end - time.monotonic(), 0.05))
                try:
                    while (line := wire.line()) and time.monotonic() < end:
                        assert not line.startswith(b"x OK")
                        refused += line.startswith((b"x NO", b"* BYE", b"x BAD"))
                except TimeoutError:
                    pass
        assert refused


def test_what_strangers_send_does_not_stay(server: RunningServer, account: Account) -> None:
    """Two hundred connections, each with as much as a stranger may have lying unread, and more."""
    with others_go_on(server, account), many(server, "imap", 100) as wires:
        for wire in wires:
            wire.sock.settimeout(2)
            for octets in (b"a ID (" + b'"x" ' * 8000, b"b LOGIN " + b"y" * 100_000, b"c NOOP\r\n" * 50_000):
                try:
                    wire.sock.sendall(octets)
                except OSError:
                    break
        still_serves(server, account)


def test_a_slow_reader_of_much(server: RunningServer, account: Account) -> None:
    """256 MiB are fetched by who takes a little at a time, and then all the rest: memory holds none of it."""
    size, copies = 32 * MIB, 8
    text = b"Subject: large\r\n\r\n" + (b"z" * 98 + b"\r\n") * (size // 100)
    with imap(server, account) as wire:
        wire.ask(b"a APPEND INBOX {%d}\r\n" % len(text), rb"\+")
        wire.ask(text + b"\r\n", b"a OK")
        wire.ask(b"s SELECT INBOX\r\n", b"s OK")
        for _ in range(copies - 1):
            wire.ask(b"c COPY 1 INBOX\r\n", b"c OK")
    with connect(server, "imap") as wire:
        wire.until(rb"\* OK")
        wire.ask(f'l LOGIN {account.name} "{account.password}"\r\ns SELECT INBOX\r\n'.encode(), b"s OK")
        with others_go_on(server, account):
            wire.send(b"f FETCH 1:%d BODY.PEEK[]\r\n" % copies)
            got = 0
            for _ in range(100):
                got += len(wire.sock.recv(16384))
                time.sleep(0.01)
            tail = b""
            while not re.search(rb"\r\nf OK [^\r]*\r\n\Z", tail):
                octets = wire.sock.recv(MIB)
                assert octets
                got += len(octets)
                tail = (tail + octets)[-200:]
            assert got > copies * len(text)
