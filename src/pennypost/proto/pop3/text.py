"""Multi-line answers: messages written so that "." alone on a line ends them (RFC 1939 §3), and the cut of TOP."""

from pennypost.proto.wire import dot_stuff


def dot_stuffed(octets: bytes) -> bytes:
    """Give a whole text as it is sent, with its end. `octets`: CRLF lines; the last one is ended where it is not."""
    stuffed = dot_stuff(octets)
    if stuffed.endswith(b"\r\n") or not stuffed:
        return stuffed + b".\r\n"
    return stuffed + b"\r\n.\r\n"


def dot_stuffed_parts(header: bytes, body: bytes, undotted: bool = False) -> tuple[bytes, ...]:
    """Give in parts what `dot_stuffed` gives of a header block and a body: most often they are sent as they are.

    `undotted`: no line of the body begins with ".", so it is not looked for.
    """
    if not body or not header.endswith(b"\r\n"):
        return (dot_stuffed(header + body),)
    end = b".\r\n" if body.endswith(b"\r\n") else b"\r\n.\r\n"
    return dot_stuff(header), body if undotted else dot_stuff(body), end


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


class FirstLines:
    """Cuts a body that comes in pieces behind its first `count` lines, for TOP (RFC 1939 §7). `done`: it is cut."""

    __slots__ = ("_after_cr", "_left")

    def __init__(self, count: int) -> None:
        self._left = count
        self._after_cr = False

    @property
    def done(self) -> bool:
        return self._left == 0

    def piece(self, octets: bytes) -> bytes:
        """Give what of the next piece belongs to the lines."""
        left, end = self._left, 0
        if left and self._after_cr and octets.startswith(b"\n"):
            left, end = left - 1, 1
        while left:
            found = octets.find(b"\r\n", end)
            if found < 0:
                end = len(octets)
                break
            left, end = left - 1, found + 2
        self._left = left
        self._after_cr = octets.endswith(b"\r")
        return octets[:end]


def first_lines(body: bytes, count: int) -> bytes:
    """Give the first `count` lines of a body; all of it when it has fewer."""
    return body if count * 2 >= len(body) else FirstLines(count).piece(body)  # a line has two octets at least
