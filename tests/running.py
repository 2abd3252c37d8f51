"""A Pennypost as its users run it: a process of its own, on free loopback ports, with a folder of its own."""

import asyncio
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import trustme

import pennypost
from pennypost.app.config.load import load_config
from pennypost.mail.passwords import account_credential
from pennypost.model.ids import MAX_UID, Uid
from pennypost.store import directory, mailboxes, messages
from pennypost.store.check import Inconsistency, check
from pennypost.store.engine import Transaction
from pennypost.store.messages import Column
from pennypost.store.store import Store

SOURCE = Path(pennypost.__file__).parents[1]
DOORS = ("smtp", "submission", "submissions", "lmtp", "imap", "imaps", "pop3", "pop3s", "http")
START_SECONDS = 30.0
HOSTNAME = "mx.example.org"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody with mail here."""

    name: str
    password: str


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

    Its certificate is for HOSTNAME, localhost and 127.0.0.1, from an authority of its own (`authority_file`, PEM).
    Passwords are hashed cheaply here: what is tested is not how long that takes. At the end of a `with` nothing
    unexpected may be in its log, and its store has to be consistent.
    """

    def __init__(self, folder: Path, *settings: str, workers: int = 1) -> None:
        self.folder = folder
        self.ports = dict(zip(DOORS, free_ports(len(DOORS)), strict=True))
        listeners = [f"listeners.{door}=127.0.0.1:{port}" for door, port in self.ports.items()]
        self.options = [
            part
            for setting in (
                f"server.data_dir={folder}",
                f"server.hostname={HOSTNAME}",
                f"server.workers={workers}",
                "auth.hash_memory=8 KiB",
                "auth.hash_passes=1",
                "verification.enabled=false",
                "junk.enabled=false",
                *listeners,
                self._certificate(folder.with_name(f"{folder.name}.tls")),
                *settings,
            )
            for part in ("--set", setting)
        ]
        self.config = load_config(None, self.options[1::2]).config
        self.log_file = folder.with_name(f"{folder.name}.log")
        self.process: subprocess.Popen[bytes] | None = None

    def _certificate(self, folder: Path) -> str:
        """Make an authority and a certificate, and give the setting that uses it."""
        self.authority_file = folder / "authority.pem"
        chain, key = folder / "chain.pem", folder / "key.pem"
        if not folder.exists():
            folder.mkdir()
            authority = trustme.CA()
            certificate = authority.issue_cert(HOSTNAME, "localhost", "127.0.0.1", common_name=HOSTNAME)
            authority.cert_pem.write_to_path(self.authority_file)
            key.write_bytes(certificate.private_key_pem.bytes())
            chain.write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
        return f'tls.certificates=[{{chain="{chain}", key="{key}"}}]'

    def __enter__(self) -> "RunningServer":
        self.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.stop()
        if kind is None:
            self.assert_sound()

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
                process_group=0,
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
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise

    def assert_sound(self) -> None:
        """Hold what is left of a server that stopped against what must always be true."""
        incidents = [line for line in self.log_text().splitlines() if '"incident"' in line or "Traceback" in line]
        assert not incidents, incidents[:3]
        inconsistencies = self.inconsistencies()
        assert not inconsistencies, inconsistencies[:10]

    def inconsistencies(self) -> list[Inconsistency]:
        """Walk the store as `store check` does. The server may run."""

        async def walk(store: Store) -> list[Inconsistency]:
            return [found async for found in check(store.engine, store.blobs)]

        return self.with_store(walk)

    @property
    def tls(self) -> ssl.SSLContext:
        """Make the context of a client that trusts this server, by the name of localhost, and no other."""
        return ssl.create_default_context(cafile=str(self.authority_file))

    @property
    def workers(self) -> list[int]:
        """Find the process ids of the workers; with one worker it is the server itself."""
        assert self.process is not None
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(child) for child in children] or [pid]

    def memory_octets(self) -> int:
        """Add up the resident memory of the workers."""
        return sum(_resident_octets(pid) for pid in self.workers)

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

    def with_store(self, work: Callable[[Store], Awaitable[T]]) -> T:
        """Open the server's store from this process, as the commands do but without a process for it."""

        async def run() -> T:
            store = await Store.open(self.config.store_settings)
            try:
                return await work(store)
            finally:
                await store.close()

        return asyncio.run(run())

    def messages(self, account: str, mailbox: str = "INBOX") -> list[bytes]:
        """Read all messages of a mailbox out of the store, without a door."""

        async def walk(store: Store) -> list[bytes]:
            async def read(tx: Transaction) -> list[bytes]:
                owner = await directory.find_account(tx, account)
                assert owner is not None
                found = await mailboxes.require(tx, owner.id, mailbox)
                rows = await messages.fetch_by_uid(
                    tx, owner.id, found.id, Uid(1), MAX_UID, (Column.HEADER, Column.BLOB), messages.NO_LIMIT
                )
                return [bytes(header) + await store.blobs.read(tx, blob) for _, _, header, blob in rows]

            return await store.scan(read)

        return self.with_store(walk)

    def make_account(self, name: str, password: str = "correct horse battery") -> Account:
        """Add an account, and its domain when it is not there yet, without running a command."""
        domain = name.partition("@")[2]
        new = account_credential(password, self.config.auth)

        async def add(tx: Transaction) -> None:
            if domain not in {known.name for known in await directory.domains(tx)}:
                await directory.add_domain(tx, domain)
            await directory.add_account(tx, name, "", new.password_hash, new.scram_sha1, new.scram_sha256)

        self.with_store(lambda store: store.write(add))
        return Account(name, password)

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


def _resident_octets(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0
