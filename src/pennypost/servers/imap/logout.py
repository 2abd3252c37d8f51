"""LOGOUT (RFC 9051 §6.1.3)."""

from pennypost.proto.imap.commands.logout import Logout
from pennypost.proto.imap.responses.status import Condition, Tagged, ok, untagged
from pennypost.servers.imap.session import Session


async def logout(session: Session, command: Logout) -> Tagged:
    """Say goodbye. Messages marked deleted stay (RFC 9051 §6.4.1)."""
    session.close_mailbox()
    session.write(untagged(Condition.BYE, "Logging out"))
    return ok("LOGOUT completed")
