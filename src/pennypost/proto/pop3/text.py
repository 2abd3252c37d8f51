"""Multi-line answers: messages written so that "." alone on a line ends them (RFC 1939 §3), and the cut of TOP."""

from pennypost.proto.wire import dot_stuff


def dot_stuffed(octets: bytes) -> bytes:
    """Give a whole text as it is sent, with its end. `octets`: CRLF lines; the last one is ended where it is not."""
    stuffed = dot_stuff(octets)
    if stuffed.endswith(b"\r\n") or not stuffed:
        return stuffed + b".\r\n"
    return stuffed + b"\r\n.\r\n"


class DotStuffer:
    """Does what `dot_stuffed` does to a text that comes in pieces, cut anywhere."""

    __slots__ = ("_before",)

    def __init__(self) -> None:
        self._before = b"\r\n"

    def piece(self, octets: bytes) -> bytes:
        """Give the octets to be sent for the next piece."""
        if not octets:
            return b""
        stuffed = octets.replace(b"\r\n.", b"\r\n..")
        before = self._before
        if before == b"\r\n" and octets.startswith(b"."):
            stuffed = b"." + stuffed
        elif before.endswith(b"\r") and octets.startswith(b"\n."):
            stuffed = b"\n." + stuffed[1:]
        self._before = (before + octets[-2:])[-2:]
        return stuffed

    def end(self) -> bytes:
        """Give the end of the text."""
        return b".\r\n" if self._before == b"\r\n" else b"\r\n.\r\n"


def first_lines(body: bytes, count: int) -> bytes:
    """Give the first `count` lines of a body, for TOP (RFC 1939 §7); all of it when it has fewer."""
    if count * 2 >= len(body):
        return body  # a line has two octets at least
    end = 0
    for _ in range(count):
        found = body.find(b"\r\n", end)
        if found < 0:
            return body
        end = found + 2
    return body[:end]
