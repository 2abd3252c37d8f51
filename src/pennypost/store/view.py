"""An open mailbox in memory: one snapshot for all sessions of a worker, and each session's view of it.

Theory of operation
-------------------
`Snapshot` holds a mailbox as arrays, ordered by UID: what FETCH FLAGS, SEARCH and sequence numbers are answered from.
It is read in full once and then follows the log of changes. `MailboxView` is what one session holds. Its `uids` are the
messages the session knows of, in the order of its sequence numbers; they change in `refresh` and nowhere else, so a
session decides when (RFC 9051 §5.2, §7.5.1: no EXPUNGE while FETCH, STORE or SEARCH is in progress).

- `Snapshot.uids` is replaced, never changed in place. Views that are up to date share it, so that a session costs a few
  hundred octets, not four per message.
- The snapshot may be ahead of a view, since another session advanced it. Then a UID of the view may be missing in the
  snapshot: it was expunged, and the view will learn of it.
- Each advance leaves a `ViewChange` in a short log. A view that lags takes the union of those it missed; one that fell
  behind the log compares its UIDs with the snapshot's, and takes as changed what has a greater modseq than it knew.
  UIDs are never used twice, so the union is simple: what came and went meanwhile was never there, and what is gone is
  not changed.
- A refresh costs one read of the account's modification sequence when nothing happened. All it reads it reads in one
  transaction. Large reads are done off the loop.
"""

from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, cast

from pennypost.model.flags import Flags, Keywords
from pennypost.model.ids import AccountId, MailboxId, ModSeq, Uid
from pennypost.store.engine import Engine
from pennypost.store.snapshot import EntryState, ReaderSnapshot, Snapshot

__all__ = ["EntryState", "MailboxView", "Snapshot", "ViewChange", "Views"]


class ViewChange(NamedTuple):
    """What a session has to learn, each ascending.

    `expunged_numbers`: the sequence numbers, 1-based, that `expunged` had before; a session that sends EXPUNGE for
    each subtracts how many it sent already. `updated`: flags, keywords or modseq changed. `highest_modseq`: of the
    mailbox, as far as the snapshot is.
    """

    appended: Sequence[Uid]
    updated: Sequence[Uid]
    expunged: Sequence[Uid]
    expunged_numbers: Sequence[int]
    highest_modseq: ModSeq

    def __bool__(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self.appended or self.updated or self.expunged)


