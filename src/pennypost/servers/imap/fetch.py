"""FETCH and UID FETCH (RFC 9051 §6.4.5, RFC 3516).

Answers leave in pieces of about `write_chunk` octets, and the client has to take one before the next is made: so a slow
client costs a few hundred kilobytes, whatever it asked for. Between pieces other connections have their turn. What the
mailbox's snapshot knows (UID, FLAGS, INTERNALDATE, RFC822.SIZE) is answered without a look at the store.
"""

from collections.abc import Iterator, Sequence
from itertools import compress
from typing import cast

from pennypost.model.errors import StorageFull
from pennypost.model.flags import Flags
from pennypost.model.ids import Uid
from pennypost.model.rights import Rights
from pennypost.proto.imap.commands.fetch import Fetch, FetchAttribute, FetchItem
from pennypost.proto.imap.responses import codes
from pennypost.proto.imap.responses.search import ranges_of
from pennypost.proto.imap.responses.status import Tagged, ok
from pennypost.proto.imap.sequence import Ranges
from pennypost.servers.imap import large, message_limit, news, resync
from pennypost.servers.imap.flag_change import change_flags
from pennypost.servers.imap.news import News
from pennypost.servers.imap.records import Batch, Plan, sets_seen
from pennypost.servers.imap.selected import Slice
from pennypost.servers.imap.session import Session
from pennypost.store import messages, object_ids
from pennypost.store.choices import HeaderFields, StoredColumns
from pennypost.store.engine import Row, Transaction
from pennypost.store.flag_change import StoreMode

BATCH_MESSAGES = 256
"""Messages read from the store at a time: the loop waits for it."""

BATCH_OCTETS = 512 * 1024
"""Octets of bodies read at a time, unless one alone has more, by how many items ask for them."""

HEADER_OCTETS = 1024 * 1024
"""What is kept beside a body has about so many octets at the most."""

HEADER_BATCH_OCTETS = 16 * 1024 * 1024
"""Octets of headers, and what else is kept beside bodies, read at a time, by how many items ask for headers."""


async def fetch(session: Session, command: Fetch) -> Tagged:
    """Send data of messages."""
    selected = session.open_mailbox
    selected.missed = False
    if FetchAttribute.MODSEQ in command.items:
        session.use_condstore()
    if command.vanished:
        await resync.tell_vanished(session, command)
    numbers = selected.numbers_of(command.messages, command.uid)
    if command.changed_since is not None:
        numbers = selected.changed_since(numbers, command.changed_since)
    if command.partial is not None:
        message_limit.refuse_range(session, command.partial.last - command.partial.first + 1)
        numbers = ranges_of(command.partial.of([n for first, last in numbers for n in range(first, last + 1)]))
    numbers = message_limit.trim(session, numbers)
    items = command.items
    if command.uid and not session.uid_only and FetchAttribute.UID not in items:
        items = (FetchAttribute.UID, *items)  # RFC 9051 §6.4.9; under UIDONLY only where it is asked for, RFC 9586 §3.3
    if any(map(sets_seen, items)) and await _mark_seen(session, numbers):
        # RFC 9051 §6.4.5: the change is part of the response; RFC 7162 §3.1: with its mod-sequence
        told = (FetchAttribute.FLAGS, FetchAttribute.MODSEQ) if session.condstore else (FetchAttribute.FLAGS,)
        items = (*items, *[item for item in told if item not in items])
    await send(session, items, numbers)
    if selected.missed and not command.uid:
        return ok("Some messages are gone", codes.EXPUNGEISSUED)  # RFC 2180 §4.1, RFC 5530 §3
    return ok("FETCH completed")


async def send(session: Session, items: Sequence[FetchItem], numbers: Ranges) -> None:
    """Send data of messages, and change nothing."""
    plan = Plan(items, session.uid_only)
    if not plan.columns and not plan.chosen:
        await _send_known(session, plan, numbers)
        return
    place, ahead = (session.open_mailbox.account, session.open_mailbox.id), session.door.read_ahead
    if plan.chosen or plan.is_kept or not ahead.is_due(*place, sum(last - first + 1 for first, last in numbers)):
        await _send_stored(session, plan, numbers)
        return
    with ahead.walking(*place, session.open_mailbox.uid_column(numbers)):
        await _send_stored(session, plan, numbers)


async def _mark_seen(session: Session, numbers: Ranges) -> bool:
    r"""Set `\Seen` where it is not; whether any message had to be changed."""
    selected = session.open_mailbox
    if selected.read_only or not selected.rights & Rights.SEEN:
        return False
    unseen = [
        uid
        for piece in selected.slices(numbers)
        for uid, bits in zip(piece.uids, piece.flags, strict=True)
        if not bits & Flags.SEEN
    ]
    if not unseen:
        return False
    uids = [Uid(uid) for uid in unseen]
    try:
        result = await session.door.store.write_rows(
            lambda tx: change_flags(tx, selected, uids, StoreMode.ADD, Flags.SEEN), len(uids)
        )
    except StorageFull:
        return False  # reading goes on where nothing can be written
    await news.tell(session, News.NO_EXPUNGE, quiet=uids, as_of=result.modseq)
    return True


