"""Python's imaplib: every method of it that applies to this server."""

import imaplib
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from tests.interop.tools import imap
from tests.running import Account, RunningServer

NewAccount = Callable[[], Account]
SETTINGS = ("auth.allow_cleartext_login=loopback",)
CONTENT = (
    b"Date: Mon, 2 Nov 2026 10:00:00 +0000\r\nFrom: Ann <ann@example.net>\r\nTo: us@example.org\r\n"
    b"Subject: number %d\r\nMessage-ID: <%d@example.net>\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain\r\n\r\ntext %d\r\n"
    b"--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8A\r\n--b--\r\n"
)


@pytest.fixture
def client(server: RunningServer, account: Account) -> Iterator[imaplib.IMAP4_SSL]:
    """A session with three messages in its inbox, which is selected."""
    with imap(server, account) as session:
        for number in (1, 2, 3):
            ok(session.append("INBOX", None, None, CONTENT % ((number,) * 3)))
        ok(session.select())
        yield session


def ok(answer: tuple[str, list[bytes]]) -> list[bytes]:
    status, data = answer
    assert status == "OK", data
    return data


def no(answer: tuple[str, list[bytes]], code: bytes) -> None:
    status, data = answer
    assert status == "NO"
    assert data[0].startswith(b"[%s]" % code), data


def test_starttls(server: RunningServer, account: Account) -> None:
    with imaplib.IMAP4("localhost", server.ports["imap"], timeout=20) as client:
        assert "STARTTLS" in client.capabilities
        ok(client.starttls(server.tls))
        assert "STARTTLS" not in client.capabilities
        assert "LOGINDISABLED" not in client.capabilities
        ok(client.login(account.name, account.password))
        assert client.state == "AUTH"


def test_authenticate(server: RunningServer, account: Account) -> None:
    with imaplib.IMAP4_SSL("localhost", server.ports["imaps"], ssl_context=server.tls, timeout=20) as client:
        assert {"AUTH=PLAIN", "AUTH=SCRAM-SHA-256", "SASL-IR"} <= set(client.capabilities)
        ok(client.authenticate("PLAIN", lambda _: f"\0{account.name}\0{account.password}".encode()))


def test_wrong_passwords(server: RunningServer, account: Account) -> None:
    with imaplib.IMAP4_SSL("localhost", server.ports["imaps"], ssl_context=server.tls, timeout=20) as client:
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            client.login(account.name, "wrong")
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            client.authenticate("PLAIN", lambda _: b"\0nobody@example.org\0wrong")
        ok(client.login(account.name, account.password))


def test_clear_text_login_where_it_is_allowed(server: RunningServer, account: Account) -> None:
    with imaplib.IMAP4("127.0.0.1", server.ports["imap"], timeout=20) as client:
        ok(client.login(account.name, account.password))


def test_capabilities(client: imaplib.IMAP4) -> None:
    offered = set(ok(client.capability())[0].decode().split())
    assert offered >= {
        *("IMAP4rev1", "IMAP4rev2", "IDLE", "UIDPLUS", "MOVE", "UNSELECT", "NAMESPACE", "ID", "ENABLE"),
        *("CHILDREN", "SPECIAL-USE", "LIST-EXTENDED", "LIST-STATUS", "ESEARCH", "BINARY", "SASL-IR", "STATUS=SIZE"),
        "QUOTA",
    }
    assert offered & {"LITERAL+", "LITERAL-"}
    assert any(word.startswith("APPENDLIMIT") for word in offered)
    ok(client.noop())
    ok(client.check())


def test_mailboxes(client: imaplib.IMAP4) -> None:
    ok(client.create('"Work/New Project"'))
    no(client.create('"Work/New Project"'), b"ALREADYEXISTS")
    names = [line.decode().rpartition(' "/" ')[2].strip('"') for line in ok(client.list())]
    assert {"INBOX", "Sent", "Drafts", "Junk", "Trash", "Archive", "Work", "Work/New Project"} <= set(names)
    assert len(ok(client.list('""', "%"))) == len([name for name in names if "/" not in name])
    ok(client.subscribe('"Work/New Project"'))
    assert any(b'"Work/New Project"' in line for line in ok(client.lsub()))
    ok(client.unsubscribe('"Work/New Project"'))
    assert not any(line and b'"Work/New Project"' in line for line in ok(client.lsub()))
    ok(client.rename("Work", "Play"))
    assert any(b'"Play/New Project"' in line for line in ok(client.list('""', "Play/*")))
    ok(client.delete('"Play/New Project"'))
    no(client.delete('"Play/New Project"'), b"NONEXISTENT")
    no(client.select('"Play/New Project"'), b"NONEXISTENT")
    no(client.delete("INBOX"), b"CANNOT")


