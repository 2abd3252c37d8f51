"""A mailbox in memory: arrays that follow the log of changes. `view` says what for, and is how sessions read it."""

import asyncio
from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import repeat
from sys import intern
from typing import NamedTuple

from pennypost.model.errors import NoSuchMailbox
from pennypost.model.flags import Flags, Keywords
from pennypost.model.ids import AccountId, MailboxId, MessageId, ModSeq, Uid
from pennypost.store import changes, flag_notes, mailboxes, seen, sets
from pennypost.store.changes import ChangeKind
from pennypost.store.engine import Engine, Row, Transaction
from pennypost.store.entry_columns import Entries, StoredMany, Words, packed
from pennypost.store.flags import Known, StoreResult
from pennypost.store.keywords import unpack_keywords

LOG_LENGTH = 64
"""Advances a view may lag behind before it compares in full."""
LOG_UIDS = 20_000
"""UIDs in one advance that is kept in the log: more are compared in full."""
READ_ROWS = 2_000
"""Entries read at a time: more, and taking rows apart falls out of the caches and takes twice as long."""
LOOP_ROWS = 1_000
"""Entries read on the event loop at most: more are read on a thread."""


class EntryState(NamedTuple):
    """One message as the snapshot has it. `received_at`: microseconds since the epoch."""

    uid: Uid
    message: MessageId
    flags: Flags
    keywords: Keywords
    modseq: ModSeq
    size: int
    received_at: int


class Advance(NamedTuple):
    """What one or several steps of the snapshot changed, by UID, each ascending."""

    appended: Sequence[int]
    updated: Sequence[int]
    expunged: Sequence[int]


class Marked(NamedTuple):
    """What was found of the messages that have a flag, or lack it. It holds while UIDs and flags are the same.

    `asked`: what else was asked, to be compared.
    """

    asked: object
    flags: bytes
    uids: "array[int]"
    numbers: list[int]


class _Steps(NamedTuple):
    """What the log said, and the rows it named."""

    modseq: ModSeq
    highest_modseq: ModSeq
    removed: bool
    fresh: Sequence[Row]
    expunged: Sequence[tuple[int, int]]


class _Columns:
    """The arrays of a snapshot: parallel, by ascending UID."""

    __slots__ = ("flags", "in_order", "keywords", "messages", "modseqs", "received_at", "sizes", "uids")

    def __init__(self) -> None:
        self.uids: array[int] = array("I")
        self.messages: array[int] = array("q")
        self.flags = bytearray()
        self.modseqs: array[int] = array("q")
        self.sizes: array[int] = array("I")
        self.received_at: array[int] = array("q")
        self.keywords: list[str | None] | None = None
        """Packed; None: no message has any. Equal texts, when they are read, are made one object."""
        self.in_order = True
        """Whether the messages ascend, as UIDs do. False may be said though they do."""

    def extend(self, rows: Sequence[Row]) -> None:
        """Append rows in the order of `_COLUMNS`. `uids` becomes a new array: others may hold the old one."""
        self._extend_keywords([row[3] for row in rows])
        self.uids = self.uids + array("I", [row[0] for row in rows])
        came = [row[1] for row in rows]
        stretch = [*self.messages[-1:], *came]
        self.in_order = self.in_order and stretch == sorted(stretch)
        self.messages.extend(came)
        self.flags.extend([row[2] for row in rows])
        self.modseqs.extend([row[4] for row in rows])
        self.sizes.extend([row[5] for row in rows])
        self.received_at.extend([row[6] for row in rows])

    def _extend_keywords(self, words: list[str | None]) -> None:
        if self.keywords is None and any(words):
            self.keywords = [None] * len(self.uids)
        if self.keywords is not None:
            self.keywords += [word and intern(word) for word in words]


class _Contents(NamedTuple):
    """All of the mailbox."""

    modseq: ModSeq
    highest_modseq: ModSeq
    removed: bool
    columns: _Columns


