"""`pennypost demo`: a server on this machine's loopback, two accounts, and a message on its whole way.

It does what an administrator and two mail clients would do: the server is a process of its own, accounts are made with
the commands, and mail goes through Python's own smtplib, imaplib and poplib.
"""

import hashlib
import imaplib
import poplib
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import click

from pennypost.cli.options import fail

PORTS = {
    "smtp": 2525,
    "submission": 2587,
    "submissions": 2465,
    "imap": 2143,
    "imaps": 2993,
    "pop3": 2110,
    "pop3s": 2995,
    "http": 8025,
}
"""Where the demo listens, unless somebody else does already."""

HOST = "127.0.0.1"
DOMAIN = "example.org"
ALICE, BOB = f"alice@{DOMAIN}", f"bob@{DOMAIN}"
STRANGER = "carol@elsewhere.example"
START_SECONDS = 30.0
ARRIVAL_SECONDS = 10.0


class DemoFailed(Exception):
    """Something did not turn out as it should."""


@click.command()
@click.option("--once", is_flag=True, help="End after the tour, with status 0 or 1; nothing is left behind.")
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False), default=Path("demo-data"), show_default=True
)
def demo(once: bool, folder: Path) -> None:
    """Show a running server with two accounts and a message."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the server ends with us
    try:
        if once:
            with tempfile.TemporaryDirectory(prefix="pennypost-demo-") as temporary:
                _tour(Path(temporary) / "data", stay=False)
        else:
            _tour(folder.absolute(), stay=True)
    except (DemoFailed, OSError, smtplib.SMTPException, imaplib.IMAP4.error, poplib.error_proto) as error:
        fail(f"the demo failed: {error}")


def _tour(folder: Path, *, stay: bool) -> None:
    server = _Server(folder, {name: _port_for(port) for name, port in PORTS.items()})
    with server.running():
        _say(f"Pennypost is up on {HOST}, its store is in {folder}")
        passwords = {name: server.ensure_account(name) for name in (ALICE, BOB)}
        tls = ssl.create_default_context(cafile=str(folder / "tls" / "self-signed.pem"))
        submitted, picture = _submit(server, passwords[ALICE], tls)
        received = _receive(server)
        _read_over_imap(server, passwords[BOB], tls, submitted, received, picture)
        _read_over_pop3(server, passwords[BOB], tls, submitted, received)
        _say(f"figures: http://{HOST}:{server.ports['http']}/metrics")
        if stay:
            try:
                _print_client_settings(server.ports, passwords, folder)
                server.wait()
            except KeyboardInterrupt:
                click.echo()


# -- The server


def _port_for(wanted: int) -> int:
    """Give the port, or a free one when somebody has it."""
    for port in (wanted, 0):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind((HOST, port))
            except OSError:
                continue
            return int(sock.getsockname()[1])
    raise DemoFailed("there is no free port")


@dataclass
class _Server:
    """The server, and the commands an administrator would type."""

    folder: Path
    ports: dict[str, int]

    @property
    def _options(self) -> list[str]:
        settings = [f"server.data_dir={self.folder}", "server.hostname=localhost"]
        settings += [f"verification.exempt={HOST}"]  # what the demo sends to itself nobody can verify
        settings += [f"listeners.{name}={HOST}:{port}" for name, port in self.ports.items()]
        return [part for setting in settings for part in ("--set", setting)]

    @contextmanager
    def running(self) -> Iterator[None]:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        log = self.folder / "server.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603  (our own program)
                [sys.executable, "-m", "pennypost", "serve", *self._options], stdout=output, stderr=output
            )
        try:
            self._wait_until_ready(log)
            yield
        finally:
            self._process.terminate()
            self._process.wait()

    def _wait_until_ready(self, log: Path) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise DemoFailed(f"the server ended:\n{log.read_text(errors='replace')}")
            try:
                with urlopen(f"http://{HOST}:{self.ports['http']}/readyz", timeout=1):
                    return
            except (URLError, OSError):
                time.sleep(0.05)
        raise DemoFailed(f"the server was not ready in time, see {log}")

    def command(self, *arguments: str) -> str:
        """Run `pennypost …` beside the server."""
        done = subprocess.run(  # noqa: S603  (our own program)
            [sys.executable, "-m", "pennypost", *arguments, *self._options], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise DemoFailed(done.stderr.strip())
        return done.stdout.strip()

    def ensure_account(self, name: str) -> str:
        """Add an account, or give the one of an earlier run a new password. Gives the password."""
        if DOMAIN not in self.command("domain", "list"):
            self.command("domain", "add", DOMAIN)
        verb = "passwd" if name in self.command("account", "list") else "add"
        password = self.command("account", verb, name, "--generate-password")
        _say(f"pennypost account {verb} {name} --generate-password: {password}")
        return password

    def wait(self) -> None:
        """Stay as long as the server does; a Ctrl-C is the caller's."""
        self._process.wait()
        raise DemoFailed("the server ended by itself")


# -- The mail


def _message(sender: str, subject: str) -> EmailMessage:
    message = EmailMessage(policy=policy.SMTP)
    message["From"], message["To"], message["Subject"] = sender, BOB, subject
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain=sender.partition("@")[2])
    return message


