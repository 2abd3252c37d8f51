"""CAPABILITY (RFC 9051 §6.1.1)."""

from pennypost.proto.imap.commands.capability import Capability
from pennypost.proto.imap.responses import server
from pennypost.proto.imap.responses.status import Tagged, ok
from pennypost.servers.imap.capabilities import offered
from pennypost.servers.imap.session import Session


async def capability(session: Session, command: Capability) -> Tagged:
    """Tell what the server can do, as things are now."""
    session.write(server.capability(offered(session)))
    return ok("CAPABILITY completed")
