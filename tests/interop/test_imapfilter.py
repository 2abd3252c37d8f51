"""imapfilter, which sorts mail by rules: searches, flags, copies, moves and mailboxes of its own."""

from pathlib import Path

from tests.interop.tools import imap, need, parse, run, stored
from tests.running import Account, RunningServer

pytestmark = need("imapfilter")

MESSAGE = b"From: %b@example.net\r\nTo: me@example.org\r\nSubject: %b\r\n\r\n%b\r\n"

RULES = """
options.timeout = 20
options.create = true
options.subscribe = true
account = IMAP {{ server = 'localhost', port = {port}, username = '{name}', password = '{password}', ssl = 'auto' }}
inbox = account.INBOX
list = inbox:contain_from('list@') * inbox:is_unseen()
list:move_messages(account['Lists/Ümlaut'])
large = inbox:is_larger(2000)
large:mark_flagged()
large:copy_messages(account.Archive)
old = inbox:contain_subject('delete me') + inbox:match_body('nonsense[0-9]+')
old:delete_messages()
inbox:contain_subject('seen'):mark_seen()
boxes = account:list_all()
print(#boxes)
"""


def test_rules(server: RunningServer, account: Account, tmp_path: Path) -> None:
    rules = tmp_path / "rules.lua"
    rules.write_text(RULES.format(port=server.ports["imaps"], name=account.name, password=account.password))
    with imap(server, account) as client:
        for sender, subject, text in (
            (b"list", b"to a list", b"text"),
            (b"you", b"large", b"x" * 3000),
            (b"you", b"delete me", b"text"),
            (b"you", b"matched", b"nonsense42"),
            (b"you", b"seen", b"text"),
        ):
            assert client.append("INBOX", None, None, MESSAGE % (sender, subject, text))[0] == "OK"
    run("imapfilter", "-c", rules, "-t", server.authority_file, typed="", folder=tmp_path)
    assert [parse(octets)["Subject"] for octets in stored(server, account, "INBOX", 2)] == ["large", "seen"]
    assert [parse(octets)["Subject"] for octets in stored(server, account, "Archive")] == ["large"]
    assert [parse(octets)["Subject"] for octets in stored(server, account, '"Lists/&ANw-mlaut"')] == ["to a list"]
    with imap(server, account) as client:
        client.select(readonly=True)
        assert client.search(None, "FLAGGED")[1] == [b"1"]
        assert client.search(None, "SEEN")[1] == [b"2"]
        subscribed = client.lsub('""', "Lists/*")[1]
        assert subscribed[0] is not None
        assert b"Lists/&ANw-mlaut" in subscribed[0]
