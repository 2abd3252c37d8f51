"""What FETCH reads of messages from the store, a batch at a time, and the value of each data item.

A FETCH asks the same of every message, so it is planned once: which columns are read, whether bodies are, and for each
item a function that gives its values for a whole batch, in the order of the messages.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeGuard, cast

from pennypost.message import structure
from pennypost.message.decode import transfer_decode
from pennypost.message.headers import field_selector
from pennypost.message.imap_form import imap_body, sent_envelope
from pennypost.message.structure import Part
from pennypost.message.text import preview
from pennypost.model.ids import AccountId, MessageId, ThreadId
from pennypost.proto.imap.commands.fetch import BinaryItem, BinarySizeItem, BodyItem, FetchAttribute, FetchItem
from pennypost.proto.imap.dates import date_time
from pennypost.proto.imap.object_id import email_id, thread_id
from pennypost.proto.imap.responses import codes
from pennypost.proto.imap.responses.fetch import FetchFormat, binary_value, body_value
from pennypost.proto.imap.responses.status import no
from pennypost.proto.imap.responses.text import literal, string
from pennypost.proto.imap.section import Section, SectionText
from pennypost.servers.imap.errors import Refused
from pennypost.servers.imap.flag_text import flag_states, flag_texts
from pennypost.servers.imap.recent import Recents
from pennypost.servers.imap.sections import chosen_fields, cut, extent, in_header, part_extent
from pennypost.servers.imap.selected import Slice
from pennypost.store.engine import Row, from_microseconds
from pennypost.store.messages import Column

_MICROSECONDS = 1_000_000
_DAY_SECONDS = 86_400

SECTIONS: dict[FetchAttribute, Section] = {
    FetchAttribute.RFC822: Section(),
    FetchAttribute.RFC822_HEADER: Section(text=SectionText.HEADER),
    FetchAttribute.RFC822_TEXT: Section(text=SectionText.TEXT),
}
"""RFC 3501's names for sections (RFC 3501 §6.4.5)."""

_SEEING = (FetchAttribute.RFC822, FetchAttribute.RFC822_TEXT)


@dataclass(slots=True)
class Record:
    """One message as it was read. What a plan does not need is empty. `body`: None where it is too large to be held."""

    size: int
    header: bytes = b""
    envelope: bytes = b""
    bodystructure: bytes = b""
    stored_index: bytes = b""
    blob: int = 0
    header_size: int = 0
    body: bytes | None = None
    origin: int = 0
    thread: int = 0
    saved_at: int = 0
    _index: Part | None = field(default=None, init=False)

    @property
    def index(self) -> Part:
        """The MIME index, unpacked when it is first asked for."""
        if self._index is None:
            self._index = structure.decode(self.stored_index)
        return self._index

    def octets(self, start: int, end: int) -> bytes:
        """Give octets of header and body, which are both at hand."""
        body, at = self.body, self.header_size
        if end <= at:
            return self.header[start:end]
        assert body is not None
        if start >= at:
            return body[start - at : end - at] if start > at or end < self.size else body
        return self.header[start:] + body[: end - at]


@dataclass(slots=True)
class Batch:
    """Some messages with what was read of them.

    `rows`: a plan's columns of each, and what follows them; none when nothing had to be read; `names`: what of a record
    each column is;
    `chosen`: header fields of each, for each of a plan's `chosen`;
    `bodies`, `saved_at`: of each, where a plan asks for them; a body is None where it is too large to be held.
    """

    piece: Slice
    recents: Recents
    account: AccountId
    rows: Sequence[Row] = ()
    names: tuple[str, ...] = ()
    bodies: Sequence[bytes | None] = ()
    saved_at: Sequence[int] = ()
    chosen: Sequence[Sequence[bytes]] = ()
    _records: list[Record] | None = field(default=None, init=False)

    @property
    def records(self) -> list[Record]:
        """The messages as records, made when they are first asked for."""
        if self._records is None:
            self._records = records = []
            for size, row in zip(self.piece.sizes, self.rows, strict=True):
                record = Record(size)
                for name, value in zip(self.names, row, strict=False):  # columns of the body may follow
                    setattr(record, name, value)
                records.append(record)
            for record, body in zip(records, self.bodies, strict=False):
                record.body = body
            for record, saved in zip(records, self.saved_at, strict=False):
                record.saved_at = saved
        return self._records


