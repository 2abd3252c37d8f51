"""What SORT and THREAD order by, kept in memory for the mailboxes they were asked of (RFC 5256).

A message never changes, so what was read once stays true: a mailbox's column only grows by what came into it. Columns
are parallel to ascending UIDs. The mailboxes that were asked for longest ago are forgotten.
"""

import re
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from typing import Any, NamedTuple
from unicodedata import normalize

from pennypost.message.addresses import parse_addresses
from pennypost.message.headers import unfold, values
from pennypost.message.search_text import field_text
from pennypost.message.summary import display_key
from pennypost.model.ids import AccountId, MailboxId, MessageId
from pennypost.model.units import MIB
from pennypost.store import messages
from pennypost.store.engine import Engine, Row, Transaction
from pennypost.store.messages import Column

MAX_OCTETS = 64 * MIB
"""What is kept in all, about; a column that is larger is not kept."""

_TEXT_OCTETS = 56
_VALUE_OCTETS = 8


_NO_UIDS = array("I")


def casemapped(text: str) -> str:
    """Give what is compared of a text in i;unicode-casemap (RFC 5051), to order by."""
    return text.upper() if text.isascii() else normalize("NFKD", normalize("NFKD", text).upper())


def _only(row: Row) -> Any:
    return row[0]


def _date(row: Row) -> int:
    """Give the sent date, or the internal date where there is none (RFC 5256 §2.2)."""
    sent_at, received_at = row
    return received_at if sent_at is None else sent_at  # type: ignore[no-any-return]


def _text(row: Row) -> str:
    return casemapped(row[0])


def _display(name: bytes) -> Callable[[Row], str]:
    def value(row: Row) -> str:
        return casemapped(display_key(parse_addresses(b", ".join(map(unfold, values(row[0], name))))))

    return value


def _field(name: str) -> Callable[[Row], str | None]:
    """Read a header field, as searches compare it, several with line ends between; None: it is not there."""
    field = name.encode("ascii")
    pattern = re.compile(rb"^%b[ \t]*+:(.*+(?:\n[ \t].*+)*+)" % field, re.IGNORECASE | re.MULTILINE)

    def value(row: Row) -> str | None:
        found = pattern.findall(row[0])
        if not found:
            return None
        return "\n".join([field_text(field, unfold(one)) for one in found])

    return value


def _links(row: Row) -> Sequence[int]:
    octets = row[0]
    return () if octets is None else array("q", octets)


@dataclass(frozen=True, slots=True)
class _Kind:
    columns: tuple[Column, ...]
    value: Callable[[Row], Any]
    empty: Callable[[], Any] = list
    """Makes what holds the values."""


class SortColumn(Enum):
    """What there is of each message. Texts are as `casemapped` gives them. `LINKS`: hashes, as `threads.links`.

    `SUBJECT_FIELD` and so on are whole fields, folded for comparison, None where there is none: what searches look at.
    """

    SENT = _Kind((Column.SENT_AT, Column.RECEIVED_AT), _date, lambda: array("q"))
    SUBJECT = _Kind((Column.BASE_SUBJECT,), _text)
    FROM = _Kind((Column.SORT_FROM,), _text)
    TO = _Kind((Column.SORT_TO,), _text)
    CC = _Kind((Column.SORT_CC,), _text)
    DISPLAY_FROM = _Kind((Column.HEADER,), _display(b"from"))
    DISPLAY_TO = _Kind((Column.HEADER,), _display(b"to"))
    LINKS = _Kind((Column.LINKS,), _links)
    IS_REPLY = _Kind((Column.IS_REPLY,), _only, bytearray)
    SUBJECT_FIELD = _Kind((Column.HEADER,), _field("subject"))
    FROM_FIELD = _Kind((Column.HEADER,), _field("from"))
    TO_FIELD = _Kind((Column.HEADER,), _field("to"))
    CC_FIELD = _Kind((Column.HEADER,), _field("cc"))
    BCC_FIELD = _Kind((Column.HEADER,), _field("bcc"))


