"""Transparency: how a text is written that "." alone on a line ends (RFC 5321 §4.5.2, RFC 1939 §3)."""

from pennypost.message.dots import has_dotted_line


def dot_stuff(octets: bytes) -> bytes:
    """Double every "." that begins a line. `octets`: CRLF lines, from the beginning of a line; the end is not added.

    A piece of a longer text must begin where a line begins.
    """
    if not has_dotted_line(octets):
        return octets
    stuffed = octets.replace(b"\r\n.", b"\r\n..")
    return b"." + stuffed if stuffed.startswith(b".") else stuffed
