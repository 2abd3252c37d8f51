"""mutt, without a person: it submits, and reads and changes mailboxes."""

import os
import pty
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from tests.interop.tools import PROGRAM_SECONDS, find_program, imap, need, parse, run, stored
from tests.running import Account, RunningServer

pytestmark = need("mutt")

NewAccount = Callable[[], Account]


def configuration(server: RunningServer, account: Account, folder: Path) -> Path:
    configuration = folder / "muttrc"
    who = account.name.replace("@", "%40")
    configuration.write_text(
        f"""set ssl_ca_certificates_file={server.authority_file}
set ssl_starttls=yes ssl_force_tls=yes
set certificate_file={folder}/certificates
set from={account.name} use_from=yes envelope_from=yes realname="Somebody"
set smtp_url="smtp://{who}@localhost:{server.ports["submission"]}/"
set smtp_authenticators=plain imap_authenticators=plain:login pop_authenticators=plain:user
set smtp_pass="{account.password}"
set imap_user="{account.name}" imap_pass="{account.password}"
set pop_user="{account.name}" pop_pass="{account.password}"
set folder="imaps://{who}@localhost:{server.ports["imaps"]}/"
set record="=Sent" copy=yes
set mbox_type=mbox
set wait_key=no confirmappend=no confirmcreate=no quit=yes delete=yes
set tmpdir={folder}
"""
    )
    return configuration


def play(server: RunningServer, account: Account, folder: Path, url: str, keys: str) -> None:
    """Open a mailbox on a terminal, type `keys`, as mutt's `push` writes them, and wait until it ends."""
    program = find_program("mutt")
    assert program is not None
    master, terminal = pty.openpty()
    with subprocess.Popen(
        [program, "-n", "-F", configuration(server, account, folder), "-e", f"push '{keys}<quit>'", "-f", url],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        cwd=folder,
        env={**os.environ, "HOME": str(folder), "TERM": "vt100", "LC_ALL": "C.UTF-8"},
        start_new_session=True,
    ) as process:
        os.close(terminal)
        timer = threading.Timer(PROGRAM_SECONDS, process.kill)
        timer.start()
        shown = b""
        with suppress(OSError):  # the end of a terminal
            while octets := os.read(master, 65536):
                shown += octets
        status = process.wait()
        timer.cancel()
        os.close(master)
    assert status == 0, shown.decode("utf-8", "replace")


def test_it_submits_with_an_attachment(server: RunningServer, new_account: NewAccount, tmp_path: Path) -> None:
    sender, recipient = new_account(), new_account()
    attachment = tmp_path / "Grüße.bin"
    attachment.write_bytes(bytes(range(256)) * 300)
    run(
        "mutt",
        *("-n", "-F", configuration(server, sender, tmp_path)),
        *("-s", "mit Grüßen", "-c", sender.name, "-a", attachment, "--", recipient.name),
        typed="Hällo\n.\nFrom the start\n",
        folder=tmp_path,
    )
    for who in (recipient, sender):
        message = parse(stored(server, who)[0])
        assert message["Subject"] == "mit Grüßen"
        assert message["From"] == f"Somebody <{sender.name}>"
        text, attached = message.iter_parts()
        assert text.get_content().replace("\r\n", "\n") == "Hällo\n.\nFrom the start\n"
        assert attached.get_filename() == "Grüße.bin"
        assert attached.get_content() == attachment.read_bytes()
    sent = parse(stored(server, sender, "Sent")[0])
    assert sent["Subject"] == "mit Grüßen", "mutt files a copy over IMAP"


@pytest.mark.parametrize("door", ["imap", "imaps", "pop", "pops"])
def test_it_reads_a_mailbox(server: RunningServer, account: Account, tmp_path: Path, door: str) -> None:
    with imap(server, account) as client:
        for number in range(3):
            client.append(
                "INBOX", None, None, b"From: a@example.net\r\nSubject: n%d\r\n\r\ntext %d\r\n" % ((number,) * 2)
            )
    port = server.ports[door.replace("pop", "pop3")]
    copy = tmp_path / "copy"
    keys = f"<tag-pattern>~A<enter><tag-prefix><copy-message>{copy}<enter>"
    play(server, account, tmp_path, f"{door}://localhost:{port}/", keys)
    assert copy.read_text().count("\ntext ") == 3
    if door.startswith("imap"):
        with imap(server, account) as client:
            assert client.status("INBOX", "(UNSEEN)")[1] == [b"INBOX (UNSEEN 3)"], "copying is not reading"


def test_it_deletes_and_flags(server: RunningServer, account: Account, tmp_path: Path) -> None:
    with imap(server, account) as client:
        for number in range(3):
            client.append("INBOX", None, None, b"From: a@example.net\r\nSubject: n%d\r\n\r\nx\r\n" % number)
    keys = "<delete-pattern>~s n1<enter><tag-pattern>~s n2<enter><tag-prefix><flag-message>"
    play(server, account, tmp_path, f"imaps://localhost:{server.ports['imaps']}/INBOX", keys)
    with imap(server, account) as client:
        assert client.select()[1] == [b"2"]
        assert client.search(None, "FLAGGED")[1] == [b"2"]
        assert client.search(None, "SUBJECT", "n1")[1] == [b""]
