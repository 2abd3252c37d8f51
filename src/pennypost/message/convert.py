"""Turn a message into one that hosts without 8BITMIME can carry (RFC 6152 §3, RFC 2045 §6), or one without octets of 0.

Every leaf that holds eight-bit octets, NUL, lone CRs or LFs, or lines past 998 octets is encoded anew: text as
quoted-printable, else as base64. What is content stays what it was. A DKIM signature over the old octets does not
survive; RFC 6376 §5.3 has signers convert first.
"""

import re
from base64 import encodebytes

from pennypost.message import headers
from pennypost.message.digest import parse
from pennypost.message.structure import Part

MAX_LINE = 998
"""Octets without CRLF (RFC 5322 §2.1.1)."""

_QP_LINE = 76
"""RFC 2045 §6.7 (5)."""

_LONG_LINE = re.compile(rb"[^\n]{1000}")
_NOT_LITERAL_OR_LINE = re.compile(rb"[^\t\r\n\x20-\x7e]")
_NOT_LITERAL = re.compile(rb"[^\t\x20-\x3c\x3e-\x7e]")
_TRANSFER_ENCODING = b"content-transfer-encoding"


class NotConvertible(Exception):
    """The message must not be changed: a signature covers its parts (RFC 1847 §2.1)."""


def is_binary(octets: bytes) -> bool:
    """Whether a message is more than lines of up to 998 octets: BODY=BINARYMIME is what it needs (RFC 3030 §3)."""
    return b"\0" in octets or has_bare_line_ends(octets) or _LONG_LINE.search(octets) is not None


def has_bare_line_ends(octets: bytes) -> bool:
    """Whether there is a CR or LF that is not part of a CRLF."""
    crlf = octets.count(b"\r\n")
    return octets.count(b"\n") != crlf or octets.count(b"\r") != crlf


def headers_are_ascii(octets: bytes) -> bool:
    """Whether no header of the message, of its parts and of messages inside holds UTF-8 (RFC 6532)."""
    if octets.isascii():
        return True
    header, body = headers.split(octets)
    waiting = [parse(header, body).index] if header.isascii() else []
    for part in waiting:
        if not body[part.header_start : part.body_start].isascii():
            return False
        waiting += part.children
    return bool(waiting)


def to_seven_bit(octets: bytes) -> bytes:
    """Give the message with all of its bodies in seven bits and lines. Raises NotConvertible.

    Header fields stay as they are: eight-bit octets in them need SMTPUTF8 (RFC 6532).
    """
    header, body = headers.split(octets)
    index = parse(header, body).index
    edits: list[tuple[int, int, bytes]] = []
    new_header = _convert(index, header, body, edits)
    return _edited(header if new_header is None else new_header, body, edits)