async def _send_known(session: Session, plan: Plan, numbers: Ranges) -> None:
    chunk, recents = session.door.settings.write_chunk, session.recents
    for piece in session.open_mailbox.slices(numbers):
        session.write(plan.lines(Batch(piece, recents, session.open_mailbox.account)))
        if session.gathered_octets >= chunk:
            await session.breathe()


async def _send_stored(session: Session, plan: Plan, numbers: Ranges) -> None:
    settings, selected = session.door.settings, session.open_mailbox
    for piece in selected.slices(numbers, BATCH_MESSAGES):
        limit = max(1, settings.body_chunk // plan.body_items) if plan.bodies else None
        parts = _light_parts(piece, plan) if limit is None else _parts(piece, limit, BATCH_OCTETS // plan.body_items)
        for part in parts:
            batch = await _load(session, plan, part, limit)
            if batch is None:
                continue
            if plan.bodies and batch.bodies[0] is None:
                await large.send(session, plan, batch)
            else:
                session.write(plan.lines(batch))
            if session.gathered_octets >= settings.write_chunk:
                await session.breathe()


def _light_parts(piece: Slice, plan: Plan) -> Iterator[Slice]:
    """Cut a slice so that what is read beside bodies, headers say, can be held as often as it is asked for."""
    most = HEADER_BATCH_OCTETS // plan.header_items
    if sum(piece.sizes) <= most:
        yield piece
        return
    start, octets = 0, 0
    for at, size in enumerate(piece.sizes):
        size = min(size, HEADER_OCTETS)
        if at > start and octets + size > most:
            yield piece.part(start, at)
            start, octets = at, 0
        octets += size
    yield piece.part(start, len(piece.uids))


def _parts(piece: Slice, limit: int, most: int) -> Iterator[Slice]:
    """Cut a slice so that each part's bodies can be held; a message above `limit` is alone in its part."""
    start, octets = 0, 0
    for at, size in enumerate(piece.sizes):
        if at > start and (octets + size > most or size > limit or piece.sizes[start] > limit):
            yield piece.part(start, at)
            start, octets = at, 0
        octets += size
    yield piece.part(start, len(piece.uids))


async def _load(session: Session, plan: Plan, piece: Slice, limit: int | None) -> Batch | None:
    """Read what a plan needs of some messages; those that are gone meanwhile are left out. None: all are."""
    if plan.chosen:
        return await _load_chosen(session, plan, piece)
    store, account, mailbox = session.door.store, session.open_mailbox.account, session.open_mailbox.id
    with_bodies = limit is not None and piece.sizes[0] <= limit

    async def operation(tx: Transaction) -> tuple[list[Row | None], dict[Uid, int]]:
        rows = await messages.fetch_in_order(tx, account, piece.messages, plan.columns, bodies=with_bodies)
        if with_bodies:
            await store.blobs.gather(tx, rows, len(plan.columns))
        if not plan.saved:
            return rows, {}
        return rows, await object_ids.saved_at(tx, account, mailbox, [Uid(uid) for uid in piece.uids])

    saved: dict[Uid, int] = {}
    if plan.is_kept:
        choice = StoredColumns(plan.columns)
        found = await session.door.field_pages.chosen(account, piece.messages, piece.received_at, choice)
    else:
        found, saved = await store.read(operation)
    if None in found:
        session.open_mailbox.missed = True
        piece = piece.only([row is not None for row in found])
        if not piece.uids:
            return None
        found = [row for row in found if row is not None]
    rows = cast(list[Row], found)
    batch = Batch(piece, session.recents, account, rows, plan.fields)
    if with_bodies:
        batch.bodies = store.blobs.decode_all(rows, len(plan.columns))
    elif plan.bodies:
        batch.bodies = [None] * len(rows)
    if plan.saved:
        batch.saved_at = [saved.get(Uid(uid), 0) for uid in piece.uids]
    return batch


async def _load_chosen(session: Session, plan: Plan, piece: Slice) -> Batch | None:
    """Do what `_load` does for a plan that needs header fields only."""
    selected, pages = session.open_mailbox, session.door.field_pages
    columns = [
        await pages.chosen(selected.account, piece.messages, piece.received_at, HeaderFields.called(names))
        for names in plan.chosen
    ]
    if any(None in column for column in columns):
        selected.missed = True
        there = [None not in texts for texts in zip(*columns, strict=True)]
        piece = piece.only(there)
        columns = [list(compress(column, there)) for column in columns]
        if not piece.uids:
            return None
    chosen = cast(list[list[bytes]], columns)
    return Batch(piece, session.recents, selected.account, chosen=chosen)
