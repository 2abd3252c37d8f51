"""What a reader sees of a message: its text, its HTML, its attachments, a preview (RFC 8621 §4.1.4, RFC 8970)."""

import re
from collections.abc import Iterator

import msgspec
from selectolax.lexbor import LexborHTMLParser

from pennypost.message.decode import text
from pennypost.message.limits import MAX_HTML_TAGS, PREVIEW_CHARACTERS, PREVIEW_OCTETS
from pennypost.message.parameters import text_value
from pennypost.message.structure import Part

Numbers = tuple[int, ...]
"""IMAP part numbers (RFC 9051 §6.4.5.1)."""

_MAX_FILE_NAME = 200
_UNSAFE_IN_NAME = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|\u202a-\u202e\u2066-\u2069]+')
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]+"
)
_QUOTED_LINE = re.compile(r"^>.*$", re.MULTILINE)
_SIGNATURE = re.compile(r"^-- ?$", re.MULTILINE)
_BLOCKS = (
    "address, article, blockquote, br, dd, div, dl, dt, footer, h1, h2, h3, h4, h5, h6, header, hr, li, ol, p, pre, "
    "section, table, td, th, tr, ul"
)
_TAG = re.compile(r"<[^<>]*+>")
_BREAK = "\x1e"
_HIDDEN = "head, style, script, template, noscript, title, [hidden], [style*='display:none'], [style*='display: none']"


class BodyParts(msgspec.Struct, frozen=True):
    """What to show as text, what to show as HTML, and what to list: RFC 8621's textBody, htmlBody and attachments."""

    text: tuple[tuple[Numbers, Part], ...]
    html: tuple[tuple[Numbers, Part], ...]
    attachments: tuple[tuple[Numbers, Part], ...]


class Attachment(msgspec.Struct, frozen=True):
    """An attached part. `file_name`: decoded, without path or controls; made from the type if there is none."""

    numbers: Numbers
    part: Part
    file_name: str


def walk(index: Part) -> Iterator[tuple[Numbers, Part]]:
    """Give every part that has a part number, multiparts included, in order; into enclosed messages too."""
    if index.is_multipart and index.children:
        yield from _walk_children(index, ())
    else:
        yield (1,), index
        if index.is_message:
            yield from _walk_message(index.children[0], (1,))


def _walk_children(multipart: Part, at: Numbers) -> Iterator[tuple[Numbers, Part]]:
    for number, child in enumerate(multipart.children, 1):
        numbers = (*at, number)
        yield numbers, child
        if child.is_multipart and child.children:
            yield from _walk_children(child, numbers)
        elif child.is_message:
            yield from _walk_message(child.children[0], numbers)


def _walk_message(inner: Part, at: Numbers) -> Iterator[tuple[Numbers, Part]]:
    if inner.is_multipart and inner.children:
        yield from _walk_children(inner, at)
    else:
        yield (*at, 1), inner
        if inner.is_message:
            yield from _walk_message(inner.children[0], (*at, 1))


class _Sorter:
    """Collects `BodyParts`. Lists are of (numbers, part)."""

    def __init__(self) -> None:
        self.text: list[tuple[Numbers, Part]] = []
        self.html: list[tuple[Numbers, Part]] = []
        self.attachments: list[tuple[Numbers, Part]] = []

    def sort(
        self, parts: tuple[Part, ...], at: Numbers, kind: bytes, in_alternative: bool, to_text: bool, to_html: bool
    ) -> None:
        """Sort the parts of a multipart of subtype `kind` into those lists that are still open."""
        text_before, html_before = len(self.text), len(self.html)
        for position, part in enumerate(parts):
            numbers = (*at, position + 1) if kind else (1,)
            if part.is_multipart and part.children:
                inner = in_alternative or part.subtype == b"alternative"
                self.sort(part.children, numbers if kind else (), part.subtype, inner, to_text, to_html)
                continue
            is_text = part.type == b"text"
            if not self.is_inline(part, position, kind):
                self.attachments.append((numbers, part))
            elif kind == b"alternative":
                if is_text and part.subtype == b"plain" and to_text:
                    self.text.append((numbers, part))
                elif is_text and part.subtype == b"html" and to_html:
                    self.html.append((numbers, part))
                else:
                    self.attachments.append((numbers, part))
            else:
                if in_alternative and is_text:  # inside one form of an alternative: it belongs to that form only
                    to_html = to_html and part.subtype == b"html"
                    to_text = to_text and part.subtype == b"plain"
                if to_text:
                    self.text.append((numbers, part))
                if to_html:
                    self.html.append((numbers, part))
                if not is_text and not (to_text and to_html):
                    self.attachments.append((numbers, part))
        if kind == b"alternative" and to_text and to_html:  # what has one form only is shown in both places
            if len(self.text) == text_before:
                self.text += self.html[html_before:]
            elif len(self.html) == html_before:
                self.html += self.text[text_before:]

    def is_inline(self, part: Part, position: int, kind: bytes) -> bool:
        """Whether a leaf is shown in its place rather than listed (RFC 8621 §4.1.4)."""
        if part.disposition == b"attachment":
            return False
        if part.type == b"text":
            shown = part.subtype in (b"plain", b"html")
        else:
            shown = part.type in (b"image", b"audio", b"video")
        if not shown:
            return False
        named = file_name(part, default="") != ""
        return position == 0 or (kind != b"related" and (part.type != b"text" or not named))