Order = tuple[tuple[Hashable, bool], ...]
"""What a mailbox was sorted by, as the caller names it: something that can be compared."""

MAX_ORDERS = 16
"""Orders that are kept of whole mailboxes."""


AnswerKey = tuple[AccountId, MailboxId, Hashable]
"""A mailbox, and what was asked of it."""

MAX_ANSWERS = 16
MAX_ANSWER = 4 * MIB
"""Octets of an answer that is kept."""


class _Kept(NamedTuple):
    """A column that was read. `octets`: what it takes, about."""

    uids: "array[int]"
    values: Any
    octets: int


class SortColumns:
    """The columns of one worker. Used from one event loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kept: OrderedDict[tuple[AccountId, MailboxId, SortColumn], _Kept] = OrderedDict()
        self._orders: OrderedDict[tuple[AccountId, MailboxId, Order], tuple[array[int], array[int]]] = OrderedDict()
        self._answers: OrderedDict[AnswerKey, tuple[array[int], bytes]] = OrderedDict()
        self._octets = 0

    def has(self, account: AccountId, mailbox: MailboxId, column: SortColumn) -> bool:
        """Whether a column was read before: then it costs little to ask for it."""
        return (account, mailbox, column) in self._kept

    async def column(
        self,
        account: AccountId,
        mailbox: MailboxId,
        column: SortColumn,
        uids: "array[int]",
        messages_of: Sequence[int],
    ) -> Sequence[Any]:
        """Give a column for messages with ascending UIDs and their ids, side by side.

        A message that is gone meanwhile has what a message without the field has.
        """
        key = (account, mailbox, column)
        known = self._kept.get(key)
        if known is None:
            known = _Kept(_NO_UIDS, column.value.empty(), 0)
        elif known.uids == uids:
            self._kept.move_to_end(key)
            return known.values  # type: ignore[no-any-return]

        async def operation(tx: Transaction) -> _Kept:
            return await _grown(tx, account, column, known, uids, messages_of)

        kept = await self._engine.scan(operation)
        self._keep(key, kept)
        return kept.values  # type: ignore[no-any-return]

    def _keep(self, key: tuple[AccountId, MailboxId, SortColumn], kept: "_Kept") -> None:
        before = self._kept.pop(key, None)
        if before is not None:
            self._octets -= before.octets
        if kept.octets > MAX_OCTETS:
            return
        self._kept[key] = kept
        self._octets += kept.octets
        while self._octets > MAX_OCTETS:
            _, oldest = self._kept.popitem(last=False)
            self._octets -= oldest.octets

    def order(self, account: AccountId, mailbox: MailboxId, order: Order, uids: "array[int]") -> "array[int] | None":
        """Give the positions of all messages of a mailbox, sorted, if that was done before."""
        known = self._orders.get((account, mailbox, order))
        if known is None or known[0] != uids:
            return None
        self._orders.move_to_end((account, mailbox, order))
        return known[1]

    def keep_order(
        self, account: AccountId, mailbox: MailboxId, order: Order, uids: "array[int]", positions: Sequence[int]
    ) -> None:
        """Keep what sorting a whole mailbox came to."""
        self._orders[(account, mailbox, order)] = (uids, array("I", positions))
        self._orders.move_to_end((account, mailbox, order))
        while len(self._orders) > MAX_ORDERS:
            self._orders.popitem(last=False)

    def answer(self, key: AnswerKey, uids: "array[int]") -> bytes | None:
        """Give what was answered before about a whole mailbox, if it holds the same messages."""
        known = self._answers.get(key)
        if known is None or known[0] != uids:
            return None
        self._answers.move_to_end(key)
        return known[1]

    def keep_answer(self, key: AnswerKey, uids: "array[int]", answer: bytes) -> None:
        """Keep what can be told of a mailbox from its messages alone."""
        if len(answer) > MAX_ANSWER:
            return
        self._answers[key] = (uids, answer)
        self._answers.move_to_end(key)
        while len(self._answers) > MAX_ANSWERS:
            self._answers.popitem(last=False)


async def _grown(
    tx: Transaction,
    account: AccountId,
    column: SortColumn,
    known: _Kept,
    uids: "array[int]",
    messages_of: Sequence[int],
) -> _Kept:
    """Make of a column that was kept one of the messages that are there now. Off the event loop: it may be long."""
    count = len(known.uids)
    if uids[:count] == known.uids:
        fresh = await _read(tx, account, column, messages_of[count:])
        values = known.values[:]
        values.extend(fresh)
        return _Kept(uids, values, known.octets + _octets(column, fresh))
    there = dict(zip(known.uids, known.values, strict=True))
    missing = [at for at, uid in enumerate(uids) if uid not in there]
    fresh = await _read(tx, account, column, [messages_of[at] for at in missing])
    there.update(zip([uids[at] for at in missing], fresh, strict=True))
    values = column.value.empty()
    values.extend([there[uid] for uid in uids])
    return _Kept(uids, values, _octets(column, values))


async def _read(tx: Transaction, account: AccountId, column: SortColumn, wanted: Sequence[int]) -> list[Any]:
    kind = column.value
    found: list[Any] = []
    shared: dict[str, str] = {}
    for start in range(0, len(wanted), messages.FETCH_BATCH):
        batch = [MessageId(one) for one in wanted[start : start + messages.FETCH_BATCH]]
        rows = await messages.fetch(tx, account, batch, kind.columns)
        for one in batch:
            value = kind.value(rows.get(one) or _GONE[column])
            found.append(shared.setdefault(value, value) if isinstance(value, str) else value)
    return found


def _octets(column: SortColumn, values: Sequence[Any]) -> int:
    """Estimate what values of a column take."""
    empty = column.value.empty()
    if not isinstance(empty, list):
        return len(values) * (empty.itemsize if isinstance(empty, array) else 1)
    return sum([_TEXT_OCTETS + len(value) * _VALUE_OCTETS // 4 if value else _VALUE_OCTETS for value in values])


_GONE: dict[SortColumn, Row] = {
    SortColumn.SENT: (None, 0),
    SortColumn.LINKS: (None,),
    SortColumn.IS_REPLY: (0,),
    SortColumn.DISPLAY_FROM: (b"",),
    SortColumn.DISPLAY_TO: (b"",),
    SortColumn.SUBJECT: ("",),
    SortColumn.FROM: ("",),
    SortColumn.TO: ("",),
    SortColumn.CC: ("",),
    SortColumn.SUBJECT_FIELD: (b"",),
    SortColumn.FROM_FIELD: (b"",),
    SortColumn.TO_FIELD: (b"",),
    SortColumn.CC_FIELD: (b"",),
    SortColumn.BCC_FIELD: (b"",),
}


BLOCK = 4_096
"""Positions that are sorted in one go: Python's sorting lets no other thread run."""

_SAMPLES = 8
"""Values looked at for each block that is to be made."""


def sort_positions(positions: Iterable[int], columns: Sequence[tuple[Sequence[Any], bool]]) -> list[int]:
    """Sort positions by columns, the first counting most; True: descending. What is equal keeps its order.

    Many are parted into blocks first, so that all of one block come before all of the next. For a thread: others have
    their turn meanwhile.
    """
    found = list(positions)
    for column, descending in reversed(columns):
        blocks = [found] if len(found) <= BLOCK else _parted(found, column)
        for block in blocks:
            block.sort(key=column.__getitem__, reverse=descending)
        found = list(chain.from_iterable(reversed(blocks) if descending else blocks))
    return found


def _parted(positions: list[int], column: Sequence[Any]) -> list[list[int]]:
    """Part positions by their values, in about as many blocks as are needed; each keeps their order."""
    count = len(positions) // BLOCK + 1
    step = max(1, len(positions) // (count * _SAMPLES))
    bounds = sorted([column[at] for at in positions[::step]])[_SAMPLES::_SAMPLES]
    blocks: list[list[int]] = [[] for _ in range(len(bounds) + 1)]
    for at in positions:
        blocks[bisect_right(bounds, column[at])].append(at)
    return blocks
