"""Object identifiers on the wire (RFC 8474 §4): a letter, the account, the number in it.

Numbers are unique within an account; with the account they are unique on the server, as §4 wants.
"""

import re

from pennypost.model.ids import AccountId, MailboxId, MessageId, ThreadId

_OBJECT_ID = re.compile(rb"[A-Za-z0-9_\-]{1,255}")
_OURS = re.compile(rb"([EFT])([1-9][0-9]{0,18})-([1-9][0-9]{0,18})")


def mailbox_id(account: AccountId, mailbox: MailboxId) -> bytes:
    """MAILBOXID (RFC 8474 §4)."""
    return b"F%d-%d" % (account, mailbox)


def email_id(account: AccountId, origin: MessageId) -> bytes:
    """EMAILID (RFC 8474 §5.1); `origin`: what the message was first copied from."""
    return b"E%d-%d" % (account, origin)


def thread_id(account: AccountId, thread: ThreadId) -> bytes:
    """THREADID (RFC 8474 §5.2)."""
    return b"T%d-%d" % (account, thread)


def is_object_id(octets: bytes) -> bool:
    """Whether octets are an objectid of anybody's (RFC 8474 §7)."""
    return _OBJECT_ID.fullmatch(octets) is not None


def number_in(octets: bytes, kind: bytes, account: AccountId) -> int | None:
    """Give the number in an id of ours, of one kind and account; None for any other."""
    found = _OURS.fullmatch(octets)
    if found is None or found.group(1) != kind or int(found.group(2)) != account:
        return None
    return int(found.group(3))