class MailboxView:
    """One session's view of an open mailbox. Made by `Views.open`; close it when the session leaves the mailbox.

    `uids`: the messages in the order of the session's sequence numbers: number n is `uids[n - 1]`. They change only in
    `refresh`. Everything else is read from the `snapshot`, as new as any session of this worker made it.
    """

    __slots__ = ("_highest", "_number", "_settled", "_views", "_withheld", "snapshot", "uids")

    def __init__(self, views: "Views", snapshot: Snapshot) -> None:
        self._views: Views | None = views
        self.snapshot = snapshot
        self.uids = snapshot.uids
        self._number = snapshot.number
        self._highest = snapshot.highest_modseq
        self._settled = snapshot.highest_modseq
        self._withheld: set[int] = set()

    @property
    def account(self) -> AccountId:
        return self.snapshot.account

    @property
    def mailbox(self) -> MailboxId:
        return self.snapshot.mailbox

    @property
    def highest_modseq(self) -> ModSeq:
        """The mailbox's, at the last refresh (RFC 7162 §3.1.1)."""
        return self._highest

    @property
    def settled_modseq(self) -> ModSeq:
        """The mailbox's, as far as the session was told everything: below that of an expunge that is withheld."""
        return self._settled

    @property
    def withholds(self) -> bool:
        """Whether messages were expunged that the session still counts."""
        return bool(self._withheld)

    def __len__(self) -> int:
        return len(self.uids)

    async def refresh(self, *, expunge: bool = True) -> ViewChange:
        """Take in what any worker committed until now, and give what the session has to tell its client.

        With `expunge` False expunged messages keep their sequence numbers, and are reported by the next refresh that
        may (RFC 9051 §7.5.1). Raises NoSuchMailbox when the mailbox was removed.
        """
        await self.snapshot.advance()
        return self.take(expunge=expunge)

    def take(self, *, expunge: bool = True) -> ViewChange:
        """As `refresh`, of what the snapshot has taken in already: without a look at the store."""
        snapshot = self.snapshot
        if self._number == snapshot.number and not (expunge and self._withheld):
            return ViewChange((), (), (), (), self._highest)
        news = snapshot.since(self._number, self._told_uids(), self._highest)
        gone = sorted(self._withheld.union(news.expunged)) if self._withheld else news.expunged
        expunged: Sequence[int] = ()
        numbers: Sequence[int] = ()
        if expunge:
            expunged = gone
            numbers = _numbers(self.uids, array("I", expunged))
            self.uids = snapshot.uids
            self._withheld = set()
        else:
            self._withheld = set(gone)
            self.uids = self.uids + array("I", news.appended) if gone else snapshot.uids
        self._number = snapshot.number
        self._highest = snapshot.highest_modseq
        if not self._withheld:
            self._settled = self._highest
        return ViewChange(
            cast(Sequence[Uid], news.appended),
            cast(Sequence[Uid], news.updated),
            cast(Sequence[Uid], expunged),
            numbers,
            self._highest,
        )

    def _told_uids(self) -> "array[int]":
        """Give the UIDs without those whose removal is known and not yet told."""
        if not self._withheld:
            return self.uids
        return array("I", [uid for uid in self.uids if uid not in self._withheld])

    # -- Sequence numbers

    def number_of(self, uid: Uid) -> int:
        """Give the sequence number of a UID in this view, 1-based, or 0 when the view does not have it."""
        uids = self.uids
        position = bisect_left(uids, uid)
        return position + 1 if position < len(uids) and uids[position] == uid else 0

    def numbers_between(self, first: Uid, last: Uid) -> range:
        """Give the sequence numbers of the view's messages with UIDs between two, both inclusive."""
        return range(bisect_left(self.uids, first) + 1, bisect_left(self.uids, last + 1) + 1)

    # -- Messages

    def get(self, uid: Uid) -> EntryState | None:
        """Give what is known of a message, or None when it was expunged or never there."""
        index = self.snapshot.index(uid)
        return self.snapshot.at(index) if index >= 0 else None

    def states(self, uids: Iterable[Uid] | None = None) -> Iterator[EntryState]:
        """Give what is known of messages, all of the view's by default, in the order asked; without those expunged.

        The view must not be refreshed by anybody meanwhile: use it up before the next await.
        """
        snapshot = self.snapshot
        if uids is None and self.uids is snapshot.uids:
            yield from map(snapshot.at, range(len(self.uids)))
            return
        for uid in self.uids if uids is None else uids:
            index = snapshot.index(uid)
            if index >= 0:
                yield snapshot.at(index)

    def keywords_in_use(self) -> Keywords:
        """Give all keywords of the mailbox's messages, sorted, one spelling of each: for FLAGS (RFC 9051 §7.3.5)."""
        return self.snapshot.keywords_in_use()

    def first_unseen(self) -> int:
        """Give the sequence number of the first message without `\\Seen`, or 0 (RFC 3501 §7.1 UNSEEN)."""
        snapshot = self.snapshot
        shared = self.uids is snapshot.uids
        for position, flags in enumerate(snapshot.flags):
            if not flags & Flags.SEEN:
                number = position + 1 if shared else self.number_of(Uid(snapshot.uids[position]))
                if number:
                    return number
        return 0

    # -- Its end

    def close(self) -> None:
        """Let go of the snapshot. Idempotent."""
        views, self._views = self._views, None
        if views is not None:
            views.release(self.snapshot)

    def __enter__(self) -> "MailboxView":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _numbers(uids: "array[int]", chosen: "array[int]") -> Sequence[int]:
    """Give the sequence numbers, 1-based, of UIDs that are there, both ascending."""
    if not chosen:
        return ()
    first = bisect_left(uids, chosen[0])
    if uids[first : first + len(chosen)] == chosen:
        return range(first + 1, first + len(chosen) + 1)
    numbers: list[int] = []
    start = 0
    while start < len(chosen):
        at = bisect_left(uids, chosen[start])
        count = min(_STRETCH, len(chosen) - start)
        if uids[at : at + count] == chosen[start : start + count]:
            numbers += range(at + 1, at + count + 1)
        else:
            numbers += [bisect_left(uids, uid, at) + 1 for uid in chosen[start : start + count]]
        start += count
    return numbers


