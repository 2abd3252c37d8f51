"""A Pennypost forwards to another one, which checks SPF, DKIM and ARC; dkimpy, too, checks the seal."""

import smtplib
from collections.abc import Iterator

import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from tests.dns_server import FakeDns
from tests.running import RunningServer, until

from pennypost.verify.dkim import SigningKey, public_record, sign

ADDRESS = "127.0.0.1"
AUTHOR = SigningKey("author.test", "s1", generate_private_key(65537, 2048))
HEADER = b"From: Carl <carl@author.test>\r\nTo: fwd@first.test\r\nSubject: hello\r\nMessage-ID: <1@author.test>\r\n\r\n"
BODY = "Grüße.\r\n".encode()
SIGNED = sign(HEADER, BODY, [AUTHOR], 1_700_000_000) + HEADER + BODY


def txt(text: str) -> str:
    return " ".join(f'"{text[start : start + 255]}"' for start in range(0, len(text), 255))


@pytest.fixture(scope="module")
def zone() -> Iterator[FakeDns]:
    records = {
        ("author.test", "TXT"): ['"v=spf1 ip4:192.0.2.1 -all"'],
        ("_dmarc.author.test", "TXT"): ['"v=DMARC1; p=reject"'],
        ("s1._domainkey.author.test", "TXT"): [txt(public_record(AUTHOR.key.public_key()))],
        ("first.test", "TXT"): [f'"v=spf1 ip4:{ADDRESS} -all"'],
        ("second.test", "MX"): ["10 mx.second.test."],
        ("mx.second.test", "A"): [ADDRESS],
        ("author.test", "MX"): ["10 mx.author.test."],
    }
    with FakeDns(records, ttl=1) as server:
        yield server


@pytest.fixture(scope="module")
def second(zone: FakeDns, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("second") / "data"
    options = ("server.hostname=mx.second.test", "verification.enabled=true", "smtp.greeting_delay=0 s")
    with RunningServer(folder, zone.setting, *options) as server:
        server.make_account("dora@second.test")
        yield server


@pytest.fixture(scope="module")
def first(zone: FakeDns, second: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("first") / "data"
    with RunningServer(
        folder,
        zone.setting,
        "verification.enabled=true",
        "server.hostname=mx.first.test",
        "smtp.greeting_delay=0 s",
        f"relay.port={second.ports['smtp']}",
        "relay.refuse_networks=off",
    ) as server:
        server.make_account("postmaster@first.test")
        server.command("alias", "add", "fwd@first.test", "dora@second.test")
        server.command("alias", "add", "gone@first.test", "nobody@second.test")
        for line in server.command("dkim", "generate", "first.test").split("\n\n")[1:]:
            name, record = line.strip().splitlines()
            zone.records[name, "TXT"] = [txt(record)]
        yield server


def send(server: RunningServer, to: str, sender: str = "carl@author.test", octets: bytes = SIGNED) -> None:
    with smtplib.SMTP(ADDRESS, server.ports["smtp"], "client.example") as client:
        client.sendmail(sender, [to], octets, mail_options=["BODY=8BITMIME"])


def forwarded(first: RunningServer, second: RunningServer) -> bytes:
    """Send the message through the alias. Gives what arrives behind it."""
    before = len(second.messages("dora@second.test"))
    send(first, "fwd@first.test")
    until(lambda: len(second.messages("dora@second.test")) > before)
    return second.messages("dora@second.test")[-1]


def test_forwarded_mail_passes_spf_dkim_and_arc(first: RunningServer, second: RunningServer, zone: FakeDns) -> None:
    """RFC 8617 §5.1: our set is number 1, and tells what the first hop found."""
    octets = forwarded(first, second)
    assert octets.startswith(b"Return-Path: <SRS0=")
    results = octets.partition(b"\r\nAuthentication-Results: ")[2].partition(b"\r\n\r\n")[0]
    assert b"spf=pass" in results
    assert b"smtp.mailfrom=first.test" in results or b"@first.test" in results
    assert b"dkim=pass" in results
    assert b"arc=pass" in results
    assert b"dmarc=pass" in results
    sealed = octets.partition(b"\r\nARC-Authentication-Results: ")[2].partition(b"\r\nDelivered-To")[0]
    assert b"spf=fail" in sealed
    assert b"dkim=pass" in sealed

    def look_up(name: bytes, timeout: int = 5) -> bytes:
        return zone.records[name.decode().rstrip("."), "TXT"][0].replace('" "', "").strip('"').encode()

    status, _, reason = dkimpy.arc_verify(octets, dnsfunc=look_up)
    assert status == dkimpy.CV_Pass, reason
    assert dkimpy.verify(octets, dnsfunc=look_up)


def test_a_bounce_of_it_goes_back_to_its_sender(first: RunningServer, second: RunningServer, zone: FakeDns) -> None:
    """The second host refuses; the first tells the author, not itself."""
    zone.records["mx.author.test", "A"] = [ADDRESS]
    if "carl@author.test" not in second.command("account", "list"):
        second.make_account("carl@author.test")
    before = len(second.messages("carl@author.test"))
    send(first, "gone@first.test")
    until(lambda: len(second.messages("carl@author.test")) > before)
    report = second.messages("carl@author.test")[-1]
    assert report.startswith(b"Return-Path: <>\r\n")
    assert b"\r\nTo: <carl@author.test>\r\n" in report
    assert b"nobody@second.test" in report


def test_a_bounce_from_elsewhere_does_too(first: RunningServer, second: RunningServer, zone: FakeDns) -> None:
    path = forwarded(first, second).partition(b"<")[2].partition(b">")[0].decode()
    zone.records["mx.author.test", "A"] = [ADDRESS]
    if "carl@author.test" not in second.command("account", "list"):
        second.make_account("carl@author.test")
    before = len(second.messages("carl@author.test"))
    send(first, path, "", b"From: <postmaster@second.test>\r\nSubject: bounce of it\r\n\r\nx\r\n")
    until(lambda: len(second.messages("carl@author.test")) > before)
    assert b"Subject: bounce of it" in second.messages("carl@author.test")[-1]
