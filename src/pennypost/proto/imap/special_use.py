"""Special-use attributes of mailboxes (RFC 6154 §2, RFC 8457 §3, RFC 9979)."""

from pennypost.model.mailbox import MailboxRole

ROLE_ATTRIBUTES: dict[MailboxRole, bytes] = {
    MailboxRole.ALL: b"\\All",
    MailboxRole.ARCHIVE: b"\\Archive",
    MailboxRole.DRAFTS: b"\\Drafts",
    MailboxRole.FLAGGED: b"\\Flagged",
    MailboxRole.JUNK: b"\\Junk",
    MailboxRole.SENT: b"\\Sent",
    MailboxRole.TRASH: b"\\Trash",
    MailboxRole.IMPORTANT: b"\\Important",
    MailboxRole.SCHEDULED: b"\\Scheduled",
}
"""What LIST says of a mailbox with a role. INBOX has none: its name says it."""

_ROLES = {attribute.upper(): role for role, attribute in ROLE_ATTRIBUTES.items()}


def role_of(attribute: bytes) -> MailboxRole | None:
    """Give the role that a special-use attribute means, in any case; None if we know none of this name."""
    return _ROLES.get(attribute.upper())
