import pytest
from tests.unit.proto.imap.parsing import parse, reason

from pennypost.proto.imap.commands import CommandBody
from pennypost.proto.imap.commands.list import List, ListReturn, ListSelection, Lsub
from pennypost.proto.imap.status_items import StatusItem

STATUS = ListReturn.STATUS


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # RFC 9051 §6.3.9
        (b'LIST "" ""', List("", ("",))),
        (b'LIST "" *', List("", ("*",))),
        (b'LIST "a/" "%b"', List("a/", ("%b",))),
        (b'LIST "" Entw&APw-rfe/%', List("", ("Entwürfe/%",))),
        (b'LIST "" inbox', List("", ("inbox",))),
        (b'LIST "" {2}\r\na*', List("", ("a*",))),
        # RFC 5258 §3
        (b'LIST () "" *', List("", ("*",), extended=True)),
        (b'LIST (SUBSCRIBED) "" %', List("", ("%",), ListSelection.SUBSCRIBED, extended=True)),
        (
            b'LIST (REMOTE recursivematch SUBSCRIBED) "" %',
            List(
                "",
                ("%",),
                ListSelection.REMOTE | ListSelection.RECURSIVEMATCH | ListSelection.SUBSCRIBED,
                extended=True,
            ),
        ),
        (b'LIST "" (a* %)', List("", ("a*", "%"), extended=True)),
        (b'LIST "" % RETURN ()', List("", ("%",), extended=True)),
        (
            b'LIST "" % RETURN (SUBSCRIBED CHILDREN)',
            List("", ("%",), returns=ListReturn.SUBSCRIBED | ListReturn.CHILDREN, extended=True),
        ),
        # RFC 6154 §2
        (
            b'LIST (SPECIAL-USE) "" % RETURN (SPECIAL-USE)',
            List("", ("%",), ListSelection.SPECIAL_USE, ListReturn.SPECIAL_USE, extended=True),
        ),
        # RFC 5819 §2
        (
            b'LIST "" % RETURN (STATUS (MESSAGES UNSEEN))',
            List(
                "",
                ("%",),
                returns=ListReturn.STATUS,
                status=(StatusItem.MESSAGES, StatusItem.UNSEEN),
                extended=True,
            ),
        ),
        # RFC 3501 §6.3.9
        (b'LSUB "#news." "comp.mail.*"', Lsub("#news.", "comp.mail.*")),
    ],
)
def test_well_formed(line: bytes, expected: CommandBody) -> None:
    assert parse(line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"LIST", "expected a space and a reference name"),
        (b'LIST ""', "expected a space and a mailbox pattern"),
        (b'LIST "" ', "expected a mailbox pattern"),
        (b'LIST "" * x', "expected RETURN"),
        (b'LIST "" * RETURN', "expected a space and LIST return options"),
        (b'LIST "" * RETURN SUBSCRIBED', "expected LIST return options"),
        (b'LIST "" * RETURN (FOO)', "expected a LIST return option: CHILDREN, METADATA, MYRIGHTS, SPECIAL-USE,"),
        (b'LIST "" * RETURN (CHILDREN', "expected a LIST return option or a closing parenthesis"),
        (b'LIST "" * RETURN (STATUS)', "expected a space and a list of status items"),
        (b'LIST "" * RETURN (STATUS (FOO))', "expected a status item: APPENDLIMIT, DELETED, DELETED-STORAGE,"),
        (b'LIST "" * RETURN (' + b" ".join([b"CHILDREN"] * 257) + b")", "too many LIST return options"),
        (b'LIST (FOO) "" *', "expected a LIST selection option: RECURSIVEMATCH, REMOTE, SPECIAL-USE or"),
        (b'LIST (SUBSCRIBED "" *', "expected a LIST selection option"),
        (b'LIST (SUBSCRIBED)"" *', "expected a space and a reference name"),
        (b'LIST (RECURSIVEMATCH) "" *', "expected SPECIAL-USE or SUBSCRIBED beside RECURSIVEMATCH"),
        (b'LIST (RECURSIVEMATCH REMOTE) "" *', "expected SPECIAL-USE or SUBSCRIBED beside RECURSIVEMATCH"),
        (b"LIST (" + b" ".join([b"REMOTE"] * 257) + b') "" *', "too many LIST selection options"),
        (b'LIST "" ()', "expected a mailbox pattern"),
        (b'LIST "" (a', "expected a mailbox pattern or a closing parenthesis"),
        (b'LIST "" (' + b" ".join([b"a"] * 257) + b")", "too many mailbox patterns"),
        (b'LIST "" "\xc3\xbc"', "mailbox pattern is not modified UTF-7"),
        (b"LSUB", "expected a space and a reference name"),
        (b'LSUB ""', "expected a space and a mailbox pattern"),
        (b'LSUB "" * *', "expected the end of the command"),
    ],
)
def test_malformed(line: bytes, expected: str) -> None:
    assert reason(line).startswith(expected)
