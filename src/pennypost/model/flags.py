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

_REGISTERED = (
    "$MDNSent $Forwarded $SubmitPending $Submitted $Junk $NotJunk $Phishing $Important "
    "$autosent $canunsubscribe $followed $hasattachment $hasmemo $hasnoattachment $imported $istrusted "
    "$MailFlagBit0 $MailFlagBit1 $MailFlagBit2 $maskedemail $memo $muted $new $notify $unsubscribed"
)
REGISTERED_KEYWORDS: dict[str, str] = {name.casefold(): name for name in _REGISTERED.split()}
"""How keywords of the registry are written (RFC 5788, RFC 8457, RFC 9979), by their name without regard to case."""
