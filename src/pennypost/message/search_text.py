"""The text of a message that searches look at, and the words of it (RFC 9051 §6.4.4).

Text is compared folded: without regard to case, and to how characters are composed. It is what a reader sees: encoded
words, transfer encodings and charsets undone, HTML as the text it shows.

*Words.* An index knows words, not substrings. A word is a run of letters and digits in folded text; in scripts that put
no blanks between words (Chinese, Japanese, Thai, …) each character is one. So who looks for what begins at the
beginning of a word finds by the index whatever comparing texts would find. `query_words` says which words those are.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from unicodedata import normalize

import msgspec

from pennypost.message.addresses import HeaderAddress, parse_addresses
from pennypost.message.decode import text
from pennypost.message.headers import field_list
from pennypost.message.structure import Part
from pennypost.message.text import file_name, html_to_text, walk
from pennypost.message.words import decode_words

MAX_WORD = 40
"""Characters of a word that an index knows; of longer ones it knows the beginning."""

MAX_WORDS = 20_000
"""Different words of one message that are indexed; a message that has more is read whenever words are looked for."""

MAX_TEXT = 4 * 1024 * 1024
"""Octets of text in one message, as it is encoded, that are indexed: one with more is read when words are looked for.
Decoded it is several times as large, and indexing is to cost no memory that is felt."""

# Scripts without blanks between words: Thai to Tibetan, Myanmar, Hangul (blanks stand between phrases), Khmer, further
# ones of South-East Asia, kana and bopomofo, Han with its extensions.
_SINGLE = (
    "\u0e00-\u0fff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf\u1b00-\u1b7f"
    "\u3040-\u30ff\u3100-\u318f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua980-\ua9df\uaa00-\uaa5f"
    "\uaa60-\uaadf\uac00-\ud7ff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
PIECE = 256 * 1024
"""Characters of a text that are cut into words at one time, or twice as many."""

# Where a text may be cut: before what neither continues a word nor is composed with what stands before it
_CUT = re.compile("[\\s!-/:-@\u4e00-\u9fff]")

_ASCII_WORD = re.compile(r"[a-z0-9]+")
_WORD = re.compile(rf"[{_SINGLE}]|[^\W_{_SINGLE}]+")
_MARKS = re.compile("[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u064b-\u065f\u0670]+")


class Words(msgspec.Struct, frozen=True):
    """The words of one message, each set in one text with blanks between.

    `plain_header`, `plain_body`: words without their accents, of those that have some. `whole`: False when there were
    too many.
    """

    header: str
    body: str
    plain_header: str
    plain_body: str
    whole: bool


UNKNOWN = Words("", "", "", "", False)
"""The words of a message that has too many."""


class Query(NamedTuple):
    """The words that what is looked for has. `last_is_whole`: False when words that begin with the last one match too.
    `exact`: a message that has these words has what is looked for: nothing has to be compared.
    """

    words: tuple[str, ...]
    last_is_whole: bool
    exact: bool


def folded(what: str) -> str:
    """Take away what does not matter when texts are compared: case, and how characters are composed."""
    return what.casefold() if what.isascii() else normalize("NFC", normalize("NFC", what).casefold())


def plain(what: str) -> str:
    """Take accents away from folded text, and what tells compatible characters apart: for fuzzy searches."""
    return what if what.isascii() else normalize("NFC", _MARKS.sub("", normalize("NFKD", what)).casefold())


ADDRESS_FIELDS = frozenset({b"from", b"to", b"cc", b"bcc", b"sender", b"reply-to"})

_OTHERWISE = re.compile(rb'[("\\]|\s@|@\s')


def field_text(name: bytes, field: bytes) -> str:
    """Give an unfolded header field, decoded and folded. One of addresses that are written otherwise than as
    `Name <local@domain>`, with comments or blanks within, is followed by a line in which they are written so: FROM and
    its like look at the addresses (RFC 9051 §6.4.4). `name`: in lower case."""
    text = folded(decode_words(field))
    if name not in ADDRESS_FIELDS or _OTHERWISE.search(field) is None:
        return text
    plainly = folded(", ".join(map(_plainly, parse_addresses(field))))
    return f"{text}\n{plainly}"


def _plainly(entry: HeaderAddress) -> str:
    name, address = entry.display_name, entry.address
    return f"{name} <{address}>" if address is not None else name


def header_text(header: bytes) -> str:
    """Give all fields, decoded, one on each line, folded."""
    return folded(_fields_text(header))


def body_text(index: Part, body: bytes) -> str:
    """Give all text of a body, with the headers of enclosed messages and the names of attached files, folded."""
    return "\n".join(map(folded, _texts(index, body)))


def is_too_long(index: Part) -> bool:
    """Whether a message has more text than is indexed, told from its MIME index."""
    if index.is_multipart and not index.children:
        return index.body_end - index.body_start > MAX_TEXT
    sizes = (part.body_end - part.body_start for _, part in walk(index) if part.type == b"text")
    return sum(sizes) > MAX_TEXT


def message_words(header: bytes, index: Part, body: bytes) -> Words:
    """Gather the words of a message, without ever having all of its text in folded form."""
    return index_words(header_text(header), _texts(index, body))


def index_words(header: str, texts: Iterable[str]) -> Words:
    """Gather the words of a folded header, and of texts that are not folded."""
    in_header, in_body = words_of(header), set[str]()
    for text_ in texts:
        for piece in _pieces(text_):
            in_body |= words_of(folded(piece))
            if len(in_header) + len(in_body) > MAX_WORDS:
                return UNKNOWN
    bare = [" ".join(_without_accents(words)) for words in (in_header, in_body)]
    return Words(" ".join(in_header), " ".join(in_body), bare[0], bare[1], True)


def _without_accents(words: set[str]) -> set[str]:
    accented = [word for word in words if not word.isascii()]
    return words_of(plain(" ".join(accented))) - words if accented else set()


def _pieces(text_: str) -> Iterator[str]:
    """Cut a text where nothing is cut through: a large one has more words than should be in memory at one time."""
    start = 0
    while len(text_) - start > 2 * PIECE:
        cut = _CUT.search(text_, start + PIECE, start + 2 * PIECE)
        end = cut.start() if cut is not None else start + 2 * PIECE
        yield text_[start:end]
        start = end
    yield text_[start:] if start else text_


def query_words(needle: str) -> Query | None:
    """Give the words that a folded text has, as an index knows them; None if there are none: an index cannot help."""
    found = _WORD.findall(needle)
    if not found:
        return None
    last = found[-1]
    ends_in_word = needle.endswith(last)
    cut = tuple(word[:MAX_WORD] for word in found)
    whole = not ends_in_word or len(last) > MAX_WORD
    return Query(cut, whole, len(found) == 1 and last == needle and len(last) <= MAX_WORD)


def words_of(text_: str) -> set[str]:
    """Give the words of folded text, as an index knows them. Of a very large text those at its beginning."""
    found: set[str] = set()
    for piece in _pieces(text_):
        found.update(_ASCII_WORD.findall(piece) if piece.isascii() else _WORD.findall(piece))
        if len(found) > MAX_WORDS:
            break
    if max(map(len, found), default=0) <= MAX_WORD:
        return found
    return {word[:MAX_WORD] for word in found}


def _fields_text(header: bytes) -> str:
    return "\n".join([f"{name.decode('ascii', 'replace')}: {decode_words(body)}" for name, body in field_list(header)])


def _texts(index: Part, body: bytes) -> Iterator[str]:
    if index.is_multipart and not index.children:
        yield text(index, body)
        return
    for _, part in walk(index):
        if part.is_message:
            inner = part.children[0]
            yield _fields_text(body[inner.header_start : inner.body_start])
        elif part.type == b"text":
            shown = text(part, body)
            yield html_to_text(shown) if part.subtype == b"html" else shown
        if part.parameters or part.disposition_parameters:
            yield file_name(part, default="")
