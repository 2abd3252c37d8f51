"""Open-relay forms, false ends of a text, and passwords in clear, against the whole server.

What the door says of them alone is in tests/transcripts/smtp; here the real directory decides.
"""

import smtplib
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.interop.tools import stored
from tests.running import Account, RunningServer

SETTINGS = ("smtp.max_errors=200",)

FORMS = [
    "victim@elsewhere.example",
    "victim%elsewhere.example@example.org",
    "victim%elsewhere.example@[127.0.0.1]",
    "elsewhere.example!victim@example.org",
    "elsewhere.example!victim@[127.0.0.1]",
    "example.org!victim@elsewhere.example",
    '"victim@elsewhere.example"@example.org',
    '"victim%elsewhere.example"@example.org',
    '"victim@elsewhere.example"@[127.0.0.1]',
    '"victim@elsewhere.example"',
    '"victim%elsewhere.example"',
    "victim%elsewhere.example",
    "elsewhere.example!victim",
    "victim",
    "victim@elsewhere.example@example.org",
    "@example.org:victim@elsewhere.example",
    "@example.org,@mx.example.org:victim@elsewhere.example",
    "@mx.example.org:victim%elsewhere.example@example.org",
    "victim@[192.0.2.1]",
    "victim@[IPv6:2001:db8::1]",
    "victim@192.0.2.1",
    "victim@elsewhere.example.",
    "victim@elsewhere.example#example.org",
    "victim@sub.example.org",
    "victim@org",
    "postmaster@elsewhere.example",
    "abuse@elsewhere.example",
]
SENDERS = [
    "",
    "spammer@elsewhere.example",
    "ACCOUNT",
    "postmaster@example.org",
    "nobody@example.org",
    "spammer@[127.0.0.1]",
    "spammer@localhost",
]


@contextmanager
def greeted(server: RunningServer, door: str = "smtp") -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP("127.0.0.1", server.ports[door], "client.example.net", timeout=20) as client:
        client.ehlo()
        yield client


@pytest.mark.parametrize("sender", SENDERS)
def test_nobody_relays_through_us(server: RunningServer, account: Account, sender: str) -> None:
    """RFC 5321 §3.6.2, §7.9, appendix C; RFC 2505 §2.1."""
    sender = account.name if sender == "ACCOUNT" else sender
    with greeted(server) as client:
        code, text = client.docmd(f"MAIL FROM:<{sender}>")
        if code >= 500:
            return
        assert code == 250, text
        for form in FORMS:
            code, text = client.docmd(f"RCPT TO:<{form}>")
            assert 500 <= code < 600, (form, code, text)
        assert client.docmd(f"RCPT TO:<{account.name}>")[0] == 250
        assert client.docmd("RCPT TO:<Postmaster>")[0] == 250
        assert client.docmd(f"RCPT TO:<@relay.example:{account.name}>")[0] == 250


def test_submission_is_for_those_who_log_in(server: RunningServer, account: Account) -> None:
    """RFC 6409 §4.3, RFC 8314 §3.3."""
    with greeted(server, "submission") as client:
        assert client.docmd(f"MAIL FROM:<{account.name}>")[0] == 530
        assert client.docmd("AUTH", "PLAIN AGEAYg==")[0] == 538
        client.starttls(context=server.tls)
        client.ehlo()
        code, text = client.docmd(f"MAIL FROM:<{account.name}>")
        assert (code, text[:5]) == (530, b"5.7.0")
        assert client.docmd("RCPT TO:<victim@elsewhere.example>")[0] == 503


@pytest.mark.parametrize("false_end", [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"\r.\r\n", b"\r\n.\r"])
def test_nothing_is_smuggled(server: RunningServer, account: Account, false_end: bytes) -> None:
    """RFC 5321 §4.1.1.4: one message, refused."""
    inner = f"MAIL FROM:<evil@example.net>\r\nRCPT TO:<{account.name}>\r\nDATA\r\n".encode()
    with greeted(server) as client:
        client.docmd("MAIL FROM:<a@example.net>")
        client.docmd(f"RCPT TO:<{account.name}>")
        assert client.docmd("DATA")[0] == 354
        client.send(b"Subject: x\r\n\r\nbody" + false_end + inner + b"Subject: evil\r\n\r\nevil\r\n.\r\n")
        code, text = client.getreply()
        assert (code, text[:6]) == (550, b"5.6.11")
        assert client.noop()[0] == 250
    assert stored(server, account, count=0) == []
