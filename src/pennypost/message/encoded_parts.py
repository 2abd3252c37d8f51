"""Where attachments lie in a body: its stretches in base64 (RFC 2045 §6.8), found by their words alone.

Who asks wants to keep them apart, and has the body again when all is put together, whatever stretches were found. So
the body is not taken apart by its boundaries: a field that says base64, the end of the fields it stands in, and no "-"
until the next boundary are enough, at the speed of a search for one octet.
"""

from mmap import mmap

MOST_PARTS = 32
"""Stretches that are given of one body."""

_TRIES = 1_000
"""How often "base64" is looked at in one body."""

_WORDS = (b"base64", b"BASE64")
_FIELD = b"content-transfer-encoding:"
_BEFORE = 64
"""Octets before the word in which its field is looked for."""
_FIELDS = 4_096
"""Octets behind the word in which the fields of its part have to end."""
_LINE_ENDS = 64
"""Octets of empty lines at the end of a part that are not counted to it."""


def encoded_parts(
    octets: bytes | mmap, start: int, least: int, most_between: int | None = None
) -> list[tuple[int, int]]:
    """Give where the body, which begins at `start`, has parts in base64 of at least `least` octets.

    Ascending pairs of the place where one begins and the place where it ends, in `octets`, without the line break at
    its end. At most `MOST_PARTS`. `most_between`: octets that may lie outside of them. With more, none is given, and
    no more than that was looked through.
    """
    room = len(octets) - start if most_between is None else most_between
    for word in _WORDS:
        at = octets.find(word, start, min(len(octets), start + room))
        if at >= 0:
            return _parts(octets, start, at, word, least, room)
    return []


def _parts(octets: bytes | mmap, start: int, at: int, word: bytes, least: int, room: int) -> list[tuple[int, int]]:
    """Do it, from the first word on. `room`: octets that may lie outside of parts."""
    found: list[tuple[int, int]] = []
    done = start
    for _ in range(_TRIES):
        looked = at + len(word)
        if octets[max(start, at - _BEFORE) : at].rpartition(b"\n")[2].strip(b" \t").lower() == _FIELD:
            begin, end, looked = _part(octets, at)
            if end - begin >= least:
                found.append((begin, end))
                room -= begin - done
                done = end
        at = octets.find(word, looked, min(len(octets), done + room))
        if at < 0 or len(found) == MOST_PARTS:
            break
    return found if len(octets) - done <= room else []


def _part(octets: bytes | mmap, at: int) -> tuple[int, int, int]:
    """Give where the part begins and ends whose encoding stands at a place, and up to where there is no other.

    It begins and ends at one place, if no part follows.
    """
    empty_line = octets.find(b"\r\n\r\n", at, at + _FIELDS)
    if empty_line < 0:
        return at, at, at + 1
    begin = empty_line + 4
    dash = octets.find(b"-", begin)
    end = len(octets) if dash < 0 else octets.rfind(b"\n", begin, dash) + 1
    looked = len(octets) if dash < 0 else dash
    if end <= begin:
        return begin, begin, looked
    last = octets[max(begin, end - _LINE_ENDS) : end]
    return begin, end - len(last) + len(last.rstrip(b"\r\n")), looked
