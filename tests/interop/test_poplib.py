"""Python's poplib: every method of it that applies to this server."""

import poplib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from tests.interop.tools import imap, stored
from tests.running import Account, RunningServer

NewAccount = Callable[[], Account]
SETTINGS = ("auth.allow_cleartext_login=loopback",)
MESSAGES = [b"Subject: %d\r\n\r\n.\r\n..dots\r\nline 3\r\n" % number for number in (1, 2, 3)]


@contextmanager
def pop3(server: RunningServer, account: Account) -> Iterator[poplib.POP3_SSL]:
    client = poplib.POP3_SSL("localhost", server.ports["pop3s"], timeout=20, context=server.tls)
    try:
        client.user(account.name)
        client.pass_(account.password)
        yield client
    finally:
        client.close()


@pytest.fixture
def filled(server: RunningServer, account: Account) -> Account:
    with imap(server, account) as client:
        for message in MESSAGES:
            client.append("INBOX", None, None, message)
    return account


def octets(lines: list[bytes]) -> bytes:
    return b"".join(line + b"\r\n" for line in lines)


def test_stls(server: RunningServer, filled: Account) -> None:
    client = poplib.POP3("localhost", server.ports["pop3"], timeout=20)
    assert "STLS" in client.capa()
    assert client.stls(server.tls).startswith(b"+OK")
    assert "STLS" not in client.capa()
    client.user(filled.name)
    client.pass_(filled.password)
    assert client.stat() == (3, sum(map(len, MESSAGES)))
    client.quit()


def test_capabilities(server: RunningServer, filled: Account) -> None:
    with pop3(server, filled) as client:
        assert client.getwelcome().startswith(b"+OK")
        offered = client.capa()
        assert set(offered) >= {"TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "UTF8", "LANG"}
        assert set(offered) >= {"EXPIRE", "IMPLEMENTATION", "SASL"}
        client.quit()


def test_reading(server: RunningServer, filled: Account) -> None:
    with pop3(server, filled) as client:
        assert client.list()[1] == [b"%d %d" % (n, len(MESSAGES[n - 1])) for n in (1, 2, 3)]
        assert client.list(2) == b"+OK 2 %d" % len(MESSAGES[1])
        for number in (1, 2, 3):
            assert octets(client.retr(number)[1]) == MESSAGES[number - 1]
        assert octets(client.top(1, 0)[1]) == b"Subject: 1\r\n\r\n"
        assert octets(client.top(1, 1)[1]) == b"Subject: 1\r\n\r\n.\r\n"
        assert client.noop().startswith(b"+OK")
        for wrong in (lambda: client.retr(4), lambda: client.top(0, 0), lambda: client.dele(9), lambda: client.list(7)):
            with pytest.raises(poplib.error_proto, match="-ERR"):
                wrong()
        client.quit()


def test_unique_ids_do_not_change(server: RunningServer, filled: Account) -> None:
    with pop3(server, filled) as client:
        first = client.uidl()[1]
        assert client.uidl(3) == b"+OK " + first[2]
        assert len(set(first)) == 3
        client.dele(1)
        client.quit()
    with pop3(server, filled) as client:
        assert [line.split()[1] for line in client.uidl()[1]] == [line.split()[1] for line in first[1:]]


def test_deletion_happens_at_the_end_only(server: RunningServer, filled: Account) -> None:
    with pop3(server, filled) as client:
        client.dele(1)
        client.dele(2)
        with pytest.raises(poplib.error_proto):
            client.retr(1)
        assert client.stat()[0] == 1
        client.rset()
        assert client.stat()[0] == 3
        client.dele(1)
    # The connection broke: no QUIT, no UPDATE.
    with pop3(server, filled) as client:
        assert client.stat()[0] == 3
        client.dele(2)
        client.quit()
    assert stored(server, filled, count=2) == [MESSAGES[0], MESSAGES[2]]


def test_one_session_at_a_time(server: RunningServer, filled: Account) -> None:
    with pop3(server, filled) as first:
        second = poplib.POP3_SSL("localhost", server.ports["pop3s"], timeout=20, context=server.tls)
        second.user(filled.name)
        with pytest.raises(poplib.error_proto, match=r"\[IN-USE\]"):
            second.pass_(filled.password)
        first.quit()
        second.user(filled.name)
        assert second.pass_(filled.password).startswith(b"+OK")
        second.quit()


def test_wrong_passwords(server: RunningServer, account: Account) -> None:
    client = poplib.POP3_SSL("localhost", server.ports["pop3s"], timeout=20, context=server.tls)
    client.user("nobody@example.org")
    with pytest.raises(poplib.error_proto, match=r"-ERR \[AUTH\]"):
        client.pass_("wrong")
    with pytest.raises(poplib.error_proto, match="-ERR"):
        client.apop(account.name, "x") if b"<" in client.getwelcome() else client._shortcmd("APOP a b")
    client.close()


def test_clear_text_login_where_it_is_allowed(server: RunningServer, filled: Account) -> None:
    client = poplib.POP3("127.0.0.1", server.ports["pop3"], timeout=20)
    client.user(filled.name)
    client.pass_(filled.password)
    client.quit()


def test_utf8(server: RunningServer) -> None:
    account = server.make_account("grüße@example.org", "pässwörd")
    client = poplib.POP3_SSL("localhost", server.ports["pop3s"], timeout=20, context=server.tls)
    client.encoding = "utf-8"
    assert client.utf8().startswith(b"+OK")
    client.user(account.name)
    client.pass_(account.password)
    assert client.stat() == (0, 0)
    client.quit()


def test_long_messages(server: RunningServer, account: Account) -> None:
    message = b"Subject: long\r\n\r\n" + b"".join(b".%06d" % n + b"x" * 60 + b"\r\n" for n in range(20_000))
    with imap(server, account) as client:
        client.append("INBOX", None, None, message)
    with pop3(server, account) as reader:
        assert octets(reader.retr(1)[1]) == message
        reader.quit()
