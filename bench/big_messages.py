"""States how long others wait while large messages arrive: NOOP over IMAP, and SMTP, beside N messages at once.

    python -m bench.big_messages                            ten messages of 25 MiB, one worker
    python -m bench.big_messages --messages 20 --size 50 --workers 2 --rounds 3

The server is started for it, in a folder that is removed afterwards. The senders are a process of their own; the one
that asks NOOP, every 2 ms, is another. What they take of the processor is taken from the server, as on a machine
where everything runs together. Goal on two cores: the 99th percentile of NOOP is 50 ms at the most.
"""

import argparse
import multiprocessing
import smtplib
import socket
import ssl
import tempfile
import threading
import time
from multiprocessing.synchronize import Event
from pathlib import Path

from tests.running import Account, RunningServer

MIB = 1024 * 1024
LINE = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+/0123456789ab\r\n"
PAUSE_SECONDS = 0.002
QUIET_SECONDS = 2.0


def send_all(
    port: int, recipient: str, count: int, size_mib: int, taken: "multiprocessing.Queue[float]", go: Event
) -> None:
    """Send `count` messages at once; put 0 when one is about to, then the seconds each took from DATA to its 250."""
    octets = b"Subject: large\r\n\r\n" + LINE * (size_mib * MIB // len(LINE)) + b".\r\n"

    def send() -> None:
        with smtplib.SMTP("127.0.0.1", port, "client.example.net", timeout=300) as client:
            client.ehlo()
            client.mail("a@example.net")
            client.rcpt(recipient)
            taken.put(0.0)
            go.wait()
            begin = time.perf_counter()
            client.docmd("DATA")
            client.send(octets)
            code, text = client.getreply()
            assert code == 250, text
            taken.put(time.perf_counter() - begin)

    threads = [threading.Thread(target=send) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class Asker:
    """Asks NOOP on one connection, over and over, in a thread of its own; keeps the seconds each answer took."""

    def __init__(self, sock: socket.socket, command: bytes) -> None:
        self._sock = sock
        self._command = command
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.taken: list[float] = []

    def __enter__(self) -> "Asker":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._sock.close()

    def _ask(self) -> None:
        while not self._stop.is_set():
            begin = time.perf_counter()
            self._sock.sendall(self._command)
            answer = self._sock.recv(4096)
            self.taken.append(time.perf_counter() - begin)
            assert answer.endswith(b"\r\n"), answer
            self._stop.wait(PAUSE_SECONDS)


def imap_asker(server: RunningServer, account: Account) -> Asker:
    """Log in and select the mailbox that the messages go to, so that it has news as well."""
    context: ssl.SSLContext = server.tls
    plain = socket.create_connection(("127.0.0.1", server.ports["imaps"]), 60)
    sock = context.wrap_socket(plain, server_hostname="localhost")
    for command in (b"", f'a LOGIN {account.name} "{account.password}"\r\n'.encode(), b"a EXAMINE Archive\r\n"):
        if command:
            sock.sendall(command)
        answer = b""
        while not answer.endswith(b"\r\n") or (command and b"\r\na OK" not in b"\r\n" + answer):
            answer += sock.recv(4096)
    return Asker(sock, b"n NOOP\r\n")


def smtp_asker(server: RunningServer) -> Asker:
    """Greet; NOOP is answered by the door that the messages come in by."""
    sock = socket.create_connection(("127.0.0.1", server.ports["smtp"]), 60)
    sock.recv(4096)
    sock.sendall(b"HELO client.example.net\r\n")
    sock.recv(4096)
    return Asker(sock, b"NOOP\r\n")


def percentile(values: list[float], share: float) -> float:
    """Give, in milliseconds, what that share of the values does not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] * 1000


def show(name: str, values: list[float]) -> None:
    figures = " ".join(f"{label} {percentile(values, share):7.1f}" for label, share in PERCENTILES)
    print(f"{name:<22} {figures} ms   ({len(values)})")


PERCENTILES = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))


def measure(options: argparse.Namespace, folder: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    settings = ("smtp.max_idle_commands=10000000", "log.level=warning")
    with RunningServer(folder / "data", *settings, workers=options.workers) as server:
        account = server.make_account("big@example.org")
        with imap_asker(server, account) as quiet:
            time.sleep(QUIET_SECONDS)
        show("NOOP, nothing else", quiet.taken)
        for _ in range(options.rounds):
            taken: multiprocessing.Queue[float] = spawn.Queue()
            go = spawn.Event()
            arguments = (server.ports["smtp"], account.name, options.messages, options.size, taken, go)
            senders = spawn.Process(target=send_all, args=arguments)
            senders.start()
            for _ in range(options.messages):
                taken.get(timeout=60)
            with imap_asker(server, account) as imap, smtp_asker(server) as smtp:
                go.set()
                accepted = [taken.get(timeout=300) for _ in range(options.messages)]
            senders.join()
            show("NOOP over IMAP", imap.taken)
            show("NOOP over SMTP", smtp.taken)
            show("DATA to 250", accepted)
            print(f"{'memory':<22} {server.memory_octets() / MIB:.0f} MiB after {options.messages} messages")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=10, help="at once")
    parser.add_argument("--size", type=int, default=25, help="of each, in MiB")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pp-bench") as folder:
        measure(options, Path(folder))


if __name__ == "__main__":
    main()
