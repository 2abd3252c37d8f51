"""The text of a message, after DATA (RFC 5321 §4.1.1.4, §4.5.2) or in BDAT chunks (RFC 3030).

Theory of operation. Only CRLF.CRLF ends a text. Every server that let LF.LF, LF.CRLF or CR.CR end it could be made to
see a second message in what another server took for one: SMTP smuggling (CVE-2023-51764 and its kin). So a text with
a CR or LF that is no CRLF is read to its true end, and refused. NUL is refused too (RFC 5322 §4: obsolete).

The common case is a small message that arrives whole: it takes a handful of searches over the whole piece, never a
loop over lines. The text is looked at as if CRLF stood before it, so that a dot at its very beginning is like any
other. What could be the beginning of the end, at most four octets, is kept until more octets come.
"""

from pennypost.model.errors import BadMessage, BareLineEnding, MailError, MessageTooLarge, PeerError
from pennypost.proto.smtp.limits import MAX_OVERRUN

_END = b"\r\n.\r\n"
_BEGINNINGS_OF_END = (b"\r\n.\r", b"\r\n.", b"\r\n", b"\r")


class _Checker:
    """What both kinds of text are held against. `size`: octets so far. `problem`: the gravest that was found, so
    that it does not depend on the cut: line endings, then NUL, then size."""

    __slots__ = ("_keep_bare_cr", "_limit", "problem", "size")

    def __init__(self, limit: int, keep_bare_cr: bool = False) -> None:
        self._limit = limit
        self._keep_bare_cr = keep_bare_cr
        self.size = 0
        self.problem: MailError | None = None

    def count(self, octets: int) -> None:
        """Raises PeerError when the text goes on long after it has become too large."""
        self.size += octets
        if self.size > self._limit:
            if self.problem is None:
                self.problem = MessageTooLarge()
            if self.size > self._limit + MAX_OVERRUN:
                raise PeerError("the text does not end")

    def check_lines(self, piece: bytes) -> None:
        """Look for a CR or LF that is no CRLF, and NUL. `piece` does not end within a CRLF."""
        crlf = piece.count(b"\r\n")
        if piece.count(b"\n") != crlf or (piece.count(b"\r") != crlf and not self._keep_bare_cr):
            self.problem = BareLineEnding()
        elif b"\0" in piece and not isinstance(self.problem, BareLineEnding):
            self.problem = BadMessage("NUL is not allowed in a message")


class DotText(_Checker):
    """Reads a text after DATA. `ended`: its end was read. `rest`: what came behind the end."""

    __slots__ = ("_kept", "_virtual", "ended", "rest")

    def __init__(self, limit: int, keep_bare_cr: bool = False) -> None:
        super().__init__(limit, keep_bare_cr)
        self._kept = b"\r\n"
        self._virtual = 2
        self.ended = False
        self.rest = b""

    def receive(self, data: bytes) -> bytes:
        """Take octets; give those of the message, dots unstuffed; none once there is a problem."""
        piece = self._kept + data
        # The first line that begins with a dot is most often the end: one search then says both.
        end = dot = piece.find(b"\r\n.")
        stuffed = dot >= 0 and not piece.startswith(_END, dot)
        if stuffed:
            end = piece.find(_END, dot)
        if end >= 0:
            self.rest = piece[end + 5 :]
            self.ended = True
            piece = piece[: end + 2]
        else:
            self._kept = b""
            for beginning in _BEGINNINGS_OF_END:
                if piece.endswith(beginning):
                    self._kept = beginning
                    piece = piece[: -len(beginning)]
                    break
        if not piece:
            return piece
        self.check_lines(piece)
        if stuffed:
            piece = piece.replace(b"\r\n.", b"\r\n")
        if self._virtual:
            piece = piece[2:]
            self._virtual = 0
        self.count(len(piece))
        return piece if self.problem is None else b""


class ChunkText(_Checker):
    """Reads the chunks of a message. `left`: octets of the chunk that are still to come; `binary`: BODY=BINARYMIME,
    where lines mean nothing (RFC 3030 §3)."""

    __slots__ = ("_binary", "_kept", "chunk_size", "last", "left")

    def __init__(self, limit: int, binary: bool, keep_bare_cr: bool = False) -> None:
        super().__init__(limit, keep_bare_cr)
        self._binary = binary
        self._kept = b""
        self.left = 0
        self.chunk_size = 0
        self.last = False

    def begin_chunk(self, size: int, last: bool) -> None:
        """Expect `size` octets."""
        self.left = self.chunk_size = size
        self.last = last

    def receive(self, data: bytes) -> bytes:
        """Take octets, `left` at most; give those of the message; none once there is a problem."""
        self.left -= len(data)
        self.count(len(data))
        if self._binary:
            return data if self.problem is None else b""
        # A chunk may end between CR and LF: the CR is looked at with what comes next, and kept so long.
        piece = self._kept + data
        self._kept = b""
        if piece.endswith(b"\r") and not (self.last and self.left == 0):
            self._kept = b"\r"
            piece = piece[:-1]
        self.check_lines(piece)
        return piece if self.problem is None else b""

    def finish(self) -> bytes:
        """Give what was kept, when the last chunk is empty."""
        kept, self._kept = self._kept, b""
        if kept and not self._keep_bare_cr:
            self.problem = BareLineEnding()
        return kept if self.problem is None else b""
