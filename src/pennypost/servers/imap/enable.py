"""ENABLE (RFC 9051 §6.3.1, RFC 5161)."""

from pennypost.proto.imap.commands.enable import Enable
from pennypost.proto.imap.responses.status import Tagged, ok
from pennypost.servers.imap.capabilities import ENABLED_NAMES
from pennypost.servers.imap.session import Session


async def enable(session: Session, command: Enable) -> Tagged:
    """Switch on what we know of the list; the rest is passed over in silence (RFC 9051 §6.3.1)."""
    asked = frozenset(name.encode("ascii") for name in command.capabilities)
    session.enable(asked & ENABLED_NAMES.keys())
    return ok("ENABLE completed")
