"""aerc, a mail program for terminals: it is typed to as a user would, and watches the mailbox by IDLE."""

import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path
from urllib.parse import quote

from tests.interop.tools import PROGRAM_SECONDS, find_program, imap, need, parse, stored
from tests.running import Account, RunningServer, until

pytestmark = need("aerc")

MESSAGE = b"From: Somebody <a@example.net>\r\nTo: me@example.org\r\nSubject: %b\r\nDate: %b\r\n\r\nThe text of %b\r\n"
DATE = b"Thu, 01 Feb 2024 10:00:00 +0000"
_CONTROL = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[=>]|[\x0e\x0f]")


class Screen:
    """A program in a terminal of its own. `seen`: all that it has written, without what moves the cursor."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self.seen = b""

    def type(self, keys: str) -> None:
        os.write(self._handle, keys.encode())

    def wait_for(self, text: bytes) -> None:
        """Wait until it writes something, after what was waited for before."""
        end = time.monotonic() + PROGRAM_SECONDS
        while text not in self.seen:
            assert time.monotonic() < end, (text, self.seen[-2000:])
            if select.select([self._handle], [], [], 0.5)[0]:
                try:
                    octets = os.read(self._handle, 65536)
                except OSError:
                    raise AssertionError(f"aerc ended: {self.seen[-2000:]!r}") from None
                self.seen += _CONTROL.sub(b"", octets)
        self.seen = self.seen.partition(text)[2]


@contextmanager
def aerc(server: RunningServer, account: Account, folder: Path) -> Iterator[Screen]:
    settings = folder / ".config" / "aerc"
    settings.mkdir(parents=True)
    user, password = quote(account.name, safe=""), quote(account.password, safe="")
    (settings / "accounts.conf").write_text(
        f"[ours]\nsource = imaps://{user}:{password}@localhost:{server.ports['imaps']}\n"
        f"default = INBOX\nfrom = <{account.name}>\narchive = Archive\ncache-headers = false\n"
    )
    (settings / "accounts.conf").chmod(0o600)
    near, far = pty.openpty()
    ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    program = find_program("aerc")
    assert program is not None
    environment = {
        **os.environ,
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / ".config"),
        "XDG_DATA_HOME": str(folder / ".local"),
        "XDG_CACHE_HOME": str(folder / ".cache"),
        "XDG_RUNTIME_DIR": str(folder),
        "SSL_CERT_FILE": str(server.authority_file),
        "TERM": "xterm",
        "LC_ALL": "C.UTF-8",
    }
    process = subprocess.Popen(
        [program],
        stdin=far,
        stdout=far,
        stderr=far,
        env=environment,
        cwd=folder,
        start_new_session=True,
        preexec_fn=lambda: ioctl(0, termios.TIOCSCTTY, 0),  # its terminal is /dev/tty, too
    )
    os.close(far)
    try:
        yield Screen(near)
        process.wait(PROGRAM_SECONDS)
    finally:
        process.kill()
        process.wait()
        os.close(near)


def flags(server: RunningServer, account: Account, number: int) -> bytes:
    with imap(server, account) as client:
        client.select(readonly=True)
        answer = client.fetch(str(number), "(FLAGS)")[1][
            -1
        ]  # behind it, when aerc changes them just now, the news of it
        assert isinstance(answer, bytes)
        return answer


def test_read_flag_archive(server: RunningServer, account: Account, tmp_path: Path) -> None:
    with imap(server, account) as client:
        for subject in (b"first", b"second"):
            assert client.append("INBOX", None, None, MESSAGE % (subject, DATE, subject))[0] == "OK"
    with aerc(server, account, tmp_path) as screen:
        screen.wait_for(b"second")
        with imap(server, account) as client:
            assert client.append("INBOX", None, None, MESSAGE % (b"third", DATE, b"third"))[0] == "OK"
        screen.wait_for(b"third")  # told by IDLE
        screen.type(":select 0\r:flag\r")
        until(lambda: b"\\Flagged" in flags(server, account, 3), PROGRAM_SECONDS)
        screen.type(":view\r")
        until(lambda: b"\\Seen" in flags(server, account, 3), PROGRAM_SECONDS)
        screen.type(":close\r:select 1\r:archive flat\r")
        until(lambda: len(stored_subjects(server, account, "Archive")) == 1, PROGRAM_SECONDS)
        screen.type(":quit\r")
    assert stored_subjects(server, account, "Archive") == ["second"]
    assert sorted(parse(octets)["Subject"] for octets in stored(server, account, "INBOX", 2)) == ["first", "third"]


def stored_subjects(server: RunningServer, account: Account, mailbox: str) -> list[str]:
    return [parse(octets)["Subject"] for octets in server.messages(account.name, mailbox)]
