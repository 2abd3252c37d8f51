"""SORT and UID SORT (RFC 5256 §3, RFC 5957, RFC 5267 §3)."""

from pennypost.proto.imap.commands.sort import Sort
from pennypost.proto.imap.responses import thread as responses
from pennypost.proto.imap.responses.status import Tagged, ok
from pennypost.servers.imap import contexts, finding, fuzzy, search_result, unasked
from pennypost.servers.imap.matching import asks_modseq
from pennypost.servers.imap.ordering import in_order
from pennypost.servers.imap.session import Session


async def sort(session: Session, command: Sort) -> Tagged:
    """Look for messages and tell which there are, in order."""
    search = command.search
    contexts.refuse_second(session, search)
    key = await finding.criteria(session, search)
    selected = session.open_mailbox
    found = await finding.find(session, selected, key)
    ordered = await in_order(session, selected, found, command.keys)
    uids = found.names_of(ordered, uid=True)
    search_result.save(session, search, uids)
    names = uids if search.uid else found.names_of(ordered, uid=False)
    modseqs = [found.piece.modseqs[at] for at in ordered] if asks_modseq(key) else None
    if search.returns is None:
        session.write(responses.sort(names, max(modseqs, default=None) if modseqs is not None else None))
    else:
        scores = fuzzy.relevancies(found.scores, ordered)
        search_result.tell_extended(session, search, search.returns, names, modseqs, scores)
    tell_new = unasked.teller(session, search.told_of_new)
    contexts.begin(session, search, key, uids, command.keys, tell_new)
    await session.flush()
    return ok("SORT completed")
