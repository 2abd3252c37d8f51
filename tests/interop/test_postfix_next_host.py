"""Mail of our users goes on to a Postfix: in clear, by STARTTLS, under TLS from the start, to a port that lacks what
others have, and to hosts held to DANE and MTA-STS."""

import hashlib
import http.server
import re
import smtplib
import ssl
import subprocess
import threading
from collections.abc import Iterator

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.dns_server import FakeDns
from tests.interop.postfix import USER, reason_not_to
from tests.interop.postfix_next_host import PostfixNextHost
from tests.interop.tools import find_program
from tests.running import Account, RunningServer, until

from pennypost.store import queue_view
from pennypost.store.store import Store

pytestmark = pytest.mark.skipif(bool(reason_not_to()), reason=reason_not_to() or "-")

AUTHORITY = trustme.CA()


@pytest.fixture(scope="module")
def next_host() -> Iterator[PostfixNextHost]:
    with PostfixNextHost(AUTHORITY, "localhost", "mx.secure.test") as postfix:
        yield postfix


@pytest.fixture(scope="module")
def dns() -> Iterator[FakeDns]:
    with FakeDns(ttl=1, secure={"secure.test", "wrong.test"}) as server:
        server.records["wrong.test", "MX"] = ["10 mx.wrong.test."]
        server.records["mx.wrong.test", "A"] = ["127.0.0.1"]
        server.records["secure.test", "MX"] = ["10 mx.secure.test."]
        server.records["tls.test", "MX"] = ["10 mx.secure.test."]
        server.records["mx.secure.test", "A"] = ["127.0.0.1"]
        server.records["mta-sts.tls.test", "A"] = ["127.0.0.1"]
        server.records["_mta-sts.tls.test", "TXT"] = ['"v=STSv1; id=1"']
        yield server


class _Policy(http.server.BaseHTTPRequestHandler):
    text = b"version: STSv1\r\nmode: enforce\r\nmx: *.secure.test\r\nmax_age: 86400\r\n"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(self.text)))
        self.end_headers()
        self.wfile.write(self.text)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def policy_port() -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("mta-sts.tls.test").configure_cert(context)
    with http.server.HTTPServer(("127.0.0.1", 0), _Policy) as web:
        web.socket = context.wrap_socket(web.socket, server_side=True)
        thread = threading.Thread(target=web.serve_forever, daemon=True)
        thread.start()
        yield web.server_port
        web.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def sender(
    next_host: PostfixNextHost, dns: FakeDns, policy_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RunningServer, Account]]:
    folder = tmp_path_factory.mktemp("sender")
    authority = folder / "ca.pem"
    AUTHORITY.cert_pem.write_to_path(str(authority))
    hosts = ", ".join(
        f'{{host="localhost", port={next_host.ports[kind]}, tls="{tls}", recipients=["{kind}.test"]}}'
        for kind, tls in (("plain", "off"), ("implicit", "implicit"), ("old", "off"))
    )
    with RunningServer(
        folder / "data",
        dns.setting,
        f"tls.ca_file={authority}",
        f"queue.smarthosts=[{hosts}]",
        f"relay.port={next_host.ports['tls']}",
        f"relay.https_port={policy_port}",
        "relay.refuse_networks=off",
        "auth.allow_cleartext_login=loopback",
    ) as server:
        yield server, server.make_account("alice@example.org")


def submit(sender: tuple[RunningServer, Account], to: str, octets: bytes, *, options: tuple[str, ...] = ()) -> None:
    server, account = sender
    with smtplib.SMTP("127.0.0.1", server.ports["submission"], timeout=20) as client:
        client.login(account.name, account.password)
        client.sendmail(account.name, [to], octets, mail_options=options)


EIGHT_BIT = (
    "From: alice@example.org\r\nTo: box\r\nSubject: x\r\nMIME-Version: 1.0\r\n"
    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n.Grüße\r\n..\r\n"
).encode()
LARGE = b"From: alice@example.org\r\nSubject: large\r\n\r\n" + b".a line that begins with a dot\r\n" * 20_000


def body(octets: bytes) -> bytes:
    return octets.replace(b"\r\n", b"\n").partition(b"\n\n")[2]


