"""A real clamd: a message with a virus is refused in the session, or filed as the configuration says."""

import base64
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.interop.clamd import EICAR, clamd
from tests.interop.tools import need
from tests.running import RunningServer

pytestmark = need("clamd")

HEAD = (
    "From: carl@example.net\r\nTo: ann@example.org\r\nSubject: Lunch\r\nDate: Fri, 27 Nov 2026 12:00:00 +0000\r\n"
    "Message-ID: <1@example.net>\r\n"
)
CLEAN = HEAD + "\r\nShall we meet at noon?\r\n"
INFECTED = (
    HEAD + "MIME-Version: 1.0\r\nContent-Type: application/octet-stream; name=lunch.bin\r\n"
    "Content-Transfer-Encoding: base64\r\n\r\n" + base64.b64encode(EICAR).decode() + "\r\n"
)


@pytest.fixture(scope="module")
def scanner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with clamd(tmp_path_factory.mktemp("clamd"), "StreamMaxLength 1M") as socket:
        yield socket


def send(server: RunningServer, message: str) -> None:
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"], "client.example") as client:
        client.sendmail("carl@example.net", ["ann@example.org"], message)


def test_a_virus_is_refused_and_a_clean_message_passes(scanner: Path, tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data", f"screening.clamav.address=unix:{scanner}") as server:
        server.make_account("ann@example.org")
        send(server, CLEAN)
        with pytest.raises(smtplib.SMTPDataError) as refused:
            send(server, INFECTED)
        assert refused.value.smtp_code == 550
        assert refused.value.smtp_error.startswith(b"5.7.1 Refused: the message contains Eicar-Test-Signature")
        send(server, CLEAN + "A long letter.\r\n" * 100_000)  # longer than this clamd takes
        assert len(server.messages("ann@example.org")) == 2
        assert server.figure('pennypost_screenings_total{outcome="refuse",screener="clamav"}') == 1
        told = server.command("trace", "carl@example.net")
        assert "clamav: clean" in told
        assert "clamav: not scanned" in told
        assert "turned away: 5.7.1 Refused: the message contains" in told


@pytest.mark.parametrize(("ruling", "mailbox"), [("junk", "Junk"), ("hold", "Quarantine")])
def test_a_virus_is_filed_away(scanner: Path, tmp_path: Path, ruling: str, mailbox: str) -> None:
    settings = (
        f"screening.clamav.address=unix:{scanner}",
        f"screening.clamav.on_virus={ruling}",
        "screening.held_mailbox=Quarantine",
    )
    with RunningServer(tmp_path / "data", *settings) as server:
        server.make_account("ann@example.org")
        send(server, INFECTED)
        assert server.messages("ann@example.org") == []
        assert len(server.messages("ann@example.org", mailbox)) == 1


def test_without_a_scanner_mail_waits(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data", f"screening.clamav.address=unix:{tmp_path}/nobody") as server:
        server.make_account("ann@example.org")
        with pytest.raises(smtplib.SMTPDataError) as deferred:
            send(server, CLEAN)
        assert deferred.value.smtp_code == 451
        assert server.messages("ann@example.org") == []