def _submit(server: _Server, password: str, tls: ssl.SSLContext) -> tuple[str, str]:
    """Submit a multipart message as Alice. Gives its Message-ID and the digest of what is attached."""
    picture = bytes(range(256)) * 64
    message = _message(ALICE, "Grüße: a penny for your post")
    message.set_content("Dear Bob,\n\nthe post costs one penny now, wherever it goes.\n\nAlice\n")
    message.add_alternative("<p>Dear Bob,</p><p>the post costs <b>one penny</b> now.</p><p>Alice</p>", subtype="html")
    message.add_attachment(picture, maintype="image", subtype="x-penny-black", filename="penny black.bin")
    with smtplib.SMTP(HOST, server.ports["submission"], "alices-computer.example", timeout=30) as client:
        client.starttls(context=tls)
        client.login(ALICE, password)
        client.send_message(message)
    _say(
        f"{ALICE} submitted a multipart message of {len(message.as_bytes())} octets (port {server.ports['submission']})"
    )
    return str(message["Message-ID"]), hashlib.sha256(picture).hexdigest()


def _receive(server: _Server) -> str:
    """Bring a message as another mail server would. Gives its Message-ID."""
    message = _message(STRANGER, "From far away")
    message.set_content("Dear Bob,\n\nthis one came from another server.\n\nCarol\n")
    with smtplib.SMTP(HOST, server.ports["smtp"], "mx.elsewhere.example", timeout=30) as client:
        client.send_message(message)
        code, _ = client.mail(STRANGER)
        refused, reply = client.rcpt("somebody@third.example")
    if code != 250 or refused < 500:
        raise DemoFailed("mail for another domain was not refused")
    _say(f"another server delivered a message for {BOB} (port {server.ports['smtp']})")
    _say(f"mail for a domain that is not ours is refused: {refused} {reply.decode()}")
    return str(message["Message-ID"])


def _read_over_imap(
    server: _Server, password: str, tls: ssl.SSLContext, submitted: str, received: str, picture: str
) -> None:
    with imaplib.IMAP4_SSL(HOST, server.ports["imaps"], ssl_context=tls, timeout=30) as client:
        client.login(BOB, password)
        messages = {identifier: _find(client, identifier) for identifier in (submitted, received)}
        client.logout()
    body = messages[submitted]
    attached = [part.get_payload(decode=True) for part in body.walk() if part.get_filename()]
    if [hashlib.sha256(octets).hexdigest() for octets in attached if isinstance(octets, bytes)] != [picture]:
        raise DemoFailed("what was attached came back changed")
    for message in messages.values():
        _say(f"IMAP (port {server.ports['imaps']}): {message['From']}: {message['Subject']!r}")
    _say("its parts: " + ", ".join(part.get_content_type() for part in body.walk() if not part.is_multipart()))
    _say("its way: " + " ".join(str(body["Received"]).split()))


def _find(client: imaplib.IMAP4, identifier: str) -> EmailMessage:
    """Wait until the message is in the INBOX, and fetch it."""
    end = time.monotonic() + ARRIVAL_SECONDS
    while time.monotonic() < end:
        client.select("INBOX", readonly=True)
        _, numbers = client.search(None, "HEADER", "Message-ID", f'"{identifier}"')
        if numbers and numbers[0]:
            _, parts = client.fetch(numbers[0].split()[-1].decode(), "(BODY.PEEK[])")
            octets = parts[0][1] if parts and isinstance(parts[0], tuple) else b""
            return message_from_bytes(octets, _class=EmailMessage, policy=policy.default)
        time.sleep(0.05)
    raise DemoFailed(f"{identifier} did not arrive")


def _read_over_pop3(server: _Server, password: str, tls: ssl.SSLContext, submitted: str, received: str) -> None:
    client = poplib.POP3_SSL(HOST, server.ports["pop3s"], context=tls, timeout=30)
    client.user(BOB)
    client.pass_(password)
    count, octets = client.stat()
    found = {
        message_from_bytes(b"\r\n".join(client.retr(number)[1]), policy=policy.default)["Message-ID"]
        for number in range(1, count + 1)
    }
    client.quit()
    if not {submitted, received} <= found:
        raise DemoFailed("POP3 does not show both messages")
    _say(f"POP3 (port {server.ports['pop3s']}): {count} messages, {octets} octets")


# -- What people read


def _say(text: str) -> None:
    click.echo(f"* {text}")


def _print_client_settings(ports: dict[str, int], passwords: dict[str, str], folder: Path) -> None:
    click.echo(
        f"""
Settings for a mail client (the certificate is self-signed: {folder / "tls" / "self-signed.pem"}):

  incoming, IMAP   {HOST} port {ports["imaps"]} with TLS, or {ports["imap"]} with STARTTLS
  incoming, POP3   {HOST} port {ports["pop3s"]} with TLS, or {ports["pop3"]} with STARTTLS
  outgoing, SMTP   {HOST} port {ports["submissions"]} with TLS, or {ports["submission"]} with STARTTLS; with a login
"""
    )
    for name, password in passwords.items():
        click.echo(f"  user {name}   password {password}")
    click.echo("\nCtrl-C ends the server; what it has stored stays.")
