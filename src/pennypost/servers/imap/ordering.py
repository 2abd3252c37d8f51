"""The order that SORT asks for (RFC 5256 §3), for those who sort and those who keep what was sorted."""

from collections.abc import Callable, Sequence
from typing import Any

from pennypost.proto.imap.sort_keys import SortCriterion, SortKey
from pennypost.servers.imap import fuzzy
from pennypost.servers.imap.columns import stored_column, uids_of
from pennypost.servers.imap.finding import Found
from pennypost.servers.imap.selected import Selected, Slice
from pennypost.servers.imap.session import Session
from pennypost.store.engine import Transaction
from pennypost.store.sort_columns import sort_positions
from pennypost.store.sort_values import SortColumn

_COLUMNS = {
    SortCriterion.CC: SortColumn.CC,
    SortCriterion.DATE: SortColumn.SENT,
    SortCriterion.DISPLAYFROM: SortColumn.DISPLAY_FROM,
    SortCriterion.DISPLAYTO: SortColumn.DISPLAY_TO,
    SortCriterion.FROM: SortColumn.FROM,
    SortCriterion.SUBJECT: SortColumn.SUBJECT,
    SortCriterion.TO: SortColumn.TO,
}


MANY = 2_000
"""Messages that are sorted on a thread rather than on the event loop."""


async def in_order(session: Session, selected: Selected, found: Found, keys: Sequence[SortKey]) -> Sequence[int]:
    """Give the positions of what was found, sorted; what is equal stays in mailbox order (RFC 5256 §3).

    The order of a whole mailbox is kept: of what comes to many of its messages, they are picked out of it.
    """
    piece, positions = found.piece, found.positions
    uids, cache = uids_of(piece), session.door.sort_columns
    place, order = (selected.account, selected.id), tuple((key.criterion, key.reverse) for key in keys)
    lasting = by_lasting(keys)
    known = cache.order(*place, order, uids) if lasting else None
    if known is None or len(positions) * 8 < len(uids):
        columns = await columns_for(session, selected, found, keys)

        async def operation(_: Transaction) -> list[int]:
            return sort_positions(positions, columns)

        ordered = (
            await session.door.store.scan(operation) if len(positions) > MANY else sort_positions(positions, columns)
        )
        if lasting and len(ordered) == len(uids):
            cache.keep_order(*place, order, uids, ordered)
        return ordered
    if len(positions) == len(uids):
        return known
    chosen = bytearray(len(uids))
    for at in positions:
        chosen[at] = 1
    return [at for at in known if chosen[at]]


Columns = Sequence[tuple[Sequence[Any], bool]]
"""What is ordered by, the first counting most; True: descending."""


async def columns_for(session: Session, selected: Selected, found: Found, keys: Sequence[SortKey]) -> Columns:
    """Give what to order by, for each message of the mailbox."""
    return [(await _column(session, selected, found, key.criterion), key.reverse) for key in keys]


class Order:
    """An order of positions, by columns; what is equal stays in mailbox order."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    def precedes(self, one: int, other: int) -> bool:
        for column, descending in self._columns:
            if column[one] != column[other]:
                return bool(column[one] > column[other]) is descending
        return one < other

    def place_of(self, at: int, ordered: Sequence[int], position: Callable[[int], int]) -> int:
        """Give where a position belongs among others that are in order; `position` gives theirs."""
        low, high = 0, len(ordered)
        while low < high:
            middle = (low + high) // 2
            if self.precedes(position(ordered[middle]), at):
                low = middle + 1
            else:
                high = middle
        return low


def by_lasting(keys: Sequence[SortKey]) -> bool:
    """Whether messages are sorted by what never changes of them."""
    return all(key.criterion is not SortCriterion.RELEVANCY for key in keys)


async def _column(session: Session, selected: Selected, found: Found, criterion: SortCriterion) -> Sequence[Any]:
    """Give what a criterion orders by, for each message of the mailbox."""
    piece: Slice = found.piece
    match criterion:
        case SortCriterion.ARRIVAL:
            return piece.received_at
        case SortCriterion.SIZE:
            return piece.sizes
        case SortCriterion.RELEVANCY:
            return fuzzy.by_relevancy(found.scores, len(piece.uids))
    return await stored_column(session, selected, piece, _COLUMNS[criterion])
