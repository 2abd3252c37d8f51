"""What is odd about the letters of a message: scripts mixed within a word, letters nobody sees, charsets nobody has."""

import codecs
import re
from collections.abc import Iterator

from pennypost.junk.content import Content
from pennypost.junk.evidence import Evidence

_LOOKED_AT = 8000
"""Characters of the text."""
_MIXED = re.compile(r"[A-Za-z](?:[\u0400-\u04ff\u0370-\u03ff])|[\u0400-\u04ff\u0370-\u03ff](?:[A-Za-z])")
_UNSEEN = re.compile(r"[^\W\d_][\u200b\u2060\ufeff\u00ad\u180e]+[^\W\d_]")
_MANY_MIXED, _MANY_UNSEEN = 3, 5
_OTHERS = frozenset({"unknown-8bit", "x-unknown", "binary", "_iso-2022-jp$esc", "iso-8859-8-i", "iso-8859-8-e"})
"""Names that honest programs use and that are none of Python's."""


def writing(content: Content) -> Iterator[Evidence]:
    """Look at the letters of a message."""
    subject = content.fields.get("subject", "")
    if not subject.isascii() and _MIXED.search(subject):
        yield Evidence("mixed-alphabets", 2.0, "Its subject mixes letters of several alphabets that look alike.")
    elif not content.text.isascii():
        text = content.text[:_LOOKED_AT]
        if len(_MIXED.findall(text)) >= _MANY_MIXED:
            yield Evidence("mixed-alphabets", 1.5, "Words in it mix letters of several alphabets that look alike.")
    if not content.text.isascii() and len(_UNSEEN.findall(content.text[:_LOOKED_AT])) >= _MANY_UNSEEN:
        yield Evidence("hidden-letters", 1.0, "Words in it are cut by letters that nobody sees.")
    if any(not _is_known(charset) for charset in content.charsets):
        yield Evidence("unknown-charset", 0.7, "It is written in an alphabet that no program knows.")


def _is_known(charset: str) -> bool:
    if charset in _OTHERS:
        return True
    try:
        codecs.lookup(charset)
    except (LookupError, ValueError, UnicodeError):
        return False
    return True