Values = Callable[[Batch], Iterable[object]]

_KEPT = frozenset({Column.ENVELOPE, Column.BODYSTRUCTURE})

_COLUMNS: dict[FetchAttribute, Column] = {
    FetchAttribute.ENVELOPE: Column.ENVELOPE,
    FetchAttribute.BODYSTRUCTURE: Column.BODYSTRUCTURE,
    FetchAttribute.BODY: Column.MIME_INDEX,
    FetchAttribute.PREVIEW: Column.MIME_INDEX,
    FetchAttribute.EMAILID: Column.ORIGIN,
    FetchAttribute.THREADID: Column.THREAD,
    FetchAttribute.SAVEDATE: Column.THREAD,  # of the entry: but the message has to be there
}
_FIELDS: dict[Column, str] = {
    Column.HEADER: "header",
    Column.ENVELOPE: "envelope",
    Column.BODYSTRUCTURE: "bodystructure",
    Column.MIME_INDEX: "stored_index",
    Column.BLOB: "blob",
    Column.HEADER_SIZE: "header_size",
    Column.ORIGIN: "origin",
    Column.THREAD: "thread",
}
"""Where of a record each column goes."""

_KNOWN: dict[FetchAttribute, Values] = {
    FetchAttribute.UID: lambda batch: batch.piece.uids,
    FetchAttribute.MODSEQ: lambda batch: batch.piece.modseqs,
    FetchAttribute.FLAGS: lambda batch: flag_texts(batch.piece, batch.recents),
    FetchAttribute.INTERNALDATE: lambda batch: map(internal_date, batch.piece.received_at),
    FetchAttribute.RFC822_SIZE: lambda batch: batch.piece.sizes,
    FetchAttribute.EMAILID: lambda batch: [email_id(batch.account, MessageId(r.origin)) for r in batch.records],
    FetchAttribute.THREADID: lambda batch: [thread_id(batch.account, ThreadId(r.thread)) for r in batch.records],
    FetchAttribute.SAVEDATE: lambda batch: [internal_date(record.saved_at) for record in batch.records],
    FetchAttribute.PREVIEW: lambda batch: [
        preview_value(r.index, r.octets(r.header_size, r.size)) for r in batch.records
    ],
    FetchAttribute.BODY: lambda batch: [imap_body(record.index) for record in batch.records],
}


