"""NOOP (RFC 9051 §6.1.2)."""

from pennypost.proto.imap.commands.noop import Noop
from pennypost.proto.imap.responses.status import Tagged, ok
from pennypost.servers.imap.session import Session


async def noop(session: Session, command: Noop) -> Tagged:
    """Do nothing: the news of the open mailbox follow every command."""
    return ok("NOOP completed")
