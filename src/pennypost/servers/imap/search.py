"""SEARCH and UID SEARCH (RFC 9051 §6.4.4).

What the snapshot answers narrows the messages first; the rest of the criteria is tested on those that are left, which
are read for it in batches on a reader thread.
"""

from collections.abc import Sequence

from pennypost.model.ids import MessageId
from pennypost.proto.imap.commands.search import Search
from pennypost.proto.imap.responses import codes
from pennypost.proto.imap.responses.status import Tagged, bad, no, ok
from pennypost.proto.imap.search_keys import And, SearchKey
from pennypost.proto.imap.search_syntax import CHARSETS
from pennypost.servers.imap import object_ids, search_result
from pennypost.servers.imap.matching import Known, Positions, asks_modseq, is_known
from pennypost.servers.imap.message_text import Read, Test, compile_test, needs_body
from pennypost.servers.imap.selected import Slice
from pennypost.servers.imap.session import Session
from pennypost.store import messages
from pennypost.store.engine import Row, Transaction
from pennypost.store.messages import Column

BATCH_OCTETS = 8 * 1024 * 1024
"""Octets of messages read at a time where bodies are looked at, unless one alone has more."""

_HEADER = (Column.HEADER,)
_BODY = (Column.HEADER, Column.MIME_INDEX, Column.BLOB)


async def search(session: Session, command: Search) -> Tagged:
    """Look for messages, tell which there are, and save them for `$` if asked to."""
    if not command.charset_known:
        return no("Unknown charset", codes.badcharset(CHARSETS))
    if command.charset is not None and b"UTF8=ACCEPT" in session.enabled:
        return bad("CHARSET is not used after ENABLE UTF8=ACCEPT")  # RFC 9755 §3
    selected = session.open_mailbox
    piece = next(selected.slices(((1, selected.count),), selected.count), None) if selected.count else None
    numbers: Sequence[int] = ()
    uids: Sequence[int] = ()
    modseqs: Sequence[int] | None = None
    if asks_modseq(command.key):
        session.use_condstore()
        modseqs = ()
    if piece is not None:
        found = await _find(session, await object_ids.resolved(session, command.key), piece)
        numbers, uids = [piece.numbers[at] for at in found], [piece.uids[at] for at in found]
        if modseqs is not None:
            modseqs = [piece.modseqs[at] for at in found]
    search_result.save(session, command, uids)
    search_result.tell(session, command, numbers, uids, modseqs)
    await session.flush()
    return ok("SEARCH completed")


async def _find(session: Session, key: SearchKey, piece: Slice) -> Positions:
    """Give the positions, ascending, of the messages in `piece` that match."""
    known = Known(session.open_mailbox, piece, session.recents)
    keys = key.keys if isinstance(key, And) else (key,)
    positions: Positions = range(len(piece.uids))
    for easy in filter(is_known, keys):
        positions = known.filter(easy, positions)
    hard = tuple(inner for inner in keys if not is_known(inner))
    if not hard or not positions:
        return positions
    among = positions

    def matching(inner: SearchKey) -> frozenset[int] | None:
        return frozenset(known.filter(inner, among)) if is_known(inner) else None

    whole = hard[0] if len(hard) == 1 else And(hard)
    return await _test_all(session, compile_test(whole, matching), needs_body(whole), piece, positions)


async def _test_all(session: Session, test: Test, bodies: bool, piece: Slice, positions: Positions) -> list[int]:
    found: list[int] = []
    for batch in _batches(piece, positions, bodies):
        found += await _test_batch(session, test, bodies, piece, batch)
    return found


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


async def _test_batch(session: Session, test: Test, bodies: bool, piece: Slice, positions: Positions) -> list[int]:
    """Read some messages and test them, on a reader thread. Those that are gone meanwhile do not match."""
    store, account = session.door.store, session.open_mailbox.account
    columns = _BODY if bodies else _HEADER

    async def operation(tx: Transaction) -> list[int]:
        rows = await messages.fetch(tx, account, [MessageId(piece.messages[at]) for at in positions], columns)
        found = []
        for at in positions:
            row = rows.get(MessageId(piece.messages[at]))
            if row is not None and test(await read(tx, at, row)):
                found.append(at)
        return found

    async def read(tx: Transaction, at: int, row: Row) -> Read:
        if not bodies:
            return Read(at, piece.received_at[at], row[0], b"", b"")
        header, index, blob = row
        return Read(at, piece.received_at[at], header, index, await store.blobs.read(tx, blob))

    return await store.scan(operation)
