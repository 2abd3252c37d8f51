"""The server's side of a POP3 connection (RFC 1939 §3).

Theory of operation. `next_event` gives one command at a time and then None until `send` has answered it, so a client
may pipeline (RFC 2449 §6.6) and the answers keep the order. The answer moves the state: which event it answers, and
whether it is Ok, Err or Challenge, is all the transition table needs.
"""

from dataclasses import replace

from pennypost.model.errors import UsageError
from pennypost.proto.pop3.capabilities import Offer, capabilities
from pennypost.proto.pop3.commands import BadArgument, Fault, Password, State, parse_command
from pennypost.proto.pop3.events import (
    Authenticate,
    BadCommand,
    Delete,
    Event,
    List,
    Login,
    NoOperation,
    Quit,
    Reset,
    Retrieve,
    SaslResponse,
    StartTls,
    Statistics,
    Top,
    UniqueIds,
    User,
    Utf8,
)
from pennypost.proto.pop3.responses import Challenge, Err, Message, Ok, Response, TextBegin, build, build_parts
from pennypost.proto.pop3.text import DotStuffer
from pennypost.proto.sasl import MAX_LINE, decode
from pennypost.proto.wire import LineBuffer, LineFault

COMMAND_LIMIT = 2048
"""Octets of a command with its CRLF. RFC 2449 §4 has 255; clients send longer initial responses and passwords."""

MAX_ERRORS = 20
"""Lines that are no command, or not now, before the connection is ended."""

_PLAIN: frozenset[type] = frozenset({Delete, List, NoOperation, Reset, Retrieve, Statistics, Top, UniqueIds})
"""Commands that ask for nothing but the right state, and leave it as it is."""

__all__ = ["COMMAND_LIMIT", "MAX_ERRORS", "Pop3ServerSession", "State"]


class Pop3ServerSession:
    """One connection, as the server sees it.

    `state`, `utf8`: whether UTF8 mode is on (RFC 6856 §2.1). `offer`: what CAPA announces and what is accepted.
    Never raises for what the client sends, but for PeerError when a faulty line does not end.
    """

    __slots__ = ("_buffer", "_errors", "_name", "_pending", "_text", "offer", "state", "utf8")

    def __init__(self, offer: Offer) -> None:
        self.offer = offer
        self.state = State.AUTHORIZATION
        self.utf8 = False
        self._buffer = LineBuffer(COMMAND_LIMIT)
        self._pending: Event | None = None
        self._name: str | None = None
        self._errors = 0
        self._text: DotStuffer | None = None

    def greeting(self, text: str) -> bytes:
        """Give the first line of all (RFC 1939 §4). It has no timestamp: APOP is not offered."""
        return build(Ok(text))

    def receive_data(self, data: bytes) -> None:
        """Take octets, cut anywhere. Take all events before more is fed."""
        if self.state is not State.CLOSED:
            self._buffer.feed(data)

    def next_event(self) -> Event | None:
        """Give the next command; None: more octets are due, or an answer, or nothing any more."""
        if self._pending is not None or self._text is not None or self.state in (State.STARTING_TLS, State.CLOSED):
            return None
        line = self._buffer.next_line()
        if line is None:
            return None
        self._pending = event = self._read(line)
        return event

    def send(self, response: Response) -> bytes:
        """Give the octets of the answer to the last event, and move on."""
        return b"".join(self.send_parts(response))

    def send_parts(self, response: Response) -> tuple[bytes, ...]:
        """As `send`, in parts that follow each other."""
        event = self._pending
        if event is None:
            raise UsageError("nothing is to be answered")
        parts = build_parts(response)
        self._pending = None
        if type(response) is Message and type(event) in _PLAIN:
            return parts
        if isinstance(response, TextBegin):
            self._text = DotStuffer()
        if type(event) not in _PLAIN or isinstance(response, Challenge):
            self._move(event, response)
        return parts

    def text_piece(self, octets: bytes) -> bytes:
        """Give the octets of the next piece, cut anywhere, of the text that TextBegin began."""
        if self._text is None:
            raise UsageError("no text was begun")
        return self._text.piece(octets)

    def text_end(self) -> bytes:
        """Give the end of the text that TextBegin began."""
        if self._text is None:
            raise UsageError("no text was begun")
        text, self._text = self._text, None
        return text.end()

    def capabilities(self) -> list[str]:
        """List what CAPA answers now."""
        return capabilities(self.offer, self.state is State.TRANSACTION)

    def tls_started(self, offer: Offer) -> None:
        """Begin anew under TLS: whatever came in clear is forgotten (RFC 2595 §4). `offer`: what holds from now on."""
        if self.state is not State.STARTING_TLS:
            raise UsageError("no STLS was answered")
        self._buffer.clear()
        self._name = None
        self.utf8 = False
        self.offer = replace(offer, stls=False)
        self.state = State.AUTHORIZATION

    # -- Reading

    def _read(self, line: bytes | LineFault) -> Event:
        if self.state is State.SASL:
            # RFC 5034 §4: "*" alone cancels; it is no base64 either.
            return SaslResponse(None if isinstance(line, LineFault) else decode(line))
        if isinstance(line, LineFault):
            return self._fault(line.value)
        parsed = parse_command(line, self.state)
        if isinstance(parsed, Fault):
            return self._fault(parsed.value)
        if isinstance(parsed, BadArgument):
            return self._fault(f"Syntax error: expected {parsed.expected}")
        return self._check(parsed)

    def _check(self, parsed: Event | Password) -> Event:
        """Hold a command against what came before it, and what is offered."""
        name, self._name = self._name, None
        if type(parsed) in _PLAIN:
            return parsed  # type: ignore[return-value] # no Password is
        match parsed:
            case Password(password):
                if name is None:
                    return self._fault("PASS follows USER")
                return Login(name, password)
            case User() if not self.offer.user:
                return self._fault("Login in clear is not offered: use STLS first")
            case Authenticate(mechanism, _) if mechanism not in self.offer.mechanisms:
                return self._fault("Mechanism not offered")
            case StartTls() if not self.offer.stls:
                return self._fault("STLS is not offered")
            case StartTls() if self.utf8:
                # RFC 6856 §2.1: a client must not, and we may refuse it.
                return self._fault("STLS after UTF8")
            case Quit():
                return Quit(update=self.state is State.TRANSACTION)
            case _:
                return parsed

    def _fault(self, text: str) -> BadCommand:
        self._errors += 1
        self._name = None
        return BadCommand(Err(text), last=self._errors >= MAX_ERRORS)

    # -- Moving

    def _move(self, event: Event, response: Response) -> None:
        """Do the transition: the one place where the state changes but for `tls_started`."""
        match event, response:
            case ((Login() | Authenticate() | SaslResponse()), Ok()):
                self._enter(State.TRANSACTION)
            case ((Authenticate() | SaslResponse()), Challenge()):
                self._enter(State.SASL)
            case SaslResponse(), Err():
                self._enter(State.AUTHORIZATION)
            case _, Challenge():
                raise UsageError("a challenge answers AUTH only")
            case User(name), Ok():
                self._name = name
            case StartTls(), Ok():
                self._enter(State.STARTING_TLS)
            case Utf8(), Ok():
                self.utf8 = True
            case Quit(), _:
                self._enter(State.CLOSED)
            case BadCommand(_, True), _:
                self._enter(State.CLOSED)
            case _:
                pass

    def _enter(self, state: State) -> None:
        self.state = state
        self._buffer.limit = MAX_LINE + 2 if state is State.SASL else COMMAND_LIMIT
        if state in (State.CLOSED, State.STARTING_TLS):
            self._buffer.clear()
