"""The client's side of one SMTP, submission or LMTP session (RFC 5321, RFC 6409, RFC 2033).

Theory of operation. `send` turns a request into octets and notes that a reply is due; `next_event` gives the replies
in the order of the requests. Two states are kept: the one that the server will be in when all requests that are under
way are answered positively, which says what may be sent next, and what the answers so far have made of it. Requests
may follow each other without waiting where the server announced PIPELINING, but nothing may follow one whose answer
decides how to go on (RFC 2920 §3.1). What breaks these rules is a UsageError. What a server must not say
is a PeerError, and so is a reply that nobody waits for, but for 421, which ends a session at any time (RFC 5321 §3.8).
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum

from pennypost.model.errors import PeerError, UsageError
from pennypost.proto.smtp.announced import NOTHING, Announced, read_announced
from pennypost.proto.smtp.replies import ReplyReader
from pennypost.proto.smtp.reply import Reply
from pennypost.proto.smtp.requests import (
    Auth,
    AuthResponse,
    Chunk,
    Data,
    Hello,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Request,
    Reset,
    StartTls,
    Text,
    Verb,
)


@dataclass(frozen=True, slots=True)
class Greeted:
    """The reply that begins a session: 220, or 554 and the like when nobody is welcome (RFC 5321 §3.1)."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class Answered:
    """A reply to a request. In LMTP a message's end is answered for each accepted recipient: `recipient` then is its
    RCPT request (RFC 2033 §4.2)."""

    request: Request
    reply: Reply
    recipient: Rcpt | None = None


@dataclass(frozen=True, slots=True)
class Dismissed:
    """421 that answers nothing: the server ends the session."""

    reply: Reply


ClientEvent = Greeted | Answered | Dismissed


class _State(Enum):
    CONNECTED = "before the greeting"
    GREETED = "before EHLO"
    READY = "no transaction"
    MAIL = "after MAIL"
    RCPT = "after RCPT"
    DATA = "after DATA"
    CHUNKS = "after BDAT that was not the last"
    EXCHANGE = "within AUTH"
    TLS = "before the TLS handshake"
    LEAVING = "after QUIT"
    CLOSED = "over"

    __hash__ = object.__hash__  # Enum's goes by the name, in Python: this is looked up for each request


_SPEAKING = frozenset({_State.READY, _State.MAIL, _State.RCPT, _State.CHUNKS})

_UNFINISHED = frozenset({_State.MAIL, _State.RCPT, _State.CHUNKS})

_ALLOWED: dict[type[Request], tuple[frozenset[_State], _State | None]] = {
    Hello: (_SPEAKING | {_State.GREETED}, _State.READY),
    StartTls: (frozenset({_State.READY}), _State.TLS),
    Auth: (frozenset({_State.READY}), None),
    AuthResponse: (frozenset({_State.EXCHANGE}), _State.READY),
    Mail: (frozenset({_State.READY}), _State.MAIL),
    Rcpt: (frozenset({_State.MAIL, _State.RCPT}), _State.RCPT),
    Data: (frozenset({_State.RCPT}), _State.DATA),
    Text: (frozenset({_State.DATA}), _State.READY),
    Chunk: (frozenset({_State.RCPT, _State.CHUNKS}), _State.CHUNKS),
    Reset: (_SPEAKING, _State.READY),
    Noop: (_SPEAKING, None),
    Quit: (_SPEAKING | {_State.GREETED}, _State.LEAVING),
}
"""In which states a request may be sent, and what comes after it; None: the same."""

_LAST = (Hello, StartTls, Auth, AuthResponse, Data, Text, Noop, Quit)
"""Nothing may be sent while one of these is not answered (RFC 2920 §3.1, RFC 3207 §4, RFC 4954 §4)."""


