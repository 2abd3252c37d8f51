"""RENAME (RFC 9051 §6.3.6)."""

from pennypost.proto.imap.commands.rename import Rename
from pennypost.proto.imap.responses.status import Tagged, ok
from pennypost.servers.imap.session import Session
from pennypost.store import places


async def rename(session: Session, command: Rename) -> Tagged:
    """Give a mailbox and those below it another name; ids and UIDs stay. INBOX gives its messages away and stays."""
    account = session.owner.account
    await session.door.store.write_large(lambda tx: places.rename(tx, account, command.mailbox, command.new_name))
    return ok("RENAME completed")
