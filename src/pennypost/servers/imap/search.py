"""SEARCH and UID SEARCH (RFC 9051 §6.4.4). `finding` looks for the messages, `search_result` tells of them."""

from pennypost.proto.imap.commands.search import Search
from pennypost.proto.imap.responses.status import Tagged, bad, ok
from pennypost.proto.imap.search_keys import FlagKey
from pennypost.servers.imap import contexts, finding, fuzzy, matching, message_limit, search_result, unasked
from pennypost.servers.imap.matching import asks_modseq
from pennypost.servers.imap.session import Session


async def search(session: Session, command: Search) -> Tagged:
    """Look for messages, tell which there are, and save them for `$` if asked to."""
    contexts.refuse_second(session, command)
    key = await finding.criteria(session, command)
    if command.charset is not None and b"UTF8=ACCEPT" in session.enabled:
        return bad("CHARSET is not used after ENABLE UTF8=ACCEPT")  # RFC 9755 §3
    selected, narrow = session.open_mailbox, message_limit.narrowed(session, key)
    if isinstance(narrow, FlagKey) and not (command.is_kept or command.fuzzy):
        numbers = matching.with_flag(selected, narrow, command.uid)
        if numbers is not None:
            search_result.tell(session, command, numbers)
            await session.flush()
            return ok("SEARCH completed")
    found = await finding.find(session, selected, narrow)
    modseqs = [found.piece.modseqs[at] for at in found.positions] if asks_modseq(key) else None
    scores = fuzzy.relevancies(found.scores, found.positions) if command.fuzzy else ()
    search_result.tell(session, command, found.named(command.uid), modseqs, scores)
    if command.is_kept:
        uids = found.uids
        search_result.save(session, command, uids)
        contexts.begin(session, command, key, uids, tell_new=unasked.teller(session, command.told_of_new))
    await session.flush()
    return ok("SEARCH completed")