_STRETCH = 256
"""UIDs looked at together: of many that go, most often all do."""


@dataclass(slots=True)
class _Shared:
    snapshot: Snapshot
    users: int = 0


IDLE_MESSAGES = 500_000
"""Messages in snapshots that are kept though nobody has them open: some sixteen megabytes in one worker."""

IDLE_MAILBOXES = 1_000
"""How many such snapshots are kept at most."""


_Key = tuple[AccountId, MailboxId, AccountId | None]
"""A mailbox, and the reader whose own it is not."""


class Views:
    """The open mailboxes of one worker. A snapshot lives as long as some session has it open, and a while longer: the
    mailboxes that were left last are kept, within `IDLE_MESSAGES`, so that a client that comes back finds them read."""

    def __init__(self, engine: Engine) -> None:
        """Take a store, or its engine."""
        self._engine = engine
        self._shared: dict[_Key, _Shared] = {}
        self._idle: OrderedDict[_Key, Snapshot] = OrderedDict()
        self._idle_messages = 0

    def __len__(self) -> int:
        return len(self._shared)

    async def open(self, account: AccountId, mailbox: MailboxId, reader: AccountId | None = None) -> MailboxView:
        r"""Open a mailbox as it is now; for a `reader` of another's, with the reader's own `\Seen`.

        Raises NoSuchMailbox, also for a name that cannot be selected."""
        key = (account, mailbox, reader)
        shared = self._shared.get(key)
        if shared is None:
            shared = self._shared[key] = _Shared(self._take_idle(key))
        shared.users += 1
        try:
            await shared.snapshot.advance()
        except BaseException:
            self.release(shared.snapshot)
            raise
        return MailboxView(self, shared.snapshot)

    def release(self, snapshot: Snapshot) -> None:
        """Give back one use of a snapshot: what `MailboxView.close` does."""
        key = (snapshot.account, snapshot.mailbox, snapshot.reader)
        shared = self._shared.get(key)
        if shared is not None and shared.snapshot is snapshot:
            shared.users -= 1
            if not shared.users:
                del self._shared[key]
                if snapshot.modseq >= 0 and not snapshot.removed:
                    self._keep_idle(key, snapshot)

    def _take_idle(self, key: _Key) -> Snapshot:
        """Give a snapshot that was kept, or a new one that has yet to be read."""
        kept = self._idle.pop(key, None)
        if kept is None:
            account, mailbox, reader = key
            if reader is not None:
                return ReaderSnapshot(self._engine, account, mailbox, reader)
            return Snapshot(self._engine, account, mailbox)
        self._idle_messages -= len(kept.uids)
        return kept

    def _keep_idle(self, key: _Key, snapshot: Snapshot) -> None:
        """Keep a snapshot that nobody has open now, and let the oldest go that are too many."""
        snapshot.marked = None
        self._idle[key] = snapshot
        self._idle_messages += len(snapshot.uids)
        while self._idle_messages > IDLE_MESSAGES or len(self._idle) > IDLE_MAILBOXES:
            _, oldest = self._idle.popitem(last=False)
            self._idle_messages -= len(oldest.uids)
