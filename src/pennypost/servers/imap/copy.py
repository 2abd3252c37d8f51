"""COPY and UID COPY (RFC 9051 §6.4.7)."""

from pennypost.proto.imap.commands.copy import Copy
from pennypost.proto.imap.responses.status import Tagged, ok
from pennypost.servers.imap.session import Session
from pennypost.servers.imap.transfer import copyuid, transfer


async def copy(session: Session, command: Copy) -> Tagged:
    """Copy messages, with flags and dates, to the end of a mailbox."""
    copied = await transfer(session, command.messages, command.uid, command.mailbox, moving=False)
    return ok("COPY completed", copyuid(copied) if copied is not None else None)
