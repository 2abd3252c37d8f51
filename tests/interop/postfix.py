"""A Postfix of our own, in a folder of its own, that sends everything it gets to one port, over TLS it verifies.

Its master has to be started by root, and gives root up for the user `postfix` at once.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from tests.interop.tools import PROGRAM_SECONDS, find_program
from tests.running import HOSTNAME, RunningServer, free_ports

USER = "postfix"

_MAIN = """compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
mail_owner = {user}
myhostname = relay.example.net
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
local_transport = error:nothing is local here
relayhost = [127.0.0.1]:{port}
smtp_dns_support_level = disabled
smtp_tls_security_level = verify
smtp_tls_CAfile = {authority}
smtp_tls_verify_cert_match = {hostname}
smtp_tls_loglevel = 1
smtpd_relay_restrictions = permit_mynetworks, reject
smtputf8_enable = yes
message_size_limit = 60000000
queue_run_delay = 5s
minimal_backoff_time = 5s
maximal_backoff_time = 10s
"""

SERVICES = """cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
tlsmgr    unix - - n 1000? 1 tlsmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
verify    unix - - n - 1 verify
proxymap  unix - - n - - proxymap
error     unix - - n - - error
retry     unix - - n - - error
showq     unix n - n - - showq
postlog   unix-dgram n - n - 1 postlogd
"""
"""What every Postfix needs."""

_MASTER = """127.0.0.1:{port} inet n - n - - smtpd
pickup    unix n - n 60 1 pickup
smtp      unix - - n - - smtp
relay     unix - - n - - smtp
discard   unix - - n - - discard
"""


def reason_not_to() -> str:
    """Say why it cannot be run here, or ""."""
    if find_program("postfix") is None:
        return "not installed: postfix"
    if os.geteuid() != 0:
        return "Postfix's master wants to be started by root"
    return ""


class Postfix:
    """`port`: where it takes mail, from anybody of this machine, for anybody. `more`: lines of its main.cf."""

    def __init__(self, server: RunningServer, port: int | None = None, more: str = "") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pp-postfix"))
        self.port = free_ports(1)[0] if port is None else port
        owner = pwd.getpwnam(USER)
        self.folder.chmod(0o755)
        for name in ("queue", "data", "etc"):
            (self.folder / name).mkdir(mode=0o755)
        os.chown(self.folder / "data", owner.pw_uid, owner.pw_gid)
        authority = self.folder / "authority.pem"
        shutil.copyfile(server.authority_file, authority)
        authority.chmod(0o644)
        values = {"folder": self.folder, "user": USER, "authority": authority, "hostname": HOSTNAME}
        main = _MAIN.format(port=server.ports["smtp"], **values)
        (self.folder / "etc" / "main.cf").write_text(main + more)
        (self.folder / "etc" / "master.cf").write_text(_MASTER.format(port=self.port) + SERVICES)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Postfix":
        with (self.folder / "output").open("wb") as output:
            program = find_program("postfix")
            assert program is not None
            self._process = subprocess.Popen(
                [program, "-c", self.folder / "etc", "start-fg"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.wait_for("starting the Postfix mail system")
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the master itself: the command that started it does not pass on what it is told."""
        assert self._process is not None
        master = int((self.folder / "queue" / "pid" / "master.pid").read_text())
        os.kill(master, signal.SIGTERM)
        end = time.monotonic() + PROGRAM_SECONDS
        while Path(f"/proc/{master}").exists() and time.monotonic() < end:
            time.sleep(0.02)
        assert not Path(f"/proc/{master}").exists()
        self._process.wait(PROGRAM_SECONDS)
        shutil.rmtree(self.folder)

    def log(self) -> str:
        texts = [(self.folder / name) for name in ("log", "output")]
        return "".join(text.read_text("utf-8", "replace") for text in texts if text.exists())

    def wait_for(self, text: str, count: int = 1) -> list[str]:
        """Wait until so many lines of the log hold `text`, and give them."""
        end = time.monotonic() + PROGRAM_SECONDS
        while True:
            found = [line for line in self.log().splitlines() if text in line]
            if len(found) >= count:
                return found
            assert self._process is not None
            assert time.monotonic() < end, self.log()
            assert self._process.poll() is None, self.log()
            time.sleep(0.05)
