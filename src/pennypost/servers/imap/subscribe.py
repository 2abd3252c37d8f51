"""SUBSCRIBE (RFC 9051 §6.3.7) and UNSUBSCRIBE (RFC 9051 §6.3.8)."""

from pennypost.proto.imap.commands.subscribe import Subscribe, Unsubscribe
from pennypost.proto.imap.responses.status import Tagged, ok
from pennypost.servers.imap.session import Session
from pennypost.store import mailboxes, places


async def subscribe(session: Session, command: Subscribe) -> Tagged:
    """Add a name to the subscriptions; the mailbox need not exist (RFC 9051 §6.3.7 lets us not look)."""
    account = session.owner.account
    await session.door.store.write(lambda tx: places.subscribe(tx, account, command.mailbox))
    return ok("SUBSCRIBE completed")


async def unsubscribe(session: Session, command: Unsubscribe) -> Tagged:
    """Take a name off the subscriptions; one that is not there is none the worse."""
    account = session.owner.account
    await session.door.store.write(lambda tx: mailboxes.unsubscribe(tx, account, command.mailbox))
    return ok("UNSUBSCRIBE completed")
