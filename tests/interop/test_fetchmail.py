"""fetchmail, which takes mail away over IMAP or POP3 and hands it to a delivery program."""

from pathlib import Path

import pytest
from tests.interop.tools import imap, need, run, stored
from tests.running import Account, RunningServer

pytestmark = need("fetchmail")

MESSAGES = [
    b"From: a@example.net\r\nSubject: one\r\n\r\n.leading dot\r\n..\r\n.\r\nend\r\n",
    b"From: b@example.net\r\nSubject: two\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    + "Grüße\r\n".encode() * 9,
    b"From: c@example.net\r\nSubject: three\r\n\r\n" + b"x" * 900 + b"\r\n" * 500,
]


def fetch(server: RunningServer, account: Account, folder: Path, protocol: str, *options: str, status: int = 0) -> str:
    """Poll once; each message becomes a file in `folder/got`."""
    (folder / "got").mkdir(exist_ok=True)
    door, tls = {
        "imap": ("imap", "sslproto TLS1.2+"),
        "imaps": ("imaps", "ssl"),
        "pop3": ("pop3", "sslproto TLS1.2+"),
        "pop3s": ("pop3s", "ssl"),
    }[protocol]
    agent = folder / "deliver"
    agent.write_text(f'#!/bin/sh\nexec cat > "$(mktemp {folder}/got/XXXXXXXX)"\n')
    agent.chmod(0o755)
    configuration = folder / "fetchmailrc"
    configuration.write_text(
        f"""poll localhost port {server.ports[door]} protocol {protocol.removesuffix("s")} uidl
  user "{account.name}" password "{account.password}" {tls} sslcertck sslcertfile {server.authority_file}
  mda "{agent}" {" ".join(options)}
"""
    )
    configuration.chmod(0o600)
    return run(
        "fetchmail",
        *("-f", configuration, "--idfile", folder / "ids", "--pidfile", folder / "pid", "--nosyslog", "-v"),
        folder=folder,
        status=status,
    )


def got(folder: Path) -> list[bytes]:
    """Give what was delivered, with CRLF again, without what fetchmail puts on top."""
    return sorted(
        file.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") for file in (folder / "got").iterdir()
    )


def tails(octets: list[bytes]) -> set[bytes]:
    """Give each message from its Subject on."""
    return {message[message.index(b"Subject: ") :] for message in octets}


@pytest.fixture
def filled(server: RunningServer, account: Account) -> Account:
    with imap(server, account) as client:
        for message in MESSAGES:
            client.append("INBOX", None, None, message)
    return account


@pytest.mark.parametrize("protocol", ["imap", "imaps", "pop3", "pop3s"])
def test_mail_is_taken_away(server: RunningServer, filled: Account, tmp_path: Path, protocol: str) -> None:
    fetch(server, filled, tmp_path, protocol)
    assert tails(got(tmp_path)) == tails(MESSAGES)
    stored(server, filled, count=0)
    fetch(server, filled, tmp_path, protocol, status=1)  # 1: there was no mail


@pytest.mark.parametrize("protocol", ["imaps", "pop3s"])
def test_mail_is_kept_and_fetched_once(server: RunningServer, filled: Account, tmp_path: Path, protocol: str) -> None:
    fetch(server, filled, tmp_path, protocol, "keep")
    assert len(got(tmp_path)) == 3
    with imap(server, filled) as client:
        client.append("INBOX", None, None, MESSAGES[0].replace(b"one", b"four"))
    fetch(server, filled, tmp_path, protocol, "keep")
    assert len(got(tmp_path)) == 4, "UIDs and unique-ids did not change"
    assert len(stored(server, filled, count=4)) == 4


def test_a_wrong_password(server: RunningServer, account: Account, tmp_path: Path) -> None:
    wrong = Account(account.name, "wrong")
    assert "Authorization failure" in fetch(server, wrong, tmp_path, "imaps", status=3)
    assert "Authorization failure" in fetch(server, wrong, tmp_path, "pop3s", status=3)
