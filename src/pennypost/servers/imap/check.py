"""CHECK (RFC 3501 §6.4.1)."""

from pennypost.proto.imap.commands.check import Check
from pennypost.proto.imap.responses.status import Tagged, ok
from pennypost.servers.imap.session import Session


async def check(session: Session, command: Check) -> Tagged:
    """Make a checkpoint: everything that was answered OK is durable already."""
    return ok("CHECK completed")
