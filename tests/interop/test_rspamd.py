"""A real Rspamd: its actions are followed, its symbols are evidence, its header fields are put in and taken out."""

import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.interop.rspamd import rspamd
from tests.interop.tools import need
from tests.running import RunningServer

pytestmark = need("rspamd")


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with rspamd(tmp_path_factory.mktemp("rspamd") / "r") as socket:
        yield socket


@pytest.fixture
def server(worker: Path, tmp_path: Path) -> Iterator[RunningServer]:
    settings = (f"screening.rspamd.address=unix:{worker}", "junk.enabled=true")
    with RunningServer(tmp_path / "data", *settings) as running:
        running.make_account("ann@example.org")
        running.make_account("bob@example.org")
        yield running


def send(server: RunningServer, word: str) -> None:
    message = (
        f"From: carl@example.net\r\nTo: ann@example.org\r\nSubject: {word}\r\nDate: Fri, 27 Nov 2026 12:00:00 +0000\r\n"
        f"Message-ID: <{word}@example.net>\r\nX-Gone: 1\r\n\r\nIt says {word}, and little else.\r\n"
    )
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"], "client.example") as client:
        client.sendmail("carl@example.net", ["ann@example.org", "bob@example.org"], message)


def test_what_rspamd_says_is_followed(server: RunningServer) -> None:
    send(server, "goodword")
    send(server, "middlingword")
    with pytest.raises(smtplib.SMTPDataError) as refused:
        send(server, "badword")
    assert (refused.value.smtp_code, refused.value.smtp_error[:5]) == (550, b"5.7.1")
    with pytest.raises(smtplib.SMTPDataError) as deferred:
        send(server, "laterword")
    assert deferred.value.args == (451, b"4.7.1 Come back at tea time")

    (wanted,) = server.messages("ann@example.org")
    assert b"X-Seen: client.example 127.0.0.1 carl@example.net bob@example.org\r\n" in wanted
    assert b"X-Gone" not in wanted
    assert b"X-Junk-Evidence: -3.0 rspamd-ours-good:\r\n\tIt says goodword." in wanted
    (junk,) = server.messages("ann@example.org", "Junk")
    assert b"X-Junk-Evidence: +7.5 rspamd-ours-middling:\r\n\tIt says middlingword." in junk
    assert "rspamd: add header, 8.0 of 15.0" in server.command("trace", "middlingword@example.net")
    assert server.figure('pennypost_screenings_total{outcome="defer",screener="rspamd"}') == 1
