"""Messages and their entries: put in, read, expunged (RFC 9051 §6.3.12, §6.4.3, §6.4.5; RFC 4315).

A message is `header + body`: the header block is a column of its row, the body a blob that it shares with all messages
of the same body. A message's row never changes. What a mailbox holds are entries, which carry flags and keywords.
COPY and MOVE live in `transfer`, and are named here too.

`append` is the hot path of the server: six statements for a message that refers to no other, all of constant text.
"""

from array import array
from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from functools import lru_cache
from itertools import compress
from operator import lt
from typing import NamedTuple

from pennypost.message import structure
from pennypost.message.digest import MessageDigest
from pennypost.model.flags import Flags, Keywords
from pennypost.model.ids import AccountId, BlobId, MailboxId, MessageId, ModSeq, ThreadId, Uid, UidValidity
from pennypost.store import counters, flag_notes, quota, removal, sets, threads
from pennypost.store.blob_parts import BODY_COLUMNS
from pennypost.store.changes import ChangeKind, record
from pennypost.store.engine import Row, Transaction, to_microseconds
from pennypost.store.keywords import normalise_keywords, pack_keywords
from pennypost.store.transfer import Copied, copy, move, place

__all__ = [
    "FETCH_BATCH",
    "Appended",
    "Column",
    "Copied",
    "Entry",
    "NewMessage",
    "append",
    "append_many",
    "copy",
    "entries",
    "expunge",
    "fetch",
    "fetch_by_uid",
    "fetch_in_order",
    "find_by_message_id_field",
    "move",
    "place",
    "remove",
    "there",
    "thread_of",
]


class NewMessage(NamedTuple):
    """A message on its way into a mailbox.

    `header`: octets up to and with the empty line. `blob`: its body, put already. `body_size`: octets
    of the body as it was received. `received_at`: the INTERNALDATE.
    """

    header: bytes
    blob: BlobId
    body_size: int
    digest: MessageDigest
    received_at: datetime
    flags: Flags = Flags.NONE
    keywords: Keywords = ()

    @property
    def size(self) -> int:
        """RFC822.SIZE."""
        return len(self.header) + self.body_size


class Appended(NamedTuple):
    """Where a message went (RFC 4315 §3 APPENDUID)."""

    message: MessageId
    uid: Uid
    uid_validity: UidValidity
    modseq: ModSeq


