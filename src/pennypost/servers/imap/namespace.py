"""NAMESPACE (RFC 9051 §6.3.10, RFC 2342)."""

from pennypost.proto.imap.commands.namespace import Namespace
from pennypost.proto.imap.responses import server
from pennypost.proto.imap.responses.status import Tagged, ok
from pennypost.servers.imap.session import Session
from pennypost.store.names import OTHER_USERS, SHARED


async def namespace(session: Session, command: Namespace) -> Tagged:
    """Tell the prefixes: one's own mailboxes have none, those of other accounts and shared ones have one each."""
    session.write(server.namespace(("",), (f"{OTHER_USERS}/",), (f"{SHARED}/",), session.utf8))
    return ok("NAMESPACE completed")
