"""imapclient, the library other Python programs use, with mod-sequences."""

from imapclient import IMAPClient
from tests.running import Account, RunningServer

MESSAGE = b"From: a@example.net\r\nSubject: %d\r\n\r\nText\r\n"


def test_changes_of_others_are_found_by_mod_sequence(server: RunningServer, account: Account) -> None:
    with IMAPClient("localhost", server.ports["imaps"], ssl_context=server.tls) as one:
        one.login(account.name, account.password)
        for number in range(4):
            one.append("INBOX", MESSAGE % number)
        one.enable("CONDSTORE")
        before = one.select_folder("INBOX")[b"HIGHESTMODSEQ"]
        with IMAPClient("localhost", server.ports["imaps"], ssl_context=server.tls) as other:
            other.login(account.name, account.password)
            other.select_folder("INBOX")
            other.add_flags([2], [b"\\Flagged"])
            other.move([3], "Trash")
        one.noop()
        changed = one.fetch([1, 2, 3, 4], ["FLAGS"], [f"CHANGEDSINCE {before}"])
        assert list(changed) == [2]
        assert b"\\Flagged" in changed[2][b"FLAGS"]
        assert changed[2][b"MODSEQ"][0] > before
        assert one.search(["MODSEQ", str(before + 1)]) == [2]
        assert one.search("ALL") == [1, 2, 4]
        assert one.folder_status("Trash", ["MESSAGES", "HIGHESTMODSEQ"])[b"MESSAGES"] == 1
