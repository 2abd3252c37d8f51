"""What a listing asks of each message, and how the answers are laid out to be kept (`field_pages`).

Who changes any of this changes the version of what is kept (`sqlite.derived_file`).
"""

import json
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, Protocol

import msgspec

from pennypost.message.headers import field_selector
from pennypost.store.derived import Damaged
from pennypost.store.engine import Row
from pennypost.store.messages import Column


class Choice(Protocol):
    """What is chosen of each message. Those that are equal choose the same."""

    @property
    def name(self) -> str:
        """What its pages are called on disk."""
        ...

    @property
    def columns(self) -> tuple[Column, ...]:
        """What is read of a message."""
        ...

    def chooser(self) -> Callable[[Row], Any]:
        """Make what chooses from these columns."""
        ...

    def packed(self, values: Sequence[Any]) -> bytes:
        """Lay out what was chosen of some messages, at least one."""
        ...

    def unpacked(self, octets: bytes, count: int) -> list[Any]:
        """Undo `packed`. Raises Damaged."""
        ...


@dataclass(frozen=True, slots=True)
class HeaderFields:
    """Fields of the header, as `headers.select_fields` chooses them. `names` are in small letters."""

    names: frozenset[bytes]

    @classmethod
    def called(cls, names: Iterable[bytes]) -> "HeaderFields":
        """Choose fields by names in any case."""
        return cls(frozenset(name.lower() for name in names))

    @property
    def name(self) -> str:
        """The names, whatever octets a client had in them."""
        return "fields " + json.dumps(sorted(name.decode("latin-1") for name in self.names))

    @property
    def columns(self) -> tuple[Column, ...]:
        return (Column.HEADER,)

    def chooser(self) -> Callable[[Row], bytes]:
        select = field_selector(self.names)
        return lambda row: select(row[0])

    def packed(self, values: Sequence[bytes]) -> bytes:
        """Put them one behind the other, and before them where each begins, and where the last one ends."""
        ends = array("I", accumulate(map(len, values), initial=4 * len(values) + 4))
        return b"".join([ends.tobytes(), *values])

    def unpacked(self, octets: bytes, count: int) -> list[bytes]:
        ends = array("I", octets[: 4 * count + 4])
        return [octets[start:end] for start, end in pairwise(ends)]


_COLUMNS = msgspec.msgpack.Decoder(list[list[bytes]])


@dataclass(frozen=True, slots=True)
class StoredColumns:
    """Columns of messages' rows as they are: a row of them for each. They are octets, and never NULL."""

    columns: tuple[Column, ...]

    @property
    def name(self) -> str:
        return "columns " + " ".join(column.name for column in self.columns)

    def chooser(self) -> Callable[[Row], Row]:
        return tuple

    def packed(self, values: Sequence[Row]) -> bytes:
        return msgspec.msgpack.encode(list(zip(*values, strict=True)))

    def unpacked(self, octets: bytes, count: int) -> list[Row]:
        try:
            return list(zip(*_COLUMNS.decode(octets), strict=True))
        except (msgspec.DecodeError, ValueError) as error:
            raise Damaged from error
