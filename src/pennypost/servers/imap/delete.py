"""DELETE (RFC 9051 §6.3.5)."""

from pennypost.proto.imap.commands.delete import Delete
from pennypost.proto.imap.responses import codes
from pennypost.proto.imap.responses.status import Condition, Tagged, ok, untagged
from pennypost.servers.imap import old_names
from pennypost.servers.imap.session import Session
from pennypost.store import places


async def delete(session: Session, command: Delete) -> Tagged:
    """Remove a mailbox with its messages; names below it stay."""
    account = session.owner.account
    gone = await session.door.store.write_large(lambda tx: places.remove(tx, account, command.mailbox))
    selected = session.selected
    if selected is not None and (selected.account, selected.id) == (gone.account, gone.id):
        session.close_mailbox()
        session.write(untagged(Condition.OK, "Mailbox deleted", codes.CLOSED))
    await old_names.tell(session, command.mailbox, command.given)
    return ok("DELETE completed")
