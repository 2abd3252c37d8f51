"""Finding the messages that match search keys (RFC 9051 §6.4.4), for whoever asks: SEARCH, SORT, THREAD.

What the snapshot answers narrows the messages first; the rest of the criteria is tested on those that are left, which
are read for it in batches on a reader thread.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pennypost.model.ids import MessageId
from pennypost.proto.imap.commands.search import Search
from pennypost.proto.imap.responses import codes
from pennypost.proto.imap.responses.status import no
from pennypost.proto.imap.search_keys import And, SearchKey
from pennypost.proto.imap.search_syntax import CHARSETS
from pennypost.servers.imap import filters, fuzzy, object_ids, text_keys
from pennypost.servers.imap.errors import Refused
from pennypost.servers.imap.fuzzy import Scores
from pennypost.servers.imap.matching import Known, Positions, asks_modseq, is_known
from pennypost.servers.imap.message_text import Read, Test, compile_test, needs_body
from pennypost.servers.imap.selected import Selected, Slice
from pennypost.servers.imap.session import Session
from pennypost.servers.imap.text_keys import Lookups
from pennypost.store import messages
from pennypost.store.engine import Row, Transaction, to_microseconds
from pennypost.store.messages import Column

BATCH_OCTETS = 8 * 1024 * 1024
"""Octets of messages read at a time where bodies are looked at, unless one alone has more."""

_HEADER = (Column.HEADER,)
_BODY = (Column.HEADER, Column.MIME_INDEX, Column.BLOB)
_NOTHING = Slice((), (), (), None, (), (), (), ())


@dataclass(frozen=True, slots=True)
class Found:
    """What matched: `positions`, ascending, in `piece`, which holds the whole mailbox as the session sees it.

    `scores`: how relevant messages are, where FUZZY keys weighed them (RFC 6203 §4).
    """

    piece: Slice
    positions: Positions
    scores: Scores

    @property
    def uids(self) -> list[int]:
        return self.named(uid=True)

    def named(self, uid: bool) -> list[int]:
        """Give the UIDs or the message numbers of what matched."""
        return self.names_of(self.positions, uid)

    def names_of(self, positions: Positions, uid: bool) -> list[int]:
        """Give UIDs or message numbers of positions, in their order."""
        column = self.piece.uids if uid else self.piece.numbers
        if isinstance(column, range) and column.step == 1:
            first = column.start  # a quarter of the time that asking the range takes
            return [at + first for at in positions]
        return list(column) if positions == range(len(column)) else list(map(column.__getitem__, positions))


async def criteria(session: Session, command: Search) -> SearchKey:
    """Give what a command looks for, filters put in. Raises Refused where its texts mean nothing.

    Takes note of a client that asks for mod-sequences: the answer tells one then (RFC 7162 §3.1.5).
    """
    if not command.charset_known:
        raise Refused(no("Unknown charset", codes.badcharset(CHARSETS)))
    key = await filters.resolved(session, command)
    if asks_modseq(key):
        session.use_condstore()
    return key


async def find(session: Session, selected: Selected, key: SearchKey, lookups: Lookups | None = None) -> Found:
    """Find the messages of a mailbox that match. `lookups`: of a command that searches several mailboxes."""
    piece = next(selected.slices(((1, selected.count),), selected.count), None) if selected.count else None
    if piece is None:
        return Found(_NOTHING, (), {})
    key = await object_ids.resolved(session, selected, key)
    lookups = lookups or Lookups()
    lookups.begin()
    scores: Scores = {}
    return Found(piece, await _find(session, selected, key, piece, scores, lookups), scores)


async def _find(
    session: Session, selected: Selected, key: SearchKey, piece: Slice, scores: Scores, lookups: Lookups
) -> Positions:
    """Give the positions, ascending, of the messages in `piece` that match."""
    now = to_microseconds(session.door.store.clock())
    known = Known(selected, piece, session.recents_of(selected), now)
    keys = key.keys if isinstance(key, And) else (key,)
    positions: Positions = range(len(piece.uids))
    for easy in filter(is_known, keys):
        positions = await known.filter(easy, positions)
    hard = tuple(inner for inner in keys if not is_known(inner))
    if not hard or not positions:
        return positions

    async def read(test: Test, bodies: bool, among: Positions) -> Sequence[int]:
        return await _Scan(session, selected, test, bodies, piece).all(among)

    async def scan(inner: SearchKey, among: Positions) -> Positions:
        return await _scan(session, selected, inner, known, piece, among)

    whole = hard[0] if len(hard) == 1 else And(hard)
    whole = await fuzzy.resolved(session, selected, whole, piece, positions, read, scores, lookups)
    whole = await text_keys.resolved(session, selected, whole, piece, positions, scan, lookups)
    for easy in filter(is_known, whole.keys if isinstance(whole, And) else (whole,)):
        positions = await known.filter(easy, positions)
    return positions if is_known(whole) else await scan(whole, positions)


async def _scan(
    session: Session, selected: Selected, key: SearchKey, known: Known, piece: Slice, among: Positions
) -> list[int]:
    """Read messages and give those that match."""
    return await _Scan(session, selected, compile_test(key, known), needs_body(key), piece).all(among)


@dataclass(frozen=True, slots=True)
class _Scan:
    """Reads messages and tests them. `bodies`: whether the test looks at more than headers."""

    session: Session
    selected: Selected
    test: Test
    bodies: bool
    piece: Slice

    async def all(self, positions: Positions) -> list[int]:
        found: list[int] = []
        for batch in _batches(self.piece, positions, self.bodies):
            found += await self._batch(batch)
        return found

    async def _batch(self, positions: Positions) -> list[int]:
        """Read some messages and test them, on a reader thread. Those that are gone meanwhile do not match."""
        store, account, piece, bodies = self.session.door.store, self.selected.account, self.piece, self.bodies
        columns = _BODY if bodies else _HEADER

        async def operation(tx: Transaction) -> list[int]:
            rows = await messages.fetch(tx, account, [MessageId(piece.messages[at]) for at in positions], columns)
            found = []
            for at in positions:
                row = rows.get(MessageId(piece.messages[at]))
                if row is not None and self.test(await read(tx, at, row)):
                    found.append(at)
            return found

        async def read(tx: Transaction, at: int, row: Row) -> Read:
            if not bodies:
                return Read(at, piece.received_at[at], row[0], b"", b"")
            header, index, blob = row
            return Read(at, piece.received_at[at], header, index, await store.blobs.read(tx, blob))

        return await store.scan(operation)


def _batches(piece: Slice, positions: Positions, bodies: bool) -> list[Positions]:
    """Cut positions so that a batch is neither too many messages nor, where bodies are read, too many octets."""
    batches: list[Positions] = []
    start, octets = 0, 0
    for at, position in enumerate(positions):
        size = piece.sizes[position] if bodies else 0
        if at > start and (at - start >= messages.FETCH_BATCH or octets + size > BATCH_OCTETS):
            batches.append(positions[start:at])
            start, octets = at, 0
        octets += size
    batches.append(positions[start:])
    return batches