class Plan:
    """How the items of a FETCH are answered. `columns`: what is read of each message; `bodies`: whether bodies are.

    `chosen`: names of header fields, for each item that asks for some, where nothing else is read: then they come from
    the pages that are kept of them, and `columns` are empty.
    `body_items`, `header_items`: how many items want a body, and a header; at least 1. `saved`: whether it is asked
    when messages came. `uid_only`: the client knows no message numbers (RFC 9586).
    """

    __slots__ = (
        "_octets",
        "_values",
        "bodies",
        "body_items",
        "chosen",
        "columns",
        "format",
        "header_items",
        "items",
        "saved",
        "uid_only",
    )

    def __init__(self, items: Sequence[FetchItem], uid_only: bool = False) -> None:
        self.items = tuple(items)
        self.uid_only = uid_only
        self.format = FetchFormat(self.items, uid_only)
        self.saved = FetchAttribute.SAVEDATE in self.items
        columns: set[Column] = set()
        bodies = headers = 0
        for item in self.items:
            wanted = _columns_of(item)
            columns |= wanted
            bodies += needs_body(item)
            headers += Column.HEADER in wanted
        self.bodies = bool(bodies)
        self.body_items, self.header_items = max(1, bodies), max(1, headers)
        if self.bodies:
            columns |= {Column.BLOB, Column.HEADER, Column.HEADER_SIZE}
        choosing = [item.section.fields for item in self.items if _chooses(item)]
        self.chosen: tuple[tuple[bytes, ...], ...] = ()
        if choosing and all(_chooses(item) or not _columns_of(item) for item in self.items):
            self.chosen, columns = tuple(choosing), set()
        self.columns = tuple(column for column in _FIELDS if column in columns)
        self._values = [
            _chosen_values(self.chosen.index(item.section.fields))
            if self.chosen and _chooses(item)
            else _values_of(item, self.columns)
            for item in self.items
        ]
        self._octets = _octets_of(self.items[-1], self.columns) if self.items and not self.chosen else None

    @property
    def is_kept(self) -> bool:
        """Whether pages are kept of the columns."""
        return not self.bodies and not self.saved and bool(self.columns) and _KEPT.issuperset(self.columns)

    @property
    def fields(self) -> tuple[str, ...]:
        """The attributes of `Record` that the columns go into, in their order."""
        return tuple(_FIELDS[column] for column in self.columns)

    def lines(self, batch: Batch) -> bytes:
        """Write the responses for a batch."""
        first = batch.piece.uids if self.uid_only else batch.piece.numbers
        if self.chosen and _chooses(self.items[-1]):
            others = [values(batch) for values in self._values[:-1]]
            return self.format.lines_of_texts([first, *others], batch.chosen[-1])
        if self.format.numeric:
            at = self.items.index(FetchAttribute.FLAGS)
            columns = [values(batch) for number, values in enumerate(self._values) if number != at]
            states, texts = flag_states(batch.piece, batch.recents)
            return self.format.lines_of_flags(cast(list[Sequence[int]], [first, *columns]), states, texts)
        if self._octets is not None:
            others = [values(batch) for values in self._values[:-1]]
            return self.format.lines_of_octets([first, *others], self._octets(batch))
        return self.format.lines(list(zip(first, *[values(batch) for values in self._values], strict=True)))

    def values(self, batch: Batch, position: int) -> Iterable[object]:
        """Give the values of the item at a position."""
        return self._values[position](batch)


def section_of(item: FetchItem) -> Section | None:
    """Give the section an item asks for, if it is one that asks for a section."""
    if isinstance(item, BodyItem):
        return item.section
    return SECTIONS.get(item) if isinstance(item, FetchAttribute) else None


def needs_body(item: FetchItem) -> bool:
    """Whether an item cannot be answered from what is stored beside the body."""
    if isinstance(item, BinaryItem | BinarySizeItem) or item is FetchAttribute.PREVIEW:
        return True
    section = section_of(item)
    return section is not None and not in_header(section)


def sets_seen(item: FetchItem) -> bool:
    r"""Whether asking for an item sets `\Seen` (RFC 9051 §6.4.5)."""
    return (isinstance(item, BodyItem | BinaryItem) and not item.peek) or item in _SEEING


def _columns_of(item: FetchItem) -> set[Column]:
    if isinstance(item, BinaryItem | BinarySizeItem):
        return {Column.MIME_INDEX}
    section = section_of(item)
    if section is not None:
        return {Column.MIME_INDEX} if section.part else {Column.HEADER, Column.HEADER_SIZE}
    assert isinstance(item, FetchAttribute)
    return {_COLUMNS[item]} if item in _COLUMNS else set()


def _values_of(item: FetchItem, columns: tuple[Column, ...]) -> Values:
    """Make the function that gives an item's values for a batch: from the rows where that is all there is to it."""
    octets = _octets_of(item, columns)
    if octets is not None:
        return lambda batch: [literal(b"".join(parts)) for parts in zip(*octets(batch), strict=True)]
    match item:
        case FetchAttribute.ENVELOPE:
            at = columns.index(Column.ENVELOPE)
            return lambda batch: [sent_envelope(row[at]) for row in batch.rows]
        case FetchAttribute.BODYSTRUCTURE:
            at = columns.index(Column.BODYSTRUCTURE)
            return lambda batch: [row[at] for row in batch.rows]
        case BodyItem(section=section, partial=partial):
            return lambda batch: [body_value(_cut_or_none(section_octets(r, section), partial)) for r in batch.records]
        case BinaryItem():
            return lambda batch: [binary_value(cut(decoded(r, item), item.partial)) for r in batch.records]
        case BinarySizeItem():
            return lambda batch: [len(decoded(r, item)) for r in batch.records]
        case FetchAttribute() if item in SECTIONS:
            whole = SECTIONS[item]
            return lambda batch: [body_value(section_octets(r, whole)) for r in batch.records]
    return _KNOWN[item]