def _edited(header: bytes, body: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    pieces = [header]
    at = 0
    for start, end, piece in edits:
        pieces += [body[at:start], piece]
        at = end
    pieces.append(body[at:])
    return b"".join(pieces)


def without_nul(octets: bytes) -> bytes:
    """Give the message with what holds octets of 0 in base64 (RFC 3516 §4.4): no literal but literal8 may hold them.

    What has none stays as it is, octet for octet. Raises NotConvertible where they stand elsewhere than in the content
    of a part that is not encoded yet, or in something signed.
    """
    header, body = headers.split(octets)
    if b"\0" in header:
        raise NotConvertible
    edits: list[tuple[int, int, bytes]] = []
    new_header = _encode_nul(parse(header, body).index, header, body, edits)
    return _edited(header if new_header is None else new_header, body, edits)


def _encode_nul(part: Part, header: bytes, body: bytes, edits: list[tuple[int, int, bytes]]) -> bytes | None:
    """Encode a part if it holds octets of 0; the rest is as for `_convert`."""
    content = body[part.body_start : part.body_end]
    if b"\0" not in content:
        return None
    if not part.children or part.lacks_parts:
        if part.is_multipart or part.encoding in (b"quoted-printable", b"base64"):
            raise NotConvertible
        edits.append((part.body_start, part.body_end, _base64(content)))
        return _labelled(header, b"base64")
    if part.subtype == b"signed":
        raise NotConvertible
    at = part.body_start
    for child in part.children:
        if b"\0" in body[at : child.body_start]:
            raise NotConvertible  # between the parts, or in a header
        inner, place = body[child.header_start : child.body_start], len(edits)
        converted = _encode_nul(child, inner, body, edits)
        if converted is not None:
            edits.insert(place, (child.header_start, child.body_start, converted))
        at = child.body_end
    if b"\0" in body[at : part.body_end]:
        raise NotConvertible
    return None


def _convert(part: Part, header: bytes, body: bytes, edits: list[tuple[int, int, bytes]]) -> bytes | None:
    """Convert a part; add what to replace in the body, in order. Gives its new header, None when that stays."""
    content = body[part.body_start : part.body_end]
    if _fits(content):
        return None if part.encoding not in (b"8bit", b"binary") else _labelled(header, b"7bit")
    if part.is_multipart and part.children and not part.lacks_parts:
        if part.subtype == b"signed":
            raise NotConvertible
        at = part.body_start
        for child in part.children:
            _plain_between(body, at, child.header_start, edits)
            _convert_inner(child, body, edits)
            at = child.body_end
        _plain_between(body, at, part.body_end, edits)
        return _labelled(header, b"7bit")
    if part.is_message:
        _convert_inner(part.children[0], body, edits)
        return _labelled(header, b"7bit")
    if part.encoding in (b"quoted-printable", b"base64"):
        edits.append((part.body_start, part.body_end, _NOT_LITERAL_OR_LINE.sub(b"?", content)))
        return None
    text = part.type == b"text" and b"\0" not in content
    edits.append((part.body_start, part.body_end, quoted_printable(content) if text else _base64(content)))
    return _labelled(header, b"quoted-printable" if text else b"base64")


def _convert_inner(part: Part, body: bytes, edits: list[tuple[int, int, bytes]]) -> None:
    """Convert a part whose header is within the body, in front of what it replaces there."""
    header = body[part.header_start : part.body_start]
    place = len(edits)
    converted = _convert(part, header, body, edits)
    if converted is not None:
        edits.insert(place, (part.header_start, part.body_start, converted))


def _plain_between(body: bytes, start: int, end: int, edits: list[tuple[int, int, bytes]]) -> None:
    """Preamble and epilogue are nobody's content: what is not ASCII in them is lost."""
    piece = body[start:end]
    if not piece.isascii():
        edits.append((start, end, _NOT_LITERAL_OR_LINE.sub(b"?", piece)))


def _fits(content: bytes) -> bool:
    return content.isascii() and not is_binary(content)


def _labelled(header: bytes, encoding: bytes) -> bytes:
    """Give a header that says so. A message that was no MIME becomes MIME, of a charset nobody knows (RFC 1428 §3)."""
    header = headers.remove(header, (_TRANSFER_ENCODING,))
    end = len(header) - 2 if header.endswith(b"\r\n") else len(header)
    added = b"Content-Transfer-Encoding: %b\r\n" % encoding
    if not headers.has_field(header, b"content-type") and headers.has_field(header, b"from"):
        added = b"Content-Type: text/plain; charset=unknown-8bit\r\n" + added
    if not headers.has_field(header, b"mime-version") and headers.has_field(header, b"from"):
        added = b"MIME-Version: 1.0\r\n" + added
    return header[:end] + added + header[end:]


def _base64(content: bytes) -> bytes:
    return encodebytes(content).replace(b"\n", b"\r\n")[:-2]


def quoted_printable(content: bytes) -> bytes:
    """Write text as quoted-printable (RFC 2045 §6.7). CRLFs stay line ends; a lone CR or LF becomes an octet."""
    return b"\r\n".join(_quoted_line(line) for line in content.split(b"\r\n"))


def _quoted_line(line: bytes) -> bytes:
    line = _NOT_LITERAL.sub(lambda match: b"=%02X" % match[0][0], line)
    if line.endswith((b" ", b"\t")):
        line = line[:-1] + b"=%02X" % line[-1]
    if len(line) <= _QP_LINE:
        return line
    pieces = []
    start = 0
    while len(line) - start > _QP_LINE:
        end = start + _QP_LINE - 1
        if b"=" in line[end - 2 : end]:
            end = line.rindex(b"=", end - 2, end)  # not within an escape
        pieces.append(line[start:end])
        start = end
    pieces.append(line[start:])
    return b"=\r\n".join(pieces)
