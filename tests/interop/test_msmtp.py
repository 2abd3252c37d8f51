"""msmtp, the sendmail of people without a mail server of their own."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.interop.tools import need, parse, run, stored
from tests.running import Account, RunningServer

pytestmark = need("msmtp")

NewAccount = Callable[[], Account]


def configuration(server: RunningServer, account: Account, door: str, method: str, folder: Path) -> Path:
    file = folder / "msmtprc"
    starttls = "on" if door == "submission" else "off"
    file.write_text(
        f"""account default
host localhost
port {server.ports[door]}
domain client.example
from {account.name}
auth {method}
user {account.name}
password "{account.password}"
tls on
tls_starttls {starttls}
tls_trust_file {server.authority_file}
logfile {folder}/log
"""
    )
    file.chmod(0o600)
    return file


@pytest.mark.parametrize("method", ["plain", "scram-sha-1", "scram-sha-256", "login", "on"])
@pytest.mark.parametrize("door", ["submission", "submissions"])
def test_submission(server: RunningServer, new_account: NewAccount, tmp_path: Path, door: str, method: str) -> None:
    sender, recipient = new_account(), new_account()
    file = configuration(server, sender, door, method, tmp_path)
    run(
        "msmtp",
        *("-C", file, "-t"),
        typed=f"From: {sender.name}\nTo: {recipient.name}\nBcc: {sender.name}\nSubject: Grüße\n\n.\nHello, wörld\n",
    )
    for who in (sender, recipient):
        message = parse(stored(server, who)[0])
        assert message["Subject"] == "Grüße"
        assert message["Bcc"] is None
        assert message["Date"].datetime
        assert message["Message-ID"]
        assert message["Return-Path"] == f"<{sender.name}>"
        assert message["To"] == recipient.name


def test_somebody_elses_address(server: RunningServer, new_account: NewAccount, tmp_path: Path) -> None:
    sender, other = new_account(), new_account()
    file = configuration(server, sender, "submissions", "plain", tmp_path)
    said = run("msmtp", "-C", file, "-f", other.name, other.name, typed=f"From: {other.name}\n\nx\n", status=None)
    assert "550 5.7.1" in said
    said = run("msmtp", "-C", file, other.name, typed=f"From: {other.name}\n\nx\n", status=None)
    assert "550 5.7.1" in said, "the From field has to be one's own, too"
    stored(server, other, count=0)


def test_what_the_server_offers(server: RunningServer, account: Account, tmp_path: Path) -> None:
    file = configuration(server, account, "submission", "plain", tmp_path)
    said = run("msmtp", "-C", file, "--serverinfo")
    for word in ("SIZE", "PIPELINING", "DSN", "AUTH", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-1"):
        assert word in said


def test_dsn_options_are_taken(server: RunningServer, account: Account, tmp_path: Path) -> None:
    file = configuration(server, account, "submission", "plain", tmp_path)
    run(
        "msmtp",
        *("-C", file, "--dsn-notify=failure,delay", "--dsn-return=headers", account.name),
        typed=f"From: {account.name}\nSubject: dsn\n\nx\n",
    )
    assert parse(stored(server, account)[0])["Subject"] == "dsn"
