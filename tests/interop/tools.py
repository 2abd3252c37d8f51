"""Running other people's mail programs, and looking at what our server made of them."""

import email
import email.policy
import imaplib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path

import pytest
from tests.running import Account, RunningServer

PROGRAM_SECONDS = 30.0
ARRIVAL_SECONDS = 10.0
_ADMINISTRATORS = ("/usr/sbin", "/usr/local/sbin", "/sbin")


def find_program(name: str) -> str | None:
    """Find a program, also where only administrators have it in their PATH."""
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(_ADMINISTRATORS))


def need(*names: str) -> pytest.MarkDecorator:
    """Skip the tests of a module whose programs are missing, and say which."""
    missing = [name for name in names if find_program(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def run(
    name: str,
    *arguments: str | Path,
    typed: str | bytes = b"",
    status: int | None = 0,
    folder: Path | None = None,
) -> str:
    """Run a program to its end, and give what it wrote, errors after output. `status` None: any will do.

    `folder`: its home and working folder, so that nobody's own configuration is read.
    """
    program = find_program(name)
    assert program is not None
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    if folder is not None:
        environment["HOME"] = str(folder)
    done = subprocess.run(
        [program, *map(str, arguments)],
        input=typed.encode() if isinstance(typed, str) else typed,
        capture_output=True,
        cwd=folder,
        env=environment,
        timeout=PROGRAM_SECONDS,
    )
    written = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert status is None or done.returncode == status, f"{name}: {done.returncode}\n{written}"
    return written


@contextmanager
def imap(server: RunningServer, account: Account) -> Iterator[imaplib.IMAP4_SSL]:
    """Log in over IMAP under TLS."""
    client = imaplib.IMAP4_SSL("localhost", server.ports["imaps"], ssl_context=server.tls, timeout=PROGRAM_SECONDS)
    try:
        client.login(account.name, account.password)
        yield client
    finally:
        client.logout()


def stored(server: RunningServer, account: Account, mailbox: str = "INBOX", count: int = 1) -> list[bytes]:
    """Give the octets of every message of a mailbox, as soon as there are `count`; there must not be more."""
    end = time.monotonic() + ARRIVAL_SECONDS
    with imap(server, account) as client:
        while True:
            status, numbers = client.select(mailbox, readonly=True)
            assert status == "OK", numbers
            if int(numbers[0] or b"") >= count or time.monotonic() > end:
                break
            time.sleep(0.05)
        found = fetch_all(client)
    assert len(found) == count, [octets[:200] for octets in found]
    return found


def fetch_all(client: imaplib.IMAP4) -> list[bytes]:
    """Fetch all messages of the selected mailbox."""
    if not int(client.untagged_responses.get("EXISTS", [b"0"])[-1] or 0):
        return []
    status, items = client.fetch("1:*", "(BODY.PEEK[])")
    assert status == "OK", items
    return [item[1] for item in items if isinstance(item, tuple)]


def parse(octets: bytes) -> EmailMessage:
    """Read a message as the standard library does: another reader than ours."""
    return email.message_from_bytes(octets, policy=email.policy.default)


def without_trace(octets: bytes, names: Sequence[bytes] = (b"return-path", b"delivered-to", b"received")) -> bytes:
    """Cut off the fields that final delivery puts on top, and nothing else: one of each name, at most."""
    left = list(names)
    while left:
        end = 0
        while True:  # to the end of a field with its folded lines
            end = octets.index(b"\r\n", end) + 2
            if octets[end : end + 1] not in (b" ", b"\t"):
                break
        name = octets[:end].partition(b":")[0].lower()
        if name not in left:
            break
        left.remove(name)
        octets = octets[end:]
    return octets
