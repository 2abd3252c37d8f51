"""A Pennypost as its users run it: a process of its own, on free loopback ports, with a folder of its own."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parents[1] / "src"
DOORS = ("smtp", "submission", "submissions", "lmtp", "imap", "imaps", "pop3", "pop3s", "http")
START_SECONDS = 30.0


def free_ports(count: int) -> list[int]:
    """Find TCP ports of 127.0.0.1 that nobody has now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [int(sock.getsockname()[1]) for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()


def until(look: Callable[[], object], seconds: float = START_SECONDS, why: str = "nothing happened in time") -> None:
    """Wait until `look` gives something true."""
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end, why
        time.sleep(0.02)


class RunningServer:
    """One server. `ports` has each door's port on 127.0.0.1. `settings`: more `--set key=value`.

    Passwords are hashed cheaply here: what is tested is not how long that takes.
    """

    def __init__(self, folder: Path, *settings: str, workers: int = 1) -> None:
        self.folder = folder
        self.ports = dict(zip(DOORS, free_ports(len(DOORS)), strict=True))
        listeners = [f"listeners.{door}=127.0.0.1:{port}" for door, port in self.ports.items()]
        self.options = [
            part
            for setting in (
                f"server.data_dir={folder}",
                "server.hostname=mx.example.org",
                f"server.workers={workers}",
                "auth.hash_memory=8 KiB",
                "auth.hash_passes=1",
                *listeners,
                *settings,
            )
            for part in ("--set", setting)
        ]
        self.log_file = folder.with_name(f"{folder.name}.log")
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "RunningServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(SOURCE)}

    def start(self) -> None:
        """Start it and wait until it is ready."""
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pennypost", "serve", *self.options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment,
            )
        process = self.process
        until(lambda: process.poll() is not None or self.get("/readyz")[0] == 200, why="the server is not ready")
        assert process.poll() is None, self.log_text()

    def stop(self) -> int:
        """Ask it to stop, and give its exit status; kill it when it does not."""
        assert self.process is not None
        self.process.terminate()
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def command(self, *arguments: str, typed: str | None = None) -> str:
        """Run `pennypost …` on the server's store; it must succeed. Gives what it prints."""
        done = subprocess.run(
            [sys.executable, "-m", "pennypost", *arguments, *self.options],
            input=typed,
            capture_output=True,
            text=True,
            env=self.environment,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def add_account(self, name: str) -> str:
        """Add an account, and its domain when it is not there yet. Gives its password."""
        domain = name.partition("@")[2]
        if domain not in self.command("domain", "list"):
            self.command("domain", "add", domain)
        return self.command("account", "add", name, "--generate-password").strip()

    def get(self, path: str) -> tuple[int, str]:
        """Ask the HTTP door. Status 0: there is none yet."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['http']}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def figure(self, name: str) -> float:
        """Read one sample of /metrics, by its name with labels."""
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith(f"{name} "):
                return float(line.rpartition(" ")[2])
        return 0.0

    def log_text(self) -> str:
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def log_lines(self) -> list[dict[str, Any]]:
        """Read the log so far."""
        return [json.loads(line) for line in self.log_text().splitlines() if line.startswith("{")]
