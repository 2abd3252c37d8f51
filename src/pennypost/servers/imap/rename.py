"""RENAME (RFC 9051 §6.3.6)."""

from pennypost.model.mailbox import DELIMITER
from pennypost.proto.imap.commands.rename import Rename
from pennypost.proto.imap.responses.status import Tagged, ok
from pennypost.servers.imap.session import Session
from pennypost.store import mailboxes, places
from pennypost.store.engine import Transaction


async def rename(session: Session, command: Rename) -> Tagged:
    """Give a mailbox and those below it another name; ids and UIDs stay. INBOX gives its messages away and stays."""
    account, selected = session.owner.account, session.selected

    async def operation(tx: Transaction) -> str | None:
        await places.rename(tx, account, command.mailbox, command.new_name)
        found = await mailboxes.by_id(tx, selected.account, selected.id) if selected is not None else None
        return found.name if found is not None else None

    name = await session.door.store.write_large(operation)
    if selected is not None and name is not None:
        levels = selected.name.split(DELIMITER)[:2] if selected.foreign else []
        selected.name = DELIMITER.join((*levels, name))
    return ok("RENAME completed")
