"""An open mailbox as one session sees it.

Theory of operation
-------------------
A worker keeps one snapshot of each open mailbox (`store.view`), shared by all sessions that have it open, as new as the
last look of any of them at the store. A client, however, counts messages as it was last told: one that was expunged
keeps its number until the client hears EXPUNGE, which RFC 9051 §7.5.1 forbids while it may be using numbers. So each
session's view has its own list of UIDs, its numbering.

Commands choose messages by number or by UID; both become ranges of the session's numbers. `slices` gives those in
pieces with what the snapshot knows of each, looked up anew for every piece: the snapshot may move while a slow client
reads, and messages may be gone from it that still have numbers.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING, cast

from pennypost.model.ids import AccountId, MailboxId, ModSeq, Uid, UidValidity
from pennypost.model.rights import ALL_RIGHTS, Rights
from pennypost.proto.imap.responses.fetch import available_flags
from pennypost.proto.imap.responses.search import ranges_of
from pennypost.proto.imap.sequence import STAR, Ranges, SequenceSet
from pennypost.servers.imap.errors import no_such_message
from pennypost.servers.imap.recent import Recents
from pennypost.store.acl import changeable_flags
from pennypost.store.entry_columns import Words
from pennypost.store.view import MailboxView, Snapshot, ViewChange

if TYPE_CHECKING:
    from pennypost.servers.imap.contexts import Context

SLICE_MESSAGES = 512
"""Messages whose data is put together at a time."""


@dataclass(slots=True)
class Slice:
    """Some messages, ascending, with what the snapshot knows of each. All columns have one length.

    `numbers`: the session's. `keywords`: packed; None: no message of the mailbox has any.
    """

    numbers: Sequence[int]
    uids: Sequence[int]
    flags: Sequence[int]
    keywords: Words | None
    messages: Sequence[int]
    sizes: Sequence[int]
    received_at: Sequence[int]
    modseqs: Sequence[int]

    def part(self, start: int, end: int) -> "Slice":
        """Give the messages from position `start` on, up to but without `end`."""
        return Slice(
            self.numbers[start:end],
            self.uids[start:end],
            self.flags[start:end],
            None if self.keywords is None else self.keywords[start:end],
            self.messages[start:end],
            self.sizes[start:end],
            self.received_at[start:end],
            self.modseqs[start:end],
        )

    def only(self, there: Sequence[bool]) -> "Slice":
        """Give the messages for which `there` is true."""
        return Slice(
            list(compress(self.numbers, there)),
            list(compress(self.uids, there)),
            list(compress(self.flags, there)),
            None if self.keywords is None else list(compress(self.keywords, there)),
            list(compress(self.messages, there)),
            list(compress(self.sizes, there)),
            list(compress(self.received_at, there)),
            list(compress(self.modseqs, there)),
        )


class Selected:
    r"""The open mailbox of one session.

    `recents`: the messages that are `\Recent` here. `saved`: the UIDs, ascending, of the last SEARCH that
    saved its result (RFC 9051 §6.4.4.4). `missed`: whether messages that were asked for turned out to be gone.
    `contexts`: searches whose results are kept up to date (RFC 5267 §4.3); `touched`: UIDs of what came or changed
    since they were.
    `known_keywords`: those the client was told of. `foreign`: it is another account's; `rights`: what may be done
    with it. Its name may change while it is open: `places.name_of` gives that of now.
    """

    __slots__ = (
        "contexts",
        "foreign",
        "known_keywords",
        "missed",
        "read_only",
        "recents",
        "rights",
        "saved",
        "touched",
        "uid_validity",
        "view",
    )

    def __init__(
        self,
        view: MailboxView,
        uid_validity: UidValidity,
        read_only: bool,
        rights: Rights = ALL_RIGHTS,
        foreign: bool = False,
    ) -> None:
        self.view = view
        self.uid_validity = uid_validity
        self.rights = rights
        self.foreign = foreign
        self.read_only = read_only
        self.recents = Recents()
        self.saved: Sequence[int] = ()
        self.missed = False
        self.contexts: list[Context] = []
        self.touched: set[int] = set()
        self.known_keywords = view.keywords_in_use()

    @property
    def account(self) -> AccountId:
        """Whose mailbox it is: not always who logged in."""
        return self.view.account

    @property
    def reader(self) -> AccountId | None:
        r"""Whose `\Seen` counts here; None: the mailbox's own."""
        return self.snapshot.reader

    @property
    def permanent_flags(self) -> bytes:
        """What PERMANENTFLAGS lists (RFC 9051 §7.1): the flags that rights let the client change."""
        if self.read_only:
            return b""
        if not self.foreign:
            return available_flags(self.known_keywords, may_make=True)
        may_write = bool(self.rights & Rights.WRITE)
        keywords = self.known_keywords if may_write else ()
        return available_flags(keywords, may_make=may_write, system=changeable_flags(self.rights))

    @property
    def id(self) -> MailboxId:
        return self.view.mailbox

    @property
    def snapshot(self) -> Snapshot:
        return self.view.snapshot

    @property
    def count(self) -> int:
        """How many messages there are, as the client counts."""
        return len(self.view.uids)

    @property
    def recent_count(self) -> int:
        return self.recents.count(self.view.uids)

    # -- Choosing messages

    def numbers_of(self, messages: SequenceSet, uid: bool) -> Ranges:
        """Give the session's numbers that a sequence set means, as ascending ranges apart from each other.

        UIDs that are not there mean nothing (RFC 9051 §6.4.9); a message number that is not there is an error of the
        client: raises Refused with BAD. But for `1:*` in an empty mailbox, which clients ask in good faith, though RFC
        9051 §9 (seq-number) wants BAD there too (docs/quirks.md).
        """
        if messages.saved:
            return self._numbers_of_uids([(uid, uid) for uid in self.saved])
        if uid:
            uids = self.view.uids
            return self._numbers_of_uids(messages.resolve(uids[-1] if uids else 0))
        if messages.highest > self.count and (self.count or messages.ranges != ((1, STAR),)):
            raise no_such_message()
        return messages.resolve(self.count)

    def _numbers_of_uids(self, ranges: Sequence[tuple[int, int]]) -> Ranges:
        uids = self.view.uids
        found: list[tuple[int, int]] = []
        for low, high in ranges:
            first, end = bisect_left(uids, low), bisect_right(uids, high)
            if first >= end:
                continue
            if found and found[-1][1] == first:
                found[-1] = (found[-1][0], end)
            else:
                found.append((first + 1, end))
        return tuple(found)

    def uids_of(self, numbers: Ranges) -> list[Uid]:
        """Give the UIDs of messages, ascending, without those that are gone."""
        uids, snapshot = self.view.uids, self.snapshot
        chosen: list[int] = []
        for first, last in numbers:
            chosen += uids[first - 1 : last]
        if uids is not snapshot.uids:
            left = [uid for uid in chosen if snapshot.index(uid) >= 0]
            if len(left) < len(chosen):
                self.missed = True
            chosen = left
        return cast(list[Uid], chosen)

    def uid_column(self, numbers: Ranges) -> "array[int]":
        """As `uids_of`, in a column."""
        if len(numbers) == 1 and self.view.uids is self.snapshot.uids:
            ((first, last),) = numbers
            return self.view.uids[first - 1 : last]
        return array("I", self.uids_of(numbers))

    def changed_since(self, numbers: Ranges, modseq: ModSeq) -> Ranges:
        """Give those of the messages that have a greater modseq (RFC 7162 §3.1.4.1)."""
        return ranges_of(
            number
            for piece in self.slices(numbers)
            for number, its in zip(piece.numbers, piece.modseqs, strict=True)
            if its > modseq
        )

    def slices(self, numbers: Ranges, size: int = SLICE_MESSAGES) -> Iterator[Slice]:
        """Give messages in pieces of at most `size`, each as the snapshot is when it is asked for."""
        for first, last in numbers:
            for start in range(first, last + 1, size):
                piece = self._slice(start, min(start + size - 1, last))
                if piece is not None:
                    yield piece

    def slices_of_uids(self, uids: Sequence[int], size: int = SLICE_MESSAGES) -> Iterator[Slice]:
        """Give messages by UID, ascending, in pieces; those the client does not know of are left out."""
        known = self.view.uids
        for start in range(0, len(uids), size):
            stretch = array("I", uids[start : start + size])
            at = bisect_left(known, stretch[0])
            if known[at : at + len(stretch)] == stretch:
                piece = self._slice(at + 1, at + len(stretch))
                if piece is not None:
                    yield piece
                continue
            wanted = [(uid, self.view.number_of(Uid(uid))) for uid in uids[start : start + size]]
            piece = self._picked([number for _, number in wanted if number], [uid for uid, number in wanted if number])
            if piece is not None:
                yield piece

    def _slice(self, first: int, last: int) -> Slice | None:
        snapshot, wanted = self.snapshot, self.view.uids[first - 1 : last]
        at = bisect_left(snapshot.uids, wanted[0])
        end = at + len(wanted)
        if snapshot.uids[at:end] != wanted:
            return self._picked(range(first, last + 1), wanted)
        return Slice(
            range(first, last + 1),
            wanted,
            snapshot.flags[at:end],
            None if snapshot.keywords is None else snapshot.keywords[at:end],
            snapshot.messages[at:end],
            snapshot.sizes[at:end],
            snapshot.received_at[at:end],
            snapshot.modseqs[at:end],
        )

    def _picked(self, numbers: Sequence[int], uids: Sequence[int]) -> Slice | None:
        """Make a slice message by message, without those that are gone."""
        snapshot = self.snapshot
        there = [(number, at) for number, uid in zip(numbers, uids, strict=True) if (at := snapshot.index(uid)) >= 0]
        if len(there) < len(uids):
            self.missed = True
        if not there:
            return None
        places = [at for _, at in there]
        return Slice(
            [number for number, _ in there],
            [snapshot.uids[at] for at in places],
            [snapshot.flags[at] for at in places],
            None if snapshot.keywords is None else [snapshot.keywords[at] for at in places],
            [snapshot.messages[at] for at in places],
            [snapshot.sizes[at] for at in places],
            [snapshot.received_at[at] for at in places],
            [snapshot.modseqs[at] for at in places],
        )

    # -- Keeping up

    async def refresh(self, expunge: bool) -> ViewChange:
        """Take in what any worker committed until now; see `MailboxView.refresh`. Raises NoSuchMailbox."""
        return await self.view.refresh(expunge=expunge)

    def take_keywords(self) -> bool:
        """Whether keywords are in use that the client was not told of; it will have been, from now on."""
        in_use = self.view.keywords_in_use() if self.snapshot.keywords else ()
        known = {keyword.casefold(): keyword for keyword in self.known_keywords}
        fresh = {folded: keyword for keyword in in_use if (folded := keyword.casefold()) not in known}
        if not fresh:
            return False
        known |= fresh
        self.known_keywords = tuple(known[key] for key in sorted(known))
        return True

    def close(self) -> None:
        self.view.close()