_COLUMNS = (
    "SELECT uid, message, flags, keywords, modseq, size, received_at FROM entry WHERE account = ? AND mailbox = ? "
)
_FLAG_VALUES = tuple(Flags(value) for value in range(32))
_SEEN = int(Flags.SEEN)
_NOTHING = Advance((), (), ())


class Snapshot(_Columns):
    """A mailbox in memory: about 33 octets a message, 41 where keywords are in use. Read it through a `MailboxView`.

    The arrays run in parallel, by ascending UID. Between two awaits they are consistent; what a caller keeps across one
    may be replaced.
    """

    __slots__ = (
        "_engine",
        "_in_use",
        "_lock",
        "_log",
        "account",
        "highest_modseq",
        "mailbox",
        "marked",
        "modseq",
        "number",
        "reader",
        "removed",
    )

    def __init__(self, engine: Engine, account: AccountId, mailbox: MailboxId) -> None:
        super().__init__()
        self._engine = engine
        self._lock = asyncio.Lock()
        self._log: deque[Advance] = deque(maxlen=LOG_LENGTH)
        self.account = account
        self.mailbox = mailbox
        self.reader: AccountId | None = None
        r"""Whose `\Seen` it has; None: the owner's."""
        self.number = 0
        """Rises with every advance."""
        self._in_use: tuple[int, Keywords] = (-1, ())
        self.modseq = ModSeq(-1)
        """The account's, up to which the snapshot is true; -1 before it is read."""
        self.highest_modseq = ModSeq(0)
        self.removed = False
        self.marked: Marked | None = None
        """What the last search for a flag found, of a mailbox that is open: clients ask for it again and again."""

    # -- Reading it

    def index(self, uid: int) -> int:
        """Give where a UID is in the arrays, or -1."""
        uids = self.uids
        position = bisect_left(uids, uid)
        return position if position < len(uids) and uids[position] == uid else -1

    def at(self, index: int) -> EntryState:
        """Give what is at a position of the arrays."""
        uid = self.uids[index]
        return EntryState(
            Uid(uid),
            MessageId(self.messages[index]),
            _FLAG_VALUES[self.flags[index]],
            unpack_keywords(self.keywords[index] if self.keywords is not None else None),
            ModSeq(self.modseqs[index]),
            self.sizes[index],
            self.received_at[index],
        )

    def keywords_in_use(self) -> Keywords:
        """Give all keywords of the messages, sorted, one spelling of each."""
        number, found = self._in_use
        if number != self.number:
            there = {keyword for words in set(self.keywords or ()) if words for keyword in words.split(" ")}
            spelled = {keyword.casefold(): keyword for keyword in sorted(there, reverse=True)}
            found = tuple(spelled[key] for key in sorted(spelled))
            self._in_use = self.number, found
        return found

    def known(self, uids: "array[int]") -> Known | None:
        """Give what is known of messages, ascending, to who is to change them; None: some are not there, or were not
        side by side so that it could be had at once."""
        if not uids or self.modseq < 0:
            return None
        at = bisect_left(self.uids, uids[0])
        end = at + len(uids)
        if self.uids[at:end] != uids:
            return None
        keywords = packed(self.keywords[at:end]) if self.keywords is not None else None
        flags = bytes(self.flags[at:end])
        entries = Entries(uids, self.messages[at:end], flags, keywords, self.modseqs[at:end], self.in_order)
        return Known(self.modseq, entries)

    # -- Advancing it

    def note(self, result: StoreResult) -> None:
        """Take in what a STORE in this mailbox did, if nothing else has happened: then it need not be read."""
        changed = result.changed
        if not isinstance(changed, StoredMany) or not changed or self.reader is not None:
            return
        if self._lock.locked() or self.modseq < 0 or result.modseq != self.modseq + 1:
            return
        looked_at, flags, keywords = changed.columns
        at, end = self.index(looked_at[0]), self.index(looked_at[-1]) + 1
        if end - at == len(looked_at):
            self.flags[at:end] = flags
            fresh = array("q", [result.modseq]) * len(looked_at)
            for start, stop in changed.spans:
                self.modseqs[at + start : at + stop] = fresh[start:stop]
            if not changed.same_keywords:
                self._set_keywords(at, keywords or [None] * len(looked_at))
        else:
            self._note_scattered(changed, at, end, result.modseq)
        self.modseq = self.highest_modseq = result.modseq
        self._step(Advance((), changed.uids, ()))

    def _note_scattered(self, changed: StoredMany, start: int, end: int, modseq: ModSeq) -> None:
        """Take in new flags of some of the messages from one place to another."""
        uids, flags, words = changed.own
        place_of = dict(zip(self.uids[start:end], range(start, end), strict=True))
        places = list(map(place_of.__getitem__, uids))
        for at, bits in zip(places, flags, strict=True):
            self.flags[at] = bits
            self.modseqs[at] = modseq
        if not changed.same_keywords:
            for at, word in zip(places, words or repeat(None), strict=False):
                self._set_keywords(at, [word])

    def _set_keywords(self, at: int, words: Words) -> None:
        """Set the keywords of messages from a place on."""
        if self.keywords is None and any(words):
            self.keywords = [None] * len(self.uids)
        if self.keywords is not None:
            self.keywords[at : at + len(words)] = words

    async def advance(self) -> None:
        """Bring it up to what is committed now, by any worker. Raises NoSuchMailbox when the mailbox is gone."""
        async with self._lock:
            if self.removed:
                raise NoSuchMailbox
            if self.modseq >= 0:
                newest, _ = await self._engine.glance(lambda tx: changes.state(tx, self.account))
                if newest == self.modseq:
                    return
            news = await self._engine.read(self._follow if self.modseq >= 0 else self._read_small)
            if news is None:
                news = await self._engine.scan(self._read_all)
            # Only here the snapshot changes: operations may run on a thread, or twice.
            match news:
                case _Steps():
                    self._apply(news)
                case _Contents():
                    self._replace(news)
            if self.removed:
                raise NoSuchMailbox

    async def _follow(self, tx: Transaction) -> _Steps | None:
        """Follow the log. None: the mailbox has to be read in full."""
        newest, floor = await changes.state(tx, self.account)
        if newest == self.modseq:
            return _Steps(newest, self.highest_modseq, False, (), ())
        if self.modseq < floor:
            return None
        rows = await tx.fetch_all(
            f"SELECT modseq, kind, uids FROM change WHERE account = ? AND modseq > ? AND mailbox = ? {self._LOGGED} "
            "ORDER BY modseq, kind",
            self.account,
            self.modseq,
            self.mailbox,
            *self._logged_for,
        )
        touched, expunged, highest = _sum_up(rows)
        if any(kind == ChangeKind.MAILBOX_UPDATED for _, kind, _ in rows):
            highest = max(highest, await self._told_of_mailbox(tx))
        last = self.uids[-1] if self.uids else 0
        known = [uid for uid in touched if uid <= last]
        if len(known) > LOOP_ROWS:
            return None
        fresh: list[Row] = []
        for piece in sets.pieces(sorted(known)):
            fresh += await tx.fetch_all(
                f"{_COLUMNS} AND uid {piece.clause} ORDER BY uid", self.account, self.mailbox, *piece.values
            )
        # What came is found by its UIDs: the log does not tell of all of it.
        came = await tx.fetch_all(
            f"{_COLUMNS} AND uid > ? ORDER BY uid LIMIT ?", self.account, self.mailbox, last, LOOP_ROWS + 1
        )
        if len(came) > LOOP_ROWS:
            return None
        highest = max([highest, *(row[4] for row in came)])
        notes = await flag_notes.of(tx, self.account, self.mailbox) if fresh or came else flag_notes.NONE
        fresh = await self._as_read(tx, notes.over(fresh + came))
        removed = bool(rows) and rows[-1][1] == ChangeKind.MAILBOX_REMOVED
        return _Steps(newest, ModSeq(max(highest, self.highest_modseq)), removed, fresh, expunged)

    async def _told_of_mailbox(self, tx: Transaction) -> int:
        """Give the modseq of the last change of an entry or an annotation."""
        row = await tx.fetch_one(
            "SELECT highest_modseq FROM mailbox WHERE account = ? AND id = ?", self.account, self.mailbox
        )
        return row[0] if row is not None else 0

    async def _read_small(self, tx: Transaction) -> _Contents | None:
        """Read the mailbox in full if that may be done on the loop."""
        mailbox = await mailboxes.by_id(tx, self.account, self.mailbox)
        return await self._read_all(tx) if mailbox is None or mailbox.total <= LOOP_ROWS else None

    async def _read_all(self, tx: Transaction) -> _Contents:
        newest, _ = await changes.state(tx, self.account)
        mailbox = await mailboxes.by_id(tx, self.account, self.mailbox)
        if mailbox is None or not mailbox.selectable:
            return _Contents(newest, self.highest_modseq, True, _Columns())
        columns = _Columns()
        notes = await flag_notes.of(tx, self.account, self.mailbox)
        while True:
            last = columns.uids[-1] if columns.uids else 0
            rows = await tx.fetch_all(
                _COLUMNS + "AND uid > ? ORDER BY uid LIMIT ?", self.account, self.mailbox, last, READ_ROWS
            )
            columns.extend(await self._as_read(tx, notes.over(rows)))
            if len(rows) < READ_ROWS:
                highest = max(mailbox.highest_modseq, max(columns.modseqs, default=0) if self.reader else 0)
                return _Contents(newest, ModSeq(highest), False, columns)

    _LOGGED = "AND kind < 7"
    """Which rows of the log it follows: not what readers set for themselves (`ChangeKind.SEEN`)."""

    @property
    def _logged_for(self) -> tuple[str, ...]:
        return ()

    async def _as_read(self, tx: Transaction, rows: list[Row]) -> list[Row]:
        """Give rows of `_COLUMNS` as they are for whom the snapshot is."""
        return rows

    def _replace(self, contents: _Contents) -> None:
        """Take in a mailbox that was read in full. Views find by comparison what changed."""
        columns = contents.columns
        self.uids = columns.uids
        self.messages = columns.messages
        self.flags = columns.flags
        self.modseqs = columns.modseqs
        self.sizes = columns.sizes
        self.received_at = columns.received_at
        self.keywords = columns.keywords
        self.in_order = columns.in_order
        self.number += 1
        self._log.clear()
        self.modseq = contents.modseq
        self.highest_modseq = contents.highest_modseq
        self.removed = contents.removed

    def _apply(self, steps: _Steps) -> None:
        """Take in rows that are new or changed, and leave out what was expunged; note it in the log."""
        self.modseq = steps.modseq
        self.highest_modseq = steps.highest_modseq
        self.removed = steps.removed
        last = self.uids[-1] if self.uids else 0
        gone = self._drop(steps.expunged)
        changed: list[int] = []
        appended: list[Row] = []
        for row in steps.fresh:
            if row[0] > last:
                appended.append(row)
            elif (index := self.index(row[0])) >= 0:
                self.flags[index] = row[2]
                self.modseqs[index] = row[4]
                self._set_keywords(index, row[3:4])
                changed.append(row[0])
        if appended:
            self.extend(appended)
        if gone or changed or appended:
            self._step(Advance([row[0] for row in appended], changed, gone))

    def _step(self, advance: Advance) -> None:
        """Count an advance, and keep it for the views that are to learn of it."""
        self.number += 1
        if sum(map(len, advance)) > LOG_UIDS:
            self._log.clear()
        else:
            self._log.append(advance)

    def _drop(self, expunged: Sequence[tuple[int, int]]) -> Sequence[int]:
        """Leave out what was expunged: ascending ranges of UIDs. Gives what of it was there, ascending."""
        places = sets.within(self.uids, expunged)
        if not places:
            return ()
        gone, rest = sets.picked(self.uids, places), sets.others(places, len(self.uids))
        self.uids = sets.picked(self.uids, rest)
        if len(places) == 1:  # what is behind it moves up
            stretch = slice(*places[0])
            for column in (self.messages, self.flags, self.modseqs, self.sizes, self.received_at, self.keywords):
                if column is not None:
                    del column[stretch]
            return gone
        self.messages = sets.picked(self.messages, rest)
        self.flags = sets.picked(self.flags, rest)
        self.modseqs = sets.picked(self.modseqs, rest)
        self.sizes = sets.picked(self.sizes, rest)
        self.received_at = sets.picked(self.received_at, rest)
        if self.keywords is not None:
            self.keywords = sets.picked(self.keywords, rest)
        return gone

    # -- Telling views

    def since(self, number: int, uids: "array[int]", highest_modseq: ModSeq) -> Advance:
        """Give what is new for a view of that number, with these UIDs, that knew everything up to this modseq."""
        if number == self.number:
            return _NOTHING
        behind = self.number - number
        if behind <= len(self._log):
            return _union(list(self._log)[len(self._log) - behind :])
        known, now = set(uids), set(self.uids)
        last = uids[-1] if uids else 0
        first_new = bisect_left(self.uids, last + 1)
        newer = [
            uid for uid, modseq in zip(self.uids[:first_new], self.modseqs, strict=False) if modseq > highest_modseq
        ]
        return Advance(self.uids[first_new:], newer, sorted(known - now))


