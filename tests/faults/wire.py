"""A client that does as it likes: octets over a socket."""

import re
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.running import Account, RunningServer

PATIENCE_SECONDS = 20.0
GROWN_MIB = 48
"""What a test may cost a server. The allocator keeps some of what it had."""


class Wire:
    """One connection. Nothing is sent that was not asked for."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._received = b""
        self.ended = False

    def send(self, octets: bytes) -> None:
        self.sock.sendall(octets)

    def line(self) -> bytes:
        """Read a line, without its CRLF; what there is at the end of the connection, and `ended` is true then."""
        while b"\r\n" not in self._received:
            octets = self._receive()
            if not octets:
                self.ended = True
                line, self._received = self._received, b""
                return line
            self._received += octets
        line, _, self._received = self._received.partition(b"\r\n")
        return line

    def until(self, pattern: bytes) -> list[bytes]:
        """Read lines up to the one that a pattern matches at its begin."""
        lines = [self.line()]
        while not re.match(pattern, lines[-1]):
            assert not self.ended, lines
            assert not re.match(rb"\w (NO|BAD) ", lines[-1]), lines
            lines.append(self.line())
        return lines

    def ask(self, octets: bytes, pattern: bytes) -> bytes:
        """Send, and read up to a line like `pattern`. Gives that line."""
        self.send(octets)
        return self.until(pattern)[-1]

    def rest(self) -> bytes:
        """Read to the end of the connection, however it ends."""
        while octets := self._receive():
            self._received += octets
        return self._received

    def _receive(self) -> bytes:
        try:
            return self.sock.recv(65536)
        except (ConnectionError, ssl.SSLError):
            return b""

    def pour(self, octets: bytes, times: int) -> bool:
        """Send `octets` again and again, reading nothing; whether all of it was taken before the server ended it."""
        try:
            for _ in range(times):
                self.sock.sendall(octets)
        except (ConnectionError, ssl.SSLError):
            return False
        return True


@contextmanager
def connect(server: RunningServer, door: str, *, tls: bool | None = None) -> Iterator[Wire]:
    """Connect to a door, in the way it wants unless `tls` says otherwise. Nothing is read yet."""
    if door == "lmtp":
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(PATIENCE_SECONDS)
        sock.connect(str(server.lmtp_socket))
    else:
        sock = socket.create_connection(("127.0.0.1", server.ports[door]), PATIENCE_SECONDS)
    if tls or (tls is None and door in ("submissions", "imaps", "pop3s")):
        sock = server.tls.wrap_socket(sock, server_hostname="localhost")
    with sock:
        yield Wire(sock)


@contextmanager
def mx(server: RunningServer, recipient: Account | None = None) -> Iterator[Wire]:
    """Greet, and name a recipient if there is one, up to the answer to DATA."""
    with connect(server, "smtp") as wire:
        wire.until(b"220 ")
        wire.ask(b"EHLO client.example.net\r\n", b"250 ")
        if recipient is not None:
            wire.ask(b"MAIL FROM:<a@example.net>\r\n", b"250 ")
            wire.ask(f"RCPT TO:<{recipient.name}>\r\n".encode(), b"250 ")
            wire.ask(b"DATA\r\n", b"354 ")
        yield wire


@contextmanager
def imap(server: RunningServer, account: Account) -> Iterator[Wire]:
    """Log in over IMAP under TLS."""
    with connect(server, "imaps") as wire:
        wire.until(rb"\* OK")
        wire.ask(f'l LOGIN {account.name} "{account.password}"\r\n'.encode(), b"l OK")
        yield wire


def still_serves(server: RunningServer, account: Account) -> None:
    """Send a message and read it, as if nothing had happened."""
    before = len(server.messages(account.name))
    with mx(server, account) as wire:
        wire.ask(b"Subject: still here\r\n\r\nx\r\n.\r\n", b"250 2.0.0")
    with imap(server, account) as wire:
        wire.ask(b"s SELECT INBOX\r\n", b"s OK")
        wire.send(b"f FETCH * BODY.PEEK[HEADER.FIELDS (SUBJECT)]\r\n")
        assert b"Subject: still here" in wire.until(b"f OK")
    with connect(server, "pop3") as wire:
        wire.ask(b"CAPA\r\n", rb"\.")
    assert len(server.messages(account.name)) == before + 1


class Memory:
    """How much the workers' memory grew since this was made, in octets."""

    def __init__(self, server: RunningServer) -> None:
        self._server = server
        self._before = server.memory_octets()

    def growth(self) -> int:
        return self._server.memory_octets() - self._before


@contextmanager
def many(server: RunningServer, door: str, count: int) -> Iterator[list[Wire]]:
    """Make many connections, and read their greetings."""
    wires: list[Wire] = []
    try:
        address = ("127.0.0.1", server.ports[door])
        wires.extend(Wire(socket.create_connection(address, PATIENCE_SECONDS)) for _ in range(count))
        for wire in wires:
            assert wire.line()
        yield wires
    finally:
        for wire in wires:
            with suppress(OSError):
                wire.sock.close()


def latencies(wire: Wire, seconds: float) -> list[float]:
    """Ask NOOP over and over, and give the seconds that each answer took, in ascending order."""
    taken = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        begin = time.perf_counter()
        wire.ask(b"n NOOP\r\n", b"n OK")
        taken.append(time.perf_counter() - begin)
        time.sleep(0.002)
    return sorted(taken)
