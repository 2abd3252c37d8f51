"""What a STORE makes of the flags and keywords that entries have: two masks, and what is done with keywords."""

from dataclasses import dataclass
from enum import Enum

from pennypost.model.flags import Flags, Keywords
from pennypost.store.entry_columns import Words, alike, packed
from pennypost.store.keywords import normalise_keywords, pack_keywords, unpack_keywords


class StoreMode(Enum):
    """What STORE does with what it is given: FLAGS, +FLAGS, -FLAGS. The values are stored."""

    SET = ""
    ADD = "+"
    REMOVE = "-"


_EVERY_BIT = 0xFF
"""A mask that keeps all flags."""


@dataclass(frozen=True, slots=True)
class FlagChange:
    """What becomes of a state: flags keep `kept` and get `given`. `mode`: what is done with the keywords `named`;
    None: keywords stay as they are."""

    kept: int
    given: int
    mode: StoreMode | None
    named: Keywords

    @classmethod
    def of(
        cls, mode: StoreMode, flags: Flags, keywords: Keywords, changeable: Flags, keywords_changeable: bool
    ) -> "FlagChange":
        """Work out what a STORE does, of which nothing but `changeable`, and keywords if they are, may change."""
        given = int(flags & changeable)
        words = mode if keywords_changeable and (keywords or mode is StoreMode.SET) else None
        match mode:
            case StoreMode.SET:
                return cls(_EVERY_BIT & ~int(changeable), given, words, keywords)
            case StoreMode.ADD:
                return cls(_EVERY_BIT, given, words, keywords)
            case StoreMode.REMOVE:
                return cls(_EVERY_BIT & ~given, 0, words, keywords)

    def then(self, later: "FlagChange") -> "FlagChange | None":
        """Give one change that does what this and a later one do; None: both change keywords."""
        if self.mode is not None and later.mode is not None:
            return None
        words = self if later.mode is None else later
        return FlagChange(self.kept & later.kept, self.given & later.kept | later.given, words.mode, words.named)

    def alters(self, flags: bytes) -> bytes:
        """Say of each of so many entries, by 1 or 0, whether it gets other flags than it has."""
        return flags.translate(bytes([old & self.kept | self.given != old for old in range(256)]))

    def flags_of(self, flags: bytes) -> bytes:
        """Give the new flags of so many entries."""
        return flags.translate(bytes([old & self.kept | self.given for old in range(256)]))

    def words_of(self, old: str | None) -> str | None:
        """Give the new keywords of old ones, packed both. Raises TooManyKeywords."""
        had = unpack_keywords(old)
        named = {keyword.casefold() for keyword in self.named}
        match self.mode:
            case None:
                return old
            case StoreMode.SET:
                # Case as first set: a keyword that is there already keeps its spelling.
                kept = [keyword for keyword in had if keyword.casefold() in named]
                return pack_keywords(normalise_keywords((*kept, *self.named)))
            case StoreMode.ADD:
                return pack_keywords(normalise_keywords((*had, *self.named)))
            case StoreMode.REMOVE:
                return pack_keywords(tuple(keyword for keyword in had if keyword.casefold() not in named))

    def keywords_of(self, keywords: Words | None, count: int) -> Words | None:
        """Give the new keywords of so many entries; None stands for: none has any. Few keywords occur, so each text
        is thought through once."""
        if self.mode is None:
            return keywords
        if keywords is None:
            fresh = self.words_of(None)
            return None if fresh is None else [fresh] * count
        if alike(keywords):
            fresh = self.words_of(keywords[0])
            return None if fresh is None else [fresh] * count
        known = {old: self.words_of(old) for old in set(keywords)}
        return packed([known[old] for old in keywords])