class ReaderSnapshot(Snapshot):
    r"""Another's mailbox as one reader sees it, with a `\Seen` of the reader's own (`seen`)."""

    __slots__ = ()

    _LOGGED = "AND (kind < 7 OR messages = ?)"

    def __init__(self, engine: Engine, account: AccountId, mailbox: MailboxId, reader: AccountId) -> None:
        super().__init__(engine, account, mailbox)
        self.reader = reader

    @property
    def _logged_for(self) -> tuple[str, ...]:
        return (str(self.reader),)

    async def _as_read(self, tx: Transaction, rows: list[Row]) -> list[Row]:
        assert self.reader is not None
        if not rows:
            return rows
        few = [row[0] for row in rows] if len(rows) <= LOOP_ROWS else None
        marks = await seen.marks(tx, self.account, self.mailbox, self.reader, few)
        shown = []
        for uid, message, flags, keywords, modseq, size, received_at in rows:
            has_seen, marked = marks.get(uid, (False, 0))
            bits = flags & ~_SEEN | (_SEEN if has_seen else 0)
            shown.append((uid, message, bits, keywords, max(modseq, marked), size, received_at))
        return shown


def _sum_up(rows: Iterable[Row]) -> tuple[set[int], list[tuple[int, int]], int]:
    """Add up rows of the log: UIDs to read, UIDs expunged, as ascending ranges, and the last modseq of an entry's
    change, or 0."""
    touched: set[int] = set()
    expunged: list[tuple[int, int]] = []
    highest = 0
    for modseq, kind, uids in rows:
        if uids is None:
            continue  # the mailbox itself
        if kind == ChangeKind.EXPUNGED:
            expunged += sets.ranges(uids)
        else:
            touched.update(sets.numbers(uids))
        highest = modseq
    expunged.sort()
    if touched:
        for first, last in expunged:
            touched.difference_update(range(first, last + 1))
    return touched, expunged, highest


def _union(advances: Sequence[Advance]) -> Advance:
    if len(advances) == 1:
        return advances[0]
    expunged: frozenset[int] = frozenset().union(*(advance.expunged for advance in advances))
    came = [uid for advance in advances for uid in advance.appended]
    appended = [uid for uid in came if uid not in expunged]
    updated: frozenset[int] = frozenset().union(*(advance.updated for advance in advances)) - expunged - set(came)
    return Advance(appended, sorted(updated), sorted(expunged - set(came)))
