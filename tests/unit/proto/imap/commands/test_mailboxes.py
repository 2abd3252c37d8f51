"""Commands whose arguments are mailbox names."""

import pytest
from tests.unit.proto.imap.parsing import parse, reason

from pennypost.model.errors import BadMailboxName
from pennypost.proto.imap.commands import CommandBody
from pennypost.proto.imap.commands.create import Create
from pennypost.proto.imap.commands.delete import Delete
from pennypost.proto.imap.commands.quota import GetQuotaRoot
from pennypost.proto.imap.commands.rename import Rename
from pennypost.proto.imap.commands.select import Examine, Select
from pennypost.proto.imap.commands.subscribe import Subscribe, Unsubscribe
from pennypost.proto.imap.reader import NO_NAME
from pennypost.store.names import normalise

ONE_NAME = {
    b"SELECT": Select,  # RFC 9051 §6.3.2
    b"EXAMINE": Examine,  # RFC 9051 §6.3.3
    b"CREATE": Create,  # RFC 9051 §6.3.4
    b"DELETE": Delete,  # RFC 9051 §6.3.5
    b"SUBSCRIBE": Subscribe,  # RFC 9051 §6.3.7
    b"UNSUBSCRIBE": Unsubscribe,  # RFC 9051 §6.3.8
    b"GETQUOTAROOT": GetQuotaRoot,  # RFC 9208 §4.1.2
}


@pytest.mark.parametrize("verb", ONE_NAME)
def test_one_name(verb: bytes) -> None:
    command = ONE_NAME[verb]
    assert parse(verb + b" work") == command("work")
    assert parse(verb + b' "my mail/a \\"b\\""') == command('my mail/a "b"')
    assert parse(verb + b" {4}\r\nwork") == command("work")
    assert parse(verb + b" inBox") == command("INBOX")
    assert parse(verb + b" Inbox/a") == command("INBOX/a")
    assert parse(verb + b" inboxes") == command("inboxes")
    assert parse(verb + b" Entw&APw-rfe") == command("Entwürfe")
    assert parse(verb + b" a]&-") == command("a]&")
    assert parse(verb + ' "Entwürfe & Rest"'.encode(), utf8=True) == command("Entwürfe & Rest")
    composed = parse(verb + ' "Entwu\u0308rfe"'.encode(), utf8=True)
    assert getattr(composed, "mailbox", None) == "Entwürfe"


@pytest.mark.parametrize("verb", [b"SELECT", b"EXAMINE", b"CREATE", b"DELETE"])
def test_a_name_that_is_not_in_nfc_is_kept_as_it_was_given(verb: bytes) -> None:
    """RFC 9051 §6.3.9.7."""
    given = "inbox/Entwu\u0308rfe"
    for octets in (f' "{given}"'.encode(), b" {%d}\r\n%b" % (len(given.encode()), given.encode())):
        assert parse(verb + octets, utf8=True) == ONE_NAME[verb]("INBOX/Entwürfe", given=given)
    assert parse(verb + ' "Entwürfe"'.encode(), utf8=True) == ONE_NAME[verb]("Entwürfe")
    assert parse(verb + b" inbox", utf8=True) == ONE_NAME[verb]("INBOX")
    assert parse(verb + b" Entwu&Awg-rfe") == ONE_NAME[verb]("Entwürfe")


@pytest.mark.parametrize("verb", ONE_NAME)
@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        (b"", "expected a space and a mailbox name"),
        (b" ", "expected a mailbox name"),
        (b"  x", "expected a mailbox name"),
        (b' "x', "expected a mailbox name: a quoted string has a closing quote, and no NUL,"),
        (b" %", "expected a mailbox name"),
        (b' "\xc3\xbc"', "mailbox name is not modified UTF-7"),
    ],
)
def test_one_name_malformed(verb: bytes, rest: bytes, expected: str) -> None:
    assert reason(verb + rest).startswith(expected)


@pytest.mark.parametrize("name", [b"&", b"&AGE-", b"&2Kw-", b"a&b"])
def test_what_is_no_modified_utf7_is_nobodys_name(name: bytes) -> None:
    assert parse(b"SELECT " + name) == Select(NO_NAME)
    with pytest.raises(BadMailboxName):
        normalise(NO_NAME)


@pytest.mark.parametrize("verb", sorted(set(ONE_NAME) - {b"CREATE"}))
def test_nothing_after_the_name(verb: bytes) -> None:
    assert reason(verb + b" a b").startswith("expected the end of the command")


def test_utf8_names_have_to_be_utf8() -> None:
    assert reason(b'SELECT "\xff"', utf8=True).startswith("mailbox name is not UTF-8")


def test_rename() -> None:
    """RFC 9051 §6.3.6."""
    assert parse(b'RENAME a "b c"') == Rename("a", "b c")
    assert parse('RENAME "a\u0308" "b\u0323"'.encode(), utf8=True) == Rename("ä", "ḅ", "a\u0308")
    assert parse('RENAME "a\u0308" b'.encode(), utf8=True) == Rename("ä", "b", "a\u0308")
    assert parse('RENAME "ä" "b\u0323"'.encode(), utf8=True) == Rename("ä", "ḅ", "ä")
    assert parse('RENAME "ä" "ḅ"'.encode(), utf8=True) == Rename("ä", "ḅ")
    assert reason(b"RENAME a").startswith("expected a space and the new mailbox name")
    assert reason(b"RENAME a b c").startswith("expected the end of the command")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # RFC 6154 §3, in the form of RFC 4466 §2.2
        (b"CREATE x (USE (\\Drafts))", Create("x", (b"\\Drafts",))),
        (b"CREATE x (use (\\Sent \\X))", Create("x", (b"\\Sent", b"\\X"))),
        (b"CREATE x (USE ())", Create("x", ())),
    ],
)
def test_special_uses(line: bytes, expected: CommandBody) -> None:
    assert parse(line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"CREATE x ", "expected CREATE parameters"),
        (b"CREATE x USE", "expected CREATE parameters"),
        (b"CREATE x ()", "expected a CREATE parameter"),
        (b"CREATE x (FOO (\\A))", "expected a CREATE parameter: USE"),
        (b"CREATE x (USE)", "expected a space and a list of special uses"),
        (b"CREATE x (USE \\Sent)", "expected a list of special uses"),
        (b"CREATE x (USE (Sent))", "expected a special use"),
        (b"CREATE x (USE (\\Sent)", "expected a closing parenthesis"),
        (b"CREATE x (USE (\\Sent))x", "expected the end of the command"),
        (b"CREATE x (USE (" + b" ".join([b"\\A"] * 257) + b"))", "too many special uses"),
    ],
)
def test_special_uses_malformed(line: bytes, expected: str) -> None:
    assert reason(line).startswith(expected)