def test_status_and_select(client: imaplib.IMAP4) -> None:
    (status,) = ok(client.status("INBOX", "(MESSAGES UNSEEN UIDNEXT UIDVALIDITY SIZE DELETED)"))
    size = sum(len(CONTENT % ((n,) * 3)) for n in (1, 2, 3))
    assert re.fullmatch(rb"INBOX \(MESSAGES 3 UNSEEN 3 UIDNEXT 4 UIDVALIDITY \d+ SIZE %d DELETED 0\)" % size, status)
    assert ok(client.select("INBOX", readonly=True)) == [b"3"]
    assert client.response("UIDNEXT")[1] == [b"4"]
    assert client.response("UIDVALIDITY")[1][0].isdigit()
    assert rb"\*" not in ok(("OK", client.response("PERMANENTFLAGS")[1]))[0]
    assert client.store("1", "+FLAGS", r"(\Seen)")[0] == "NO"
    ok(client.close())
    ok(client.select())
    ok(client.unselect())
    assert client.state == "AUTH"


def test_append(client: imaplib.IMAP4) -> None:
    when = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)
    content = CONTENT % (4, 4, 4)
    (text,) = ok(client.append("INBOX", r"(\Flagged $Forwarded Own)", imaplib.Time2Internaldate(when), content))
    assert re.match(rb"\[APPENDUID \d+ 4\] ", text)
    no(client.append("Nowhere", None, None, content), b"TRYCREATE")
    ok(client.noop())
    (line, octets), _ = ok(client.fetch("4", "(FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])"))
    assert octets == content
    assert {b"\\Flagged", b"$Forwarded", b"Own"} <= set(imaplib.ParseFlags(line))
    assert datetime(*imaplib.Internaldate2tuple(line)[:6]).astimezone(UTC) == when
    assert b"RFC822.SIZE %d" % len(content) in line


def test_names_beyond_ascii(server: RunningServer, account: Account) -> None:
    with imap(server, account) as client:
        ok(client.create('"Entw&APw-rfe"'))
        assert any(line.endswith(b'"/" "Entw&APw-rfe"') for line in ok(client.list()))
        ok(client.enable("IMAP4rev2"))
        client._encoding = "utf-8"
        assert any(line.endswith('"/" "Entwürfe"'.encode()) for line in ok(client.list()))
        ok(client.select('"Entwürfe"'))


def test_fetch(client: imaplib.IMAP4) -> None:
    content = CONTENT % (1, 1, 1)
    head, _, body = content.partition(b"\r\n\r\n")
    wanted = {
        "BODY.PEEK[]": content,
        "RFC822": content,
        "RFC822.HEADER": head + b"\r\n\r\n",
        "RFC822.TEXT": body,
        "BODY.PEEK[TEXT]": body,
        "BODY[HEADER]": head + b"\r\n\r\n",
        "BODY[HEADER.FIELDS (SUBJECT TO)]": b"To: us@example.org\r\nSubject: number 1\r\n\r\n",
        "BODY[1]": b"text 1",
        "BODY[2]": b"aGVsbG8A",
        "BODY[2.MIME]": b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        "BINARY[2]": b"hello\0",
        "BODY[]<5.10>": content[5:15],
    }
    for item, octets in wanted.items():
        ((_, fetched), _) = ok(client.fetch("1", f"({item})"))
        assert fetched == octets, item
    (line,) = ok(client.fetch("1", "(UID ENVELOPE BODYSTRUCTURE BODY)"))
    assert b'"number 1" (("Ann" NIL "ann" "example.net"))' in line
    assert b'"APPLICATION" "OCTET-STREAM" NIL NIL NIL "BASE64" 8' in line.upper()
    assert len(ok(client.fetch("1:*", "FAST"))) == 3
    assert len(ok(client.fetch("2:3,1", "ALL"))) == 3
    assert len(ok(client.fetch("*", "FULL"))) == 1


def test_store_and_search(client: imaplib.IMAP4) -> None:
    (line, *_) = ok(client.store("1", "+FLAGS", r"(\Answered $Junk)"))
    assert line.startswith(b"1 (FLAGS (")
    assert ok(client.store("2:3", "FLAGS.SILENT", r"(\Draft)")) in ([None], [])
    ok(client.uid("STORE", "2", "-FLAGS", r"(\Draft)"))
    searches = {
        ("ALL",): b"1 2 3",
        ("ANSWERED",): b"1",
        ("KEYWORD", "$Junk"): b"1",
        ("UNKEYWORD", "$Junk"): b"2 3",
        ("DRAFT",): b"3",
        ("NOT", "DRAFT"): b"1 2",
        ("OR", "DRAFT", "ANSWERED"): b"1 3",
        ("SUBJECT", '"umber 2"'): b"2",
        ("FROM", "ANN"): b"1 2 3",
        ("TO", "nobody"): b"",
        ("BODY", '"text 3"'): b"3",
        ("TEXT", '"number 1"'): b"1",
        ("HEADER", "Message-ID", "<2@example.net>"): b"2",
        ("SENTBEFORE", "3-Nov-2026"): b"1 2 3",
        ("SENTSINCE", "3-Nov-2026"): b"",
        ("LARGER", "10"): b"1 2 3",
        ("SMALLER", "10"): b"",
        ("UID", "2:*"): b"2 3",
        ("2:3", "NOT", "UID", "3"): b"2",
        ("(UNSEEN (ANSWERED))",): b"1",
    }
    for keys, found in searches.items():
        assert ok(client.search(None, *keys)) == [found], keys
    assert ok(client.search("UTF-8", "SUBJECT", "number")) == [b"1 2 3"]
    client.literal = "Grüße".encode()
    assert ok(client.search("UTF-8", "TEXT")) == [b""]
    assert ok(client.uid("SEARCH", "ANSWERED")) == [b"1"]
    status, (text,) = client.search("X-NOTHING", "ALL")
    assert status == "NO"
    assert text.startswith(b"[BADCHARSET (US-ASCII UTF-8 ")


