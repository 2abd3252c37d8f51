"""SORT and UID SORT (RFC 5256 §3, RFC 5957, RFC 5267 §3)."""

from array import array
from collections.abc import Sequence
from typing import Any

from pennypost.proto.imap.commands.sort import Sort
from pennypost.proto.imap.responses import thread as responses
from pennypost.proto.imap.responses.status import Tagged, ok
from pennypost.proto.imap.sort_keys import SortCriterion, SortKey
from pennypost.servers.imap import finding, search_result
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


async def in_order(session: Session, selected: Selected, found: Found, keys: Sequence[SortKey]) -> list[int]:
    """Give the positions of what was found, sorted; what is equal stays in mailbox order (RFC 5256 §3)."""
    columns = [(await column_of(session, selected, found.piece, key.criterion), key.reverse) for key in keys]
    return sort_positions(found.positions, columns)


async def column_of(session: Session, selected: Selected, piece: Slice, criterion: SortCriterion) -> Sequence[Any]:
    """Give what a criterion orders by, for each message of the mailbox."""
    match criterion:
        case SortCriterion.ARRIVAL:
            return piece.received_at
        case SortCriterion.SIZE:
            return piece.sizes
    return await stored_column(session, selected, piece, _COLUMNS[criterion])


async def stored_column(session: Session, selected: Selected, piece: Slice, column: SortColumn) -> Sequence[Any]:
    """Give a column that is not in the snapshot."""
    uids = piece.uids if isinstance(piece.uids, array) else array("I", piece.uids)
    return await session.door.sort_columns.column(selected.account, selected.id, column, uids, piece.messages)
