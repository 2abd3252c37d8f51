"""Python's smtplib, and what it cannot do by hand: BDAT, SMTPUTF8 addresses, pipelining within TLS."""

import smtplib
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage

import pytest
from tests.interop.tools import parse, stored, without_trace
from tests.running import Account, RunningServer

NewAccount = Callable[[], Account]
SETTINGS = ("delivery.max_message_size=1 MiB",)
MAX_MESSAGE_SIZE = 1024 * 1024


@contextmanager
def mx(server: RunningServer, *, tls: bool = False) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP("localhost", server.ports["smtp"], "client.example.net", timeout=20) as client:
        if tls:
            client.starttls(context=server.tls)
        yield client


def letter(sender: str, recipient: str, subject: str = "smtplib") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, recipient, subject
    message.set_content("Grüße\n.\n..\nThe end\n")
    return message


def test_what_is_offered(server: RunningServer) -> None:
    with mx(server) as client:
        client.ehlo()
        offered = set(client.esmtp_features)
        assert offered >= {
            *("pipelining", "size", "8bitmime", "binarymime", "chunking", "smtputf8"),
            *("enhancedstatuscodes", "starttls", "dsn", "limits", "help"),
        }
        assert "auth" not in offered
        assert "requiretls" not in offered  # RFC 8689 §2: only once TLS is on
        assert client.esmtp_features["size"] == str(MAX_MESSAGE_SIZE)
        client.starttls(context=server.tls)
        client.ehlo()
        assert "starttls" not in client.esmtp_features
        assert "requiretls" in client.esmtp_features


def test_send_message(server: RunningServer, account: Account) -> None:
    with mx(server, tls=True) as client:
        assert client.send_message(letter("a@example.net", account.name)) == {}
    message = parse(stored(server, account)[0])
    assert message.get_content() == "Grüße\r\n.\r\n..\r\nThe end\r\n"


def test_several_messages_on_one_connection(server: RunningServer, new_account: NewAccount) -> None:
    first, second = new_account(), new_account()
    with mx(server) as client:
        for number in range(5):
            refused = client.sendmail(
                "a@example.net", [first.name, "nobody@example.org", second.name], b"Subject: %d\r\n\r\nx" % number
            )
            assert refused["nobody@example.org"][0] == 550
            assert refused["nobody@example.org"][1].startswith(b"5.1.1 ")
        assert client.noop()[0] == 250
        assert client.rset()[0] == 250
        assert client.verify(first.name)[0] == 252
        assert client.expn("list")[0] in (502, 550)
        assert client.help()
    for who in (first, second):
        assert [parse(octets)["Subject"] for octets in stored(server, who, count=5)] == ["0", "1", "2", "3", "4"]


def test_helo_only(server: RunningServer, account: Account) -> None:
    with mx(server) as client:
        assert client.helo()[0] == 250
        client.sendmail("", [account.name], b"Subject: null\r\n\r\nx\r\n")
    message = parse(stored(server, account)[0])
    assert message["Return-Path"] == "<>"
    assert " with SMTP id" in message["Received"]


@pytest.mark.parametrize("mechanism", ["auth_plain", "auth_login"])
def test_login(server: RunningServer, new_account: NewAccount, mechanism: str) -> None:
    sender, recipient = new_account(), new_account()
    with smtplib.SMTP_SSL("localhost", server.ports["submissions"], timeout=20, context=server.tls) as client:
        client.ehlo()
        client.user, client.password = sender.name, sender.password
        code, _ = client.auth(mechanism.removeprefix("auth_").upper(), getattr(client, mechanism))
        assert code == 235
        client.send_message(letter(sender.name, recipient.name))
    stored(server, recipient)


def test_wrong_passwords(server: RunningServer, account: Account) -> None:
    with smtplib.SMTP("localhost", server.ports["submission"], timeout=20) as client:
        client.starttls(context=server.tls)
        with pytest.raises(smtplib.SMTPAuthenticationError) as caught:
            client.login(account.name, "wrong")
        assert caught.value.smtp_code == 535
        with pytest.raises(smtplib.SMTPSenderRefused) as refused:
            client.sendmail(account.name, [account.name], b"x")
        assert refused.value.smtp_code == 530


