"""Real messages: what came in through SMTP comes out through IMAP and POP3, every octet of it."""

import poplib
import re
import smtplib
from collections.abc import Callable

import pytest
from tests.interop.tools import fetch_all, imap
from tests.running import Account, RunningServer
from tests.vectors.mime import FOLDERS, root

TRACE = re.compile(
    rb"Return-Path: <a@example\.net>\r\nDelivered-To: [^\r\n]+\r\n"
    rb"Received: from [^\r\n]+\r\n(?:[ \t][^\r\n]*\r\n)*"
)


def sendable() -> dict[str, bytes]:
    """Read the messages that SMTP can carry as they are: CRLF line ends, no NUL, no lone CR."""
    found = {}
    files = sorted(path for folder in FOLDERS for path in (root() / folder).rglob("*") if path.is_file())
    for path in files:
        octets = re.sub(rb"\r?\n", b"\r\n", path.read_bytes())
        if octets.endswith(b"\r\n") and b"\0" not in octets and not re.search(rb"\r(?!\n)", octets):
            found[str(path.relative_to(root()))] = octets
    return found


@pytest.fixture(scope="module")
def messages() -> dict[str, bytes]:
    found = sendable()
    if not found:
        pytest.skip("no shared messages")
    return found


@pytest.fixture(scope="module")
def recipient(server: RunningServer) -> Account:
    return server.make_account("everything@example.org")


def dot_stuffed(octets: bytes) -> bytes:
    """RFC 5321 §4.5.2."""
    return re.sub(rb"(?m)^\.", b"..", octets) + b".\r\n"


@pytest.fixture(scope="module")
def sent(server: RunningServer, recipient: Account, messages: dict[str, bytes]) -> list[str]:
    """Send all of them on one connection, in turn by DATA and by BDAT; give the names in the order of their UIDs."""
    with smtplib.SMTP("localhost", server.ports["smtp"], "client.example.net", timeout=30) as client:
        client.ehlo()
        for number, (name, octets) in enumerate(messages.items()):
            client.send(f"MAIL FROM:<a@example.net> BODY=8BITMIME\r\nRCPT TO:<{recipient.name}>\r\n".encode())
            assert [client.getreply()[0] for _ in range(2)] == [250, 250]
            if number % 2:
                client.send(b"BDAT %d LAST\r\n" % len(octets) + octets)
            else:
                assert client.docmd("DATA")[0] == 354
                client.send(dot_stuffed(octets))
            assert client.getreply()[0] == 250, name
    return list(messages)


UNREADABLE_RESULTS = ("mime-mimekit/messages/issue358.txt",)
"""They have an Authentication-Results that names no host, and may be taken for ours: it is taken out (RFC 8601 §5)."""


def assert_same(name: str, kept: bytes, octets: bytes) -> None:
    trace = TRACE.match(kept)
    assert trace is not None, (name, kept[:300])
    if name in UNREADABLE_RESULTS:
        octets = re.sub(rb"(?mi)^authentication-results:.*\n(?:[ \t].*\n)*", b"", octets)
    assert kept[trace.end() :] == octets, name


def test_out_through_imap(
    server: RunningServer, recipient: Account, messages: dict[str, bytes], sent: list[str]
) -> None:
    with imap(server, recipient) as client:
        client.select(readonly=True)
        kept = fetch_all(client)
        assert len(kept) == len(sent)
        for name, octets in zip(sent, kept, strict=True):
            assert_same(name, octets, messages[name])
        sizes = client.fetch("1:*", "(RFC822.SIZE)")[1]
        assert [int(re.search(rb"SIZE (\d+)", line)[1]) for line in sizes] == [len(octets) for octets in kept]
        # Whatever the message is, what describes it can be read, and the halves make the whole.
        for number, octets in enumerate(kept, 1):
            header, text = (client.fetch(str(number), f"(BODY.PEEK[{part}])")[1][0][1] for part in ("HEADER", "TEXT"))
            assert header + text == octets
            status, described = client.fetch(str(number), "(ENVELOPE BODYSTRUCTURE)")
            assert status == "OK"
            assert b"ENVELOPE (" in b"".join(part if isinstance(part, bytes) else part[0] for part in described)


def test_out_through_pop3(
    server: RunningServer, recipient: Account, messages: dict[str, bytes], sent: list[str]
) -> None:
    client = poplib.POP3_SSL("localhost", server.ports["pop3s"], timeout=30, context=server.tls)
    client.utf8()  # some have raw octets in their header (RFC 6856 §2.1)
    client.user(recipient.name)
    client.pass_(recipient.password)
    assert client.stat()[0] == len(sent)
    for number, name in enumerate(sent, 1):
        assert_same(name, retrieve(client, number), messages[name])
    client.quit()


def retrieve(client: poplib.POP3, number: int) -> bytes:
    """Do what `retr` does, without its limit on the length of a line."""
    client._putcmd(f"RETR {number}")
    assert client.file.readline().startswith(b"+OK")
    lines = []
    while (line := client.file.readline()) != b".\r\n":
        lines.append(line[1:] if line.startswith(b".") else line)
    return b"".join(lines)


def test_appended_and_copied(
    server: RunningServer, new_account: Callable[[], Account], messages: dict[str, bytes]
) -> None:
    """What goes in through IMAP comes out without a trace."""
    account = new_account()
    some = dict(list(messages.items())[::4])
    with imap(server, account) as client:
        for octets in some.values():
            assert client.append("Archive", None, None, octets)[0] == "OK"
        client.select("Archive")
        assert client.copy("1:*", "INBOX")[0] == "OK"
        client.select("INBOX")
        assert fetch_all(client) == list(some.values())
