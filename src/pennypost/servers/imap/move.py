"""MOVE and UID MOVE (RFC 9051 §6.4.8, RFC 6851)."""

from pennypost.proto.imap.commands.move import Move
from pennypost.proto.imap.responses import codes
from pennypost.proto.imap.responses.status import Condition, Tagged, ok, untagged
from pennypost.servers.imap.errors import require_writable
from pennypost.servers.imap.session import Session
from pennypost.servers.imap.transfer import copyuid, transfer
from pennypost.store.acl import Action
from pennypost.store.places import allowed


async def move(session: Session, command: Move) -> Tagged:
    """Move messages to the end of a mailbox. COPYUID goes ahead of the EXPUNGEs that follow (RFC 6851 §4.3)."""
    require_writable(session.open_mailbox.read_only)
    allowed(session.open_mailbox.rights, Action.TAKE_OUT)
    moved = await transfer(session, command.messages, command.uid, command.mailbox, moving=True)
    if moved is not None:
        session.write(untagged(Condition.OK, "Moved", copyuid(moved)))
        if session.qresync:
            return ok("MOVE completed", codes.highestmodseq(moved.modseq))  # RFC 7162 §3.2.9, as for EXPUNGE
    return ok("MOVE completed")
