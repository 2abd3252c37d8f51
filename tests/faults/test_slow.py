"""Clients that dawdle, that stop reading, that come in crowds, and large messages: others do not wait for them."""

import socket
import threading
import time

import pytest
from tests.faults.wire import GROWN_MIB, Memory, Wire, connect, imap, latencies, many, mx, still_serves
from tests.running import Account, RunningServer, until

MIB = 1024 * 1024
SETTINGS = ("auth.allow_cleartext_login=loopback", "limits.connections_per_address=300")
BOUND_SECONDS = 0.5
"""Generous: the machine that runs this does other things as well. bench/big_messages.py measures."""


def send_large(server: RunningServer, recipient: Account, octets: bytes, replies: list[bytes]) -> None:
    with mx(server, recipient) as wire:
        wire.send(octets)
        replies.append(wire.ask(b"\r\n.\r\n", b"[245]"))


def test_ten_large_messages_at_once(server: RunningServer, account: Account) -> None:
    """Ten messages of 25 MiB; on another connection NOOP is answered all the while."""
    octets = b"Subject: large\r\n\r\n" + (b"0123456789abcdef" * 4 + b"\r\n") * (25 * MIB // 66)
    replies: list[bytes] = []
    senders = [threading.Thread(target=send_large, args=(server, account, octets, replies)) for _ in range(10)]
    taken: list[float] = []
    with imap(server, account) as wire:
        for sender in senders:
            sender.start()
        while any(sender.is_alive() for sender in senders):
            taken += latencies(wire, 0.2)
        for sender in senders:
            sender.join()
    taken.sort()
    assert [reply[:9] for reply in replies] == [b"250 2.0.0"] * 10
    assert len(taken) > 20
    assert taken[int(len(taken) * 0.99)] < BOUND_SECONDS, taken[-10:]
    with imap(server, account) as wire:
        wire.send(b"f STATUS INBOX (MESSAGES)\r\n")
        assert b"* STATUS INBOX (MESSAGES 10)" in wire.until(b"f OK")


def test_clients_that_do_not_read(server: RunningServer, account: Account) -> None:
    """Twenty clients fetch 20 MiB each and read nothing of it; then one of them does read."""
    text = b"Subject: large\r\n\r\n" + (b"y" * 98 + b"\r\n") * (MIB // 100)
    with imap(server, account) as wire:
        for _ in range(20):
            wire.ask(b"a APPEND INBOX {%d}\r\n" % len(text), rb"\+")
            wire.ask(text + b"\r\n", b"a OK")
    memory = Memory(server)
    with many(server, "imap", 20) as wires:
        for wire in wires:
            wire.ask(f'l LOGIN {account.name} "{account.password}"\r\ns SELECT INBOX\r\n'.encode(), b"s OK")
            wire.send(b"f FETCH 1:* BODY.PEEK[]\r\n")
        time.sleep(1)
        still_serves(server, account)
        assert memory.growth() < 2 * GROWN_MIB * MIB
        begin = time.monotonic()
        lines = wires[0].until(b"f OK")
        assert lines.count(b"y" * 98) == 20 * (MIB // 100)
        assert time.monotonic() - begin < 20
    with connect(server, "pop3") as wire:
        wire.until(rb"\+OK")
        wire.ask(f"USER {account.name}\r\nPASS {account.password}\r\nSTAT\r\n".encode(), rb"\+OK 21 ")
        for number in range(1, 21):
            wire.send(b"RETR %d\r\n" % number)
        time.sleep(0.5)
        assert memory.growth() < 2 * GROWN_MIB * MIB


def test_one_octet_at_a_time(server: RunningServer, account: Account) -> None:
    """A hundred clients send a message by the octet, while others do what they want."""
    memory = Memory(server)
    message = b"Subject: s\r\n\r\nx\r\n.\r\n"
    with many(server, "smtp", 100) as wires:
        for wire in wires:
            wire.send(b"EHLO slow.example\r\n")
        for wire in wires:
            wire.until(b"250 ")
            wire.send(f"MAIL FROM:<a@example.net>\r\nRCPT TO:<{account.name}>\r\nDATA\r\n".encode())
        for wire in wires:
            wire.until(b"354 ")
        with imap(server, account) as other:
            for at in range(len(message) - 1):
                for wire in wires:
                    wire.send(message[at : at + 1])
                taken = latencies(other, 0.1)
                assert taken[-1] < BOUND_SECONDS
        still_serves(server, account)
        for wire in wires:
            wire.send(message[-1:])
        for wire in wires:
            wire.until(b"250 2.0.0")
    assert memory.growth() < GROWN_MIB * MIB
    assert len(server.messages(account.name)) == 101


def test_more_connections_than_one_address_may_have(server: RunningServer, account: Account) -> None:
    """The first 300 are served, those after them are told so; when some go, others may come."""
    with many(server, "smtp", 300) as wires:
        for door, refusal in (("smtp", b"421 4.7.0"), ("imap", b"* BYE"), ("pop3", b"-ERR")):
            with connect(server, door, tls=False) as wire:
                assert wire.line().startswith(refusal)
                assert wire.rest() == b""
        with connect(server, "imaps", tls=False) as wire:
            assert wire.rest() == b""
        with connect(server, "lmtp") as wire:
            assert wire.line().startswith(b"220 "), "a Unix socket has no address"
        for wire in wires:
            wire.ask(b"NOOP\r\n", b"250 ")
    until(lambda: server.figure('pennypost_connections_open{door="smtp"}') == 0)
    still_serves(server, account)


@pytest.mark.parametrize(
    ("door", "last", "answer"),
    [
        ("smtp", b"NOOP\r\n", b"250 "),
        ("imap", b"a NOOP\r\n", b"a OK"),
        ("pop3", b"CAPA\r\n", rb"\.$"),
    ],
)
def test_half_closed_connections(
    server: RunningServer, account: Account, door: str, last: bytes, answer: bytes
) -> None:
    """A client may end its side right behind its last command, and still gets the answer."""
    with connect(server, door) as wire:
        wire.line()
        wire.send(last)
        wire.sock.shutdown(socket.SHUT_WR)
        wire.until(answer)
        wire.rest()  # it ends: no PATIENCE_SECONDS pass


def test_a_half_closed_message_is_not_accepted(server: RunningServer, account: Account) -> None:
    with mx(server, account) as wire:
        wire.send(b"Subject: half\r\n\r\nnot all")
        wire.sock.shutdown(socket.SHUT_WR)
        assert b"250" not in wire.rest()
    with mx(server, account) as wire:
        wire.send(b"Subject: whole\r\n\r\nall\r\n.\r\n")
        wire.sock.shutdown(socket.SHUT_WR)
        wire.until(b"250 2.0.0")
    assert len(server.messages(account.name)) == 1


def test_connections_that_are_cut(server: RunningServer, account: Account) -> None:
    """RST in the middle of everything: nothing is half stored, nothing stays behind."""
    for _ in range(50):
        for door, begin in (("smtp", b"EHLO x.example\r\nMAIL FR"), ("imap", b"a LOGIN {5}\r\nx"), ("pop3", b"USER")):
            sock = socket.create_connection(("127.0.0.1", server.ports[door]), 10)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            Wire(sock).send(begin)
            sock.close()
    with mx(server, account) as wire:
        wire.send(b"Subject: cut\r\n\r\n" + b"x" * MIB)
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert server.messages(account.name) == []
    still_serves(server, account)
