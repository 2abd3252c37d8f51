"""The forms of header fields and bodies that signatures are made of (RFC 6376 §3.4).

*Bodies* may be large: they are taken in pieces of about `PIECE` octets that end with a line, so that a second copy of
the whole is never made. What the two forms ignore, empty lines at the end, is held back until something follows.
"""

import hashlib
import re
from collections.abc import Iterator
from enum import Enum

PIECE = 1 << 18
"""Octets of a body that are looked at together, if lines are not longer."""

_WSP = re.compile(rb"[ \t]+")
_REDUCIBLE = re.compile(rb"[ \t]{2,}|\t")


class Canonicalization(Enum):
    """RFC 6376 §3.4. The values are those of the c= tag."""

    SIMPLE = b"simple"
    RELAXED = b"relaxed"


def header_field(field: bytes, form: Canonicalization) -> bytes:
    """Give the canonical form of a whole header field, without a line end at its end (RFC 6376 §3.4.1, §3.4.2).

    `field`: as it stands in the message, folded, with or without its line end.
    """
    field = field.rstrip(b"\r\n")
    if form is Canonicalization.SIMPLE:
        return field
    name, _, value = field.partition(b":")
    value = value.replace(b"\r\n", b"").replace(b"\n", b"")
    return name.rstrip(b" \t").lower() + b":" + _WSP.sub(b" ", value).strip(b" \t")


def body(octets: bytes | memoryview, form: Canonicalization) -> Iterator[bytes]:
    """Give the canonical form of a body, in pieces (RFC 6376 §3.4.3, §3.4.4)."""
    empty_lines = 0
    begun = False
    for piece in _pieces(octets):
        if form is Canonicalization.RELAXED:
            piece = _relax(piece)
        kept = len(piece)
        while piece.endswith(b"\r\n", 0, kept):
            kept -= 2
        if kept:
            if empty_lines:
                yield b"\r\n" * empty_lines
            yield piece[:kept]
            begun, empty_lines = True, 0
        empty_lines += (len(piece) - kept) // 2
    # The last line has its end, also where the body lacks it; an empty body is one line in the simple form only.
    if begun or form is Canonicalization.SIMPLE:
        yield b"\r\n"


def _relax(piece: bytes) -> bytes:
    if b"\t" in piece or b"  " in piece:  # else there is nothing to reduce, and two searches say so soonest
        piece = _REDUCIBLE.sub(b" ", piece)
    piece = piece.replace(b" \r\n", b"\r\n")
    return piece[:-1] if piece.endswith(b" ") else piece


def _pieces(octets: bytes | memoryview) -> Iterator[bytes]:
    """Cut a body into pieces that end with CRLF, but for the last."""
    if len(octets) <= PIECE:
        yield bytes(octets)
        return
    held = b""
    for start in range(0, len(octets), PIECE):
        piece = held + bytes(octets[start : start + PIECE])
        cut = piece.rfind(b"\r\n") + 2
        if cut < 2:
            # A line that does not end: blanks at the cut may be the end of it, or not, and so may a CR.
            kept = len(piece.rstrip(b" \t\r"))
            cut = kept if kept else 0
        held = piece[cut:]
        if cut:
            yield piece[:cut]
    if held:
        yield held


class BodyHash:
    """SHA-256 or SHA-1 of a canonical body. `octets`: how many there were, at most `limit` of them hashed."""

    def __init__(self, name: str, limit: int | None) -> None:
        self._hash = hashlib.new(name, usedforsecurity=False)
        self._limit = limit
        self.octets = 0

    def update(self, piece: bytes) -> None:
        """Take the next piece of the canonical body."""
        if self._limit is None:
            self._hash.update(piece)
        elif self.octets < self._limit:
            self._hash.update(piece[: self._limit - self.octets])
        self.octets += len(piece)

    def digest(self) -> bytes:
        return self._hash.digest()


def hash_body(
    octets: bytes | memoryview, form: Canonicalization, wanted: list[tuple[str, int | None]]
) -> dict[tuple[str, int | None], BodyHash]:
    """Hash one canonical form of a body for all who want it, in one walk. `wanted`: pairs of a hash's name and a
    limit of octets, None for all (the l= tag)."""
    hashes = {one: BodyHash(*one) for one in wanted}
    takers = list(hashes.values())
    for piece in body(octets, form):
        for taker in takers:
            taker.update(piece)
    return hashes
