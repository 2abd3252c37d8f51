"""RENAME (RFC 9051 §6.3.6)."""

from pennypost.proto.imap.commands.rename import Rename
from pennypost.proto.imap.responses.status import Tagged, ok
from pennypost.servers.imap import old_names
from pennypost.servers.imap.session import Session
from pennypost.store import places
from pennypost.store.engine import Transaction


async def rename(session: Session, command: Rename) -> Tagged:
    """Give a mailbox and those below it another name; ids and UIDs stay. INBOX gives its messages away and stays."""
    account = session.owner.account

    async def operation(tx: Transaction) -> None:
        await places.rename(tx, account, command.mailbox, command.new_name)

    await session.door.store.write_large(operation)
    await old_names.tell(session, command.new_name, command.given)
    return ok("RENAME completed")
