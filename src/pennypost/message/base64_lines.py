"""Base64 as it stands in messages, in lines of one length (RFC 2045 §6.8), and the octets that it stands for."""

import binascii
from functools import lru_cache
from struct import Struct

import pybase64

MAX_LINE = 4 * 255
"""Letters of a line. RFC 2045 allows 76."""

_AT_ONCE = 128
"""Lines that are cut by one call."""


def undone(text: bytes) -> tuple[int, bytes] | None:
    """Give the letters of a line, and the octets: what `written` makes the same text of. None: nothing does.

    `text`: lines, with CRLF between them and none at the end. 0 letters: it is one line.
    """
    length = max(0, text.find(b"\r\n"))
    if length % 4 or length > MAX_LINE:
        return None
    try:
        octets = pybase64.b64decode(_joined(text, length) if length else text, validate=True)
    except binascii.Error:
        return None
    return (length, octets) if written(octets, length) == text else None


def _joined(text: bytes, length: int) -> bytes:
    """Give lines of so many letters without what lies between them, whatever that is."""
    step = length + 2
    full = len(text) // step
    lines: list[bytes] = []
    for first in range(0, full, _AT_ONCE):
        lines += _cutter(length, min(_AT_ONCE, full - first), True).unpack_from(text, first * step)
    lines.append(text[full * step :])
    return b"".join(lines)


def written(octets: bytes | memoryview, length: int) -> bytes:
    """Write octets in lines of so many letters, with CRLF between them."""
    text = pybase64.b64encode(octets)
    if length == 0 or len(text) <= length:
        return text
    full = len(text) // length
    lines: list[bytes] = []
    for first in range(0, full, _AT_ONCE):
        lines += _cutter(length, min(_AT_ONCE, full - first), False).unpack_from(text, first * length)
    if full * length < len(text):
        lines.append(text[full * length :])
    return b"\r\n".join(lines)


@lru_cache(maxsize=4 * _AT_ONCE)
def _cutter(length: int, lines: int, ended: bool) -> Struct:
    """Give what cuts so many lines, each with its end, which it leaves out, or without."""
    return Struct((f"{length}s2x" if ended else f"{length}s") * lines)
