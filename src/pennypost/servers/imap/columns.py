"""What SORT, THREAD and searches look at and the snapshot has not: columns that the door keeps for all sessions."""

from array import array
from collections.abc import Sequence
from typing import Any

from pennypost.servers.imap.selected import Selected, Slice
from pennypost.servers.imap.session import Session
from pennypost.store.sort_values import SortColumn


async def stored_column(
    session: Session, selected: Selected, piece: Slice, column: SortColumn, *, spared: bool = False
) -> Sequence[Any]:
    """Give a column that is not in the snapshot. `spared`: who asks can do without it; raises TooLarge."""
    return await session.door.sort_columns.column(
        selected.account, selected.id, column, uids_of(piece), piece.messages, piece.received_at, spared=spared
    )


def uids_of(piece: Slice) -> "array[int]":
    """Give the UIDs of a whole mailbox."""
    return piece.uids if isinstance(piece.uids, array) else array("I", piece.uids)
