r"""`\Recent`: which messages this session was the first to be told of (RFC 3501 §2.3.2; dropped from RFC 9051).

Each message is recent in one session only. The mailbox has a floor: messages from that UID on were told to nobody. A
session that has it open for reading and writing takes what lies above and raises the floor, in one transaction.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pennypost.model.errors import NoSuchMailbox, StorageFull
from pennypost.model.ids import Uid
from pennypost.store import mailboxes
from pennypost.store.engine import Transaction

if TYPE_CHECKING:
    from pennypost.servers.imap.session import Session


class Recents:
    """The UIDs that are recent in one session, as ascending ranges, the first included, the end not."""

    __slots__ = ("_ranges",)

    def __init__(self) -> None:
        self._ranges: list[tuple[int, int]] = []

    def add(self, first: int, end: int) -> None:
        """Add UIDs above all that are in it."""
        if first >= end:
            return
        if self._ranges and self._ranges[-1][1] >= first:
            self._ranges[-1] = (self._ranges[-1][0], end)
        else:
            self._ranges.append((first, end))

    def __contains__(self, uid: int) -> bool:
        return any(first <= uid < end for first, end in reversed(self._ranges))

    def between(self, first: int, last: int) -> bool:
        """Whether any UID between two, both inclusive, may be in it."""
        return any(low <= last and end > first for low, end in reversed(self._ranges))

    def covers(self, first: int, last: int) -> bool:
        """Whether all UIDs between two, both inclusive, are in it."""
        return any(low <= first and end > last for low, end in reversed(self._ranges))

    def count(self, uids: Sequence[int]) -> int:
        """Count those of ascending UIDs that are in it."""
        return sum(bisect_left(uids, end) - bisect_left(uids, first) for first, end in self._ranges)


NONE = Recents()
"""For a client of IMAP4rev2, which knows no such flag (RFC 9051 Appendix E). Never added to."""


async def take(session: "Session") -> None:
    """Take what is recent in the open mailbox up to the last message the client knows of. EXAMINE only looks, and so
    does who reads another's mailbox."""
    selected, store, account = session.open_mailbox, session.door.store, session.open_mailbox.account
    uids = selected.view.uids
    if not uids or session.rev2:
        return
    only_look = selected.read_only or selected.foreign
    end = uids[-1] + 1

    async def operation(tx: Transaction) -> tuple[Uid, Uid]:
        found = await mailboxes.by_id(tx, account, selected.id)
        if found is None:
            raise NoSuchMailbox
        if not only_look and found.recent_floor < found.uid_next:
            await mailboxes.claim_recent(tx, account, selected.id)
        return found.recent_floor, found.uid_next

    try:
        # Most often another session has taken it already: then there is nothing to write.
        found = await store.read(lambda tx: mailboxes.by_id(tx, account, selected.id))
        if found is not None and found.recent_floor < end:
            selected.recents.add(*await (store.read if only_look else store.write)(operation))
    except NoSuchMailbox:
        return  # the next look at the mailbox tells
    except StorageFull:
        return  # nothing is recent here; the mailbox can be read all the same
