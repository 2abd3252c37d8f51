"""A running server verifies senders over a DNS of its own: replies, mailboxes, results in the message, bans."""

import json
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.dns_server import FakeDns
from tests.running import RunningServer, until


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    zone = FakeDns(
        {
            ("good.example", "TXT"): ['"v=spf1 ip4:127.0.0.0/8 -all"'],
            ("_dmarc.good.example", "TXT"): ['"v=DMARC1; p=reject"'],
            ("_dmarc.refused.example", "TXT"): ['"v=DMARC1; p=reject"'],
            ("_dmarc.junk.example", "TXT"): ['"v=DMARC1; p=quarantine"'],
        }
    )
    with zone, RunningServer(tmp_path / "data", zone.setting, "verification.enabled=true") as running:
        running.make_account("ann@example.org")
        yield running


def send(server: RunningServer, sender: str, author: str | None = None) -> tuple[int, bytes]:
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"], "client.example") as client:
        try:
            client.sendmail(
                sender, ["ann@example.org"], f"From: <{author or sender}>\r\nSubject: hello\r\n\r\nhello\r\n"
            )
        except smtplib.SMTPDataError as error:
            return error.smtp_code, error.smtp_error
    return 250, b""


def test_policies_of_domains_are_followed(server: RunningServer) -> None:
    assert send(server, "carl@good.example")[0] == 250
    code, text = send(server, "carl@good.example", "boss@refused.example")
    assert (code, text[:5]) == (550, b"5.7.1")
    assert send(server, "carl@junk.example")[0] == 250
    (taken,) = server.messages("ann@example.org")
    assert b"\r\nAuthentication-Results: mx.example.org;\r\n" in taken
    assert b"spf=pass" in taken
    assert b"dmarc=pass" in taken
    assert len(server.messages("ann@example.org", "Junk")) == 1
    assert server.figure('pennypost_verifications_total{method="dmarc",result="pass"}') == 1
    assert server.figure('pennypost_verifications_total{method="dmarc",result="fail"}') == 2


def test_a_ban_is_heeded_by_a_running_server(server: RunningServer) -> None:
    assert send(server, "carl@good.example")[0] == 250
    server.command("ban", "add", "127.0.0.0/8")

    def banned() -> bool:
        try:
            smtplib.SMTP("127.0.0.1", server.ports["smtp"], "client.example").quit()
        except smtplib.SMTPConnectError as error:
            return error.smtp_code == 421
        return False

    until(banned)
    server.command("ban", "remove", "127.0.0.0/8")
    until(lambda: not banned())


def test_what_a_message_went_through_is_told(server: RunningServer) -> None:
    send(server, "carl@good.example")
    (taken,) = server.messages("ann@example.org")
    identifier = taken.partition(b" id ")[2].split()[0].rstrip(b";").decode()
    told = json.loads(server.command("trace", identifier, "--json"))
    assert "pass good.example" in json.dumps(told)
