"""UNAUTHENTICATE (RFC 8437)."""

from pennypost.proto.imap.commands.unauthenticate import Unauthenticate
from pennypost.proto.imap.responses import codes
from pennypost.proto.imap.responses.status import Tagged, ok
from pennypost.servers.imap.capabilities import offered
from pennypost.servers.imap.session import Session


async def unauthenticate(session: Session, command: Unauthenticate) -> Tagged:
    """Become a stranger's connection again: nothing of the account stays but TLS and compression (RFC 8437 §3)."""
    session.close_mailbox()
    session.stop_watching()
    session.account = None
    session.enabled = frozenset()
    session.connection.timeout = session.door.settings.login_timeout
    return ok("UNAUTHENTICATE completed", codes.capabilities(offered(session)))
