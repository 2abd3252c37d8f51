"""mbsync, which keeps a Maildir and an IMAP account the same, with changes on both sides."""

import re
from pathlib import Path

import pytest
from tests.interop.tools import imap, need, parse, run, stored
from tests.running import Account, RunningServer

pytestmark = need("mbsync")


class Maildir:
    """The near side: a tree of maildirs, and mbsync with its configuration."""

    def __init__(self, server: RunningServer, account: Account, folder: Path, door: str) -> None:
        self.folder = folder
        self.configuration = folder / "mbsyncrc"
        (folder / "mail").mkdir()
        self.configuration.write_text(
            f"""IMAPAccount ours
Host localhost
Port {server.ports[door]}
User {account.name}
Pass "{account.password}"
AuthMechs {"PLAIN" if door == "imaps" else "LOGIN"}
SSLType {"IMAPS" if door == "imaps" else "STARTTLS"}
CertificateFile {server.authority_file}

IMAPStore far
Account ours

MaildirStore near
Path {folder}/mail/
Inbox {folder}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
CopyArrivalDate yes
SyncState *
"""
        )

    def sync(self) -> str:
        return run("mbsync", "-V", "-c", self.configuration, "all", folder=self.folder)

    def messages(self, mailbox: str = "INBOX") -> dict[str, Path]:
        """Find the messages by their subject."""
        files = (file for part in ("cur", "new") for file in (self.folder / "mail" / mailbox / part).iterdir())
        return {parse(file.read_bytes())["Subject"]: file for file in files}

    def flag(self, subject: str, flags: str) -> None:
        """Set the flags of a message, as Maildir writes them: "FRS"."""
        file = self.messages()[subject]
        file.rename(file.parents[1] / "cur" / f"{file.name.partition(':')[0]}:2,{flags}")

    def add(self, subject: str, mailbox: str = "INBOX", flags: str = "") -> None:
        """Put a message there; `flags` as Maildir writes them."""
        place = self.folder / "mail" / mailbox
        for part in ("cur", "new", "tmp"):
            (place / part).mkdir(parents=True, exist_ok=True)
        name = f"{subject.replace(' ', '-')}:2,{flags}"
        (place / "cur" / name).write_bytes(b"From: me@example.org\nSubject: %s\n\nnear\n" % subject.encode())


@pytest.fixture(params=["imaps", "imap"])
def near(request: pytest.FixtureRequest, server: RunningServer, account: Account, tmp_path: Path) -> Maildir:
    return Maildir(server, account, tmp_path, request.param)


def subjects(server: RunningServer, account: Account, mailbox: str) -> dict[str, set[bytes]]:
    """Give the flags of each message of a mailbox, by subject, but for \\Recent, which differs between sessions."""
    found = {}
    with imap(server, account) as client:
        assert client.select(f'"{mailbox}"', readonly=True)[0] == "OK"
        if int(client.untagged_responses["EXISTS"][0]):
            for item in client.fetch("1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]:
                if isinstance(item, tuple):
                    flags = re.search(rb"FLAGS \(([^)]*)\)", item[0])[1]
                    found[item[1].split(b":", 1)[1].strip().decode()] = set(flags.split()) - {rb"\Recent"}
    return found


def append(server: RunningServer, account: Account, mailbox: str, *subjects: str) -> None:
    with imap(server, account) as client:
        for subject in subjects:
            text = b"From: you@example.net\r\nSubject: %s\r\n\r\nfar\r\n" % subject.encode()
            assert client.append(f'"{mailbox}"', r"(\Seen)", None, text)[0] == "OK"


def test_changes_on_both_sides(server: RunningServer, account: Account, near: Maildir) -> None:
    append(server, account, "INBOX", "far 0", "far 1", "far 2", "far 3")
    near.sync()
    assert all(path.name.endswith(":2,S") for path in near.messages().values())
    assert set(near.messages()) == {"far 0", "far 1", "far 2", "far 3"}

    near.add("near 0", flags="F")
    near.flag("far 0", "FRS")
    near.flag("far 1", "ST")
    with imap(server, account) as client:
        client.select()
        client.store("3", "+FLAGS", r"(\Flagged)")
        client.store("4", "+FLAGS", r"(\Deleted)")
        client.expunge()
    append(server, account, "INBOX", "far 4")
    near.sync()

    far = subjects(server, account, "INBOX")
    assert far == {
        "far 0": {rb"\Seen", rb"\Flagged", rb"\Answered"},
        "far 2": {rb"\Seen", rb"\Flagged"},
        "far 4": {rb"\Seen"},
        "near 0": {rb"\Flagged"},
    }
    flags = {subject: path.name.partition(":2,")[2] for subject, path in near.messages().items()}
    assert flags == {"far 0": "FRS", "far 2": "FS", "far 4": "S", "near 0": "F"}
    near.sync()
    assert subjects(server, account, "INBOX") == far, "nothing was left to be done"


def test_mailboxes_come_and_go_on_both_sides(server: RunningServer, account: Account, near: Maildir) -> None:
    near.sync()
    assert {"INBOX", "Sent", "Drafts", "Junk", "Trash", "Archive"} <= {p.name for p in (near.folder / "mail").iterdir()}
    near.add("one", "New near")
    near.add("two", "New near/Below")
    with imap(server, account) as client:
        assert client.create("Empty")[0] == "OK"
        assert client.create('"New far/Below &AOQ-"')[0] == "OK"
    append(server, account, "New far/Below &AOQ-", "three")
    near.sync()
    assert set(subjects(server, account, "New near")) == {"one"}
    assert set(subjects(server, account, "New near/Below")) == {"two"}
    (below,) = (path for path in (near.folder / "mail" / "New far").iterdir() if path.name.startswith("Below"))
    assert set(near.messages(f"New far/{below.name}")) == {"three"}
    assert near.messages("Empty") == {}
    with imap(server, account) as client:
        assert client.delete("Empty")[0] == "OK"
    near.sync()
    assert not (near.folder / "mail" / "Empty").exists()


def test_many_messages(server: RunningServer, account: Account, near: Maildir) -> None:
    for number in range(300):
        near.add(f"number {number}", "Archive", "S")
    near.sync()
    octets = stored(server, account, "Archive", count=300)
    assert {parse(message)["Subject"] for message in octets} == {f"number {number}" for number in range(300)}
    assert all(message.endswith(b"\r\n\r\nnear\r\n") for message in octets)