def test_internationalized_addresses(server: RunningServer) -> None:
    account = server.make_account("grüße@example.org")
    with mx(server) as client:
        message = letter("jürgen@bücher.example", account.name, "Ünïcode")
        client.send_message(message)  # smtplib asks for SMTPUTF8 by itself
    (octets,) = server.messages(account.name)
    assert "Return-Path: <jürgen@bücher.example>\r\n".encode() in octets
    assert b" with UTF8SMTP id" in octets


def test_size_is_refused_before_the_message(server: RunningServer, account: Account) -> None:
    with mx(server) as client:
        with pytest.raises(smtplib.SMTPSenderRefused) as refused:
            client.sendmail("a@example.net", [account.name], b"x" * (MAX_MESSAGE_SIZE + 1))
        assert refused.value.smtp_code == 552
        assert refused.value.smtp_error.startswith(b"5.3.4 ")
        assert client.noop()[0] == 250


def bdat(client: smtplib.SMTP, octets: bytes, last: bool) -> tuple[int, bytes]:
    client.send(b"BDAT %d%s\r\n" % (len(octets), b" LAST" if last else b"") + octets)
    return client.getreply()


@pytest.mark.parametrize("tls", [False, True])
def test_chunking(server: RunningServer, account: Account, tls: bool) -> None:
    content = b"Subject: chunks\r\n\r\n.\r\n..\r\n" + bytes(range(1, 256)) * 400 + b"\r\n.\r\nno line end"
    with mx(server, tls=tls) as client:
        client.ehlo()
        assert client.docmd("MAIL", "FROM:<a@example.net> BODY=BINARYMIME")[0] == 250
        assert client.docmd("RCPT", f"TO:<{account.name}>")[0] == 250
        for at in range(0, len(content), 9999):
            assert bdat(client, content[at : at + 9999], last=False)[0] == 250
        code, text = bdat(client, b"", last=True)
        assert (code, text[:5]) == (250, b"2.0.0"), text
    assert without_trace(stored(server, account)[0]) == content


def test_chunks_beyond_the_limit(server: RunningServer, account: Account) -> None:
    with mx(server) as client:
        client.ehlo()
        assert client.docmd("MAIL", "FROM:<a@example.net>")[0] == 250
        assert client.docmd("RCPT", f"TO:<{account.name}>")[0] == 250
        code, text = bdat(client, b"x" * (MAX_MESSAGE_SIZE + 1), last=True)
        assert (code, text[:5]) == (552, b"5.3.4")
        assert client.noop()[0] == 250
    stored(server, account, count=0)


def test_everything_in_one_segment(server: RunningServer, account: Account) -> None:
    """RFC 2920 §3.1: all up to DATA may be sent at once, and the answers come in order."""
    with mx(server, tls=True) as client:
        client.ehlo()
        recipients = f"RCPT TO:<nobody@example.org>\r\nRCPT TO:<{account.name}>\r\n".encode()
        client.send(b"MAIL FROM:<a@example.net>\r\n" + recipients + b"DATA\r\n")
        assert [client.getreply()[0] for _ in range(4)] == [250, 550, 250, 354]
        client.send(b"Subject: x\r\n\r\nx\r\n.\r\nQUIT\r\n")
        assert [client.getreply()[0] for _ in range(2)] == [250, 221]
        assert client.sock.recv(1) == b""
        client.close()
    stored(server, account)


@pytest.mark.parametrize(
    "smuggled",
    [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\n\n.\r\r\n"],
    ids=repr,
)
def test_no_second_message_is_smuggled_in(server: RunningServer, account: Account, smuggled: bytes) -> None:
    """Only CRLF.CRLF ends a message, and one with a bare CR or LF is refused (RFC 5321 §2.3.8)."""
    with socket.create_connection(("127.0.0.1", server.ports["smtp"]), 20) as sock:
        replies = sock.makefile("rb")
        assert replies.readline().startswith(b"220 ")
        envelope = f"MAIL FROM:<a@example.net>\r\nRCPT TO:<{account.name}>\r\nDATA\r\n".encode()
        sock.sendall(b"HELO client.example.net\r\n" + envelope)
        assert [replies.readline()[:3] for _ in range(4)] == [b"250", b"250", b"250", b"354"]
        sock.sendall(b"Subject: one\r\n\r\none" + smuggled + envelope + b"Subject: two\r\n\r\ntwo\r\n.\r\n")
        assert replies.readline().startswith(b"550 5.6.11 ")
        sock.sendall(b"QUIT\r\n")
        assert replies.readline().startswith(b"221 ")
    stored(server, account, count=0)
