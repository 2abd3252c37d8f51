"""LANGUAGE (RFC 5255 §3.2)."""

from dataclasses import dataclass

from pennypost.proto.imap.limits import MAX_LIST_ITEMS
from pennypost.proto.imap.reader import BadSyntax, Reader


@dataclass(frozen=True, slots=True)
class Language:
    """Choose the language of texts, the first of `ranges` that we have; without any, ask which there are."""

    ranges: tuple[str, ...] = ()


def parse_language(reader: Reader) -> Language:
    ranges: list[str] = []
    while not reader.at_end():
        reader.space("a language range")
        ranges.append(reader.text("a language range"))
        if len(ranges) > MAX_LIST_ITEMS:
            raise BadSyntax("too many language ranges")
    return Language(tuple(ranges))
