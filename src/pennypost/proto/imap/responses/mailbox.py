"""Untagged data about mailboxes: FLAGS, LIST, LSUB, STATUS, EXISTS, RECENT, EXPUNGE, VANISHED (RFC 9051 §7.3, §7.4)."""

from collections.abc import Sequence
from itertools import count, groupby
from operator import sub

from pennypost.model.mailbox import DELIMITER
from pennypost.proto.imap.responses.search import sequence_set
from pennypost.proto.imap.responses.text import mailbox
from pennypost.proto.imap.sequence import Ranges
from pennypost.proto.imap.status_items import StatusItem

_DELIMITER = b'"%b"' % DELIMITER.encode("ascii")


def exists(messages: int) -> bytes:
    return b"* %d EXISTS\r\n" % messages


def recent(messages: int) -> bytes:
    """RECENT (RFC 3501 §7.3.2): not for a client that enabled IMAP4rev2."""
    return b"* %d RECENT\r\n" % messages


def expunge(number: int) -> bytes:
    return b"* %d EXPUNGE\r\n" % number


def expunges(numbers: Sequence[int]) -> bytes:
    """Tell that messages are gone, each of which renumbers those behind it. `numbers`: as they were before, ascending.

    Those that followed each other have one number when their turn comes, so their lines are alike.
    """
    if isinstance(numbers, range) and numbers.step == 1:
        return expunge(numbers.start) * len(numbers)
    told = groupby(map(sub, numbers, count()))
    return b"".join([expunge(number) * sum(1 for _ in alike) for number, alike in told])


def vanished(uids: Ranges, earlier: bool = False) -> bytes:
    """VANISHED (RFC 7162 §3.2.10). `earlier`: what went before the client looked; it renumbers nothing then."""
    return b"* VANISHED %b%b\r\n" % (b"(EARLIER) " if earlier else b"", sequence_set(uids))


def flags(names: bytes) -> bytes:
    """FLAGS (RFC 9051 §7.3.5). `names`: one space apart, without parentheses; see `fetch.flag_octets`."""
    return b"* FLAGS (%b)\r\n" % names


def list_name(
    name: str,
    attributes: Sequence[bytes],
    utf8: bool,
    child_info: Sequence[bytes] = (),
    old_name: str | None = None,
    verb: bytes = b"LIST",
) -> bytes:
    r"""LIST (RFC 9051 §7.3.1). `attributes`: with backslash, `\HasChildren` (RFC 3348 §3).

    `child_info`: selection criteria that a name below meets, in capitals (CHILDINFO, RFC 5258 §3.5). `old_name`: what
    the client called it (OLDNAME, RFC 9051 §6.3.9.7).
    """
    extended: list[bytes] = []
    if child_info:
        extended.append(b'"CHILDINFO" (%b)' % b" ".join([b'"%b"' % criterion for criterion in child_info]))
    if old_name is not None:
        extended.append(b'"OLDNAME" (%b)' % mailbox(old_name, utf8))
    line = b"* %b (%b) %b %b" % (verb, b" ".join(attributes), _DELIMITER, mailbox(name, utf8))
    return b"%b (%b)\r\n" % (line, b" ".join(extended)) if extended else line + b"\r\n"


def list_delimiter() -> bytes:
    """Answer `LIST "" ""` (RFC 9051 §6.3.9.6)."""
    return b'* LIST (\\Noselect) %b ""\r\n' % _DELIMITER


def lsub_name(name: str, attributes: Sequence[bytes], utf8: bool) -> bytes:
    """LSUB (RFC 3501 §7.2.3)."""
    return b"* LSUB (%b) %b %b\r\n" % (b" ".join(attributes), _DELIMITER, mailbox(name, utf8))


def status(name: str, values: Sequence[tuple[StatusItem, int | bytes | None]], utf8: bool) -> bytes:
    """STATUS (RFC 9051 §7.3.4). A value of None is NIL: an APPENDLIMIT without limit (RFC 7889 §3.2).

    Octets are an id (RFC 8474 §4.3).
    """
    items = [b"%b %b" % (item.value, _status_value(value)) for item, value in values]
    return b"* STATUS %b (%b)\r\n" % (mailbox(name, utf8), b" ".join(items))


def _status_value(value: int | bytes | None) -> bytes:
    match value:
        case None:
            return b"NIL"
        case int():
            return b"%d" % value
        case octets:
            return b"(%b)" % octets
