"""Mail goes through an Exim and an OpenSMTPD, in clear and by STARTTLS, and from there back to a Pennypost.

Our users submit to one Pennypost; the next host is the other program, which passes all of it on to a second Pennypost.
"""

import smtplib
from collections.abc import Callable, Iterator

import pytest
import trustme
from tests.interop import exim, opensmtpd
from tests.interop.exim import Exim
from tests.interop.opensmtpd import OpenSmtpd
from tests.interop.unpacked import reason_not_to
from tests.running import Account, RunningServer, until

AUTHORITY = trustme.CA()

EIGHT_BIT = (
    "From: alice@example.org\r\nTo: bob@far.test\r\nSubject: {}\r\nMIME-Version: 1.0\r\n"
    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n.Grüße\r\n..\r\n"
)
LARGE = "From: alice@example.org\r\nSubject: {}\r\n\r\n" + ".a line that begins with a dot\r\n" * 20_000

NAMES = {
    "exim": reason_not_to(exim.PROGRAM),
    "old exim": reason_not_to(exim.PROGRAM),
    "opensmtpd": reason_not_to(opensmtpd.PROGRAM),
}
NEXT_HOSTS = [
    pytest.param(name, marks=pytest.mark.skipif(bool(reason), reason=reason or "-")) for name, reason in NAMES.items()
]


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("receiver") / "data"
    with RunningServer(folder, "smtp.greeting_delay=0 s", "server.hostname=mx.example.org") as server:
        for name in ("bob", "jürgen"):
            server.make_account(f"{name}@far.test")
        yield server


class Way:
    """One program between two of ours."""

    def __init__(
        self,
        sender: RunningServer,
        account: Account,
        receiver: RunningServer,
        log: Callable[[], str],
    ) -> None:
        self.sender, self.account, self.receiver, self.log = sender, account, receiver, log
        self.count = 0

    def submit(self, to: str, text: str, *options: str) -> str:
        """Gives the subject, by which the message is known."""
        self.count += 1
        subject = f"number {self.count} of {self.sender.folder.parent.name}"
        with smtplib.SMTP("127.0.0.1", self.sender.ports["submission"], timeout=20) as client:
            client.login(self.account.name, self.account.password)
            client.sendmail(self.account.name, [to], text.format(subject).encode(), mail_options=options)
        return subject

    def arrived(self, to: str, subject: str) -> bytes:
        """Wait for a message and give it."""
        mark = f"\r\nSubject: {subject}\r\n".encode()

        def found() -> list[bytes]:
            return [octets for octets in self.receiver.messages(to) if mark in octets]

        try:
            until(found)
        except AssertionError:
            pytest.fail(self.log() + self.sender.log_text()[-3000:])
        return found()[0]


@pytest.fixture(scope="module", params=NEXT_HOSTS)
def way(
    request: pytest.FixtureRequest, receiver: RunningServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Way]]:
    name: str = request.param
    folder = tmp_path_factory.mktemp(name.replace(" ", "-"))
    AUTHORITY.cert_pem.write_to_path(str(folder / "ca.pem"))
    host = OpenSmtpd(receiver, AUTHORITY) if name == "opensmtpd" else Exim(receiver, AUTHORITY, modern=name == "exim")
    host.start()
    try:
        hosts = ", ".join(
            f'{{host="localhost", port={host.ports[kind]}, tls="{tls}", recipients=["{domain}"]}}'
            for kind, tls, domain in (("plain", "off", "far.test"), ("tls", "verified", "tls.far.test"))
        )
        with RunningServer(
            folder / "data",
            "server.hostname=mx.sender.test",
            f"tls.ca_file={folder / 'ca.pem'}",
            f"queue.smarthosts=[{hosts}]",
            "auth.allow_cleartext_login=loopback",
        ) as sender:
            account = sender.make_account("alice@example.org")
            yield name, Way(sender, account, receiver, host.log)
    finally:
        host.stop()


def body(octets: bytes) -> bytes:
    return octets.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("text", [EIGHT_BIT, LARGE], ids=["small", "large"])
def test_it_arrives_octet_by_octet(way: tuple[str, Way], text: str) -> None:
    """RFC 6152 §3: what a host without 8BITMIME gets is quoted-printable."""
    name, through = way
    octets = through.arrived("bob@far.test", through.submit("bob@far.test", text, "BODY=8BITMIME"))
    if name == "old exim" and text is EIGHT_BIT:
        assert b"Content-Transfer-Encoding: quoted-printable" in octets
        assert b".Gr=C3=BC=C3=9Fe\r\n..\r\n" in octets
    else:
        assert body(octets) == body(text.encode())


def test_by_starttls(way: tuple[str, Way]) -> None:
    """The certificate is verified; from there it goes on under TLS, too."""
    name, through = way
    if name == "opensmtpd" and (reason := opensmtpd.reason_without_tls()):
        pytest.skip(reason)
    if "bob@tls.far.test" not in through.receiver.command("account", "list"):
        through.receiver.make_account("bob@tls.far.test")
    octets = through.arrived("bob@tls.far.test", through.submit("bob@tls.far.test", EIGHT_BIT, "BODY=8BITMIME"))
    assert b"\ttls TLS_" in octets.partition(b"by mx.example.org")[2].partition(b"Received:")[0]

    def sent_under_tls() -> bool:
        attempts = [line for line in through.sender.log_lines() if line.get("event") == "attempt"]
        return any(line["tls"] and line["results"][0].startswith("bob@tls.far.test: sent") for line in attempts)

    until(sent_under_tls, why=through.sender.log_text()[-2000:])


def test_utf8_addresses_go_where_they_can(way: tuple[str, Way]) -> None:
    """RFC 6531 §3.2: to a host without SMTPUTF8 the message does not go, and its sender is told."""
    name, through = way
    text = "From: alice@example.org\r\nSubject: {}\r\nComments: Grüße\r\n\r\nx\r\n"
    subject = through.submit("jürgen@far.test", text, "SMTPUTF8", "BODY=8BITMIME")
    if name == "exim":
        assert "Comments: Grüße".encode() in through.arrived("jürgen@far.test", subject)
    else:
        until(lambda: any(b"5.6.7" in octets for octets in through.sender.messages("alice@example.org")))
