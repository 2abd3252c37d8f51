"""The words, pairs of words and marks of a message that the classifier counts.

A token is a 32-bit number: the CRC of its text. Two words that share a number are a small mistake among millions, and a
number takes four octets where a word takes ten. The CRC of a pair goes on from that of its first word.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from zlib import crc32

from pennypost.junk.content import Content

MAX_TOKENS = 800
"""Different tokens of one message; the first ones count."""
MAX_PAIRS = 120
"""Of them, pairs."""

_WORD = re.compile(r"(?:[^\W_]|#)(?:[\w#'’.\-]{0,30}(?:[^\W_]|#))?")
_ASCII_WORD = re.compile(rb"[a-z#](?:[a-z_#'.\-]{0,30}[a-z#])?")
_IDEOGRAPHS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
_DIGITS = re.compile(r"\d")
_FOLDED = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", b"abcdefghijklmnopqrstuvwxyz##########")
_MAX_WORDS = 1500
_MARKED_FIELDS = (
    "subject", "from", "reply-to", "to", "cc", "x-mailer", "user-agent", "list-id", "content-type", "precedence",
)  # fmt: skip
_OFTEN_ABSENT = frozenset({"cc"})
"""Fields whose absence says nothing."""
_HOP = re.compile(r"\b(?:from|by|helo)[ =]+\[?([\w.\-]{1,255})", re.IGNORECASE)
_NETWORK = re.compile(r"\b((\d{1,3}\.\d{1,3})\.\d{1,3})\.\d{1,3}\b")
_HOSTS_A_HOP = 6


@dataclass(frozen=True, slots=True)
class Tokens:
    """The different tokens of a message, at most `MAX_TOKENS`, those of the header first. `pairs`: of neighbours."""

    words: dict[int, None] = field(default_factory=dict)
    pairs: dict[int, None] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.words) + len(self.pairs)

    def all(self) -> set[int]:
        """Give both kinds together."""
        return self.words.keys() | self.pairs.keys()


def tokens(content: Content) -> Tokens:
    """Give the different tokens of a message."""
    found = Tokens()
    for name in _MARKED_FIELDS:
        value = content.fields.get(name)
        if value is not None:
            _add_words(found, value, f"{name}:")
        elif name not in _OFTEN_ABSENT:
            _add(found, (f"no {name}",))
    _add(found, (f"file:{file.casefold().rpartition('.')[2]}" for file in content.files))
    _add(found, (f"charset:{charset}" for charset in content.charsets))
    for hop in content.received:
        _add_hop(found, hop)
    for link in content.links:
        _add(found, (f"host:{link.host}", f"domain:{_end(link.host)}"))
    _add_words(found, content.text, "")
    return found


def _add(found: Tokens, texts: Iterable[str]) -> None:
    for text in texts:
        if len(found) >= MAX_TOKENS:
            return
        found.words[crc32(text.encode("utf-8", "replace"))] = None


def _add_hop(found: Tokens, hop: str) -> None:
    """Add the hosts of a Received field, and the networks of their addresses."""
    for host in _HOP.findall(hop)[:_HOSTS_A_HOP]:
        name = _DIGITS.sub("#", host.lower().strip("."))
        _add(found, (f"rcvd:{name}", f"rcvd:{_end(name)}"))
    for small, large in _NETWORK.findall(hop)[:_HOSTS_A_HOP]:
        _add(found, (f"net:{small}", f"net:{large}"))


def _end(host: str) -> str:
    """Give the last two labels of a name."""
    return ".".join(host.rsplit(".", 2)[-2:])


def _add_words(found: Tokens, text: str, mark: str) -> None:
    """Add words and pairs of neighbours; digits count as any digit, so that order numbers are alike."""
    start = crc32(mark.encode())
    if text.isascii():
        _add_run(found, _ASCII_WORD.findall(text.encode().translate(_FOLDED))[:_MAX_WORDS], start)
        return
    run: list[bytes] = []
    for word in _WORD.findall(_DIGITS.sub("#", text.casefold()))[:_MAX_WORDS]:
        if not word.isascii() and _IDEOGRAPHS.match(word):
            _add_run(found, run, start)
            _add(found, (f"{mark}{word[at : at + 2]}" for at in range(len(word))))
            run = []
        else:
            run.append(word.encode("utf-8", "replace"))
    _add_run(found, run, start)


def _add_run(found: Tokens, run: list[bytes], start: int) -> None:
    """Add words that follow each other, in UTF-8. `start`: the CRC of what marks them."""
    at = 0
    while at < len(run) and (room := (MAX_TOKENS - len(found)) // 2) > 0:
        # A word is at most two tokens: a piece of so many words is never too much. Each begins with the last one's end.
        piece = run[at : at + room + 1]
        numbers = [crc32(word, start) for word in piece]
        found.words.update(dict.fromkeys(numbers[:room]))
        if len(found.pairs) < MAX_PAIRS:
            after = piece[1 : MAX_PAIRS - len(found.pairs) + 1]
            found.pairs.update(
                dict.fromkeys([crc32(b" " + word, before) for word, before in zip(after, numbers, strict=False)])
            )
        at += room