def _chooses(item: FetchItem) -> TypeGuard[BodyItem]:
    """Whether an item asks for header fields of the message, and for all of them."""
    match item:
        case BodyItem(section=Section(part=(), text=SectionText.HEADER_FIELDS), partial=None):
            return True
    return False


def _chosen_values(position: int) -> Values:
    return lambda batch: map(literal, batch.chosen[position])


def _octets_of(item: FetchItem, columns: tuple[Column, ...]) -> Callable[[Batch], Sequence[Sequence[bytes]]] | None:
    """Make the function that gives, in columns of what follows each other, the octets of a section which is in the rows
    as it is, or nearly so."""
    match item:
        case BodyItem(section=Section(part=(), text=SectionText.HEADER_FIELDS, fields=fields), partial=None):
            at, select = columns.index(Column.HEADER), field_selector(fields)
            return lambda batch: [[select(row[at]) for row in batch.rows]]
        case BodyItem(section=Section(part=(), text=SectionText.HEADER), partial=None):
            at = columns.index(Column.HEADER)
            return lambda batch: [[row[at] for row in batch.rows]]
        case BodyItem(section=Section(part=(), text=None), partial=None):
            at = columns.index(Column.HEADER)
            return lambda batch: [[row[at] for row in batch.rows], cast(Sequence[bytes], batch.bodies)]
    return None


def _cut_or_none(octets: bytes | None, partial: tuple[int, int] | None) -> bytes | None:
    return None if octets is None else cut(octets, partial)


def section_octets(record: Record, section: Section) -> bytes | None:
    """Give the octets of a section of a message that is at hand; None if there is no such part."""
    where = extent(section, record.index if section.part else None, record.header_size, record.size)
    return None if where is None else chosen_fields(section, record.octets(*where))


def decoded(record: Record, item: BinaryItem | BinarySizeItem) -> bytes:
    """Give a part of a message that is at hand with its transfer encoding undone (RFC 3516 §4.2)."""
    if not item.part:
        return record.octets(0, record.size)
    part = binary_part(record, item)
    return undone(part, record.octets(*part_extent(part, record.header_size)))


def binary_part(record: Record, item: BinaryItem | BinarySizeItem) -> Part:
    """Find the part that BINARY names. Raises Refused: there is none, or its encoding is not known (UNKNOWN-CTE)."""
    part = structure.find_part(record.index, item.part)
    if part is None:
        raise Refused(no("No such part", codes.NONEXISTENT))
    if transfer_decode(b"", part.encoding) is None:
        raise Refused(no("Unknown content transfer encoding", codes.UNKNOWN_CTE))
    return part


def undone(part: Part, octets: bytes) -> bytes:
    """Undo the transfer encoding of a leaf; a multipart or an enclosed message has none to undo."""
    if part.is_multipart or part.is_message:
        return octets
    found = transfer_decode(octets, part.encoding)
    assert found is not None
    return found


def preview_value(index: Part, body: bytes) -> bytes:
    """Write PREVIEW: text of one line, UTF-8, which a quoted string may not hold in IMAP4rev1 (RFC 8970 §3.2)."""
    return string(preview(index, body).encode("utf-8"))


def internal_date(microseconds: int) -> bytes:
    """Write an instant as INTERNALDATE does, in UTC, without quotes (RFC 9051 §9 date-time)."""
    day, second = divmod(microseconds // _MICROSECONDS, _DAY_SECONDS)
    minutes, second = divmod(second, 60)
    return b"%b%02d:%02d:%02d +0000" % (_day(day), *divmod(minutes, 60), second)


@lru_cache(maxsize=1024)
def _day(day: int) -> bytes:
    return date_time(from_microseconds(day * _DAY_SECONDS * _MICROSECONDS))[:12]
