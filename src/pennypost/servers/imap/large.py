"""FETCH of a message too large to be held: its body goes from the store to the client in pieces.

The response is one line like any other, of which one value at a time is at hand; where it is a stretch of the message,
a piece of it. What cannot be told is refused before it begins: from then on there is no way back, and if reading fails
the connection ends.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from pennypost.message.structure import Part
from pennypost.model.ids import BlobId
from pennypost.net.connection import ConnectionEnded
from pennypost.proto.imap.commands.fetch import BinaryItem, BinarySizeItem, BodyItem, FetchAttribute, FetchItem
from pennypost.proto.imap.responses.fetch import FETCH_TAIL, PLACES, binary_value, body_value, fetch_name
from pennypost.servers.imap.errors import Refused
from pennypost.servers.imap.records import (
    Batch,
    Plan,
    Record,
    binary_part,
    needs_body,
    preview_value,
    section_of,
    undone,
)
from pennypost.servers.imap.sections import Extent, chosen_fields, cut, extent, narrowed, part_extent
from pennypost.servers.imap.session import Session
from pennypost.store.blobs import BlobReader

PREVIEW_OCTETS = 1024 * 1024
"""Octets of a large body in which a text is looked for that can be a preview."""


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A value that is sent piece by piece: octets of the message."""

    where: Extent


class StoredMessage:
    """A message whose header is at hand and whose body is read as it is needed."""

    def __init__(self, record: Record, reader: BlobReader) -> None:
        self.record = record
        self._reader = reader
        self._undone: tuple[Part, bytes] | None = None

    async def undone(self, part: Part) -> bytes:
        """Give a part with its transfer encoding undone. The last one is kept, for who asks for it in portions."""
        if self._undone is None or self._undone[0] is not part:
            self._undone = None
            octets = await self.octets(part_extent(part, self.record.header_size))
            self._undone = part, await asyncio.to_thread(undone, part, octets)
        return self._undone[1]

    async def octets(self, where: Extent) -> bytes:
        """Read a stretch whole."""
        return b"".join([piece async for piece in self.pieces(where)])

    async def pieces(self, where: Extent) -> AsyncIterator[bytes]:
        start, end = where
        at = self.record.header_size
        if start < at and start < end:
            yield self.record.header[start:end]
            start = at
        if start < end:
            async for piece in self._reader.chunks(start - at, end - start):
                yield piece


async def send(session: Session, plan: Plan, batch: Batch) -> None:
    """Send the response for the one message of a batch."""
    store, record = session.door.store, batch.records[0]
    reader = await store.read(lambda tx: store.blobs.open(tx, BlobId(record.blob)))
    try:
        for item in plan.items:
            if isinstance(item, BinaryItem | BinarySizeItem) and item.part:
                binary_part(record, item)  # raises Refused
        await _send_values(session, plan, batch, StoredMessage(record, reader))
    except (ConnectionEnded, Refused):
        raise
    except Exception:
        session.broken = True
        raise
    finally:
        reader.close()


async def _send_values(session: Session, plan: Plan, batch: Batch, message: StoredMessage) -> None:
    """Send each value before the next one is looked at."""
    number = batch.piece.uids[0] if plan.uid_only else batch.piece.numbers[0]
    session.write(b"* %d %b (" % (number, fetch_name(plan.uid_only)))
    for position, item in enumerate(plan.items):
        if position:
            session.write(b" ")
        if not needs_body(item):
            session.write(_place(item) % tuple(plan.values(batch, position)))
        else:
            value = await _large_value(message, item)
            if isinstance(value, bytes):
                session.write(value)
            else:
                await _send_stretch(session, message, item, value.where)
        if session.gathered_octets >= session.door.settings.write_chunk:
            await session.breathe()
    session.write(FETCH_TAIL)


def _label(item: FetchItem) -> bytes:
    return item.value if isinstance(item, FetchAttribute) else item.label


def _place(item: FetchItem) -> bytes:
    return PLACES[item] if isinstance(item, FetchAttribute) else item.label.replace(b"%", b"%%") + b" %b"


async def _large_value(message: StoredMessage, item: FetchItem) -> bytes | _Stretch:
    """Give what a part of the response is, or where its octets are."""
    record = message.record
    if isinstance(item, BinaryItem | BinarySizeItem) and item.part:
        found = await message.undone(binary_part(record, item))
        if isinstance(item, BinarySizeItem):
            return b"%b %d" % (item.label, len(found))
        return b"%b %b" % (item.label, binary_value(cut(found, item.partial)))
    if isinstance(item, BinarySizeItem):
        return b"%b %d" % (item.label, record.size)
    if isinstance(item, BinaryItem):
        return _Stretch(narrowed((0, record.size), item.partial))
    if item is FetchAttribute.PREVIEW:
        start = record.header_size
        octets = await message.octets((start, min(record.size, start + PREVIEW_OCTETS)))
        return PLACES[item] % await asyncio.to_thread(preview_value, record.index, octets)
    section = section_of(item)
    assert section is not None
    where = extent(section, record.index if section.part else None, record.header_size, record.size)
    if where is None:
        return b"%b NIL" % _label(item)
    partial = item.partial if isinstance(item, BodyItem) else None
    if section.fields:
        fields = cut(chosen_fields(section, await message.octets(where)), partial)
        return b"%b %b" % (_label(item), body_value(fields))
    return _Stretch(narrowed(where, partial))


async def _send_stretch(session: Session, message: StoredMessage, item: FetchItem, where: Extent) -> None:
    """Send a literal. BINARY[] of a whole message is sent as literal8, since it may hold NUL (RFC 3516 §4.2)."""
    tilde = b"~" if isinstance(item, BinaryItem) else b""
    session.write(b"%b %b{%d}\r\n" % (_label(item), tilde, where[1] - where[0]))
    due = where[1] - where[0]
    async for piece in message.pieces(where):
        session.write(piece)
        due -= len(piece)
        await session.breathe()
    if due:
        raise EOFError("a stored body is shorter than it should be")
