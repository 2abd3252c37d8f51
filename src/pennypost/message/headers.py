"""Header blocks as octets: cut them off, look fields up, edit them (RFC 5322 §2.1–2.2, §3.6; RFC 6532 §3).

A *header block* is everything up to and including the empty line that ends the header; the *body* is the rest, so
`header_block + body` is always the message. A message without an empty line is all header.

Lines end with LF, with or without a CR before it: mail that came in by SMTP has CRLF only, what a client appended or an
old store held may have lone LFs. A lone CR is an ordinary octet. Names are compared without regard to case and are
given in lower case; white space between name and colon (RFC 5322 §4.5) is accepted.
"""

import re
from collections.abc import Callable, Collection, Iterable
from functools import lru_cache

from pennypost.message.limits import MAX_HEADER_FIELDS, MAX_HEADER_OCTETS, SLICE_OCTETS

# RFC 5322 §2.2: ftext is %d33-57 / %d59-126; the body goes on over lines that begin with white space (§2.2.3).
FIELD = re.compile(rb"^([!-9;-~]++)[ \t]*+:(.*+(?:\n[ \t].*+)*+)", re.MULTILINE)

# One field or one line that is none, with its line end: together they cover every octet of a header.
_LINE = re.compile(rb"(?:([!-9;-~]++)[ \t]*+:)?+.*+(?:\n[ \t].*+)*+\n?", re.MULTILINE)

_FOLD = re.compile(rb"(?<![ \t])[ \t]*+(?:\r?\n[ \t]*+)++")


def split(octets: bytes) -> tuple[bytes, bytes]:
    """Cut a message into its header block and its body (RFC 5322 §2.1)."""
    end = header_end(octets, 0, len(octets))
    return (octets, b"") if end < 0 else (octets[:end], octets[end:])


def header_end(octets: bytes, start: int, end: int) -> int:
    """Give the offset behind the empty line that ends the header at `start`, or -1 if there is none before `end`."""
    if octets.startswith((b"\r\n", b"\n"), start, end):
        return start + (1 if octets[start] == 10 else 2)
    while start < end:
        stop = min(start + SLICE_OCTETS, end)
        crlf = octets.find(b"\n\r\n", start, stop)
        lone = octets.find(b"\n\n", start, stop if crlf < 0 else crlf + 1)
        if lone >= 0:
            return lone + 2
        if crlf >= 0:
            return crlf + 3
        start = stop if stop == end else stop - 2
    return -1


def unfold(value: bytes) -> bytes:
    """Undo the folding of a field body (RFC 5322 §2.2.3): each line end becomes one space with the space around it."""
    if b"\n" in value:
        value = _FOLD.sub(b" ", value.strip())
    return value.strip()


def field_list(header_block: bytes) -> list[tuple[bytes, bytes]]:
    """List (lower-case name, unfolded body) of every field, in order. Lines that are no fields are left out.

    Bounded by `limits.MAX_HEADER_OCTETS` and `limits.MAX_HEADER_FIELDS`.
    """
    if len(header_block) > MAX_HEADER_OCTETS:
        header_block = header_block[:MAX_HEADER_OCTETS]
    return [(name.lower(), unfold(value)) for name, value in FIELD.findall(header_block)[:MAX_HEADER_FIELDS]]


def values(header_block: bytes, name: bytes) -> list[bytes]:
    """List the unfolded bodies of every field called `name`, in order.

    Without a bound: who checks the authors of a message must not miss the one that stands behind it.
    """
    wanted = name.lower()
    return [unfold(value) for found, value in FIELD.findall(header_block) if found.lower() == wanted]


def value(header_block: bytes, name: bytes) -> bytes | None:
    """Give the unfolded body of the first field called `name`, or None."""
    found = values(header_block, name)
    return found[0] if found else None


def has_field(header_block: bytes, name: bytes) -> bool:
    """Whether a field called `name` is there."""
    wanted = name.lower()
    return any(found.lower() == wanted for found, _ in FIELD.findall(header_block))


def select_fields(header_block: bytes, names: Iterable[bytes]) -> bytes:
    """Give the fields called one of `names`, as IMAP HEADER.FIELDS wants them (RFC 9051 §6.4.5.1).

    The octets are those of the message, in its order, and always end with an empty line.
    """
    return field_selector(names)(header_block)


