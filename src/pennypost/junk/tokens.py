"""The words, pairs of words and marks of a message that the classifier counts.

A token is a 32-bit number: the CRC of its text. Two words that share a number are a small mistake among millions, and a
number takes four octets where a word takes ten.
"""

import re
from collections.abc import Iterator
from zlib import crc32

from pennypost.junk.content import Content

MAX_TOKENS = 800
"""Different tokens of one message; the first ones count."""

_WORD = re.compile(r"(?:[^\W_]|#)(?:[\w#'’.\-]{0,30}(?:[^\W_]|#))?")
_IDEOGRAPHS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
_DIGITS = re.compile(r"\d")
_MAX_WORDS = 1500
_MARKED_FIELDS = ("subject", "from", "reply-to", "x-mailer", "user-agent", "list-id", "content-type", "precedence")


def tokens(content: Content) -> list[int]:
    """Give the different tokens of a message, at most `MAX_TOKENS`, those of the header first."""
    found: dict[int, None] = {}
    for text in _texts(content):
        found.setdefault(crc32(text.encode("utf-8", "replace")))
        if len(found) >= MAX_TOKENS:
            break
    return list(found)


def _texts(content: Content) -> Iterator[str]:
    """Give the text of each token, in the order of what it says."""
    for name in _MARKED_FIELDS:
        value = content.fields.get(name)
        if value is None:
            yield f"no {name}"
        else:
            yield from _of_words(value, f"{name}:")
    for file in content.files:
        yield f"file:{file.casefold().rpartition('.')[2]}"
    for charset in content.charsets:
        yield f"charset:{charset}"
    for link in content.links:
        yield f"host:{link.host}"
        yield f"domain:{'.'.join(link.host.split('.')[-2:])}"
    yield from _of_words(content.text, "")


def _of_words(text: str, mark: str) -> Iterator[str]:
    """Give words and pairs of neighbours; digits count as any digit, so that order numbers are alike."""
    before = ""
    plain = text.isascii()
    for number, word in enumerate(_WORD.findall(_DIGITS.sub("#", text.casefold()))):
        if number >= _MAX_WORDS:
            return
        if not plain and _IDEOGRAPHS.match(word):
            yield from (f"{mark}{word[at : at + 2]}" for at in range(len(word)))
            before = ""
            continue
        yield f"{mark}{word}"
        if before:
            yield f"{mark}{before} {word}"
        before = word
