"""curl, which speaks SMTP, IMAP and POP3."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.interop.tools import imap, need, parse, run, stored
from tests.running import Account, RunningServer

pytestmark = need("curl")

NewAccount = Callable[[], Account]
SCHEMES = {
    "smtp": "smtp",
    "submission": "smtp",
    "submissions": "smtps",
    "imap": "imap",
    "imaps": "imaps",
    "pop3": "pop3",
    "pop3s": "pop3s",
}


def curl(
    server: RunningServer, door: str, account: Account | None, path: str, *more: str | Path, typed: bytes = b""
) -> str:
    """Ask a door. TLS is required always: by the scheme, or by STARTTLS."""
    who = ("--user", f"{account.name}:{account.password}") if account is not None else ()
    return run(
        "curl",
        *("--silent", "--show-error", "--max-time", "30", "--ssl-reqd", "--cacert", server.authority_file),
        *(*who, f"{SCHEMES[door]}://localhost:{server.ports[door]}/{path}", *more),
        typed=typed,
    )


@pytest.fixture
def filled(server: RunningServer, account: Account) -> Account:
    """Somebody with three messages."""
    with imap(server, account) as client:
        for number in (1, 2, 3):
            text = b"From: a@example.net\r\nSubject: number %d\r\n\r\ntext %d\r\n" % (number, number)
            client.append("INBOX", r"(\Seen)" if number == 1 else None, None, text)
    return account


@pytest.mark.parametrize("door", ["submission", "submissions"])
def test_submission(server: RunningServer, new_account: NewAccount, door: str, tmp_path: Path) -> None:
    sender, recipient = new_account(), new_account()
    file = tmp_path / "attached.txt"
    file.write_text("attached\n" * 10_000)
    curl(
        server,
        door,
        sender,
        "client.example",
        *("--mail-from", sender.name, "--mail-rcpt", recipient.name),
        *("-F", "=(;type=multipart/alternative", "-F", "=text", "-F", '="<b>text</b>";type=text/html', "-F", "=)"),
        *("-F", f"=@{file};encoder=base64"),
        *("-H", f"From: {sender.name}", "-H", f"To: {recipient.name}", "-H", "Subject: from curl"),
    )
    message = parse(stored(server, recipient)[0])
    assert message["Subject"] == "from curl"
    assert message.get_body(("html",)).get_content().strip() == "<b>text</b>"
    (attached,) = message.iter_attachments()
    assert attached.get_content().replace("\r\n", "\n") == file.read_text()


def test_mail_from_another_server(server: RunningServer, account: Account, tmp_path: Path) -> None:
    file = tmp_path / "message"
    file.write_bytes(b"Subject: upload\r\n\r\n.\r\n..\r\nx\r\n")
    curl(
        server, "smtp", None, "client.example", "--mail-from", "a@example.net", "--mail-rcpt", account.name, "-T", file
    )
    assert stored(server, account)[0].endswith(file.read_bytes())
    said = curl(server, "smtp", None, "client.example", "-X", f"VRFY {account.name}")
    assert "252 2." in said or said == ""


@pytest.mark.parametrize("door", ["imap", "imaps"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_imap_logins(server: RunningServer, filled: Account, door: str, mechanism: str) -> None:
    listed = curl(server, door, filled, "", "--login-options", f"AUTH={mechanism}")
    assert r'* LIST (\HasNoChildren) "/" INBOX' in listed
    assert r"\Sent" in listed


@pytest.mark.parametrize("door", ["imap", "imaps"])
def test_imap(server: RunningServer, filled: Account, door: str, tmp_path: Path) -> None:
    assert curl(server, door, filled, "INBOX?UNSEEN").split() == ["*", "SEARCH", "2", "3"]
    assert curl(server, door, filled, "INBOX;MAILINDEX=2").endswith("\r\n\r\ntext 2\r\n")
    assert curl(server, door, filled, "INBOX;UID=3;SECTION=HEADER.FIELDS%20(SUBJECT)") == "Subject: number 3\r\n\r\n"
    assert curl(server, door, filled, "INBOX;UID=3;SECTION=TEXT") == "text 3\r\n"
    assert curl(server, door, filled, "INBOX?SUBJECT%20%22number%202%22") == "* SEARCH 2\r\n"
    assert curl(server, door, filled, "INBOX?UNSEEN").split() == ["*", "SEARCH"], "fetching a body sets \\Seen"
    assert "EXISTS" in curl(server, door, filled, "", "-X", "EXAMINE INBOX")
    file = tmp_path / "message"
    file.write_bytes(b"Subject: appended\r\n\r\n" + b"x" * 70 + b"\r\n" * 1000)
    curl(server, door, filled, "INBOX", "-T", file)
    assert stored(server, filled, count=4)[3] == file.read_bytes()
    fetched = curl(server, door, filled, "INBOX", "-X", "FETCH 1:2 (FLAGS RFC822.SIZE)")
    assert r"* 1 FETCH (FLAGS (\Seen" in fetched
    curl(server, door, filled, "INBOX", "-X", r"STORE 1:2 +FLAGS (\Deleted)")
    curl(server, door, filled, "INBOX", "-X", "EXPUNGE")
    assert len(stored(server, filled, count=2)) == 2
    curl(server, door, filled, "", "-X", 'CREATE "New one"')
    assert '"New one"' in curl(server, door, filled, "", "-X", 'LIST "" "N*"')


@pytest.mark.parametrize("door", ["pop3", "pop3s"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_pop3_logins(server: RunningServer, filled: Account, door: str, mechanism: str) -> None:
    listed = curl(server, door, filled, "", "--login-options", f"AUTH={mechanism}")
    assert [line.split()[0] for line in listed.splitlines()] == ["1", "2", "3"]


@pytest.mark.parametrize("door", ["pop3", "pop3s"])
def test_pop3(server: RunningServer, filled: Account, door: str) -> None:
    assert curl(server, door, filled, "2").endswith("Subject: number 2\r\n\r\ntext 2\r\n")
    assert len(curl(server, door, filled, "", "-X", "UIDL").splitlines()) == 3
    assert "Subject: number 3" in curl(server, door, filled, "", "-X", "TOP 3 0")
    assert curl(server, door, filled, "", "-X", "STAT", "--head") == ""
    curl(server, door, filled, "1", "-X", "DELE", "--head")
    assert len(stored(server, filled, count=2)) == 2
