"""What of a message is looked at: a few header fields, its text, its links and its attachments, all cut to bounds.

A message of 50 MiB, or of a hundred thousand parts, costs no more than one of a megabyte.
"""

import re
from dataclasses import dataclass
from itertools import islice

from selectolax.lexbor import LexborHTMLParser

from pennypost.message.decode import text as decoded
from pennypost.message.headers import FIELD, unfold
from pennypost.message.structure import Part
from pennypost.message.text import file_name, html_to_text, walk
from pennypost.message.words import decode_words

MAX_TEXT_OCTETS = 64 * 1024
"""Octets of one part that are decoded."""
MAX_TEXT_CHARACTERS = 64 * 1024
"""Characters of all of them together."""
MAX_TAGS = 4000
"""Tags of all HTML together that are read as a tree, whose cost grows with the square of its depth; what follows is
read as a run of text."""
MAX_PARTS = 100
MAX_LINKS = 100
MAX_HEADER_OCTETS = 64 * 1024
MAX_FIELD_CHARACTERS = 1000
MAX_RECEIVED = 8
"""Received fields that are looked at: those of the last hops."""

_FIELDS = frozenset(
    {
        b"from", b"reply-to", b"to", b"cc", b"subject", b"date", b"message-id", b"sender", b"x-mailer", b"user-agent",
        b"list-id", b"list-unsubscribe", b"precedence", b"content-type", b"in-reply-to", b"references", b"mime-version",
    }
)  # fmt: skip
_URL = re.compile(r"\bhttps?://(?:\[[0-9a-f:.]{2,45}\])?[^\s<>\"'()\[\]]{1,2000}", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*+>")
_HOST = re.compile(r"^[a-z][a-z0-9+.\-]*://(?:[^/?#@]*@)?(\[[0-9a-f:.]+\]|[^/?#:@\s]+)", re.IGNORECASE)
_LOOKS_LIKE_HOST = re.compile(r"^(?:https?://)?((?:[a-z0-9\-]+\.)+[a-z]{2,})(?:[/?#:].*)?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Link:
    """`host`: lower case, of where it leads. `shown`: the host that its text names, "" if that is none."""

    host: str
    shown: str


@dataclass(frozen=True, slots=True)
class Content:
    """What is looked at. `fields`: by lower-case name, decoded, the first of each name. `text`: of all text parts, HTML
        made text. `files`: names of attachments. `html_only`: there is HTML and no plain text. `received`: the Received
    fields of the last hops, the newest first."""

    fields: dict[str, str]
    counts: dict[str, int]
    text: str
    links: tuple[Link, ...]
    files: tuple[str, ...]
    html_only: bool
    charsets: tuple[str, ...]
    received: tuple[str, ...] = ()


def content_of(header_block: bytes, index: Part, body: bytes) -> Content:
    """Take from a message what is looked at. `index`: its MIME index, `body`: what its offsets are relative to."""
    fields: dict[str, str] = {}
    counts: dict[str, int] = {}
    received: list[str] = []
    for name, value in FIELD.findall(header_block[:MAX_HEADER_OCTETS]):
        lower = name.lower()
        if lower == b"received" and len(received) < MAX_RECEIVED:
            received.append(unfold(value[:MAX_FIELD_CHARACTERS]).decode("ascii", "replace"))
        elif lower in _FIELDS:
            key = lower.decode("ascii")
            counts[key] = counts.get(key, 0) + 1
            if key not in fields:
                fields[key] = decode_words(unfold(value[: 4 * MAX_FIELD_CHARACTERS]))[:MAX_FIELD_CHARACTERS]
    texts: list[str] = []
    links: list[Link] = []
    files: list[str] = []
    charsets: set[str] = set()
    plain = html = False
    left, tags = MAX_TEXT_CHARACTERS, MAX_TAGS
    for _, part in islice(walk(index), MAX_PARTS):
        if part.is_multipart or part.is_message:
            continue
        name = file_name(part, default="")
        if name or part.disposition == b"attachment":
            files.append(name or f"attachment.{part.subtype.decode('ascii', 'replace')}")
        if part.type != b"text" or part.disposition == b"attachment" or left <= 0:
            continue
        source = decoded(part, body, MAX_TEXT_OCTETS)
        charsets.update(value.decode("ascii", "replace").lower() for key, value in part.parameters if key == b"charset")
        if part.subtype == b"html":
            html = True
            tree, rest = _split_at_tag(source, tags)
            tags -= tree.count("<")
            links += _html_links(tree) + _plain_links(rest)
            source = " ".join((html_to_text(tree), *_TAG.sub(" ", rest).split()))
        else:
            plain = True
            links += _plain_links(source)
        texts.append(source[:left])
        left -= len(texts[-1])
    found = tuple(link for link in links if link.host)[:MAX_LINKS]
    return Content(
        fields,
        counts,
        "\n".join(texts),
        found,
        tuple(files),
        html and not plain,
        tuple(sorted(charsets)),
        tuple(received),
    )


def _split_at_tag(source: str, count: int) -> tuple[str, str]:
    """Split HTML before the tag that comes after so many."""
    pieces = source.split("<", count + 1)
    if len(pieces) <= count + 1:
        return source, ""
    end = len(source) - len(pieces[-1]) - 1
    return source[:end], source[end:]


def _plain_links(source: str) -> list[Link]:
    return [Link(_host(url), "") for url in _URL.findall(source)[:MAX_LINKS]]


def _html_links(source: str) -> list[Link]:
    found: list[Link] = []
    for node in LexborHTMLParser(source).css("a[href]")[:MAX_LINKS]:
        host = _host(node.attributes.get("href") or "")
        shown = _LOOKS_LIKE_HOST.match(" ".join(node.text(deep=True).split())[:300])
        found.append(Link(host, shown[1].lower() if shown else ""))
    return found


def _host(url: str) -> str:
    match = _HOST.match(url.strip())
    return match[1].lower().rstrip(".") if match else ""
