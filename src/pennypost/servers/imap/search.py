"""SEARCH and UID SEARCH (RFC 9051 §6.4.4). `finding` looks for the messages, `search_result` tells of them."""

from collections.abc import Sequence

from pennypost.proto.imap.commands.search import Search
from pennypost.proto.imap.responses.status import Tagged, bad, ok
from pennypost.servers.imap import finding, search_result
from pennypost.servers.imap.matching import asks_modseq
from pennypost.servers.imap.session import Session


async def search(session: Session, command: Search) -> Tagged:
    """Look for messages, tell which there are, and save them for `$` if asked to."""
    finding.check_charset(command)
    if command.charset is not None and b"UTF8=ACCEPT" in session.enabled:
        return bad("CHARSET is not used after ENABLE UTF8=ACCEPT")  # RFC 9755 §3
    modseqs: Sequence[int] | None = None
    if asks_modseq(command.key):
        session.use_condstore()
        modseqs = ()
    found = await finding.find(session, session.open_mailbox, command.key)
    if modseqs is not None:
        modseqs = [found.piece.modseqs[at] for at in found.positions]
    search_result.save(session, command, found.uids)
    search_result.tell(session, command, found.named(command.uid), modseqs)
    await session.flush()
    return ok("SEARCH completed")
