"""CLOSE (RFC 9051 §6.4.1) and UNSELECT (RFC 9051 §6.4.2, RFC 3691)."""

from pennypost.proto.imap.commands.close import Close, Unselect
from pennypost.proto.imap.responses.status import Tagged, ok
from pennypost.servers.imap.session import Session
from pennypost.store import messages


async def close(session: Session, command: Close) -> Tagged:
    r"""Remove the messages with `\Deleted` without telling of them, unless opened read-only, and leave the mailbox."""
    selected = session.open_mailbox
    account, mailbox = session.owner.account, selected.id
    if not selected.read_only:
        await session.door.store.write_large(lambda tx: messages.expunge(tx, account, mailbox, None))
    session.close_mailbox()
    return ok("CLOSE completed")


async def unselect(session: Session, command: Unselect) -> Tagged:
    """Leave the mailbox and remove nothing."""
    session.close_mailbox()
    return ok("UNSELECT completed")
