"""Programs whose packages conflict with others that are installed: packaging/test-deps.sh unpacks them into a folder.

They know their users and some folders by fixed names. Each runs in a mount namespace of its own (unshare), in which
these names lead elsewhere: nothing of the machine is changed. Only root may do that.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.running import free_ports, until

FOLDER = Path(__file__).parents[2] / "build" / "test-programs"
FIRST_ID = 64001

_START = """set -e
mount --bind {folder}/passwd /etc/passwd
mount --bind {folder}/group /etc/group
for hidden in {hidden}; do mkdir -p $hidden; mount -t tmpfs none $hidden; done
for wanted in {made}; do mkdir -p $wanted; chmod 711 $wanted; done
exec "$@"
"""


def reason_not_to(program: str) -> str:
    """Say why a program, named by its place in its package, cannot be run here; "" if it can."""
    path = FOLDER / program
    if not path.exists():
        return f"not unpacked: {path.name} (make test-deps)"
    if os.getuid() != 0:
        return f"{path.name} has to be started by root"
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        return "a mount namespace cannot be had here"
    told = subprocess.run(["ldd", path], capture_output=True, text=True).stdout
    missing = [line.split()[0] for line in told.splitlines() if "not found" in line]
    return f"{path.name} lacks {', '.join(missing)}" if missing else ""


class UnpackedProgram:
    """A mail server that was unpacked. `users`: whom it wants to find in /etc/passwd, their ids from FIRST_ID on.

    `hidden`: folders in whose place it gets empty ones; `made`: folders it wants to find in them. `ports`: "plain" and
    "tls". A subclass gives its command and what it says when it is ready.
    """

    users: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    made: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pp-unpacked"))
        self.folder.chmod(0o755)
        self.ports = dict(zip(("plain", "tls"), free_ports(2), strict=True))
        ids = list(enumerate(self.users, FIRST_ID))
        passwd = "".join(f"{name}:x:{number}:{number}::/nonexistent:/bin/false\n" for number, name in ids)
        group = "".join(f"{name}:x:{number}:\n" for number, name in ids)
        (self.folder / "passwd").write_text(Path("/etc/passwd").read_text() + passwd)
        (self.folder / "group").write_text(Path("/etc/group").read_text() + group)
        start = _START.format(folder=self.folder, hidden=" ".join(self.hidden), made=" ".join(self.made))
        (self.folder / "start").write_text(start)
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> Sequence[str]:
        """Give how it is started, in the foreground."""
        raise NotImplementedError

    def is_ready(self) -> bool:
        """Whether it can be connected to."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                ["unshare", "-m", "sh", str(self.folder / "start"), *self.command()],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0,
            )  # fmt: skip
        process = self._process
        until(lambda: self.is_ready() or process.poll() is not None, why=f"it does not start: {self.log()}")
        assert process.poll() is None, self.log()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)

    def log(self) -> str:
        """Give what it has to say."""
        return (self.folder / "log").read_text("utf-8", "replace")
