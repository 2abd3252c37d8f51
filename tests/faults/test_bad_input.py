"""What no client should send: it is answered, it ends, it costs little, and nobody else notices."""

import base64
import random
import time

import pytest
from tests.faults.wire import GROWN_MIB, Memory, connect, imap, many, mx, still_serves
from tests.running import Account, RunningServer

MIB = 1024 * 1024
GROWTH = GROWN_MIB * MIB

DOORS = ("smtp", "submission", "submissions", "lmtp", "imap", "imaps", "pop3", "pop3s")
SETTINGS = ("delivery.max_message_size=8 MiB", "auth.allow_cleartext_login=loopback")
GREETING = {"smtp": b"220 ", "submission": b"220 ", "lmtp": b"220 ", "imap": rb"\* OK ", "pop3": rb"\+OK "}


@pytest.mark.parametrize("door", DOORS)
def test_garbage(server: RunningServer, account: Account, door: str) -> None:
    memory = Memory(server)
    chance = random.Random(door)
    for _ in range(5):
        with connect(server, door, tls=False) as wire:
            wire.pour(chance.randbytes(64 * 1024), 32)
            wire.sock.close()
    assert memory.growth() < GROWTH
    still_serves(server, account)


@pytest.mark.parametrize("door", ["submissions", "imaps", "pop3s"])
def test_clear_text_where_tls_is_due(server: RunningServer, account: Account, door: str) -> None:
    with connect(server, door, tls=False) as wire:
        wire.send(b"EHLO client.example.net\r\n" * 3)
        assert b"250" not in wire.rest()
    still_serves(server, account)


@pytest.mark.parametrize("door", ["smtp", "submission", "lmtp", "imap", "pop3"])
def test_a_line_without_end(server: RunningServer, account: Account, door: str) -> None:
    memory = Memory(server)
    with connect(server, door) as wire:
        wire.until(GREETING[door])
        wire.pour(b"x" * MIB, 30)
        assert memory.growth() < GROWTH
    still_serves(server, account)


@pytest.mark.parametrize(
    ("door", "line", "answer"),
    [
        ("smtp", b"NOOP " + b"x" * 3000, b"500 5.5.2"),
        ("smtp", b"MAIL FROM:<" + b"x" * 3000 + b"@example.net>", b"500 5.5.2"),
        ("imap", b"a NOOP " + b"x" * 200_000, rb"(a BAD|\* BAD|\* BYE)"),
        ("pop3", b"NOOP " + b"x" * 3000, b"-ERR"),
    ],
)
def test_a_long_line(server: RunningServer, door: str, line: bytes, answer: bytes) -> None:
    with connect(server, door) as wire:
        wire.until(GREETING[door])
        wire.ask(line + b"\r\n", answer)


@pytest.mark.parametrize(
    ("door", "half"),
    [
        ("smtp", b"EHLO client.exam"),
        ("imap", b"a LOGIN {20}\r\nhalf"),
        ("imap", b"a LOGIN {4096+}\r\nhalf"),
        ("imap", b"a LIST (((((((("),
        ("pop3", b"USER some"),
    ],
)
def test_half_a_command(server: RunningServer, account: Account, door: str, half: bytes) -> None:
    """A hundred clients begin a command and never go on."""
    memory = Memory(server)
    with many(server, door, 100) as wires:
        for wire in wires:
            wire.send(half)
        still_serves(server, account)
        assert memory.growth() < GROWTH


def test_literals_that_are_never_finished(server: RunningServer, account: Account) -> None:
    """Twenty messages of 8 MB are appended, but for the last octet."""
    memory = Memory(server)
    size = 8_000_000
    wires = []
    for _ in range(20):
        manager = imap(server, account)
        wire = manager.__enter__()
        wires.append((manager, wire))
        wire.ask(b"a APPEND INBOX {%d}\r\n" % size, rb"\+")
    for _, wire in wires:
        wire.send(b"x" * (size - 1))
    still_serves(server, account)
    assert memory.growth() < 2 * GROWTH, "what is on its way is on the disk"
    for manager, _ in wires:
        manager.__exit__(None, None, None)
    assert len(server.messages(account.name)) == 1
    assert not list((server.folder).rglob("spool/*")), "nothing is left behind"