class SmtpClientSession:
    """One session. `tls`: the connection is encrypted from its beginning (RFC 8314 §3.3).

    `announced`: what the server offers now. `closed`: the session is over; close the connection.
    """

    def __init__(self, *, tls: bool = False) -> None:
        self.tls = tls
        self.announced: Announced = NOTHING
        self._open = False  # whether the server may think that there is a transaction
        self._state = _State.CONNECTED
        self._reader = ReplyReader()
        self._due: deque[Request] = deque()
        self._lmtp = False
        self._accepted: list[Rcpt] = []
        self._text_replies = 0

    @property
    def closed(self) -> bool:
        return self._state is _State.CLOSED

    @property
    def needs_reset(self) -> bool:
        """Whether Reset has to come before another Mail: the last transaction did not come to its end."""
        return self._open or self._state in _UNFINISHED

    @property
    def replies_due(self) -> int:
        """How many requests are not answered."""
        return len(self._due)

    def receive_data(self, data: bytes) -> None:
        """Take octets, in any cut. Call `next_event` until it gives None before more are given."""
        if self._state is not _State.CLOSED:
            self._reader.feed(data)

    def next_event(self) -> ClientEvent | None:
        """Give the next reply; None when more octets are due. Raises PeerError: end the connection."""
        if self._state is _State.CLOSED:
            return None
        reply = self._reader.next_reply()
        if reply is None:
            return None
        if self._state is _State.CONNECTED:
            return self._greeted(reply)
        if not self._due:
            if reply.code != 421:
                raise PeerError("a reply to nothing")
            self._close()
            return Dismissed(reply)
        event = self._answered(self._due[0], reply)
        if reply.code == 421:
            self._close()
        return event

    def send(self, request: Request) -> bytes:
        """Give the octets of a request, to be written now. Raises UsageError where it is not allowed."""
        allowed, after = _ALLOWED[type(request)]
        if self._state not in allowed:
            raise UsageError(f"{type(request).__name__} {self._state.value}")
        if self._due and not (self.announced.pipelining and not isinstance(self._due[-1], _LAST)):
            raise UsageError(f"{type(request).__name__} before the reply to {type(self._due[-1]).__name__}")
        octets = request.encode(self.announced)
        if not isinstance(request, Text | Chunk) and octets.find(b"\n") != len(octets) - 1:
            raise UsageError(f"a line end within {type(request).__name__}")  # it would be another command
        self._due.append(request)
        if after is not None:
            self._state = after
        match request:
            case Chunk(last=True):
                self._state = _State.READY
            case Mail():
                self._accepted = []
        return octets

    def tls_started(self) -> None:
        """Begin again after the TLS handshake: what was announced in clear does not count (RFC 3207 §4.2)."""
        if self._state is not _State.TLS or self._due:
            raise UsageError("STARTTLS was not agreed upon")
        self._reader.clear()
        self.tls = True
        self.announced = NOTHING
        self._state = _State.GREETED

    # -- What a reply means

    def _greeted(self, reply: Reply) -> Greeted:
        if reply.code // 100 == 3:
            raise PeerError("a greeting that asks for more")
        self._state = _State.GREETED
        if reply.code == 421:
            self._close()
        return Greeted(reply)

    def _answered(self, request: Request, reply: Reply) -> Answered:
        good = reply.code < 400
        if reply.code // 100 == 3 and reply.code != (
            354 if isinstance(request, Data) else 334 if isinstance(request, Auth | AuthResponse) else 0
        ):
            raise PeerError(f"{reply.code} is no reply to {type(request).__name__}")
        if self._lmtp and self._accepted and isinstance(request, Text | Chunk) and self._ends_text(request):
            return self._answered_for_recipient(request, reply)
        self._due.popleft()
        match request:
            case Hello():
                self._answered_hello(request, reply)
            case StartTls() if not good:
                self._state = _State.READY
            case Auth() | AuthResponse():
                self._state = _State.EXCHANGE if reply.code == 334 else _State.READY
            case Mail():
                self._open = self._open or good
                if not good and not self._due:
                    self._state = _State.READY
            case Rcpt() if good:
                self._accepted.append(request)
            case Data() if reply.code != 354:
                if good:
                    raise PeerError(f"{reply.code} is no reply to DATA")
                self._state = _State.READY
            case Text():
                self._open = False
            case Chunk():
                # RFC 3030 §2: whatever a chunk was refused for, the transaction is of no more use.
                if not good and not self._due:
                    self._state = _State.READY
                self._open = not (request.last and good)
            case Reset() if good:
                self._open = False
            case Quit():
                self._close()
        return Answered(request, reply)

    def _answered_hello(self, request: Hello, reply: Reply) -> None:
        if reply.code >= 400:
            self._state = _State.GREETED
            return
        self.announced = read_announced(reply) if request.verb is not Verb.HELO else NOTHING
        self._lmtp = request.verb is Verb.LHLO
        self._open = False

    def _ends_text(self, request: Text | Chunk) -> bool:
        return isinstance(request, Text) or request.last

    def _answered_for_recipient(self, request: Text | Chunk, reply: Reply) -> Answered:
        recipient = self._accepted[self._text_replies]
        self._text_replies += 1
        if self._text_replies == len(self._accepted):
            self._due.popleft()
            self._text_replies = 0
            self._accepted = []
            self._open = False
        return Answered(request, reply, recipient)

    def _close(self) -> None:
        self._state = _State.CLOSED
        self._due.clear()
        self._reader.clear()
