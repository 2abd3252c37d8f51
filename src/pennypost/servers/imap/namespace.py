"""NAMESPACE (RFC 9051 §6.3.10, RFC 2342)."""

from pennypost.proto.imap.commands.namespace import Namespace
from pennypost.proto.imap.responses import server
from pennypost.proto.imap.responses.status import Tagged, ok
from pennypost.servers.imap.session import Session


async def namespace(session: Session, command: Namespace) -> Tagged:
    """Tell the prefixes: one's own mailboxes have none."""
    session.write(server.namespace(("",), (), (), session.rev2))
    return ok("NAMESPACE completed")
