"""COMPRESS=DEFLATE (RFC 4978)."""

from pennypost.proto.imap.commands.compress import Compress
from pennypost.proto.imap.responses import codes
from pennypost.proto.imap.responses.status import Tagged, no, ok
from pennypost.servers.imap.session import Session


async def compress(session: Session, command: Compress) -> Tagged:
    """Let the session compress once the OK is written: see `Session.carry`."""
    if session.compression is not None:
        return no("Compression is active already", codes.COMPRESSIONACTIVE)
    return ok("DEFLATE active")
