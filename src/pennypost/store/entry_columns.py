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


class Stored(NamedTuple):
    """The flags that an entry has after a STORE."""

    uid: Uid
    flags: Flags
    keywords: Keywords


def packed(keywords: Sequence[str | None]) -> Sequence[str | None] | None:
    """Give a column of packed keywords; None stands for: no entry has any."""
    return keywords if any(keywords) else None


class Among(NamedTuple):
    """Entries of which a STORE changed some: with the flags that they have now, and which were `changed`, by 1 or 0."""

    uids: "array[int]"
    flags: bytes
    changed: Sequence[int]


class StoredMany(Sequence[Stored]):
    """Flags of many entries after a STORE; each is made when it is looked at. `keywords`: packed; None: none has any.
    `same_keywords`: they are as they were before. `among`: all that were looked at, if there were others, too.

    Equal to whatever sequence holds the same.
    """

    __slots__ = ("among", "flags", "keywords", "same_keywords", "uids")

    def __init__(
        self,
        uids: "array[int]",
        flags: bytes,
        keywords: Sequence[str | None] | None,
        *,
        same_keywords: bool = False,
        among: Among | None = None,
    ) -> None:
        self.uids = uids
        self.flags = flags
        self.keywords = keywords
        self.same_keywords = same_keywords
        self.among = among

    @classmethod
    def none(cls) -> "StoredMany":
        return cls(array("I"), b"", None)

    def __len__(self) -> int:
        return len(self.uids)

    @overload
    def __getitem__(self, at: int) -> Stored: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Stored]: ...
    def __getitem__(self, at: int | slice) -> Stored | Sequence[Stored]:
        if isinstance(at, slice):
            return StoredMany(self.uids[at], self.flags[at], self.keywords[at] if self.keywords is not None else None)
        words = unpack_keywords(self.keywords[at]) if self.keywords is not None else ()
        return Stored(Uid(self.uids[at]), Flags(self.flags[at]), words)

    def __iter__(self) -> Iterator[Stored]:
        return map(self.__getitem__, range(len(self.uids)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment] # as lists have none

    def __repr__(self) -> str:
        return repr(list(self))


@dataclass(frozen=True, slots=True)
class Entries:
    """Some entries. `flags`: an octet each; `keywords`: packed, None when none has any."""

    uids: "array[int]"
    messages: "array[int]"
    flags: bytes
    keywords: Sequence[str | None] | None
    modseqs: "array[int]"

    @classmethod
    def of_rows(cls, rows: Sequence[Row]) -> "Entries":
        """Take rows of uid, message, flags, keywords and modseq."""
        if not rows:
            return cls(array("I"), array("q"), b"", None, array("q"))
        uids, messages, flags, keywords, modseqs = zip(*rows, strict=True)
        return cls(array("I", uids), array("q", messages), bytes(flags), packed(keywords), array("q", modseqs))

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

    def differing(self, altered: bytes, keywords: Sequence[str | None] | None) -> bytes | None:
        """Say of each entry whether it has other keywords than these, or is `altered`, by 1 or 0; None: all are."""
        if 0 not in altered:
            return None
        if keywords is self.keywords:
            return altered
        none = (None,) * len(altered)
        words = map(ne, self.keywords or none, keywords or none)
        found = bytes(map(or_, altered, words))
        return None if 0 not in found else found


class LeftAlone(Sequence[Stored]):
    """The entries that a STORE did not change, of those it looked at. Few want to know: they are made when asked for.

    Equal to whatever sequence holds the same.
    """

    __slots__ = ("_entries", "_made", "_touched")

    def __init__(self, entries: Entries, touched: Sequence[int]) -> None:
        self._entries = entries
        self._touched = touched
        self._made: StoredMany | None = None

    def _all(self) -> StoredMany:
        if self._made is None:
            left = self._entries.only([not one for one in self._touched])
            self._made = StoredMany(left.uids, left.flags, left.keywords)
        return self._made

    def __len__(self) -> int:
        return len(self._all())

    @overload
    def __getitem__(self, at: int) -> Stored: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Stored]: ...
    def __getitem__(self, at: int | slice) -> Stored | Sequence[Stored]:
        return self._all()[at]

    def __eq__(self, other: object) -> bool:
        return self._all() == other

    __hash__ = None  # type: ignore[assignment] # as lists have none

    def __repr__(self) -> str:
        return repr(self._all())
