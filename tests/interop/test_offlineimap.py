"""OfflineIMAP, which keeps a Maildir and an IMAP account the same, with changes on both sides."""

from pathlib import Path

from tests.interop.tools import imap, need, run
from tests.running import Account, RunningServer

pytestmark = need("offlineimap")

MESSAGE = b"From: you@example.net\r\nSubject: %b\r\n\r\nfar\r\n"


def configure(server: RunningServer, account: Account, folder: Path) -> Path:
    (folder / "mail").mkdir()
    configuration = folder / "offlineimaprc"
    configuration.write_text(
        f"""[general]
accounts = ours
metadata = {folder}/state

[Account ours]
localrepository = near
remoterepository = far

[Repository near]
type = Maildir
localfolders = {folder}/mail

[Repository far]
type = IMAP
remotehost = localhost
remoteport = {server.ports["imaps"]}
remoteuser = {account.name}
remotepass = {account.password}
ssl = yes
sslcacertfile = {server.authority_file}
"""
    )
    return configuration


def test_changes_on_both_sides(server: RunningServer, account: Account, tmp_path: Path) -> None:
    configuration = configure(server, account, tmp_path)

    def sync() -> None:
        run("offlineimap", "-o", "-u", "quiet", "-c", configuration, folder=tmp_path)

    inbox = tmp_path / "mail" / "INBOX"

    def near() -> dict[bytes, Path]:
        files = [file for part in ("cur", "new") for file in (inbox / part).iterdir()]
        return {file.read_bytes().split(b"Subject: ")[1].split()[0]: file for file in files}

    with imap(server, account) as client:
        for subject in (b"one", b"two", b"three"):
            assert client.append("INBOX", None, None, MESSAGE % subject)[0] == "OK"
    sync()
    assert set(near()) == {b"one", b"two", b"three"}

    flagged = near()[b"one"]
    flagged.rename(inbox / "cur" / f"{flagged.name.partition(':')[0]}:2,FS")
    near()[b"two"].unlink()
    (inbox / "new" / "4.local").write_bytes(b"From: me@example.org\nSubject: four\n\nnear\n")
    with imap(server, account) as client:
        client.select()
        client.store("3", "+FLAGS", r"(\Answered)")
        assert client.append("INBOX", None, None, MESSAGE % b"five")[0] == "OK"
    sync()
    sync()

    assert set(near()) == {b"one", b"three", b"four", b"five"}
    assert "R" in near()[b"three"].name.partition(":2,")[2]
    with imap(server, account) as client:
        client.select(readonly=True)
        found = client.fetch("1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
        flags = {item[1].split()[1]: item[0] for item in found if isinstance(item, tuple)}
    assert set(flags) == {b"one", b"three", b"four", b"five"}
    assert rb"\Flagged" in flags[b"one"]
    assert rb"\Seen" in flags[b"one"]
