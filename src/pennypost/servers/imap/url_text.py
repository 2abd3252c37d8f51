"""The octets that a URL names (RFC 5092), read from the store as they are needed: for URLFETCH and CATENATE."""

from collections.abc import AsyncIterator

from pennypost.model.errors import NoSuchMailbox
from pennypost.model.ids import AccountId, BlobId, Uid
from pennypost.proto.imap.url import MessageUrl
from pennypost.servers.imap.large import StoredMessage
from pennypost.servers.imap.records import Record
from pennypost.servers.imap.sections import chosen_fields, cut, extent, narrowed
from pennypost.servers.imap.session import Session
from pennypost.store import messages, places
from pennypost.store.acl import Action
from pennypost.store.blobs import BlobReader
from pennypost.store.engine import Transaction
from pennypost.store.messages import Column

_COLUMNS = (Column.BLOB, Column.SIZE, Column.HEADER, Column.HEADER_SIZE, Column.MIME_INDEX)


class UrlText:
    """Some octets of a message. Close it."""

    def __init__(self, message: StoredMessage, reader: BlobReader, start: int, end: int, whole: bytes | None) -> None:
        self._message = message
        self._reader = reader
        self._where = (start, end)
        self._whole = whole
        self.size = end - start if whole is None else len(whole)

    async def pieces(self) -> AsyncIterator[bytes]:
        if self._whole is not None:
            yield self._whole
            return
        async for piece in self._message.pieces(self._where):
            yield piece

    def close(self) -> None:
        self._reader.close()


async def open_text(session: Session, user: AccountId, url: MessageUrl) -> UrlText | None:
    """Open what a URL names for a user; None if there is no such message or part. Raises as `places.reach`.

    One that names no mailbox is relative to the one that is open (RFC 4469 §3).
    """
    store, selected = session.door.store, session.selected

    async def operation(tx: Transaction) -> tuple[Record, BlobReader] | None:
        name: str | None = url.mailbox
        if not name and selected is not None:
            name = await places.name_of(tx, user, selected.account, selected.id)
        if not name:
            raise NoSuchMailbox
        reached = await places.reach(tx, user, name, Action.READ)
        if url.uid_validity not in (None, reached.mailbox.uid_validity):
            raise NoSuchMailbox
        uid = Uid(url.uid)
        rows = await messages.fetch_by_uid(tx, reached.account, reached.id, uid, uid, _COLUMNS, 1)
        if not rows:
            return None
        _, _, blob, size, header, header_size, index = rows[0]
        record = Record(size, header=header, stored_index=index, blob=blob, header_size=header_size)
        return record, await store.blobs.open(tx, BlobId(blob))

    found = await store.read(operation)
    if found is None:
        return None
    record, reader = found
    message = StoredMessage(record, reader)
    section = url.section
    where = extent(section, record.index if section.part else None, record.header_size, record.size)
    if where is None:
        reader.close()
        return None
    if section.fields:
        try:
            fields = cut(chosen_fields(section, await message.octets(where)), url.partial)
        except BaseException:
            reader.close()
            raise
        return UrlText(message, reader, 0, 0, fields)
    return UrlText(message, reader, *narrowed(where, url.partial), None)