@pytest.mark.parametrize("domain", ["plain.test", "implicit.test", "tls.test", "secure.test"])
@pytest.mark.parametrize("octets", [EIGHT_BIT, LARGE], ids=["small", "large"])
def test_it_arrives_octet_by_octet(
    sender: tuple[RunningServer, Account], next_host: PostfixNextHost, dns: FakeDns, domain: str, octets: bytes
) -> None:
    key = x509.load_pem_x509_certificate(next_host.certificate).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    digest = hashlib.sha256(spki).hexdigest()
    dns.records[f"_{next_host.ports['tls']}._tcp.mx.secure.test", "TLSA"] = [f"3 1 1 {digest}"]
    submit(sender, f"box@{domain}", octets, options=("BODY=8BITMIME",))
    found = next_host.take()
    assert body(found) == body(octets)
    assert (b"using TLSv1.3" in found.partition(b"by mx.example.org")[0]) is (domain != "plain.test")


def test_a_host_without_8bitmime_gets_quoted_printable(
    sender: tuple[RunningServer, Account], next_host: PostfixNextHost
) -> None:
    """RFC 6152 §3."""
    submit(sender, "box@old.test", EIGHT_BIT, options=("BODY=8BITMIME",))
    found = next_host.take()
    assert found.isascii()
    assert b"Content-Transfer-Encoding: quoted-printable" in found
    assert b".Gr=C3=BC=C3=9Fe\n..\n" in found.replace(b"\r\n", b"\n")


def test_utf8_goes_where_it_can(sender: tuple[RunningServer, Account], next_host: PostfixNextHost) -> None:
    """RFC 6531 §3.2: to a host without SMTPUTF8 it does not go, and the sender is told."""
    octets = "From: alice@example.org\r\nSubject: Grüße\r\n\r\nx\r\n".encode()
    submit(sender, "jürgen@plain.test", octets, options=("SMTPUTF8", "BODY=8BITMIME"))
    assert "Subject: Grüße".encode() in next_host.take()
    server, account = sender
    submit(sender, "jürgen@old.test", octets, options=("SMTPUTF8", "BODY=8BITMIME"))
    until(lambda: any(b"5.6.7" in text for text in server.messages(account.name)))


def test_a_certificate_that_the_dns_does_not_vouch_for(
    sender: tuple[RunningServer, Account], next_host: PostfixNextHost, dns: FakeDns
) -> None:
    """RFC 7672 §2.2: the message waits, and says why."""
    server, _ = sender
    dns.records[f"_{next_host.ports['tls']}._tcp.mx.wrong.test", "TLSA"] = ["3 1 1 " + "00" * 32]
    submit(sender, "box@wrong.test", EIGHT_BIT, options=("BODY=8BITMIME",))

    async def replies(store: Store) -> list[str]:
        waiting = await store.read(lambda tx: queue_view.deliveries(tx))
        return [delivery.last_reply or "" for delivery in waiting]

    until(lambda: any("no TLSA record matches" in reply for reply in server.with_store(replies)))


SINK_MESSAGES = 200


@pytest.mark.skipif(find_program("smtp-sink") is None, reason="not installed: smtp-sink")
def test_many_messages_go_to_a_sink(
    sender: tuple[RunningServer, Account], dns: FakeDns, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Every one arrives, once."""
    server, account = sender
    folder = tmp_path_factory.mktemp("sink")
    folder.chmod(0o777)
    sink = find_program("smtp-sink")
    assert sink is not None
    # It listens where hosts of MX records do, on an address of its own.
    address = f"127.0.0.2:{server.config.relay.port}"
    dns.records["sink.test", "A"] = ["127.0.0.2"]
    process = subprocess.Popen([sink, "-u", USER, "-R", folder, "-D", "dump", address, "100"])
    try:
        with smtplib.SMTP("127.0.0.1", server.ports["submission"], timeout=20) as client:
            client.login(account.name, account.password)
            for number in range(SINK_MESSAGES):
                client.sendmail(account.name, ["box@sink.test"], f"Subject: n{number}\r\n\r\nx\r\n")

        def arrived() -> list[str]:
            texts = [file.read_text("utf-8") for file in folder.iterdir()]
            return sorted(re.findall(r"^Subject: (n\d+)$", "".join(texts), re.MULTILINE))

        until(lambda: len(arrived()) >= SINK_MESSAGES)
        assert arrived() == sorted(f"n{number}" for number in range(SINK_MESSAGES))
    finally:
        process.terminate()
        process.wait(10)
