"""What happens to the process: a worker is killed, the server is told to stop, the disk is full."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.faults.wire import PATIENCE_SECONDS, Wire, imap, mx, still_serves
from tests.running import Account, RunningServer, until

MIB = 1024 * 1024


def worker_of(server: RunningServer, wire: Wire) -> int:
    """Find the worker that has the other end of a connection. Who has handed it over may hold it a moment longer."""
    port = wire.sock.getsockname()[1]
    command = ["ss", "-tnpH", "state", "established", f"( dport = :{port} )"]

    def holders() -> list[int]:
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return [pid for pid in server.workers if f"pid={pid}," in listed]

    until(lambda: len(holders()) == 1, why="not one worker serves the connection")
    return holders()[0]


@pytest.mark.skipif(shutil.which("ss") is None, reason="not installed: ss")
def test_one_worker_of_two_is_killed(tmp_path: Path) -> None:
    """The sessions of the other go on; those of the killed one end; what was acknowledged is there; it comes back."""
    with RunningServer(tmp_path / "a", workers=2) as server:
        account = server.make_account("a@example.org")
        wires = []
        for _ in range(20):
            wire = Wire(socket.create_connection(("127.0.0.1", server.ports["smtp"]), PATIENCE_SECONDS))
            wire.until(b"220 ")
            wire.ask(b"EHLO client.example.net\r\n", b"250 ")
            wires.append((worker_of(server, wire), wire))
        workers = server.workers
        assert Counter(pid for pid, _ in wires) == dict.fromkeys(workers, 10), "whoever accepted them"
        victim = wires[0][0]
        acknowledged = 0
        for _, wire in wires:
            wire.ask(f"MAIL FROM:<a@example.net>\r\nRCPT TO:<{account.name}>\r\nDATA\r\n".encode(), b"354 ")
            wire.ask(b"Subject: before\r\n\r\nx\r\n.\r\n", b"250 2.0.0")
            acknowledged += 1
        os.kill(victim, signal.SIGKILL)
        for pid, wire in wires:
            if pid == victim:
                assert wire.rest() == b""
            else:
                wire.ask(f"MAIL FROM:<a@example.net>\r\nRCPT TO:<{account.name}>\r\nDATA\r\n".encode(), b"354 ")
                wire.ask(b"Subject: after\r\n\r\nx\r\n.\r\n", b"250 2.0.0")
                acknowledged += 1
            wire.sock.close()
        until(lambda: sum(line.get("event") == "serving" for line in server.log_lines()) == 3)
        assert len(server.workers) == 2
        assert set(server.workers) != set(workers)
        assert len(server.messages(account.name)) == acknowledged > 20 - 1
        for _ in range(8):  # whichever worker takes it
            still_serves(server, account)


def test_told_to_stop_within_a_message(tmp_path: Path) -> None:
    """What was begun may be finished within the grace; what was acknowledged is there; nobody hangs."""
    with RunningServer(tmp_path / "a", "server.stop_time=5 s") as server:
        account = server.make_account("a@example.org")
        reply = stop_within_a_message(server, account)
        assert len(server.messages(account.name)) == reply.startswith(b"250")


def stop_within_a_message(server: RunningServer, account: Account) -> bytes:
    """Give the reply to a message that was begun before the server was told to stop, and finished after."""
    assert server.process is not None
    with (
        mx(server, account) as finishing,
        mx(server, account) as silent,
        mx(server) as idle,
        imap(server, account) as idling,
    ):
        finishing.send(b"Subject: begun\r\n\r\n")
        silent.send(b"Subject: never finished\r\n\r\n")
        idling.ask(b"i IDLE\r\n", rb"\+")
        server.process.send_signal(signal.SIGTERM)
        assert idle.line().startswith(b"421 4.3.2")
        assert idling.until(rb"\* BYE")
        finishing.send(b"the end\r\n.\r\n")
        reply = finishing.line()
        assert reply.startswith((b"250 2.0.0", b"421 4.3.2"))
        begin = time.monotonic()
        assert b"250" not in silent.rest()
        assert server.process.wait(15) == 0
        assert time.monotonic() - begin < 10
        return reply


def test_stopped_and_started_under_load(tmp_path: Path) -> None:
    """Every message that got its 250 is there after a restart, and UIDs go on."""
    server = RunningServer(tmp_path / "a", workers=2)
    with server:
        account = server.make_account("a@example.org")
        for _ in range(20):
            still_serves(server, account)
    with server:
        assert len(server.messages(account.name)) == 20
        with imap(server, account) as wire:
            wire.send(b"s STATUS INBOX (MESSAGES UIDNEXT)\r\n")
            assert b"* STATUS INBOX (MESSAGES 20 UIDNEXT 21)" in wire.until(b"s OK")
        still_serves(server, account)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m,mode=0700", "none", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Leave not one octet."""
    with (folder / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
        while True:
            ballast.write(bytes(1024))


def test_a_full_disk(tmp_path: Path, small_disk: Path) -> None:
    """452 4.3.1 then, over IMAP NO; nothing acknowledged is lost; and all is well when there is room again."""
    with RunningServer(tmp_path / "a", f"server.data_dir={small_disk}/data") as server:
        account = server.make_account("a@example.org")
        acknowledged = []
        refused = b""
        for number in range(200):
            text = b"Subject: %d\r\n\r\n" % number + os.urandom(300_000).hex().encode() + b"\r\n"
            with mx(server, account) as wire:
                wire.send(text)
                reply = wire.ask(b".\r\n", b"[45]|250")
                if not reply.startswith(b"250"):
                    refused = reply
                    break
                acknowledged.append(text)
        assert refused.startswith(b"452 4.3.1"), refused
        assert len(acknowledged) > 10
        fill(small_disk)
        with imap(server, account) as wire:
            text = os.urandom(600_000).hex().encode()
            wire.send(b"a APPEND INBOX {%d}\r\n" % len(text))
            if wire.until(rb"a NO|\+")[-1].startswith(b"+"):
                wire.ask(text + b"\r\n", rb"a NO \[")
            wire.ask(b"s SELECT INBOX\r\n", b"s OK")
            wire.send(b"f FETCH 1 BODY[HEADER.FIELDS (SUBJECT)]\r\n")
            assert b"Subject: 0" in wire.until(b"f OK")
        assert [kept[kept.index(b"Subject: ") :] for kept in server.messages(account.name)] == acknowledged
        subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
        still_serves(server, account)
        assert len(server.messages(account.name)) == len(acknowledged) + 1
