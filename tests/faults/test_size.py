"""A message of exactly the largest size, and one octet more, through every way in."""

import smtplib

import pytest
from tests.faults.wire import imap, mx
from tests.running import Account, RunningServer

LIMIT = 1024 * 1024
SETTINGS = ("delivery.max_message_size=1 MiB",)


def message(size: int) -> bytes:
    """Make a message of so many octets."""
    begin = b"Subject: exact\r\n\r\n"
    lines, rest = divmod(size - len(begin), 100)
    return begin + (b"x" * 98 + b"\r\n") * (lines - 1) + b"x" * (98 + rest) + b"\r\n"


@pytest.mark.parametrize(("size", "code"), [(LIMIT, b"250 2.0.0"), (LIMIT + 1, b"552 5.3.4")])
def test_data(server: RunningServer, account: Account, size: int, code: bytes) -> None:
    octets = message(size)
    assert len(octets) == size
    with mx(server, account) as wire:
        wire.send(octets)
        wire.ask(b".\r\n", code)
        wire.ask(b"NOOP\r\n", b"250 ")
    assert [kept.endswith(octets) for kept in server.messages(account.name)] == [True] * (size == LIMIT)


@pytest.mark.parametrize(("size", "code"), [(LIMIT, 250), (LIMIT + 1, 552)])
def test_bdat(server: RunningServer, account: Account, size: int, code: int) -> None:
    octets = message(size)
    with smtplib.SMTP("localhost", server.ports["smtp"], timeout=20) as client:
        client.ehlo()
        client.send(f"MAIL FROM:<a@example.net>\r\nRCPT TO:<{account.name}>\r\nBDAT {size - 10}\r\n".encode())
        client.send(octets[:-10])
        assert [client.getreply()[0] for _ in range(3)] == [250, 250, 250]
        client.send(b"BDAT 10 LAST\r\n" + octets[-10:])
        assert client.getreply()[0] == code
        assert client.noop()[0] == 250
    assert len(server.messages(account.name)) == (size == LIMIT)


@pytest.mark.parametrize(("size", "code"), [(LIMIT, b"250 "), (LIMIT + 1, b"552 5.3.4")])
def test_size_said_before(server: RunningServer, size: int, code: bytes) -> None:
    with mx(server) as wire:
        wire.ask(b"MAIL FROM:<a@example.net> SIZE=%d\r\n" % size, code)


def test_append(server: RunningServer, account: Account) -> None:
    with imap(server, account) as wire:
        wire.ask(b"a APPEND INBOX {%d}\r\n" % (LIMIT + 1), rb"a NO \[(TOOBIG|LIMIT)\]")
        wire.ask(b"b APPEND INBOX {%d}\r\n" % LIMIT, rb"\+")
        wire.ask(message(LIMIT) + b"\r\n", b"b OK")
    assert server.messages(account.name) == [message(LIMIT)]
