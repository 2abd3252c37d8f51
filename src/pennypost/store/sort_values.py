"""The columns that there are of messages, for SORT, THREAD and searches (RFC 5256, RFC 9051 §6.4.4).

Of each it says what is read of a message, what value comes of that, and how values are laid out to be kept on disk.
Who changes any of this changes the version of what is kept (`sqlite.derived_file`).
"""

import re
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate, chain, pairwise
from typing import Any
from unicodedata import normalize

import msgspec

from pennypost.message.addresses import parse_addresses
from pennypost.message.headers import unfold, values
from pennypost.message.search_text import field_text
from pennypost.message.summary import display_key
from pennypost.store.engine import Row
from pennypost.store.messages import Column


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


# -- How values are laid out


def _octets_of_integers(values: Sequence[int]) -> bytes:
    return array("q", values).tobytes()


def _integers_of(octets: bytes) -> "array[int]":
    return array("q", octets)


def _octets_of_lists(lists: Sequence[Sequence[int]]) -> bytes:
    ends = array("q", accumulate(map(len, lists), initial=len(lists) + 1))
    return ends.tobytes() + array("q", chain.from_iterable(lists)).tobytes()


def _lists_of(octets: bytes) -> list[Sequence[int]]:
    numbers = array("q", octets)
    return [numbers[start:end] for start, end in pairwise(numbers[: numbers[0]])] if numbers else []


_TEXTS = msgspec.msgpack.Decoder(list[str | None])


# -- The columns


@dataclass(frozen=True, slots=True)
class _Kind:
    """`empty`: makes what holds the values; `gone`: what a message without the field has; `packed`, `unpacked`: how
    values are laid out, and had back."""

    columns: tuple[Column, ...]
    value: Callable[[Row], Any]
    gone: Any
    empty: Callable[[], Any] = list
    packed: Callable[[Sequence[Any]], bytes] = msgspec.msgpack.encode
    unpacked: Callable[[bytes], Sequence[Any]] = _TEXTS.decode


class SortColumn(Enum):
    """What there is of each message. Texts are as `casemapped` gives them. `LINKS`: hashes, as `threads.links`.

    `SUBJECT_FIELD` and so on are whole fields, folded for comparison, None where there is none: what searches look at.
    """

    SENT = _Kind((Column.SENT_AT, Column.RECEIVED_AT), _date, 0, lambda: array("q"), _octets_of_integers, _integers_of)
    SUBJECT = _Kind((Column.BASE_SUBJECT,), _text, "")
    FROM = _Kind((Column.SORT_FROM,), _text, "")
    TO = _Kind((Column.SORT_TO,), _text, "")
    CC = _Kind((Column.SORT_CC,), _text, "")
    DISPLAY_FROM = _Kind((Column.HEADER,), _display(b"from"), "")
    DISPLAY_TO = _Kind((Column.HEADER,), _display(b"to"), "")
    LINKS = _Kind((Column.LINKS,), _links, (), list, _octets_of_lists, _lists_of)
    IS_REPLY = _Kind((Column.IS_REPLY,), _only, 0, bytearray, bytes, bytes)
    SUBJECT_FIELD = _Kind((Column.HEADER,), _field("subject"), None)
    FROM_FIELD = _Kind((Column.HEADER,), _field("from"), None)
    TO_FIELD = _Kind((Column.HEADER,), _field("to"), None)
    CC_FIELD = _Kind((Column.HEADER,), _field("cc"), None)
    BCC_FIELD = _Kind((Column.HEADER,), _field("bcc"), None)
