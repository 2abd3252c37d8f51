"""FETCH of a message too large to be held: its body goes from the store to the client in pieces.

The response is one line like any other. Where a value is a stretch of the message, only its size is worked out before
it is sent. From the first octet of a literal on there is no way back: if reading fails then, the connection ends.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from pennypost.model.ids import BlobId
from pennypost.net.connection import ConnectionEnded
from pennypost.proto.imap.commands.fetch import BinaryItem, BinarySizeItem, BodyItem, FetchAttribute, FetchItem
from pennypost.proto.imap.responses.fetch import FETCH_TAIL, PLACES, binary_value, body_value, fetch_name
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
        message = StoredMessage(record, reader)
        values: list[bytes | _Stretch] = []
        for position, item in enumerate(plan.items):
            if needs_body(item):
                values.append(await _large_value(message, item))
            else:
                values.append(_place(item) % tuple(plan.values(batch, position)))
        number = batch.piece.uids[0] if plan.uid_only else batch.piece.numbers[0]
        session.write(b"* %d %b (" % (number, fetch_name(plan.uid_only)))
        for position, (item, value) in enumerate(zip(plan.items, values, strict=True)):
            if position:
                session.write(b" ")
            if isinstance(value, bytes):
                session.write(value)
            else:
                await _send_stretch(session, message, item, value.where)
        session.write(FETCH_TAIL)
    finally:
        reader.close()


def _label(item: FetchItem) -> bytes:
    return item.value if isinstance(item, FetchAttribute) else item.label


def _place(item: FetchItem) -> bytes:
    return PLACES[item] if isinstance(item, FetchAttribute) else item.label.replace(b"%", b"%%") + b" %b"


async def _large_value(message: StoredMessage, item: FetchItem) -> bytes | _Stretch:
    """Give what a part of the response is, or where its octets are."""
    record = message.record
    if isinstance(item, BinaryItem | BinarySizeItem) and item.part:
        part = binary_part(record, item)
        octets = await message.octets(part_extent(part, record.header_size))
        found = await asyncio.to_thread(undone, part, octets)
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
    try:
        async for piece in message.pieces(where):
            session.write(piece)
            due -= len(piece)
            await session.breathe()
        if due:
            raise EOFError("a stored body is shorter than it should be")
    except ConnectionEnded:
        raise
    except Exception:
        session.broken = True
        raise
