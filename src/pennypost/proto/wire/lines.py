"""A bounded buffer of CRLF lines.

Theory of operation. Only CRLF ends a line (RFC 5321 §2.3.8). A CR or LF on its own, a NUL, or more octets than the
limit without a CRLF make the line faulty. The fault is reported as soon as its octet is seen, so that a peer that
ends its lines with LF alone is told at once; the rest of the line, up to the next CRLF, is then swallowed: a bare LF
never starts a new line, which is what the smuggling attacks live on. A line has one fault, the one whose octet comes
first, so that the same octets give the same lines and faults however they are cut.
"""

from enum import Enum

from pennypost.model.errors import PeerError

MAX_SWALLOWED = 64 * 1024
"""Octets of a faulty line that are read after its fault before the peer is given up."""


class LineFault(Enum):
    """Why a line is not one. The value is a text for people."""

    BARE_CR = "CR without LF"
    BARE_LF = "LF without CR"
    NUL = "NUL octet"
    TOO_LONG = "line too long"


class LineBuffer:
    """Cuts octets into lines. `limit`: octets of a line, its CRLF included; it may be set anew between lines.

    Feed it only when `next_line` has given None or the rest was taken: it then never holds more than `limit` octets
    and the last piece fed.
    """

    __slots__ = ("_data", "_position", "_swallowed", "_swallowing", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._data = b""
        self._position = 0
        self._swallowing = False
        self._swallowed = 0

    def __len__(self) -> int:
        """Octets that were fed and not yet given out."""
        return len(self._data) - self._position

    def feed(self, data: bytes) -> None:
        """Add octets as they came."""
        if self._position == len(self._data):
            self._data = data
        else:
            self._data = self._data[self._position :] + data
        self._position = 0

    def next_line(self) -> bytes | LineFault | None:
        """Give the next line without its CRLF, or the fault of a line, or None when more octets are needed.

        Raises PeerError when a faulty line goes on for more than MAX_SWALLOWED octets.
        """
        if self._swallowing and not self._swallow():
            return None
        data, start = self._data, self._position
        if start == len(data):
            self._data = b""  # not kept while a client is idle
            self._position = 0
            return None
        end = data.find(b"\r\n", start)
        if end < 0:
            return self._incomplete()
        line = data[start:end]
        if b"\n" in line or b"\r" in line or b"\0" in line or end + 2 - start > self.limit:
            fault = self._first_fault(line + b"\r\n")
            assert fault is not None
            self._position = end + 2
            return fault
        self._position = end + 2
        return line

    def _incomplete(self) -> LineFault | None:
        """Look for a fault in a line whose end has not come yet."""
        rest = self._data[self._position :]
        fault = self._first_fault(rest)
        if fault is None:
            return None
        self._swallowing = True
        self._swallowed = 0
        self._skip_to_cr(rest)
        return fault

    def _first_fault(self, line: bytes) -> LineFault | None:
        """Find the fault whose octet comes first. `line`: up to and with its CRLF, or as far as it has come."""
        found = []
        if len(line) > self.limit:
            found.append((self.limit, LineFault.TOO_LONG))
        if (at := line.find(b"\0")) >= 0:
            found.append((at, LineFault.NUL))
        # CRLF can stand only at the end; so any other LF is bare, and any CR with something other than it behind.
        body = line.removesuffix(b"\r\n")
        if (at := body.find(b"\n")) >= 0:
            found.append((at, LineFault.BARE_LF))
        at = body.find(b"\r")
        if 0 <= at < len(line) - 1:
            # It is the octet behind that makes a CR bare.
            found.append((at + 1, LineFault.BARE_CR))
        return min(found, key=lambda each: each[0])[1] if found else None

    def _swallow(self) -> bool:
        """Drop octets up to and with the next CRLF. Returns whether it has come."""
        end = self._data.find(b"\r\n", self._position)
        if end >= 0:
            self._position = end + 2
            self._swallowing = False
            return True
        self._skip_to_cr(self._data[self._position :])
        return False

    def _skip_to_cr(self, rest: bytes) -> None:
        """Drop what is left, but for a CR at its very end, which may be the first half of a CRLF."""
        kept = 1 if rest.endswith(b"\r") else 0
        self._swallowed += len(rest) - kept
        self._position = len(self._data) - kept
        if self._swallowed > MAX_SWALLOWED:
            raise PeerError("a faulty line does not end")

    def take(self, size: int) -> bytes:
        """Take up to `size` octets as they are, whatever they hold: literals, chunks."""
        data, start = self._data, self._position
        if start == 0 and size >= len(data):
            self._data = b""
            return data
        taken = data[start : start + size]
        self._position = start + len(taken)
        return taken

    def take_all(self) -> bytes:
        """Take all that is there."""
        return self.take(len(self._data))

    def put_back(self, data: bytes) -> None:
        """Put octets before what is there: the rest of what `take` gave."""
        self._data = data + self._data[self._position :]
        self._position = 0

    def clear(self) -> None:
        """Forget everything: what came before a TLS handshake must not outlive it (RFC 3207 §4.2)."""
        self._data = b""
        self._position = 0
        self._swallowing = False
        self._swallowed = 0
