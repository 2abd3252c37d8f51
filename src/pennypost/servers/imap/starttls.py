"""STARTTLS (RFC 9051 §6.2.1)."""

from pennypost.proto.imap.commands.starttls import StartTls
from pennypost.proto.imap.responses.status import Tagged, no, ok
from pennypost.servers.imap.session import Session


async def starttls(session: Session, command: StartTls) -> Tagged:
    """Let the session begin TLS once the OK is written: see `Session.begin_tls`."""
    if not session.door.offers_starttls:
        return no("TLS is not available")
    return ok("Begin TLS negotiation now")