def body_parts(index: Part) -> BodyParts:
    """Sort the leaves of a message as a reader wants them (RFC 8621 §4.1.4). Enclosed messages stay closed."""
    sorter = _Sorter()
    sorter.sort((index,), (), b"", False, True, True)
    return BodyParts(tuple(sorter.text), tuple(sorter.html), tuple(sorter.attachments))


def file_name(part: Part, default: str | None = None) -> str:
    """Give a safe file name for a part: RFC 2183 filename, else the Content-Type's name, decoded.

    Path separators, control and direction characters become "_". `default`: instead of one made from the type.
    """
    name = text_value(part.disposition_parameters, b"filename") or text_value(part.parameters, b"name") or ""
    name = _UNSAFE_IN_NAME.sub("_", name.replace("\\", "/").rpartition("/")[2]).strip(". ")[:_MAX_FILE_NAME]
    if name:
        return name
    if default is not None:
        return default
    if part.is_message:
        return "message.eml"
    subtype = part.subtype.decode("ascii", "replace")
    return {"plain": "text.txt", "html": "page.html", "octet-stream": "attachment.bin"}.get(
        subtype, f"attachment.{_UNSAFE_IN_NAME.sub('_', subtype)[:20]}"
    )


def attachments(index: Part) -> tuple[Attachment, ...]:
    """List what a message has attached."""
    return tuple(Attachment(numbers, part, file_name(part)) for numbers, part in body_parts(index).attachments)


def plain_text(index: Part, body: bytes, limit: int | None = None) -> str:
    """Give the text of a message, made from its HTML where it has no other. `limit`: octets looked at per part."""
    if index.lacks_parts:
        return text(_as_text(index), body, limit)
    found: list[str] = []
    for _, part in body_parts(index).text:
        if part.type == b"text":
            content = text(part, body, limit)
            found.append(html_to_text(content) if part.subtype == b"html" else content)
    return "\n".join(found)


def html(index: Part, body: bytes) -> str | None:
    """Give the HTML of a message as it was sent, not made safe; None if it has none."""
    found = [text(part, body) for _, part in body_parts(index).html if part.subtype == b"html" and part.type == b"text"]
    return "\n".join(found) if found else None


def _as_text(index: Part) -> Part:
    """Read a multipart without parts as what it says most often: plain text."""
    return Part(index.header_start, index.body_start, index.body_end, encoding=index.encoding)


def html_to_text(source: str) -> str:
    """Give the text that HTML shows, a line for each block; what is hidden is left out."""
    if source.count("<") > MAX_HTML_TAGS:
        return "\n".join(" ".join(piece.split()) for piece in _TAG.split(source) if not piece.isspace() and piece)
    tree = LexborHTMLParser(source)
    for node in tree.css(_HIDDEN):
        node.decompose()
    root = tree.body or tree.root
    if root is None:
        return ""
    for node in root.css(_BLOCKS):
        node.insert_before(_BREAK)
        node.insert_after(_BREAK)
    lines = (" ".join(line.split()) for line in root.text(deep=True).split(_BREAK))
    return "\n".join(line for line in lines if line)


def preview(index: Part, body: bytes) -> str:
    """Make a preview of at most 256 characters on one line (RFC 8970 §3.1); empty if there is no text.

    Quoted lines and the signature count only if there is nothing else.
    """
    whole = plain_text(index, body, PREVIEW_OCTETS)
    own = _QUOTED_LINE.sub("", _SIGNATURE.split(whole, maxsplit=1)[0])
    for candidate in (own, whole):
        words = _INVISIBLE.sub("", candidate).split()
        if words:
            return " ".join(words)[:PREVIEW_CHARACTERS].rstrip()
    return ""
