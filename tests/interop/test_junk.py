"""A running server files what is not wanted as junk, says why, and learns from who takes it out again."""

import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.running import RunningServer

BAD = (
    'From: "service@bank.example" <eve@example.com>\r\nFrom: eve@example.com\r\nSubject: YOUR ACCOUNT IS CLOSED\r\n'
    "X-Junk-Score: -50.0\r\n\r\nhttp://192.0.2.9/login\r\n"
)
GOOD = (
    "From: carl@example.net\r\nSubject: Lunch\r\nDate: Fri, 27 Nov 2026 12:00:00 +0000\r\n"
    "Message-ID: <1@example.net>\r\n\r\nShall we meet at noon?\r\n"
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with RunningServer(tmp_path / "data", "junk.enabled=true") as running:
        running.make_account("ann@example.org")
        yield running


def send(server: RunningServer, message: str) -> None:
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"], "client.example") as client:
        client.sendmail("eve@example.com", ["ann@example.org"], message)


def test_what_is_not_wanted_is_filed_as_junk(server: RunningServer) -> None:
    send(server, BAD)
    send(server, GOOD)
    (junk,) = server.messages("ann@example.org", "Junk")
    (wanted,) = server.messages("ann@example.org")
    assert b", junk\r\n" in junk
    assert b"from-count:\r\n\tIt does not name one author" in junk
    assert b"-50.0" not in junk
    assert b"X-Junk-Score: 0.0 of 5.0, wanted\r\n" in wanted
    assert wanted.endswith(GOOD.encode())


def test_explain_says_the_same(server: RunningServer, tmp_path: Path) -> None:
    file = tmp_path / "bad.eml"
    file.write_bytes(BAD.encode())
    told = server.command("junk", "explain", str(file))
    assert "A link leads to a bare number instead of a name. (link-to-a-number)" in told
    assert told.rstrip().endswith(": junk")