def test_a_header_without_end(server: RunningServer, account: Account) -> None:
    memory = Memory(server)
    begin = time.monotonic()
    with mx(server, account) as wire:
        wire.pour(b"X-Field: value\r\n" * 4096, 7 * MIB // (16 * 4096))
        reply = wire.ask(b"\r\nx\r\n.\r\n", b"[25]")
    assert time.monotonic() - begin < 10
    assert memory.growth() < 2 * GROWTH
    assert reply.startswith((b"552 5.3.4", b"554 5.6.0", b"250 2.0.0")), reply
    still_serves(server, account)


@pytest.mark.parametrize(
    "content",
    [
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n" * 400_000,
        b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(20_000)),
        b"To: " + b"a@example.net,\r\n " * 100_000 + b"b@example.net\r\n\r\n",
        b"Subject: " + b"=?utf-8?q?x?=\r\n " * 100_000 + b"\r\n\r\n",
        b"Content-Type: text/plain" + b"; a=b" * 200_000 + b"\r\n\r\n",
        b"Content-Type: message/rfc822\r\n\r\n" * 60_000,
        b"To: " + b"(" * 1_000_000 + b"\r\n\r\n",
        b"References: " + b"<x@y> " * 300_000 + b"\r\n\r\n",
    ],
    ids=["parts", "nesting", "addresses", "words", "parameters", "messages", "comments", "references"],
)
def test_messages_made_to_be_hard(server: RunningServer, account: Account, content: bytes) -> None:
    begin = time.monotonic()
    with mx(server, account) as wire:
        wire.send(content + b"\r\n.\r\n")
        reply = wire.line()
    taken = time.monotonic() - begin
    assert taken < 5, reply
    assert reply.startswith((b"250 2.0.0", b"552 5.3.4", b"554 5.6.0")), reply
    if reply.startswith(b"250"):
        with imap(server, account) as wire:
            wire.ask(b"s SELECT INBOX\r\n", b"s OK")
            wire.send(b"f FETCH 1 (ENVELOPE BODYSTRUCTURE)\r\n")
            wire.until(b".*f OK")
        assert time.monotonic() - begin < 15


@pytest.mark.parametrize("size", [20_000, 2_000_000])
def test_a_huge_response_to_auth(server: RunningServer, account: Account, size: int) -> None:
    huge = base64.b64encode(b"\0" + b"x" * size)
    memory = Memory(server)
    for begin in (b"AUTH PLAIN ", b"AUTH PLAIN\r\n"):
        with connect(server, "submissions") as wire:
            wire.until(b"220 ")
            wire.ask(b"EHLO client.example.net\r\n", b"250 ")
            wire.send(begin)
            if begin.endswith(b"\n"):
                wire.until(b"334 ")
            wire.pour(huge + b"\r\n", 1)
            wire.until(rb"500 5.5.[26]|421 4.7.0")
        with connect(server, "imaps") as wire:
            wire.until(rb"\* OK")
            wire.send(b"a " + begin.replace(b"AUTH", b"AUTHENTICATE"))
            if begin.endswith(b"\n"):
                wire.until(rb"\+")
            wire.pour(huge + b"\r\n", 1)
            wire.until(rb"a BAD|a NO|\* BAD|\* BYE")
        with connect(server, "pop3s") as wire:
            wire.until(rb"\+OK")
            wire.send(begin)
            if begin.endswith(b"\n"):
                wire.until(rb"\+")
            wire.pour(huge + b"\r\n", 1)
            wire.until(rb"-ERR")
    assert memory.growth() < GROWTH
    still_serves(server, account)


@pytest.mark.parametrize("door", ["smtp", "submission", "lmtp", "imap", "pop3"])
def test_one_bad_command_after_another(server: RunningServer, door: str) -> None:
    """The session is ended, and it is said why."""
    with connect(server, door) as wire:
        wire.until(GREETING[door])
        wire.pour(b"a NONSENSE\r\n" * 50, 1)
        said = wire.rest().split(b"\r\n")
    assert len(said) < 60
    last = {"imap": b"* BYE", "pop3": b"-ERR"}.get(door, b"421 ")
    assert any(line.startswith(last) for line in said[-3:]), said[-3:]


@pytest.mark.parametrize(
    ("door", "command", "agreed", "injected", "answer"),
    [
        ("smtp", b"STARTTLS", b"220 ", b"RSET\r\nMAIL FROM:<a@example.net>", b"250 2.0.0"),
        ("submission", b"STARTTLS", b"220 ", b"RSET\r\nMAIL FROM:<a@example.net>", b"250 2.0.0"),
        ("imap", b"a STARTTLS", b"a OK", b"b LOGOUT", b"n OK"),
        ("pop3", b"STLS", rb"\+OK", b"QUIT", rb"\+OK"),
    ],
)
def test_what_is_pipelined_before_tls_is_dropped(
    server: RunningServer, door: str, command: bytes, agreed: bytes, injected: bytes, answer: bytes
) -> None:
    noop = {"imap": b"n NOOP", "pop3": b"CAPA"}.get(door, b"NOOP") + b"\r\n"
    with connect(server, door) as wire:
        wire.until(GREETING[door])
        if door in ("smtp", "submission"):
            wire.ask(b"EHLO client.example.net\r\n", b"250 ")
        wire.ask(command + b"\r\n" + injected + b"\r\n", agreed)
        wire.sock = server.tls.wrap_socket(wire.sock, server_hostname="localhost")
        with wire.sock:
            wire.send(noop)
            first = wire.line()
            assert first.startswith(answer.replace(b"\\", b"")), first
            if door == "pop3":
                wire.until(rb"\.$")
            wire.send(noop)
            assert wire.line().startswith(answer.replace(b"\\", b"")), "there was one answer to one question"
