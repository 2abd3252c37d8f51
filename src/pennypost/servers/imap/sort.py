"""SORT and UID SORT (RFC 5256 §3, RFC 5957, RFC 5267 §3)."""

from collections.abc import Sequence
from typing import Any

from pennypost.proto.imap.commands.sort import Sort
from pennypost.proto.imap.responses import thread as responses
from pennypost.proto.imap.responses.status import Tagged, ok
from pennypost.proto.imap.sort_keys import SortCriterion, SortKey
from pennypost.servers.imap import finding, search_result
from pennypost.servers.imap.columns import stored_column, uids_of
from pennypost.servers.imap.finding import Found
from pennypost.servers.imap.matching import asks_modseq
from pennypost.servers.imap.selected import Selected, Slice
from pennypost.servers.imap.session import Session
from pennypost.store.sort_columns import SortColumn, sort_positions

_COLUMNS = {
    SortCriterion.CC: SortColumn.CC,
    SortCriterion.DATE: SortColumn.SENT,
    SortCriterion.DISPLAYFROM: SortColumn.DISPLAY_FROM,
    SortCriterion.DISPLAYTO: SortColumn.DISPLAY_TO,
    SortCriterion.FROM: SortColumn.FROM,
    SortCriterion.SUBJECT: SortColumn.SUBJECT,
    SortCriterion.TO: SortColumn.TO,
}


async def sort(session: Session, command: Sort) -> Tagged:
    """Look for messages and tell which there are, in order."""
    search = command.search
    finding.check_charset(search)
    if asks_modseq(search.key):
        session.use_condstore()
    selected = session.open_mailbox
    found = await finding.find(session, selected, search.key)
    ordered = await in_order(session, selected, found, command.keys)
    search_result.save(session, search, found.names_of(ordered, uid=True))
    names = found.names_of(ordered, search.uid)
    if search.returns is None:
        session.write(responses.sort(names))
    else:
        modseqs = [found.piece.modseqs[at] for at in ordered] if asks_modseq(search.key) else None
        search_result.tell_extended(session, search, search.returns, names, modseqs)
    await session.flush()
    return ok("SORT completed")


async def in_order(session: Session, selected: Selected, found: Found, keys: Sequence[SortKey]) -> Sequence[int]:
    """Give the positions of what was found, sorted; what is equal stays in mailbox order (RFC 5256 §3).

    The order of a whole mailbox is kept: of what comes to many of its messages, they are picked out of it.
    """
    piece, positions = found.piece, found.positions
    uids, cache = uids_of(piece), session.door.sort_columns
    place, order = (selected.account, selected.id), tuple((key.criterion, key.reverse) for key in keys)
    known = cache.order(*place, order, uids)
    if known is None or len(positions) * 8 < len(uids):
        columns = [(await column_of(session, selected, piece, key.criterion), key.reverse) for key in keys]
        ordered = sort_positions(positions, columns)
        if len(ordered) == len(uids):
            cache.keep_order(*place, order, uids, ordered)
        return ordered
    if len(positions) == len(uids):
        return known
    chosen = bytearray(len(uids))
    for at in positions:
        chosen[at] = 1
    return [at for at in known if chosen[at]]


async def column_of(session: Session, selected: Selected, piece: Slice, criterion: SortCriterion) -> Sequence[Any]:
    """Give what a criterion orders by, for each message of the mailbox."""
    match criterion:
        case SortCriterion.ARRIVAL:
            return piece.received_at
        case SortCriterion.SIZE:
            return piece.sizes
    return await stored_column(session, selected, piece, _COLUMNS[criterion])
