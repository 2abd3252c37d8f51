"""Replies as a client reads them (RFC 5321 §4.2): strictly, and within bounds."""

import re
from functools import lru_cache

from pennypost.model.errors import PeerError
from pennypost.model.text import printable
from pennypost.proto.smtp.limits import MAX_AUTH_LINE, MAX_REPLY_LINES, MAX_REPLY_OCTETS
from pennypost.proto.smtp.reply import Reply
from pennypost.proto.wire import LineBuffer, LineFault

# Reply-code = %x32-35 %x30-35 %x30-39; Reply-line = Reply-code [ ( SP / "-" ) textstring ]
# Codes such as 571 are said, too: the first digit is what counts (RFC 5321 §4.3.2).
_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)
# statuscode = class "." subject "." detail (RFC 2034 §4)
_ENHANCED = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: |$)")

_KNOWN_OCTETS = 128
"""Replies of one line up to this length are kept once they were read: hosts say the same ones all the time."""
_KNOWN = 512


class ReplyReader:
    """Cuts octets into replies. Never holds more than MAX_REPLY_OCTETS and one line."""

    __slots__ = ("_buffer", "_code", "_lines", "_octets")

    def __init__(self) -> None:
        self._buffer = LineBuffer(MAX_AUTH_LINE)
        self._code = b""
        self._lines: list[str] = []
        self._octets = 0

    def __len__(self) -> int:
        """Octets that are held and were not given out."""
        return len(self._buffer) + self._octets

    def feed(self, data: bytes) -> None:
        """Take octets, in any cut. Call `next_reply` until it gives None before more are given."""
        self._buffer.feed(data)

    def clear(self) -> None:
        """Forget everything: what came before a TLS handshake must not outlive it (RFC 3207 §4.2)."""
        self._buffer.clear()
        self._lines = []
        self._octets = 0

    def next_reply(self) -> Reply | None:
        """Give the next whole reply, or None when more octets are needed.

        Raises PeerError for a line that is none, for lines of one reply that differ in their code, and past the bounds.
        """
        while (line := self._buffer.next_line()) is not None:
            if isinstance(line, LineFault):
                raise PeerError(f"{line.value} in a reply")
            if not self._lines and len(line) <= _KNOWN_OCTETS and (whole := _of_one_line(line)) is not None:
                return whole
            match = _LINE.fullmatch(line)
            if match is None:
                raise PeerError("not a reply")
            code, separator, text = match.groups()
            if self._lines and code != self._code:
                raise PeerError("a reply of two codes")
            self._octets += len(line)
            if len(self._lines) >= MAX_REPLY_LINES or self._octets > MAX_REPLY_OCTETS:
                raise PeerError("the reply does not end")
            self._code = code
            self._lines.append(_text(text or b""))
            if separator != b"-":
                lines, self._lines = self._lines, []
                self._octets = 0
                return _reply(int(code), lines)
        return None


@lru_cache(_KNOWN)
def _of_one_line(line: bytes) -> Reply | None:
    """Read a reply that has one line. None: it has more, or is none."""
    match = _LINE.fullmatch(line)
    if match is None or match[2] == b"-":
        return None
    return _reply(int(match[1]), [_text(match[3] or b"")])


def _text(octets: bytes) -> str:
    """Make a line one that can be shown: ASCII or UTF-8 (RFC 6531 §3.5); whatever else it holds becomes "?"."""
    text = octets.decode("utf-8", "replace")
    return text if text.isprintable() else printable(text.replace("\t", " "))


def _reply(code: int, lines: list[str]) -> Reply:
    """Take the enhanced status code out of the lines, where there is one that fits the code (RFC 2034 §4)."""
    match = _ENHANCED.match(lines[0])
    if match is None or int(match[1][0]) != code // 100:
        return Reply(code, None, tuple(lines))
    enhanced = match[1]
    return Reply(code, enhanced, tuple(line.removeprefix(enhanced).removeprefix(" ") for line in lines))
