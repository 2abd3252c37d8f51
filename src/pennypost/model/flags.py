"""Flags and keywords of messages (RFC 9051 §2.3.2)."""

from enum import IntFlag

Keywords = tuple[str, ...]
"""Keywords of one message: sorted without regard to case, no doubles, case as first set. `$Forwarded`, `work`, …"""


class Flags(IntFlag):
    """System flags. The numbers are stored: never change them. `\\Recent` belongs to a session, not to a message."""

    NONE = 0
    SEEN = 1
    ANSWERED = 2
    FLAGGED = 4
    DELETED = 8
    DRAFT = 16


ALL_FLAGS = Flags.SEEN | Flags.ANSWERED | Flags.FLAGGED | Flags.DELETED | Flags.DRAFT

FLAG_NAMES: dict[Flags, str] = {
    Flags.ANSWERED: "\\Answered",
    Flags.FLAGGED: "\\Flagged",
    Flags.DELETED: "\\Deleted",
    Flags.SEEN: "\\Seen",
    Flags.DRAFT: "\\Draft",
}
"""As IMAP writes them, in the order in which FLAGS responses list them."""