def field_selector(names: Iterable[bytes]) -> Callable[[bytes], bytes]:
    """Give `select_fields` for these names: for many header blocks, which it looks through several times as fast."""
    wanted = frozenset(name.lower() for name in names if name)
    if not wanted or len(wanted) > _MOST_NAMES:
        return lambda header_block: _joined(
            [match.group() for match in FIELD.finditer(header_block) if match[1].lower() in wanted]
        )
    find = _called(wanted).findall
    return lambda header_block: _joined(find(b"\n" + header_block))


_MOST_NAMES = 32
"""Up to so many names an expression of their own is made and kept."""


@lru_cache(maxsize=64)
def _called(names: frozenset[bytes]) -> re.Pattern[bytes]:
    """Make `FIELD` for some names only. It finds them behind a line end: an octet that an expression begins with is
    looked for many times as fast as the begin of a line is, and that a name begins there is seen at a glance."""
    one = b"|".join(re.escape(name) for name in sorted(names))
    first = b"".join(sorted({re.escape(name[:1]) for name in names}))
    return re.compile(rb"\n((?=[%b])(?:%b)[ \t]*+:.*+(?:\n[ \t].*+)*+)" % (first, one), re.IGNORECASE)


def select_other_fields(header_block: bytes, names: Iterable[bytes]) -> bytes:
    """Give the fields called none of `names`: IMAP HEADER.FIELDS.NOT (RFC 9051 §6.4.5.1). Ends with an empty line."""
    unwanted = frozenset(name.lower() for name in names)
    return _joined([match.group() for match in FIELD.finditer(header_block) if match[1].lower() not in unwanted])


def _joined(fields: list[bytes]) -> bytes:
    """Join fields that lack their LF; a CR that is there stays, one that is missing is not made up."""
    fields.append(b"\r\n")
    return b"\n".join(fields)


def prepend(header_block: bytes, *fields: tuple[bytes, bytes]) -> bytes:
    """Put fields at the top, the first one topmost. Bodies must already be folded with CRLF and be free of other line
    ends: this is for our own trace and identification fields (RFC 5321 §4.4)."""
    return b"".join([b"%b: %b\r\n" % field for field in fields]) + header_block


def remove(header_block: bytes, names: Collection[bytes]) -> bytes:
    """Take out every field called one of `names`. All other octets stay as they are, lines that are no fields too."""
    unwanted = frozenset(name.lower() for name in names)
    if not any(found.lower() in unwanted for found, _ in FIELD.findall(header_block)):
        return header_block
    kept = [
        match.group() for match in _LINE.finditer(header_block) if match[1] is None or match[1].lower() not in unwanted
    ]
    return b"".join(kept)


def insert(header_block: bytes, name: bytes, body: bytes, before: int | None) -> bytes:
    """Put a field where `before` fields stand before it; None, or more than there are: behind the last one.

    `body`: folded with CRLF, without one at its end, and free of other line ends.
    """
    at = seen = 0
    for match in _LINE.finditer(header_block):
        if match[1] is None:
            continue
        if seen == before:
            at = match.start()
            break
        at = match.end()
        seen += 1
    ended = not at or header_block[at - 1 : at] == b"\n"
    return b"%b%b%b: %b\r\n%b" % (header_block[:at], b"" if ended else b"\r\n", name, body, header_block[at:])


def change(header_block: bytes, name: bytes, occurrence: int, body: bytes | None) -> bytes:
    """Give a field another body, as in `insert`; None takes it out. `occurrence`: which one of that name, from 1; 0:
    all.

    A field that is not there is put behind the last one, unless it was to be taken out.
    """
    wanted = name.lower()
    kept: list[bytes] = []
    seen, end = 0, 0
    for match in _LINE.finditer(header_block):
        if match[1] is not None and match[1].lower() == wanted:
            seen += 1
            if occurrence in (0, seen):
                kept.append(header_block[end : match.start()])
                if body is not None:
                    kept.append(b"%b: %b\r\n" % (match[1], body))
                end = match.end()
    if body is not None and seen < max(occurrence, 1):
        return insert(header_block, name, body, None)
    return b"".join((*kept, header_block[end:]))
