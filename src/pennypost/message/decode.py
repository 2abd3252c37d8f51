"""The content of a part: its transfer encoding undone, its charset decoded (RFC 2045 §6, RFC 2046 §4.1.2).

Damaged encodings are decoded as far as they go: octets that do not belong in base64 are skipped, also padding in its
middle; equals signs of quoted-printable that introduce nothing stay. Large content goes through in slices, so
that a thread that decodes lets others run in between.
"""

import re
from binascii import Error as BinasciiError
from binascii import a2b_base64, a2b_qp, a2b_uu

from pennypost.message.charsets import decode_text
from pennypost.message.limits import SLICE_OCTETS
from pennypost.message.structure import Part

_NOT_BASE64 = bytes(
    octet for octet in range(256) if octet not in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
)
_PADDING = re.compile(rb"=++")
# RFC 2045 §6.7 (3): white space at the end of a line was added on the way.
_TRAILING_SPACE = re.compile(rb"(?<![ \t])[ \t]++(?=\r?\n|\Z)")
_UU_BEGIN = re.compile(rb"^begin[ ]+[0-7]{3,4}[ ][^\n]*\n", re.MULTILINE)
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*+=\s*+[\"']?+([A-Za-z0-9_:.\-]{2,40})", re.IGNORECASE)

_META_WITHIN = 2_048


def transfer_decode(octets: bytes, encoding: bytes) -> bytes | None:
    """Undo a content transfer encoding. `encoding`: lower case, as `Part.encoding`. None: the encoding is unknown."""
    match encoding:
        case b"7bit" | b"8bit" | b"binary":
            return octets
        case b"base64":
            return _decode_base64(octets)
        case b"quoted-printable":
            return _decode_quoted_printable(octets)
        case b"uuencode" | b"x-uuencode" | b"x-uue" | b"uue":
            return _decode_uu(octets)
    return None


def _decode_base64(octets: bytes) -> bytes:
    out: list[bytes] = []
    left = b""
    for at in range(0, len(octets), SLICE_OCTETS):
        clean = left + octets[at : at + SLICE_OCTETS].translate(None, _NOT_BASE64)
        left = b""
        runs = _PADDING.split(clean) if b"=" in clean else [clean]
        out.extend([_whole_base64(run) for run in runs[:-1]])
        last = runs[-1]
        cut = len(last) & ~3
        out.append(a2b_base64(last[:cut]))
        left = last[cut:]
    out.append(_whole_base64(left))
    return b"".join(out)


def _whole_base64(run: bytes) -> bytes:
    """Decode a run that ended: what is left over beyond whole groups of four counts if it makes an octet."""
    over = len(run) & 3
    if over == 1:
        run = run[:-1]
    elif over:
        run += b"=" * (4 - over)
    return a2b_base64(run)


def _decode_quoted_printable(octets: bytes) -> bytes:
    out: list[bytes] = []
    at, end = 0, len(octets)
    while at < end:
        stop = at + SLICE_OCTETS
        if stop < end:
            line_end = octets.rfind(b"\n", at, stop)
            stop = line_end + 1 if line_end > at else stop
        out.append(a2b_qp(_TRAILING_SPACE.sub(b"", octets[at:stop])))
        at = stop
    return b"".join(out)


def _decode_uu(octets: bytes) -> bytes:
    begin = _UU_BEGIN.search(octets)
    if begin is None:
        return octets
    out: list[bytes] = []
    for line in octets[begin.end() :].splitlines():
        if line.strip() in (b"end", b"`", b""):
            break
        try:
            out.append(a2b_uu(line))
        except BinasciiError:
            size = ((line[0] - 32) & 63) * 4 // 3 + 4  # some programs pad lines wrongly: cut what is too much
            try:
                out.append(a2b_uu(line[:size]))
            except BinasciiError:
                break
    return b"".join(out)


def content(part: Part, body: bytes) -> bytes | None:
    """Give the decoded octets of a leaf; None if its transfer encoding is unknown. `body`: of the whole message."""
    return transfer_decode(body[part.body_start : part.body_end], part.encoding)


def text(part: Part, body: bytes, limit: int | None = None) -> str:
    """Give a text part as text with LF line ends. Never fails: see `charsets` for the rule.

    `limit`: look at no more than about this many octets. HTML that declares its charset only inside itself is heard.
    """
    octets = body[part.body_start : part.body_end if limit is None else min(part.body_end, part.body_start + 4 * limit)]
    decoded = transfer_decode(octets, part.encoding)
    decoded = octets if decoded is None else decoded
    cut = limit is not None and len(decoded) > limit
    if cut:
        decoded = decoded[:limit]
    charset = part.parameter(b"charset")
    if charset is None and part.subtype == b"html":
        declared = _META_CHARSET.search(decoded[:_META_WITHIN])
        charset = declared[1] if declared else None
    if cut or limit is not None:
        decoded = _at_whole_character(decoded, charset)
    out = decode_text(decoded, charset)
    return out.replace("\r\n", "\n").replace("\r", "\n")


def _at_whole_character(octets: bytes, charset: bytes | None) -> bytes:
    """Cut UTF-8 that was cut inside a character back to the character before."""
    if charset is not None and charset.lower() not in (b"utf-8", b"utf8", b"us-ascii"):
        return octets
    for back in range(1, min(4, len(octets)) + 1):
        octet = octets[-back]
        if octet < 0x80:
            break
        if octet >= 0xC0:
            needs = 2 if octet < 0xE0 else 3 if octet < 0xF0 else 4
            return octets[:-back] if needs > back else octets
    return octets
