"""Entries of a mailbox in columns: parallel, by ascending UID. What is done with thousands of them is done in C."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from operator import ne, or_
from typing import NamedTuple, overload

from pennypost.model.flags import Flags, Keywords
from pennypost.model.ids import Uid
from pennypost.store.engine import Row
from pennypost.store.keywords import unpack_keywords
from pennypost.store.sets import Span, picked, spans


class Stored(NamedTuple):
    """The flags that an entry has after a STORE."""

    uid: Uid
    flags: Flags
    keywords: Keywords


Words = Sequence[str | None]
"""The keywords of some entries, packed; None of one that has none. A column of them may be None: no entry has any."""


def packed(words: Words) -> Words | None:
    """Give a column of packed keywords; None stands for: no entry has any."""
    return words if any(words) else None


def alike(words: Words) -> bool:
    """Whether all entries, of which there are some, have the same keywords."""
    return words.count(words[0]) == len(words)


class FlagColumns(NamedTuple):
    """Some entries and their flags, an octet each. `keywords`: None when none has any."""

    uids: "array[int]"
    flags: bytes
    keywords: Words | None


class StoredMany(Sequence[Stored]):
    """Flags of many entries after a STORE; each is made when it is looked at.

    `columns`: the entries that were looked at, with the flags that they have now; `chosen`: which of them these are, by
    1 or 0; None: all. `same_keywords`: they are as they were before.

    Equal to whatever sequence holds the same.
    """

    __slots__ = ("_own", "_spans", "chosen", "columns", "same_keywords")

    def __init__(self, columns: FlagColumns, chosen: bytes | None = None, *, same_keywords: bool = False) -> None:
        self.columns = columns
        self.chosen = chosen
        self.same_keywords = same_keywords
        self._spans: Sequence[Span] | None = None
        self._own: FlagColumns | None = columns if chosen is None else None

    @classmethod
    def none(cls) -> "StoredMany":
        return cls(FlagColumns(array("I"), b"", None))

    @property
    def spans(self) -> Sequence[Span]:
        """Where in the columns they are."""
        if self._spans is None:
            self._spans = spans(self.chosen) if self.chosen is not None else [(0, len(self.columns.uids))]
        return self._spans

    @property
    def uids(self) -> "array[int]":
        """Their UIDs, ascending."""
        return self.columns.uids if self.chosen is None else picked(self.columns.uids, self.spans)

    @property
    def own(self) -> FlagColumns:
        """Columns of these entries alone."""
        if self._own is None:
            columns, chosen = self.columns, self.chosen
            assert chosen is not None
            words = None if columns.keywords is None else packed(list(compress(columns.keywords, chosen)))
            self._own = FlagColumns(self.uids, bytes(compress(columns.flags, chosen)), words)
        return self._own

    def __len__(self) -> int:
        return len(self.columns.uids) if self.chosen is None else self.chosen.count(1)

    @overload
    def __getitem__(self, at: int) -> Stored: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Stored]: ...
    def __getitem__(self, at: int | slice) -> Stored | Sequence[Stored]:
        uids, flags, keywords = self.own
        if isinstance(at, slice):
            return StoredMany(FlagColumns(uids[at], flags[at], keywords[at] if keywords is not None else None))
        words = unpack_keywords(keywords[at]) if keywords is not None else ()
        return Stored(Uid(uids[at]), Flags(flags[at]), words)

    def __iter__(self) -> Iterator[Stored]:
        return map(self.__getitem__, range(len(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment] # as lists have none

    def __repr__(self) -> str:
        return repr(list(self))


@dataclass(frozen=True, slots=True)
class Entries:
    """Some entries. `flags`: an octet each; `keywords`: packed, None when none has any. `in_order`: it is known that
    their messages ascend, too, though one may come twice."""

    uids: "array[int]"
    messages: "array[int]"
    flags: bytes
    keywords: Words | None
    modseqs: "array[int]"
    in_order: bool = False

    @classmethod
    def of_rows(cls, rows: Sequence[Row]) -> "Entries":
        """Take rows of uid, message, flags, keywords and modseq."""
        if not rows:
            return cls(array("I"), array("q"), b"", None, array("q"))
        uids, messages, flags, keywords, modseqs = zip(*rows, strict=True)
        return cls(array("I", uids), array("q", messages), bytes(flags), packed(keywords), array("q", modseqs))

    @property
    def flag_columns(self) -> FlagColumns:
        return FlagColumns(self.uids, self.flags, self.keywords)

    def only(self, chosen: Iterable[int]) -> "Entries":
        """Give the entries for which `chosen` is true."""
        chosen = list(chosen)
        return Entries(
            array("I", list(compress(self.uids, chosen))),
            array("q", list(compress(self.messages, chosen))),
            bytes(compress(self.flags, chosen)),
            None if self.keywords is None else packed(list(compress(self.keywords, chosen))),
            array("q", list(compress(self.modseqs, chosen))),
        )

    def at(self, places: Sequence[int], uids: Sequence[int]) -> "Entries":
        """Give the entries at some places, under other UIDs."""
        return Entries(
            array("I", uids),
            array("q", [self.messages[at] for at in places]),
            bytes([self.flags[at] for at in places]),
            None if self.keywords is None else packed([self.keywords[at] for at in places]),
            array("q", [self.modseqs[at] for at in places]),
        )

    def differing(self, altered: bytes, keywords: Words | None) -> bytes | None:
        """Say of each entry whether it has other keywords than these, or is `altered`, by 1 or 0; None: all are."""
        if 0 not in altered:
            return None
        if keywords is self.keywords:
            return altered
        none = (None,) * len(altered)
        had, now = self.keywords or none, keywords or none
        if alike(had) and alike(now):
            return altered if had[0] == now[0] else None
        found = bytes(map(or_, altered, map(ne, had, now)))
        return None if 0 not in found else found
