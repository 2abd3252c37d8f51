"""Mailboxes as IMAP and JMAP know them."""

from dataclasses import dataclass
from enum import Enum

from pennypost.model.ids import MailboxId, ModSeq, Uid, UidValidity

DELIMITER = "/"
"""The hierarchy delimiter in mailbox names (RFC 9051 §5.1.1)."""


class MailboxRole(Enum):
    """What a mailbox is for (RFC 6154 §2; RFC 8621 §2 for the JMAP names, which are the values)."""

    INBOX = "inbox"
    SENT = "sent"
    DRAFTS = "drafts"
    JUNK = "junk"
    TRASH = "trash"
    ARCHIVE = "archive"
    FLAGGED = "flagged"
    ALL = "all"
    IMPORTANT = "important"
    SCHEDULED = "scheduled"


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One mailbox with its counters, as they are at one moment.

    `name`: the full path, NFC, `DELIMITER` between levels, "INBOX" in capitals. `octets`: the RFC822.SIZE of all its
    messages. `recent_floor`: messages from this UID on have not been seen by any session (`\\Recent`, RFC 3501 §2.3.2).
    `selectable` False is `\\Noselect`: a name that was deleted while it had children.
    `shared_seen`: `\\Seen` is one for all who may see the mailbox, not each reader's own.
    """

    id: MailboxId
    name: str
    role: MailboxRole | None
    subscribed: bool
    selectable: bool
    uid_validity: UidValidity
    uid_next: Uid
    highest_modseq: ModSeq
    total: int
    unseen: int
    deleted: int
    octets: int
    recent_floor: Uid
    shared_seen: bool = False
