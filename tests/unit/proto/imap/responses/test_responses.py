"""Lines of untagged data and status responses, as RFC 9051 §7 writes them."""

import pytest

from pennypost.proto.imap.responses import codes, mailbox, quota, search, server
from pennypost.proto.imap.responses.status import Condition, challenge, continuation, status_line, untagged
from pennypost.proto.imap.status_items import StatusItem


def test_status_responses() -> None:
    assert status_line(b"a", Condition.OK, "done") == b"a OK done\r\n"
    assert status_line(b"a", Condition.NO, "no", codes.OVERQUOTA) == b"a NO [OVERQUOTA] no\r\n"
    assert untagged(Condition.BYE, "idle for too long") == b"* BYE idle for too long\r\n"
    assert untagged(Condition.OK, "x", codes.uidnext(5)) == b"* OK [UIDNEXT 5] x\r\n"
    assert continuation("go") == b"+ go\r\n"
    assert challenge(b"abc") == b"+ YWJj\r\n"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        # RFC 9051 §7.1, RFC 5530 §3
        (codes.capabilities([b"IMAP4rev1", b"IDLE"]), b"CAPABILITY IMAP4rev1 IDLE"),
        (codes.permanentflags(b"\\Seen \\*"), b"PERMANENTFLAGS (\\Seen \\*)"),
        (codes.uidvalidity(7), b"UIDVALIDITY 7"),
        (codes.unseen(3), b"UNSEEN 3"),
        (codes.badcharset(["UTF-8", "SHIFT_JIS"]), b"BADCHARSET (UTF-8 SHIFT_JIS)"),
        (codes.appenduid(7, ((3, 3),)), b"APPENDUID 7 3"),  # RFC 4315 §3
        (codes.copyuid(7, search.uid_set([1, 2, 5]), search.uid_set([9, 10, 11])), b"COPYUID 7 1:2,5 9:11"),
    ],
)
def test_codes(code: codes.ResponseCode, expected: bytes) -> None:
    assert code == expected


def test_server() -> None:
    assert server.capability([b"IMAP4rev2", b"IDLE"]) == b"* CAPABILITY IMAP4rev2 IDLE\r\n"
    assert server.enabled([]) == b"* ENABLED\r\n"
    assert server.enabled([b"IMAP4rev2"]) == b"* ENABLED IMAP4rev2\r\n"
    assert server.server_id([]) == b"* ID NIL\r\n"  # RFC 2971 §3.2
    assert server.server_id([("name", "x"), ("os", None)]) == b'* ID ("name" "x" "os" NIL)\r\n'
    # RFC 2342 §5
    assert server.namespace([""], [], [], utf8=False) == b'* NAMESPACE (("" "/")) NIL NIL\r\n'
    assert (
        server.namespace([""], ["Other Users/"], ["Shared/"], utf8=False)
        == b'* NAMESPACE (("" "/")) (("Other Users/" "/")) (("Shared/" "/"))\r\n'
    )


def test_mailbox() -> None:
    assert mailbox.exists(3) == b"* 3 EXISTS\r\n"
    assert mailbox.recent(0) == b"* 0 RECENT\r\n"
    assert mailbox.expunge(44) == b"* 44 EXPUNGE\r\n"
    assert mailbox.expunges([]) == b""
    for gone in ([2, 3, 4, 7, 9, 10], range(3, 9), range(2, 9, 3)):
        assert mailbox.expunges(gone) == b"".join(mailbox.expunge(n - i) for i, n in enumerate(gone))
    assert mailbox.flags(b"\\Seen a") == b"* FLAGS (\\Seen a)\r\n"
    assert mailbox.list_delimiter() == b'* LIST (\\Noselect) "/" ""\r\n'
    # RFC 3348 §4
    assert mailbox.list_name("ü", [b"\\HasNoChildren"], utf8=False) == b'* LIST (\\HasNoChildren) "/" "&APw-"\r\n'
    # RFC 5258 §3.5, RFC 9051 §6.3.9.7
    assert (
        mailbox.list_name("a", [], utf8=True, child_info=[b"SUBSCRIBED", b"SPECIAL-USE"])
        == b'* LIST () "/" "a" ("CHILDINFO" ("SUBSCRIBED" "SPECIAL-USE"))\r\n'
    )
    assert mailbox.list_name("a", [], utf8=True, old_name="A") == b'* LIST () "/" "a" ("OLDNAME" ("A"))\r\n'
    assert mailbox.lsub_name("INBOX", [], utf8=False) == b'* LSUB () "/" INBOX\r\n'
    assert (
        mailbox.status("a", [(StatusItem.MESSAGES, 3), (StatusItem.APPENDLIMIT, None)], utf8=False)
        == b'* STATUS "a" (MESSAGES 3 APPENDLIMIT NIL)\r\n'
    )


def test_search() -> None:
    assert search.search([]) == b"* SEARCH\r\n"
    assert search.search([2, 84, 882]) == b"* SEARCH 2 84 882\r\n"
    # RFC 4731 §3.1
    assert search.esearch(b"A1", uid=False) == b'* ESEARCH (TAG "A1")\r\n'
    assert (
        search.esearch(b"A1", uid=True, minimum=2, maximum=9, count=3, found=((2, 3), (9, 9)))
        == b'* ESEARCH (TAG "A1") UID MIN 2 MAX 9 COUNT 3 ALL 2:3,9\r\n'
    )
    assert search.esearch(b"A1", uid=False, count=0) == b'* ESEARCH (TAG "A1") COUNT 0\r\n'


def test_ranges() -> None:
    assert search.ranges_of([]) == ()
    assert search.ranges_of([1, 2, 3, 7, 9, 10]) == ((1, 3), (7, 7), (9, 10))
    assert search.uid_set([5, 3, 4]) == b"5,3:4"


def test_quota() -> None:
    """RFC 9208 §4.2."""
    storage = quota.Resource(b"STORAGE", 10, 512)
    assert quota.quota("", [storage]) == b'* QUOTA "" (STORAGE 10 512)\r\n'
    assert (
        quota.quota("#u", [storage, quota.Resource(b"MESSAGE", 1, 2)]) == b"* QUOTA #u (STORAGE 10 512 MESSAGE 1 2)\r\n"
    )
    assert quota.quota("#u", []) == b"* QUOTA #u ()\r\n"
    assert quota.quotaroot("INBOX", [""], utf8=False) == b'* QUOTAROOT INBOX ""\r\n'
    assert quota.quotaroot("a", [], utf8=False) == b'* QUOTAROOT "a"\r\n'
