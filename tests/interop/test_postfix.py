"""Postfix, the mail server of others, relays to us over STARTTLS with a certificate that it verifies."""

import email.policy
import smtplib
from collections.abc import Callable, Iterator
from email.message import EmailMessage

import pytest
from tests.interop.postfix import Postfix, reason_not_to
from tests.interop.tools import parse, stored
from tests.running import Account, RunningServer

NewAccount = Callable[[], Account]
pytestmark = pytest.mark.skipif(bool(reason_not_to()), reason=reason_not_to())
SETTINGS = ("delivery.max_message_size=1 MiB",)


@pytest.fixture(scope="module")
def postfix(server: RunningServer) -> Iterator[Postfix]:
    with Postfix(server) as running:
        yield running


def submit(postfix: Postfix, recipients: list[str], message: EmailMessage | bytes, *options: str) -> None:
    with smtplib.SMTP("127.0.0.1", postfix.port, "client.example.net", timeout=20) as client:
        octets = message if isinstance(message, bytes) else message.as_bytes(policy=email.policy.SMTP)
        assert client.sendmail("a@example.net", recipients, octets, rcpt_options=options) == {}


def test_it_relays_to_several_recipients(server: RunningServer, postfix: Postfix, new_account: NewAccount) -> None:
    recipients = [new_account() for _ in range(3)]
    message = EmailMessage()
    message["From"], message["Subject"] = "a@example.net", "relayed"
    message.set_content(".\nGrüße\n..\n")
    message.add_attachment(bytes(range(256)) * 100, "application", "octet-stream")
    submit(postfix, [recipient.name for recipient in recipients], message)
    for recipient in recipients:
        (octets,) = stored(server, recipient)
        arrived = parse(octets)
        ours, theirs = arrived.get_all("Received")
        assert ours.startswith("from relay.example.net ([127.0.0.1])")
        assert "by mx.example.org" in ours
        assert "with ESMTPS id" in ours
        assert "tls TLS_" in ours
        assert "(TLSv1.3)" in ours
        assert "for <" not in ours, "recipients do not see each other"
        assert "by relay.example.net (Postfix)" in theirs
        assert arrived["Return-Path"] == "<a@example.net>"
        assert arrived["Delivered-To"] == recipient.name
        assert next(arrived.iter_attachments()).get_content() == bytes(range(256)) * 100
        assert octets.endswith(message.as_bytes(policy=email.policy.SMTP).partition(b"\r\n\r\n")[2])
    (line,) = postfix.wait_for("TLS connection established to 127.0.0.1")[:1]
    assert "Verified TLS connection" in line
    assert server.log_text().count('"incident"') == 0


def test_what_we_refuse_bounces(server: RunningServer, postfix: Postfix, account: Account) -> None:
    submit(postfix, [account.name, "nobody@example.org"], b"Subject: to two\r\n\r\nx\r\n")
    stored(server, account)
    (line,) = postfix.wait_for("to=<nobody@example.org>")
    assert "dsn=5.1.1, status=bounced" in line
    # The size limit is learnt from EHLO, so the message is not even sent.
    submit(postfix, [account.name], b"Subject: large\r\n\r\n" + b"x" * 70 * 20_000)
    (line,) = postfix.wait_for(" size limit 1048576")[:1]
    assert "status=bounced" in line


def test_success_is_reported(server: RunningServer, postfix: Postfix, account: Account) -> None:
    """We say DSN, so Postfix leaves a report of success to us (RFC 3461 §5.2.1) and says that it relayed."""
    submit(postfix, [account.name], b"Subject: wanted\r\n\r\nx\r\n", "NOTIFY=SUCCESS,FAILURE")
    (line,) = postfix.wait_for(f"to=<{account.name}>")
    assert "dsn=2.0.0, status=sent (250 2.0.0" in line
    stored(server, account)


def test_internationalized_mail(server: RunningServer, postfix: Postfix) -> None:
    account = server.make_account("grüße@example.org")
    with smtplib.SMTP("127.0.0.1", postfix.port, timeout=20) as client:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = "jürgen@example.net", account.name, "Grüße"
        message.set_content("x\n")
        client.send_message(message)
    (line,) = postfix.wait_for("to=<grüße@example.org>")
    assert "status=sent" in line
    (octets,) = server.messages(account.name)
    assert b" with UTF8SMTPS id " in octets


def test_many_messages(server: RunningServer, postfix: Postfix, account: Account) -> None:
    with smtplib.SMTP("127.0.0.1", postfix.port, timeout=20) as client:
        for number in range(100):
            client.sendmail("a@example.net", [account.name], b"Subject: %d\r\n\r\nx\r\n" % number)
    subjects = {parse(octets)["Subject"] for octets in stored(server, account, count=100)}
    assert subjects == {str(number) for number in range(100)}
