"""Whose bounces are learnt from, and whose mail is held to what was learnt (`queue.suppress`).

Who writes to many has to stop writing to those who are not there: hosts judge senders by that (RFC 3464 §1.1 names it
among the uses of reports). Who writes to one person may know better than a bounce of last month. So mail to many alone
is looked at, unless the administrator wants it otherwise.
"""

from pennypost.mail.queue.settings import Suppress
from pennypost.message import headers

GONE_STATUSES = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})
"""What says that a recipient is not there, and will not be: of other refusals the message may be the cause."""

_LIST_FIELDS = frozenset({b"list-id", b"list-unsubscribe", b"list-post", b"list-help", b"list-subscribe"})
"""What mailing lists and senders of newsletters write (RFC 2369, RFC 2919)."""
_BULK_PRECEDENCES = frozenset({b"bulk", b"list", b"junk"})


def has_signs_of_bulk(header: bytes) -> bool:
    """Whether a header says that the message goes to many: a List- field, or Precedence (RFC 3834 §3.1.8)."""
    lower = header.lower()
    if b"list-" not in lower and b"precedence" not in lower:  # most mail, at little cost
        return False
    for name, value in headers.field_list(header):
        if name in _LIST_FIELDS or (name == b"precedence" and value.strip().lower() in _BULK_PRECEDENCES):
            return True
    return False


def concerns(mode: Suppress, *, priority: int, header: bytes | None = None) -> bool:
    """Whether a message is one whose recipients are suppressed, and whose bounces suppress them.

    `priority`: below 0 its sender says that it is less urgent than other mail (RFC 6710 §3). `header`: None where it is
    not known yet.
    """
    match mode:
        case Suppress.OFF:
            return False
        case Suppress.ON:
            return True
        case Suppress.BULK:
            return priority < 0 or (header is not None and has_signs_of_bulk(header))
