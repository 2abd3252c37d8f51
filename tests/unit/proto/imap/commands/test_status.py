import pytest
from tests.unit.proto.imap.parsing import parse, reason

from pennypost.proto.imap.commands.status import Status
from pennypost.proto.imap.status_items import StatusItem


def test_well_formed() -> None:
    """RFC 9051 §6.3.11, RFC 8438 §3.1, RFC 7889 §3.2, RFC 9208 §4.1.4."""
    assert parse(b"STATUS inbox (messages)") == Status("INBOX", (StatusItem.MESSAGES,))
    assert parse(b"STATUS a (UIDNEXT MESSAGES UIDNEXT)") == Status("a", (StatusItem.UIDNEXT, StatusItem.MESSAGES))
    everything = b" ".join(item.value for item in StatusItem)
    assert parse(b"STATUS a (" + everything + b")") == Status("a", tuple(StatusItem))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"STATUS", "expected a space and a mailbox name"),
        (b"STATUS a", "expected a space and a list of status items"),
        (b"STATUS a MESSAGES", "expected a list of status items"),
        (b"STATUS a ()", "expected a status item"),
        (b"STATUS a (FOO)", "expected a status item: APPENDLIMIT, DELETED, DELETED-STORAGE,"),
        (b"STATUS a (MESSAGES", "expected a status item or a closing parenthesis"),
        (b"STATUS a (MESSAGES )", "expected a status item"),
        (b"STATUS a (MESSAGES) x", "expected the end of the command"),
        (b"STATUS a (" + b" ".join([b"SIZE"] * 257) + b")", "expected at most 256 status items"),
    ],
)
def test_malformed(line: bytes, expected: str) -> None:
    assert reason(line).startswith(expected)