def test_copy_move_expunge(client: imaplib.IMAP4) -> None:
    (text,) = ok(client.copy("1:2", "Archive"))
    assert re.match(rb"\[COPYUID \d+ 1:2 1:2\]", text)
    no(client.copy("1", "Nowhere"), b"TRYCREATE")
    ok(client.uid("MOVE", "3", "Trash"))
    assert client.response("EXPUNGE")[1] == [b"3"]
    ok(client.store("1", "+FLAGS", r"(\Deleted)"))
    ok(client.uid("EXPUNGE", "2"))
    assert ok(client.search(None, "ALL")) == [b"1 2"]
    assert ok(client.expunge()) == [b"1"]
    ok(client.store("1", "+FLAGS", r"(\Deleted)"))
    ok(client.close())
    assert ok(client.select()) == [b"0"]
    assert ok(client.select("Archive")) == [b"2"]
    assert ok(client.select("Trash")) == [b"1"]


def test_quota_and_namespace(client: imaplib.IMAP4) -> None:
    assert ok(client.namespace()) == [b'(("" "/")) (("Other Users/" "/")) (("Shared/" "/"))']
    _, (roots, resources) = client.getquotaroot("INBOX")
    assert roots[0].startswith(b"INBOX")
    root = roots[0].split()[1].decode() if len(roots[0].split()) > 1 else None
    if root is not None:
        ok(client.getquota(root))
        assert resources
        assert client.setquota(root, "(STORAGE 10)")[0] in ("NO", "BAD")


def test_what_is_not_offered_is_bad(client: imaplib.IMAP4) -> None:
    for command in (lambda: client.thread("MAGIC", "UTF-8", "ALL"), lambda: client.xatom("XNONSENSE", "1")):
        with pytest.raises(imaplib.IMAP4.error, match="BAD"):
            command()
    ok(client.noop())


def test_id_and_recent(client: imaplib.IMAP4) -> None:
    imaplib.Commands["ID"] = ("AUTH", "SELECTED")
    try:
        ok(client._simple_command("ID", '("name" "imaplib")'))
        assert b'"name"' in client.response("ID")[1][0].lower()
    finally:
        del imaplib.Commands["ID"]
    ok(client.recent())


def test_what_another_session_does(server: RunningServer, account: Account, client: imaplib.IMAP4) -> None:
    with imap(server, account) as other:
        ok(other.select())
        ok(other.store("1", "+FLAGS", r"(\Flagged)"))
        ok(other.store("2", "+FLAGS", r"(\Deleted)"))
        ok(other.expunge())
        ok(other.append("INBOX", None, None, CONTENT % (4, 4, 4)))
    client.untagged_responses.clear()
    ok(client.noop())
    news = client.untagged_responses
    assert news["EXPUNGE"] == [b"2"]
    expunged_first = list(news).index("EXPUNGE") < list(news).index("EXISTS")
    assert news["EXISTS"] == [b"3" if expunged_first else b"4"]
    assert ok(client.search(None, "ALL")) == [b"1 2 3"]
    assert any(line.startswith(b"1 (") and b"\\Flagged" in line for line in news["FETCH"])


def test_idle(server: RunningServer, account: Account, client: imaplib.IMAP4) -> None:
    client.send(b"i1 IDLE\r\n")
    while not client.readline().startswith(b"+ "):
        pass
    with imap(server, account) as other:
        ok(other.append("INBOX", None, None, CONTENT % (4, 4, 4)))
        assert client.readline() == b"* 4 EXISTS\r\n"
        ok(other.select())
        ok(other.store("1", "+FLAGS", r"(\Deleted)"))
        ok(other.expunge())
    while (line := client.readline()) != b"* 1 EXPUNGE\r\n":
        assert line.startswith((b"* 1 FETCH ", b"* 4 RECENT", b"* 0 RECENT", b"* 1 RECENT")), line
    client.send(b"DONE\r\n")
    while not (line := client.readline()).startswith(b"i1 "):
        assert line.startswith(b"* ")
    assert line.startswith(b"i1 OK")
