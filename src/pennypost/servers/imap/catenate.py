"""The parts of a message that URLs name (RFC 4469 §3)."""

from collections.abc import Iterable

from pennypost.model.errors import MailError, MessageTooLarge
from pennypost.proto.imap.responses import codes
from pennypost.proto.imap.responses.status import no
from pennypost.proto.imap.url import BadUrl, MessageUrl, parse_url
from pennypost.servers.imap.errors import Refused
from pennypost.servers.imap.session import Session
from pennypost.servers.imap.url_text import UrlText, open_text
from pennypost.servers.imap.urlauth import authorized
from pennypost.store.spool import Spool


async def add_urls(session: Session, spool: Spool, urls: Iterable[bytes]) -> None:
    """Write what URLs name into a message on its way in. Raises Refused with BADURL, MessageTooLarge, StorageFull."""
    for octets in urls:
        text = await _open(session, octets)
        if text is None:
            raise Refused(no("No such message or part", codes.badurl(octets)))
        try:
            if spool.size + text.size > session.door.max_message_size:
                raise MessageTooLarge
            async for piece in text.pieces():
                spool.write(piece)
        finally:
            text.close()


async def _open(session: Session, octets: bytes) -> UrlText | None:
    """Open what a URL names: one of the user's, relative to the open mailbox if need be, or one that was signed."""
    try:
        url = parse_url(octets)
    except BadUrl:
        return None
    if url.token:
        return await authorized(session, url)
    if url.user and not url.is_of(session.owner.name):
        return None
    return await _own(session, url)


async def _own(session: Session, url: MessageUrl) -> UrlText | None:
    try:
        return await open_text(session, session.owner.account, url)
    except MailError:
        return None
