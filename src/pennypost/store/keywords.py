"""Keywords of messages as rows hold them (RFC 9051 §2.3.2): one text, sorted without regard to case.

Keywords that differ in case only are the same (RFC 9051 §2.3.2 leaves it open; RFC 5788 §3.1 registers them so).
"""

from collections.abc import Iterable
from functools import lru_cache

from pennypost.model.errors import TooManyKeywords
from pennypost.model.flags import REGISTERED_KEYWORDS, Keywords

MAX_KEYWORDS = 128
"""Of one message."""
MAX_KEYWORD_OCTETS = 255


def normalise_keywords(keywords: Iterable[str]) -> Keywords:
    """Sort keywords, without doubles. Registered ones are written as they are; of others the first spelling counts.

    Raises TooManyKeywords; ValueError for what is no atom: the protocol's grammar has to keep that away.
    """
    spelled: dict[str, str] = {}
    for keyword in keywords:
        if not keyword or not keyword.isascii() or not keyword.isprintable() or " " in keyword:
            raise ValueError(f"no keyword: {keyword!r}")
        folded = keyword.casefold()
        spelled.setdefault(folded, REGISTERED_KEYWORDS.get(folded, keyword))
    if len(spelled) > MAX_KEYWORDS or any(len(keyword) > MAX_KEYWORD_OCTETS for keyword in spelled):
        raise TooManyKeywords
    return tuple(spelled[key] for key in sorted(spelled))


def pack_keywords(keywords: Keywords) -> str | None:
    """Give the row's form of sorted keywords."""
    return " ".join(keywords) if keywords else None


@lru_cache(maxsize=1024)
def unpack_keywords(packed: str | None) -> Keywords:
    """Read the row's form."""
    return tuple(packed.split(" ")) if packed else ()
