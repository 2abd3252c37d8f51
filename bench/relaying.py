"""From accepted to relayed, beside Postfix (and OpenDKIM, when mail is signed), in one run.

    python -m bench.relaying [--mx] [--sign] [--connections 10] [--messages 3000] [--rounds 2] [--workers 2]

As root: Postfix wants it, and a control group counts the processor time of each side, dead children included. 2 KB
messages, one command at a time, go on to smtp-sink on a port of each side's own, by plain SMTP. A round ends when it
has all of them. Both do the same: with --mx they take mail for one domain from anybody and pass it on; without it users
log in once for each connection, in clear on loopback (Postfix asks Dovecot), and may send in their own name only.
Neither counts what is sent. With --sign both sign by RSA-2048, relaxed/relaxed; Postfix through OpenDKIM as a milter.
What the clients and the sinks need of the processor is told, too: on few cores it is taken from the servers.
"""

import argparse
import base64
import os
import pwd
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

SOURCE = Path(os.environ.get("PENNYPOST_SOURCE", Path(__file__).parents[1] / "src"))
GROUPS = Path("/sys/fs/cgroup/cpuacct/pennypost-bench")
USER, PASSWORD, RECIPIENT = "p0001@bench.test", "pw", "x@relay.test"
LOG_IN = b"AUTH PLAIN " + base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()) + b"\r\n"
BODY = b"A line of a message that is like any other one.\r\n" * 34
MESSAGE = (
    b"From: P <p0001@bench.test>\r\nTo: x@relay.test\r\nSubject: number %d of %d\r\nMessage-ID: <%d.%d@bench.test>\r\n"
    b"Date: Fri, 27 Nov 2026 12:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_for(port: int) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return


class Side(ABC):
    """A server under test, in a folder and a control group of its own. `port`: where mail is submitted."""

    name = ""

    def __init__(self, sink: int, *, sign: bool, mx: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bench-relaying"))
        self.folder.chmod(0o755)
        self.group = GROUPS / self.name
        self.group.mkdir(parents=True, exist_ok=True)
        self.port, self.sink, self.sign, self.mx = free_port(), sink, sign, mx

    def run(self, *command: str | Path, **environment: str) -> "subprocess.Popen[bytes]":
        """Start a program in our group."""
        log = (self.folder / "log").open("ab")
        enter = lambda: (self.group / "cgroup.procs").write_text(str(os.getpid()))  # noqa: E731
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=enter,
            env={**os.environ, **environment}, process_group=0,
        )  # fmt: skip

    def processor_seconds(self) -> float:
        return int((self.group / "cpuacct.usage").read_text()) / 1e9

    @abstractmethod
    def start(self) -> None: ...

    def stop(self) -> None:
        """End what we started: all that is in our group."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            end = time.monotonic() + 15
            while (left := (self.group / "cgroup.procs").read_text().split()) and time.monotonic() < end:
                for process in left:
                    os.kill(int(process), number)
                time.sleep(0.2)
        shutil.rmtree(self.folder)
        self.group.rmdir()

    def log_in(self) -> bytes:
        """Give what a client says after EHLO, if anything."""
        return b""


class Pennypost(Side):
    name = "pennypost"
    workers = 2

    def start(self) -> None:
        text = f"""
[server]
hostname = "mx.bench.test"
data_dir = "{self.folder}/data"
workers = {self.workers}
[listeners]
smtp = "{f"127.0.0.1:{self.port}" if self.mx else "off"}"
submission = "{"off" if self.mx else f"127.0.0.1:{self.port}"}"
submissions = "off"
imap = "off"
imaps = "off"
pop3 = "off"
pop3s = "off"
http = "127.0.0.1:{free_port()}"
[verification]
enabled = false
[junk]
enabled = false
[dkim]
sign = {"true" if self.sign else "false"}
[smtp]
greeting_delay = "0 s"
[sending]
messages_per_hour = 0
messages_per_day = 0
recipients_per_hour = 0
recipients_per_day = 0
new_recipients_per_day = 0
freeze_new_recipients = 0
freeze_new_recipients_elsewhere = 0
freeze_networks = 0
freeze_bounces = 0
[queue]
backup_for = {'["relay.test"]' if self.mx else "[]"}
[[queue.smarthosts]]
host = "127.0.0.1"
port = {self.sink}
tls = "off"
[auth]
allow_cleartext_login = "loopback"
"""
        configuration = self.folder / "pennypost.toml"
        configuration.write_text(text)
        environment = {"PYTHONPATH": str(SOURCE)}
        program = [sys.executable, "-m", "pennypost"]
        provision = Path(__file__).parent / "side_by_side" / "provision.py"
        subprocess.run(
            [sys.executable, provision, self.folder / "data", "1"], check=True, env={**os.environ, **environment}
        )
        if self.sign:
            command = [*program, "dkim", "generate", "bench.test", "--algorithm", "rsa", "--config", str(configuration)]
            subprocess.run(command, check=True, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
        self.run(*program, "serve", "--config", configuration, **environment)
        wait_for(self.port)

    def log_in(self) -> bytes:
        return b"" if self.mx else LOG_IN


class Postfix(Side):
    name = "postfix"

    def start(self) -> None:
        owner = pwd.getpwnam("postfix")
        for name in ("queue", "data", "etc"):
            (self.folder / name).mkdir(mode=0o755)
        os.chown(self.folder / "data", owner.pw_uid, owner.pw_gid)
        milter = ""
        if self.sign:
            path, key = self.folder / "opendkim.socket", self.folder / "key.pem"
            subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
            configuration = self.folder / "opendkim.conf"
            lines = ("Mode s", "Syslog no", "Domain bench.test", "Selector s", f"KeyFile {key}", "RequireSafeKeys no")
            more = ("Canonicalization relaxed/relaxed", f"Socket local:{path}", "UMask 000", "OversignHeaders From")
            configuration.write_text("\n".join((*lines, *more, "")))
            self.run("opendkim", "-f", "-x", configuration)
            while not path.exists():
                time.sleep(0.05)
            milter = f"smtpd_milters = unix:{path}\nmilter_default_action = tempfail\n"
        (self.folder / "etc" / "main.cf").write_text(f"""compatibility_level = 3.6
queue_directory = {self.folder}/queue
data_directory = {self.folder}/data
maillog_file = {self.folder}/queue/maillog
maillog_file_prefixes = {self.folder}
mail_owner = postfix
myhostname = mx.bench.test
mydestination =
mynetworks =
relay_domains = {"relay.test" if self.mx else ""}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
relayhost = [127.0.0.1]:{self.sink}
smtp_dns_support_level = disabled
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
smtpd_sasl_auth_enable = {"no" if self.mx else "yes"}
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
smtpd_sender_login_maps = inline:{{{{ {USER} = {USER} }}}}
smtpd_sender_restrictions = {"" if self.mx else "reject_sender_login_mismatch"}
smtpd_peername_lookup = no
{milter}""")
        known = Path("/usr/share/postfix/master.cf.dist").read_text().splitlines()
        services = [re.sub(r"^smtp +inet", f"127.0.0.1:{self.port} inet", line) for line in known if line[:1].isalnum()]
        unwanted = ("maildrop", "uucp", "ifmail", "bsmtp", "scalemail", "mailman")
        lines = [re.sub(r"^((?:\S+ +){4})y ", r"\1n ", line) for line in services if not line.startswith(unwanted)]
        (self.folder / "etc" / "master.cf").write_text("\n".join(lines) + "\n")
        subprocess.run(["postfix", "-c", self.folder / "etc", "check"], check=True, capture_output=True)
        if not self.mx:
            self._start_logins()
        self.run("postfix", "-c", self.folder / "etc", "start").wait()
        wait_for(self.port)

    def _start_logins(self) -> None:
        """Let Dovecot say who may log in."""
        path = self.folder / "queue" / "private" / "auth"
        configuration = self.folder / "dovecot.conf"
        configuration.write_text(f"""base_dir = {self.folder}/dovecot
log_path = {self.folder}/dovecot.log
protocols =
ssl = no
disable_plaintext_auth = no
passdb {{
  driver = static
  args = password={PASSWORD}
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home=/nonexistent
}}
service auth {{
  unix_listener {path} {{
    mode = 0666
  }}
}}
""")
        self.run("dovecot", "-F", "-c", configuration)
        while not path.exists():
            time.sleep(0.05)

    def log_in(self) -> bytes:
        return b"" if self.mx else LOG_IN

    def stop(self) -> None:
        subprocess.run(["postfix", "-c", self.folder / "etc", "stop"], capture_output=True)
        super().stop()


# -- The load


def send(side: Side, number: int, count: int) -> None:
    """One connection: as many messages as are wanted, one command at a time."""
    with socket.create_connection(("127.0.0.1", side.port)) as sock, sock.makefile("rb") as replies:

        def say(octets: bytes, code: bytes) -> None:
            if octets:
                sock.sendall(octets)
            while (line := replies.readline())[3:4] == b"-":
                pass
            assert line.startswith(code), line

        say(b"", b"220")
        say(b"EHLO client.bench.test\r\n", b"250")
        if login := side.log_in():
            say(login, b"235")
        for each in range(count):
            say(b"MAIL FROM:<" + USER.encode() + b">\r\n", b"250")
            say(b"RCPT TO:<" + RECIPIENT.encode() + b">\r\n", b"250")
            say(b"DATA\r\n", b"354")
            say(MESSAGE % (each, number, each, number) + BODY + b".\r\n", b"250")
        say(b"QUIT\r\n", b"221")


class Sink:
    """smtp-sink, which counts what it has taken."""

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="bench-sink"))
        command = ["smtp-sink", "-c", "-u", "postfix", f"127.0.0.1:{self.port}", "1000"]
        self.counts = (self.folder / "counts").open("wb+")
        self._process = subprocess.Popen(command, stdout=self.counts, stderr=self.counts)
        wait_for(self.port)

    def taken(self) -> int:
        self.counts.flush()
        found = re.findall(rb"mesg=(\d+)", (self.folder / "counts").read_bytes())
        return int(found[-1]) if found else 0

    def processor_seconds(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()
        shutil.rmtree(self.folder)


@dataclass(frozen=True, slots=True)
class Measured:
    """`rate`: messages a second, from the first octet to the last arrival. `processor`: milliseconds a message; `load`:
    the same of clients and sink."""

    rate: float
    processor: float
    load: float


def measure(side: Side, sink: Sink, connections: int, messages: int) -> Measured:
    """Send, and wait until everything is at the sink."""
    before, spent, begun = sink.taken(), side.processor_seconds(), time.monotonic()
    load = _load_seconds(sink)
    children = []
    for number in range(connections):
        child = os.fork()
        if not child:
            send(side, number, messages // connections)
            os._exit(0)
        children.append(child)
    failed = [child for child in children if os.waitpid(child, 0)[1]]
    assert not failed, "a client failed"
    wanted = messages // connections * connections
    end = time.monotonic() + 120
    while sink.taken() - before < wanted:
        assert time.monotonic() < end, f"{sink.taken() - before} of {wanted} arrived"
        time.sleep(0.01)
    seconds = time.monotonic() - begun
    time.sleep(1)  # what is done afterwards counts
    spent, load = side.processor_seconds() - spent, _load_seconds(sink) - load
    return Measured(wanted / seconds, spent * 1000 / wanted, load * 1000 / wanted)


def _load_seconds(sink: Sink) -> float:
    ended = os.times()
    return ended.children_user + ended.children_system + sink.processor_seconds()


def compare(sides: Sequence[type[Side]], arguments: argparse.Namespace) -> None:
    """Run the sides in turn, and print medians."""
    sinks = {side.name: Sink() for side in sides}
    found: dict[str, list[Measured]] = {side.name: [] for side in sides}
    try:
        for _ in range(arguments.rounds):
            for kind in sides:
                sink = sinks[kind.name]
                side = kind(sink.port, sign=arguments.sign, mx=arguments.mx)
                side.start()
                try:
                    measure(side, sink, arguments.connections, max(200, arguments.connections))  # both warm
                    found[side.name].append(measure(side, sink, arguments.connections, arguments.messages))
                finally:
                    side.stop()
    finally:
        for sink in sinks.values():
            sink.stop()
    middle = {
        name: Measured(*(statistics.median(figures) for figures in zip(*map(astuple, each), strict=True)))
        for name, each in found.items()
    }
    for name, each in middle.items():
        rest = f"clients and sink {each.load:.3f}"
        print(f"{name:<10} {each.rate:7.0f} messages/s  {each.processor:6.3f} ms of the processor a message, {rest}")
    ours, theirs = middle[Pennypost.name], middle[Postfix.name]
    print(f"{'ratio':<10} {ours.rate / theirs.rate:7.1f}             1/{theirs.processor / ours.processor:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mx", action="store_true")
    parser.add_argument("--sign", action="store_true")
    parser.add_argument("--connections", type=int, default=10)
    parser.add_argument("--messages", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    Pennypost.workers = arguments.workers
    print(f"load of the machine before: {os.getloadavg()[0]:.1f}")
    compare((Postfix, Pennypost), arguments)


if __name__ == "__main__":
    main()
