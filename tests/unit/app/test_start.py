"""The whole program, started as its users start it."""

import os
import pwd
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from tests.running import RunningServer, until


def refused(server: RunningServer) -> "subprocess.CompletedProcess[str]":
    """Start a server that is to end by itself, and give what it told."""
    command = [sys.executable, "-m", "pennypost", "serve", *server.options]
    return subprocess.run(command, capture_output=True, text=True, env=server.environment, timeout=60)


def test_several_servers_run_side_by_side(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "a") as first, RunningServer(tmp_path / "b", workers=2) as second:
        first.add_account("a@one.example")
        second.add_account("b@two.example")
        assert "one.example" not in second.command("domain", "list")
        assert first.get("/healthz") == second.get("/healthz") == (200, "ok\n")
        assert first.stop() == 0
        assert second.get("/readyz") == (200, "ready\n")


def test_one_folder_is_one_server(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "a") as running:
        other = RunningServer(tmp_path / "a")
        done = refused(other)
        assert done.returncode == 1
        assert "another server runs on this folder" in done.stderr
        assert running.get("/readyz") == (200, "ready\n")


def test_addresses_that_are_taken_are_told_all_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        server = RunningServer(tmp_path / "a", f"listeners.smtp={address}", "listeners.imap=192.0.2.1:1")
        done = refused(server)
    assert done.returncode == 1
    assert f"listeners.smtp: {address}: Address already in use" in done.stderr
    assert "listeners.imap: 192.0.2.1:1: Cannot assign" in done.stderr
    assert not (tmp_path / "a").exists()


def test_a_certificate_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    """It is told before workers start, each of which would tell it by a traceback."""
    chain = tmp_path / "mx.pem"
    certificates = f'tls.certificates=[{{chain = "{chain}", key = "{tmp_path}/mx.key"}}]'
    server = RunningServer(tmp_path / "a", certificates)
    done = refused(server)
    assert done.returncode == 1
    told = f"tls.certificates.0: {chain} cannot be read: No such file or directory"
    assert done.stderr.splitlines()[-1].endswith(told)
    assert "Traceback" not in done.stderr


def test_a_worker_that_is_killed_is_replaced(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "a", workers=2) as server:
        assert server.process is not None
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
        assert len(children) == 2
        until(lambda: sum(line["event"] == "serving" for line in server.log_lines()) == 2)  # one is enough to be ready
        os.kill(int(children[0]), signal.SIGKILL)
        until(lambda: sum(line["event"] == "serving" for line in server.log_lines()) == 3)
        for _ in range(10):  # whichever worker is asked
            until(lambda: server.get("/readyz") == (200, "ready\n"))
        assert server.add_account("a@one.example")


def test_the_service_manager_is_told(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        os.environ["NOTIFY_SOCKET"] = str(tmp_path / "notify")
        try:
            server = RunningServer(tmp_path / "a", workers=2)
            server.start()
        finally:
            del os.environ["NOTIFY_SOCKET"]
        assert manager.recv(100).startswith(b"READY=1")
        assert server.stop() == 0
        assert manager.recv(100) == b"STOPPING=1"


def test_hangup_reloads_the_certificates_of_every_worker(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "a", workers=2) as server:
        assert server.process is not None
        server.process.send_signal(signal.SIGHUP)
        until(lambda: sum(line["event"] == "certificates reloaded" for line in server.log_lines()) == 2)
        assert server.get("/readyz") == (200, "ready\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_root_is_given_up_once_the_ports_are_bound() -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)  # so that `nobody` can enter
        (folder / "run").mkdir(mode=0o755)
        socket_file = folder / "run" / "lmtp.sock"
        server = RunningServer(folder / "a", "server.user=nobody", f"listeners.lmtp=unix:{socket_file}", workers=2)
        server.start()
        try:
            assert server.process is not None
            nobody = pwd.getpwnam("nobody").pw_uid
            for process in (server.process.pid, *server.workers):
                status = Path(f"/proc/{process}/status").read_text()
                uids = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:]
                assert uids == [str(nobody)] * 4
            assert socket_file.stat().st_uid == nobody
            server.command("domain", "add", "one.example")
            assert server.command("store", "check") == "the store is consistent\n"
            assert {file.stat().st_uid for file in (folder / "a").rglob("*")} == {nobody}
        finally:
            assert server.stop() == 0
