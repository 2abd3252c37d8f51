"""swaks, the SMTP tester, through every door for incoming mail."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.interop.tools import need, parse, run, stored, without_trace
from tests.running import Account, RunningServer

pytestmark = need("swaks")

NewAccount = Callable[[], Account]


def swaks(server: RunningServer, door: str, recipient: str, *more: str | Path, status: int = 0) -> str:
    return run(
        "swaks",
        *("--server", "127.0.0.1", "--port", str(server.ports[door]), "--helo", "client.example.net"),
        *("--to", recipient, "--timeout", "20", *more),
        status=status,
    )


def test_mail_from_another_server(server: RunningServer, account: Account) -> None:
    log = swaks(server, "smtp", account.name, "--from", "a@example.net", "--header", "Subject: by swaks")
    assert "<~  220 mx.example.org" in log or "<-  220 mx.example.org" in log
    assert "250 2.0.0" in log
    (octets,) = stored(server, account)
    message = parse(octets)
    assert message["Subject"] == "by swaks"
    assert message["Return-Path"] == "<a@example.net>"
    assert message["Delivered-To"] == account.name
    assert "from client.example.net ([127.0.0.1])" in message["Received"]
    assert "with ESMTP id" in message["Received"]


def test_starttls(server: RunningServer, account: Account) -> None:
    log = swaks(
        server,
        "smtp",
        account.name,
        *("--from", "a@example.net", "--tls", "--tls-verify", "--tls-ca-path", server.authority_file),
        *("--tls-sni", "mx.example.org"),
    )
    assert "TLS started with cipher TLSv1." in log
    assert "with ESMTPS id" in parse(stored(server, account)[0])["Received"]


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("door", ["submission", "submissions"])
def test_submission(server: RunningServer, new_account: NewAccount, door: str, mechanism: str) -> None:
    sender, recipient = new_account(), new_account()
    tls = "--tls" if door == "submission" else "--tlsc"
    log = swaks(
        server,
        door,
        recipient.name,
        *("--from", sender.name, tls, "--auth", mechanism),
        *("--auth-user", sender.name, "--auth-password", sender.password),
    )
    assert "235 2.7.0" in log
    message = parse(stored(server, recipient)[0])
    assert "with ESMTPSA id" in message["Received"]
    assert "127.0.0.1" not in message["Received"], "the address of a user of ours is not disclosed"


def test_submission_with_a_wrong_password(server: RunningServer, account: Account) -> None:
    log = swaks(
        server,
        "submissions",
        account.name,
        *("--from", account.name, "--tlsc", "--auth", "PLAIN"),
        *("--auth-user", account.name, "--auth-password", "wrong"),
        status=28,
    )
    assert "535 5.7.8" in log
    assert stored(server, account, count=0) == []


def test_no_login_in_clear(server: RunningServer, account: Account) -> None:
    log = swaks(server, "submission", account.name, "--from", account.name, "--quit-after", "EHLO")
    assert "250-STARTTLS" in log or "250 STARTTLS" in log
    assert "PLAIN" not in log
    log = swaks(server, "submission", account.name, "--from", account.name, status=23)
    assert "530 5.7.0" in log


def test_lmtp_on_a_unix_socket(server: RunningServer, new_account: NewAccount) -> None:
    recipients = [new_account(), new_account()]
    log = run(
        "swaks",
        *("--socket", server.lmtp_socket, "--protocol", "LMTP", "--helo", "local", "--from", "a@example.net"),
        *("--to", ",".join(recipient.name for recipient in recipients)),
    )
    assert log.count("250 2.1.5") >= 2  # of RCPT
    for recipient in recipients:
        message = parse(stored(server, recipient)[0])
        assert "with LMTP id" in message["Received"]
        assert message["Delivered-To"] == recipient.name


def test_an_unknown_recipient_among_known_ones(server: RunningServer, account: Account) -> None:
    log = swaks(server, "smtp", f"nobody@example.org,{account.name}", "--from", "a@example.net")
    assert "550 5.1.1" in log
    assert len(stored(server, account)) == 1


def test_we_do_not_relay(server: RunningServer, account: Account) -> None:
    log = swaks(server, "smtp", "somebody@example.com", "--from", account.name, status=24)
    assert "550 5.7.1" in log


def test_eight_bit_text_and_an_attachment(server: RunningServer, account: Account, tmp_path: Path) -> None:
    attachment = tmp_path / "octets.bin"
    attachment.write_bytes(bytes(range(256)) * 700)
    swaks(
        server,
        "smtp",
        account.name,
        *("--from", "a@example.net", "--header", "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?="),
        *(
            "--body",
            "Grüße aus Köln\n.\n..\n",
            "--attach-type",
            "application/octet-stream",
            "--attach",
            f"@{attachment}",
        ),
    )
    message = parse(stored(server, account)[0])
    assert message["Subject"] == "Grüße"
    text, attached = message.iter_parts()
    assert "Grüße aus Köln" in text.get_payload(decode=True).decode()
    assert attached.get_payload(decode=True) == attachment.read_bytes()


def test_pipelining(server: RunningServer, new_account: NewAccount) -> None:
    recipients = [new_account() for _ in range(3)]
    log = swaks(server, "smtp", ",".join(r.name for r in recipients), "--from", "a@example.net", "--pipeline", "--tls")
    assert "250-PIPELINING" in log or "250 PIPELINING" in log
    for recipient in recipients:
        assert len(stored(server, recipient)) == 1


def test_the_octets_are_kept(server: RunningServer, account: Account, tmp_path: Path) -> None:
    data = tmp_path / "message"
    data.write_bytes(b"From: a@example.net\nSubject:  two  spaces\nX-Odd:\t\n\tx\n\n trailing \t \n.dot\n..\n\n\n")
    swaks(server, "smtp", account.name, "--from", "a@example.net", "--data", f"@{data}")
    sent = data.read_bytes().replace(b"\n", b"\r\n")
    kept = without_trace(stored(server, account)[0])
    assert kept.startswith(sent.rstrip(b"\r\n"))
    assert kept[len(sent.rstrip(b"\r\n")) :].strip(b"\r\n") == b""


def test_a_client_that_speaks_first_is_refused(server: RunningServer) -> None:
    with socket.create_connection(("127.0.0.1", server.ports["smtp"]), 10) as sock:
        sock.sendall(b"EHLO early.example\r\nMAIL FROM:<a@example.net>\r\n")
        assert sock.makefile("rb").read().startswith(b"554 5.5.1 ")
