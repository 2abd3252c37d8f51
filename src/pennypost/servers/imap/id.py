"""ID (RFC 2971)."""

import structlog

from pennypost import __version__
from pennypost.proto.imap.commands.id import Id
from pennypost.proto.imap.responses import server
from pennypost.proto.imap.responses.status import Tagged, ok
from pennypost.servers.imap.session import Session

_log = structlog.stdlib.get_logger("pennypost.imap")

_LOGGED = ("name", "version", "os", "vendor")
"""Fields worth a line in the log; no other is kept."""
_LOGGED_CHARACTERS = 60


async def identify(session: Session, command: Id) -> Tagged:
    """Say what we are, the version only to those who logged in (RFC 2971 §4); note what the client is."""
    told = {name.lower(): value[:_LOGGED_CHARACTERS] for name, value in command.fields if value is not None}
    _log.debug("client", peer=str(session.connection.peer), **{key: told[key] for key in _LOGGED if key in told})
    fields: list[tuple[str, str | None]] = [("name", "Pennypost")]
    if session.account is not None:
        fields.append(("version", __version__))
    session.write(server.server_id(fields))
    return ok("ID completed")
