"""A running server asks lists in the DNS: what is on them is evidence, or refused, and a list that fails costs no
mail."""

import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.dns_server import FakeDns
from tests.running import RunningServer

LISTS = (
    '[{zone="links.list.test", of=["links"], answers={"127.0.1.2"=6.5}}, '
    '{zone="helo.list.test", of=["helo"], refuse=true}, '
    '{zone="broken.list.test", of=["links", "sender"], failures=2}]'
)


@pytest.fixture
def zone() -> Iterator[FakeDns]:
    records = {
        ("evil.test.links.list.test", "A"): ["127.0.1.2"],
        ("bad.test.helo.list.test", "A"): ["127.0.0.2"],
        ("bad.test.helo.list.test", "TXT"): ['"we have seen it"'],
        ("example.net.broken.list.test", "A"): ["127.255.255.254"],
    }
    with FakeDns(records) as dns:
        yield dns


def send(server: RunningServer, text: str, helo: str = "client.example") -> None:
    message = (
        "From: carl@example.net\r\nTo: ann@example.org\r\nSubject: x\r\nDate: Fri, 27 Nov 2026 12:00:00 +0000\r\n"
        f"Message-ID: <1@example.net>\r\n\r\n{text}\r\n"
    )
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"], helo) as client:
        client.sendmail("carl@example.net", ["ann@example.org"], message)


def test_lists_are_asked(zone: FakeDns, tmp_path: Path) -> None:
    settings = (zone.setting, f"screening.dns_lists={LISTS}", "junk.enabled=true")
    with RunningServer(tmp_path / "data", *settings) as server:
        server.make_account("ann@example.org")
        for _ in range(3):
            send(server, "See https://example.com/")
        send(server, "See https://www.evil.test/")
        with pytest.raises(smtplib.SMTPSenderRefused) as refused:
            send(server, "See https://example.com/", helo="mx.bad.test")
        assert refused.value.smtp_error == (
            b"5.7.1 Refused: the host name bad.test is on the list helo.list.test: we have seen it"
        )
        assert len(server.messages("ann@example.org")) == 3
        (junk,) = server.messages("ann@example.org", "Junk")
        evidence = (
            b"+6.5 on-links.list.test:\r\n\ta link's domain evil.test is on links.list.test, a list of those who are"
        )
        assert evidence in junk
        told = [line for line in server.log_lines() if line.get("screener") == "broken.list.test"]
        assert told[0]["reason"] == "it does not want to be asked from here: 127.255.255.254"
        assert any(line["event"] == "screener is left alone" for line in told)
        assert server.figure('pennypost_screeners_open{screener="dns-list"}') == 1
        assert server.figure('pennypost_screenings_total{outcome="skipped",screener="dns-list"}') == 2