_INSERT_MESSAGE = (
    "INSERT INTO message (account, id, blob, size, header_size, received_at, sent_at, thread, has_attachment, "
    "message_id_field, base_subject, sort_from, sort_to, sort_cc, header, envelope, bodystructure, mime_index, "
    "links, is_reply) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
INSERT_ENTRY = (
    "INSERT INTO entry (account, mailbox, uid, message, flags, keywords, modseq, received_at, size, saved_at, slot) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, last_insert_rowid())"
)
"""Right after its message was inserted, whose slot it names."""


async def append(
    tx: Transaction,
    account: AccountId,
    mailbox: MailboxId,
    message: NewMessage,
    reserved: counters.Reserved | None = None,
) -> Appended:
    """Put a message into a mailbox: by delivery or by APPEND (RFC 9051 §6.3.12).

    `reserved`: the UID that `counters.reserve_named` gave out for it just now, if it did.
    The blob must have been put in the same transaction (`blobs.put`). When the transaction is committed all of it is
    durable and 250 or OK may be sent. Raises OverQuota, NoSuchMailbox, MailboxNotPermitted, NoSuchAccount,
    TooManyKeywords: the transaction has to be given up then, or the operation run in one of its own.
    """
    size, flags = message.size, int(message.flags)
    keywords = pack_keywords(normalise_keywords(message.keywords)) if message.keywords else None
    modseq = await quota.charge(tx, account, numbers=1, octets=size, messages=1, entries=1)
    if reserved is None:
        reserved = await counters.reserve(tx, account, mailbox, modseq, counters.of_entry(flags, size))
    uid, uid_validity = reserved
    identifier = MessageId(modseq)
    digest = message.digest
    summary = digest.summary
    thread = await threads.assign(tx, account, identifier, summary)
    received_at = to_microseconds(message.received_at)
    await tx.execute(
        _INSERT_MESSAGE,
        account,
        identifier,
        message.blob,
        size,
        len(message.header),
        received_at,
        None if summary.sent_at is None else to_microseconds(summary.sent_at),
        thread,
        int(digest.has_attachment),
        summary.own_id,
        _storable(summary.subject_key),
        _storable(summary.from_key),
        _storable(summary.to_key),
        _storable(summary.cc_key),
        message.header,
        digest.envelope,
        digest.bodystructure,
        structure.encode(digest.index),
        threads.links(summary),
        int(summary.is_reply),
    )
    await tx.execute(
        INSERT_ENTRY,
        account,
        mailbox,
        uid,
        identifier,
        flags,
        keywords,
        modseq,
        received_at,
        size,
        to_microseconds(tx.now),
    )
    tx.changed(account, modseq)  # that the entry is there says the rest: `changes`
    return Appended(identifier, uid, uid_validity, modseq)


async def append_many(
    tx: Transaction, account: AccountId, mailbox: MailboxId, new: Sequence[NewMessage]
) -> list[Appended]:
    """Put several messages into a mailbox, all or none (RFC 3502 MULTIAPPEND), UIDs in their order."""
    return [await append(tx, account, mailbox, message) for message in new]


def _storable(text: str) -> str:
    """Take out what a text column of some engine cannot hold: NUL and lone surrogates. Sort keys only."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "").encode("utf-8", "replace").decode()


# -- Expunging


async def expunge(
    tx: Transaction, account: AccountId, mailbox: MailboxId, uids: Sequence[Uid] | None = None
) -> tuple[list[Uid], ModSeq]:
    """Remove entries that are `\\Deleted` (RFC 9051 §6.4.3): all of them, or those among `uids` (UID EXPUNGE, §6.4.9).

    Gives the UIDs removed, ascending, and the mailbox's modification sequence after it (RFC 7162 §3.1.9).
    Messages that have no other entry are gone. Raises NoSuchMailbox, MailboxNotPermitted.
    """
    return await _expunge(tx, account, mailbox, uids, only_deleted=True)


async def remove(
    tx: Transaction, account: AccountId, mailbox: MailboxId, uids: Sequence[Uid]
) -> tuple[list[Uid], ModSeq]:
    """Remove entries whatever their flags are: what POP3 does in its UPDATE state (RFC 1939 §6)."""
    return await _expunge(tx, account, mailbox, uids, only_deleted=False)


_ENTRIES = "FROM entry WHERE account = ? AND mailbox = ? "
_DELETED_ONES = bytes([bool(flags & Flags.DELETED) for flags in range(256)])
"""Translates flags into 1 for what is `\\Deleted`, 0 for what is not."""
_IS_DELETED = f"AND (flags & {int(Flags.DELETED)}) <> 0 "


async def _expunge(
    tx: Transaction, account: AccountId, mailbox: MailboxId, uids: Sequence[Uid] | None, *, only_deleted: bool
) -> tuple[list[Uid], ModSeq]:
    row = await tx.fetch_one(
        "SELECT deleted, highest_modseq FROM mailbox WHERE account = ? AND id = ?", account, mailbox
    )
    if row is None or (only_deleted and not row[0]):
        await counters.refuse(tx, account, mailbox)
        assert row is not None
        return [], row[1]
    rows, flags = await _take_out(tx, account, mailbox, uids, only_deleted=only_deleted)
    if not rows:
        return [], row[1]
    removed, gone, _, sizes, slots, _ = zip(*rows, strict=True)
    modseq = await removal.drop_messages(tx, account, gone, sizes, slots)
    await counters.add(tx, account, mailbox, modseq, counters.of_columns(flags, sizes).negated())
    await record(tx, account, modseq, mailbox, ChangeKind.EXPUNGED, array("I", removed), gone)
    return list(removed), modseq


async def _take_out(
    tx: Transaction, account: AccountId, mailbox: MailboxId, uids: Sequence[Uid] | None, *, only_deleted: bool
) -> tuple[list[Row], bytes]:
    """Delete entries. Gives (uid, message, flags, size, slot, modseq) of each as their rows had it, and the flags that
    they had indeed."""
    notes = await flag_notes.of(tx, account, mailbox)
    which = _ENTRIES + (_IS_DELETED if only_deleted and not notes else "")
    chosen: list[tuple[str, tuple[int, ...]]] = [(which, ())]
    if uids is not None:
        chosen = [(f"{which}AND uid {piece.clause} ", piece.values) for piece in sets.pieces(sorted(set(uids)))]
    gone: list[Row] = []
    had = b""
    for entries_, values in chosen:  # read, then removed: RETURNING takes three times as long
        sql = f"SELECT uid, message, flags, size, slot, modseq {entries_}ORDER BY uid"
        rows = await tx.fetch_all(sql, account, mailbox, *values)
        if not rows:
            continue
        flags = bytes([row[2] for row in rows])
        if notes:
            flags = notes.flags_over(array("I", [row[0] for row in rows]), flags, [row[5] for row in rows])
        goes = flags.translate(_DELETED_ONES) if notes and only_deleted else b""
        if 0 in goes:
            rows, flags = list(compress(rows, goes)), bytes(compress(flags, goes))
            for piece in sets.pieces([row[0] for row in rows]) if rows else ():
                await tx.execute(f"DELETE {_ENTRIES}AND uid {piece.clause}", account, mailbox, *piece.values)
        else:
            await tx.execute(f"DELETE {entries_}", account, mailbox, *values)
        gone += rows
        had += flags
    return gone, had


# -- Reading


class Entry(NamedTuple):
    """A message in a mailbox, as the row has it. `received_at`, `saved_at`: microseconds since the epoch."""

    uid: Uid
    message: MessageId
    flags: int
    keywords: str | None
    modseq: ModSeq
    received_at: int
    size: int
    saved_at: int


_SELECT_ENTRIES = (
    "SELECT uid, message, flags, keywords, modseq, received_at, size, saved_at FROM entry "
    "WHERE account = ? AND mailbox = ? AND uid BETWEEN ? AND ? ORDER BY uid LIMIT ?"
)
NO_LIMIT = 2**62


async def entries(
    tx: Transaction,
    account: AccountId,
    mailbox: MailboxId,
    ranges: Sequence[tuple[Uid, Uid]],
    limit: int = NO_LIMIT,
) -> list[Entry]:
    """Give the entries in ascending ranges of UIDs, both ends inclusive, in UID order; `limit` at most."""
    found: list[Entry] = []
    notes = await flag_notes.of(tx, account, mailbox)
    for first, last in ranges:
        rows = await tx.fetch_all(_SELECT_ENTRIES, account, mailbox, first, last, limit - len(found))
        found += map(Entry._make, notes.over(rows))
        if len(found) >= limit:
            break
    return found


class Column(Enum):
    """What can be asked of a message. The value is the expression; `header` and what follows it are octets."""

    BLOB = "m.blob"
    SIZE = "m.size"
    HEADER_SIZE = "m.header_size"
    RECEIVED_AT = "m.received_at"
    SENT_AT = "m.sent_at"
    THREAD = "m.thread"
    HAS_ATTACHMENT = "m.has_attachment"
    MESSAGE_ID_FIELD = "m.message_id_field"
    BASE_SUBJECT = "m.base_subject"
    SORT_FROM = "m.sort_from"
    SORT_TO = "m.sort_to"
    SORT_CC = "m.sort_cc"
    HEADER = "m.header"
    ENVELOPE = "m.envelope"
    """`message.imap_form.sent_envelope` gives what IMAP sends."""
    BODYSTRUCTURE = "m.bodystructure"
    ORIGIN = "coalesce(m.origin, m.id)"
    """The message it was first copied from, or itself: what EMAILID tells (RFC 8474 §5.1)."""
    MIME_INDEX = "m.mime_index"
    """Decode with `message.structure.decode`."""
    LINKS = "m.links"
    """Hashes of its Message-ID and of its references: `threads.links`."""
    IS_REPLY = "m.is_reply"


FETCH_BATCH = 512
"""How many messages a caller should ask `fetch` for at a time: rows with headers are kilobytes."""


@lru_cache(maxsize=256)
def _fetch_sql(columns: tuple[Column, ...], clause: str, bodies: bool) -> str:
    asked = "".join(f"{column.value}, " for column in columns)
    tables = "entry e JOIN message m ON m.slot = e.slot"
    if bodies:
        asked += "".join(f"b.{column}, " for column in BODY_COLUMNS)
        tables += " LEFT JOIN blob b ON b.id = m.blob"  # a message whose body was lost is not taken for gone
    return f"SELECT {asked}e.message FROM {tables} WHERE e.account = ? AND e.message {clause} ORDER BY e.message"


async def fetch(
    tx: Transaction,
    account: AccountId,
    messages: Sequence[MessageId],
    columns: tuple[Column, ...],
    *,
    bodies: bool = False,
) -> dict[MessageId, Row]:
    """Give, by id, the columns asked of each message, in the order in which they were asked.

    Messages that are not there (expunged since) are left out. At most `FETCH_BATCH` messages at a time; only the
    columns asked are read. With `bodies` each row has `BODY_COLUMNS` more, which
    `Blobs.gather` and then `Blobs.decode` make the body of.
    """
    found: dict[MessageId, Row] = {}
    ascending = messages if len(messages) == 1 else sorted(set(messages))
    for piece in sets.pieces(ascending):
        rows = await tx.fetch_all(_fetch_sql(columns, piece.clause, bodies), account, *piece.values)
        found |= {row[-1]: row[:-1] for row in rows}
    return found


async def fetch_in_order(
    tx: Transaction,
    account: AccountId,
    messages: Sequence[int],
    columns: tuple[Column, ...],
    *,
    bodies: bool = False,
) -> list[Row | None]:
    """Give what `fetch` gives, for each message in the order in which they are named; None for one that is gone.

    Each row has the message's id behind what `fetch` gives. Most often messages are named in the order of their ids,
    and all are there: that is quicker than by id.
    """
    wanted = list(messages)
    if all(map(lt, wanted, wanted[1:])):
        found: list[Row | None] = []
        for piece in sets.pieces(wanted):
            found += await tx.fetch_all(_fetch_sql(columns, piece.clause, bodies), account, *piece.values)
        if [row[-1] for row in found if row] == wanted:
            return found
    by_id = await fetch(tx, account, [MessageId(message) for message in wanted], columns, bodies=bodies)
    return [(*by_id[message], message) if message in by_id else None for message in map(MessageId, wanted)]


@lru_cache(maxsize=256)
def _fetch_by_uid_sql(columns: tuple[Column, ...]) -> str:
    asked = "".join(f", {column.value}" for column in columns)
    return (
        f"SELECT e.uid, e.message{asked} FROM entry e JOIN message m ON m.slot = e.slot "
        "WHERE e.account = ? AND e.mailbox = ? AND e.uid BETWEEN ? AND ? ORDER BY e.uid LIMIT ?"
    )


async def fetch_by_uid(
    tx: Transaction,
    account: AccountId,
    mailbox: MailboxId,
    first: Uid,
    last: Uid,
    columns: tuple[Column, ...],
    limit: int = FETCH_BATCH,
) -> list[Row]:
    """Give (uid, message id, columns…) of the first `limit` entries between two UIDs, both inclusive, in UID order.

    For a walk through a mailbox: the next call begins behind the last UID that was given.
    """
    return await tx.fetch_all(_fetch_by_uid_sql(columns), account, mailbox, first, last, limit)


async def thread_of(tx: Transaction, account: AccountId, message: MessageId) -> ThreadId | None:
    """Give the thread a message belongs to (RFC 8474 §5.2), or None when the message is gone."""
    row = await tx.fetch_one(
        "SELECT m.thread FROM entry e JOIN message m ON m.slot = e.slot WHERE e.account = ? AND e.message = ?",
        account,
        message,
    )
    return ThreadId(row[0]) if row else None


async def there(tx: Transaction, account: AccountId, first: int, last: int) -> set[int]:
    """Give the ids of messages that are there, from one id to another, both inclusive: for `scan`."""
    rows = await tx.fetch_all(
        "SELECT DISTINCT message FROM entry WHERE account = ? AND message BETWEEN ? AND ?", account, first, last
    )
    return {row[0] for row in rows}


async def find_by_message_id_field(tx: Transaction, account: AccountId, message_id_field: bytes) -> list[MessageId]:
    """Find messages by their normalized Message-ID. Reads a column of all of the account's messages: for `scan`."""
    rows = await tx.fetch_all(
        "SELECT DISTINCT e.message FROM entry e JOIN message m ON m.slot = e.slot "
        "WHERE e.account = ? AND m.message_id_field = ? ORDER BY e.message",
        account,
        message_id_field,
    )
    return [MessageId(identifier) for (identifier,) in rows]
