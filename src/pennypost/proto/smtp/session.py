"""The server's side of one SMTP, submission or LMTP session (RFC 5321, RFC 2033).

Theory of operation. Octets go in by `receive_data`; `next_event` gives what they mean, one event at a time, and None
when more octets, or a reply, are due. After an event nothing more is read until `send` was given its reply: so
pipelined commands (RFC 2920) wait in the buffer, text can follow only a 354 reply, and what a command means never
depends on when its octets arrived. With each event goes the state for a positive and the one for a negative reply.
"""

from collections.abc import Callable

from pennypost.model.envelope import BodyType
from pennypost.model.errors import UsageError
from pennypost.proto.sasl import decode
from pennypost.proto.smtp import commands
from pennypost.proto.smtp.events import (
    Answer,
    AuthResponse,
    BodyChunk,
    BodyEnd,
    ChunkEnd,
    DataStart,
    Event,
    Hello,
    MailFrom,
    Quit,
    RcptTo,
    Reset,
    StartTls,
)
from pennypost.proto.smtp.limits import MAX_AUTH_LINE
from pennypost.proto.smtp.offer import Flavour, Offer, greeting, hello_reply
from pennypost.proto.smtp.reply import Refused, Reply
from pennypost.proto.smtp.states import NOT_BEFORE, READING, TRANSITIONS, Command, State
from pennypost.proto.smtp.text import ChunkText, DotText
from pennypost.proto.wire import LineBuffer, LineFault

_FAULTS = {
    LineFault.BARE_CR: Reply(550, "5.6.11", ("Bare CR or LF not allowed",)),
    LineFault.BARE_LF: Reply(550, "5.6.11", ("Bare CR or LF not allowed",)),
    LineFault.NUL: Reply(500, "5.5.2", ("NUL not allowed",)),
    LineFault.TOO_LONG: Reply(500, "5.5.2", ("Line too long",)),
}
_EXCHANGE_TOO_LONG = Reply(500, "5.5.6", ("Authentication exchange line is too long",))  # RFC 4954 §4

_OK = Reply(250, "2.0.0", ("OK",))

_COMMANDS = {command.value: command for command in Command}
_IDLE = frozenset({Command.HELO, Command.EHLO, Command.LHLO, Command.RSET, Command.NOOP, Command.VRFY, Command.HELP})


class SmtpServerSession:
    """One session. `tls`: the connection is encrypted from its beginning (RFC 8314 §3.3).

    Any method may raise PeerError: say 421 and end the connection. UsageError is a bug of the caller.
    """

    def __init__(self, offer: Offer, *, tls: bool = False) -> None:
        self.offer = offer
        self.tls = tls
        self.authenticated = False
        self.extended = False
        self.state = State.CONNECTED
        self._lines = LineBuffer(MAX_AUTH_LINE)
        # What a reply is due for: how many replies, and the states after a positive and a negative one.
        self._replies_due = 1
        self._command: Command | None = None
        self._good = State.GREETED
        self._bad = State.CLOSED
        # The transaction.
        self._body = BodyType.SEVEN_BIT
        self._smtputf8 = False
        self._recipients = 0
        self._text: DotText | None = None
        self._chunks: ChunkText | None = None
        self._mail: MailFrom | None = None
        self._discard = 0
        self._discard_reply = _OK
        # What is counted over the session.
        self._errors = 0
        self._idle_commands = 0
        self._messages = 0
        self._read: dict[Command, Callable[[bytes], Event]] = {
            Command.HELO: lambda rest: commands.read_hello(Command.HELO, rest, self.offer),
            Command.EHLO: lambda rest: commands.read_hello(Command.EHLO, rest, self.offer),
            Command.LHLO: lambda rest: commands.read_hello(Command.LHLO, rest, self.offer),
            Command.STARTTLS: self._read_starttls,
            Command.AUTH: lambda rest: commands.read_auth(rest, self.offer, self.tls, self.authenticated),
            Command.MAIL: self._read_mail,
            Command.RCPT: self._read_rcpt,
            Command.DATA: self._read_data,
            Command.RSET: self._read_reset,
            Command.NOOP: lambda _: Answer(_OK),
            Command.VRFY: lambda rest: commands.answer_verify(Command.VRFY, rest),
            Command.EXPN: lambda rest: commands.answer_verify(Command.EXPN, rest),
            Command.HELP: lambda _: commands.answer_help(self.offer),
            Command.QUIT: self._read_quit,
        }

    # -- What the driver calls

    @property
    def replies_due(self) -> int:
        """How many replies the last event waits for: one, or in LMTP one for each recipient of a message."""
        return self._replies_due

    @property
    def closed(self) -> bool:
        """Whether the session is over: send what there is, and close."""
        return self.state is State.CLOSED

    @property
    def spoken_early(self) -> bool:
        """Whether the client has spoken before it was greeted (RFC 5321 §4.3.1: it must wait)."""
        return self.state is State.CONNECTED and len(self._lines) > 0

    @property
    def idle(self) -> bool:
        """Whether no transaction is open, so that the session can be ended without loss (RFC 5321 §3.8)."""
        return self.state in (State.CONNECTED, State.GREETED, State.READY)

    def greeting(self) -> Reply:
        """Build the reply that begins the session."""
        return greeting(self.offer)

    def hello_reply(self, extended: bool) -> Reply:
        """Build the positive reply to a Hello event."""
        return hello_reply(self.offer, extended=extended, tls=self.tls, authenticated=self.authenticated)

    def receive_data(self, data: bytes) -> None:
        """Take octets, in any cut. Call `next_event` until it gives None before more are given."""
        if self.state is not State.CLOSED:
            self._lines.feed(data)

    def next_event(self) -> Event | None:
        """Give what has happened next; None when more octets, or a reply, are due."""
        if self._replies_due:
            return None
        if self.state not in READING:
            return self._next_command()
        match self.state:
            case State.TEXT:
                return self._next_of_text()
            case State.CHUNK:
                return self._next_of_chunk()
            case State.DISCARD:
                return self._next_of_discard()
            case State.EXCHANGE:
                return self._next_of_exchange()
        return None

    def send(self, reply: Reply) -> bytes:
        """Answer the last event. Gives the octets to write. 421 may be sent at any time, and ends the session."""
        code = reply.code
        if code == 421:
            self._close()
            return reply.encode()
        if not self._replies_due:
            raise UsageError(f"no reply is due: {code}")
        if code >= 400:
            self._errors += 1
        elif code in (334, 354) and self._command is not (Command.AUTH if code == 334 else Command.DATA):
            raise UsageError(f"{code} is no reply to {self._command}")
        self._replies_due -= 1
        if not self._replies_due:
            self._move(code)
        return reply.encode()

    def tls_started(self, offer: Offer | None = None) -> None:
        """Begin again after the TLS handshake: nothing that was said in clear counts any more (RFC 3207 §4.2).

        `offer`: what is offered from now on, if it is not what was.
        """
        if self.state is not State.TLS:
            raise UsageError("STARTTLS was not agreed upon")
        self._lines.clear()
        self.offer = offer if offer is not None else self.offer
        self.tls = True
        self.authenticated = False
        self.extended = False
        self._idle_commands = 0
        self.state = State.GREETED

    # -- Moving

    def _move(self, code: int) -> None:
        if code >= 400:
            self.state = self._bad
            if self._command is Command.BDAT:
                self._chunks = None
        else:
            self.state = self._good
            match self._command:
                case Command.RCPT:
                    self._recipients += 1
                case Command.MAIL:
                    self._begin_transaction()
                case Command.DATA if code == 354:
                    self._text = DotText(self.offer.max_message_size, self.offer.keep_bare_cr)
                case Command.AUTH:
                    if code == 334:
                        self.state = State.EXCHANGE
                    else:
                        self.authenticated = True
        if self.state is State.CLOSED:
            self._close()

    def _begin_transaction(self) -> None:
        assert self._mail is not None
        self._body = self._mail.envelope.body
        self._smtputf8 = self._mail.envelope.smtputf8
        self._recipients = 0
        self._text = None
        self._chunks = None

    def _close(self) -> None:
        self.state = State.CLOSED
        self._replies_due = 0
        self._lines.clear()

    def _expect(self, command: Command | None, good: State, bad: State, replies: int = 1) -> None:
        self._command = command
        self._good = good
        self._bad = bad
        self._replies_due = replies

    def _answer(self, reply: Reply, after: State | None = None) -> Answer:
        """Give an event that has no effect but its reply."""
        after = self.state if after is None else after
        self._expect(None, after, after)
        return Answer(reply)

    # -- Commands

    def _next_command(self) -> Event | None:
        if self._errors >= self.offer.max_errors:
            return self._answer(Reply(421, "4.7.0", ("Too many errors",)))
        line = self._lines.next_line()
        if line is None:
            return None
        if isinstance(line, LineFault):
            return self._answer(_FAULTS[line])
        verb, _, rest = line.partition(b" ")
        command = _COMMANDS.get(verb) or _COMMANDS.get(verb.rstrip(b"\t").upper())
        if command is None:
            return self._unknown(verb.upper())
        if len(line) > 510 and commands.command_is_too_long(command, len(line) + 2):
            return self._answer(_FAULTS[LineFault.TOO_LONG])
        if command is Command.BDAT:
            return self._read_bdat(rest)
        good = TRANSITIONS[command].get(self.state)
        if good is None:
            return self._answer(Reply(503, "5.5.1", (NOT_BEFORE[self.state],)))
        if command in _IDLE:
            self._idle_commands += 1
            if self._idle_commands > self.offer.max_idle_commands:
                return self._answer(Reply(421, "4.7.0", ("Too many commands without mail",)))
        try:
            event = self._read[command](rest)
        except Refused as refused:
            return self._answer(refused.reply)
        self._expect(command, good, self.state)
        if isinstance(event, Hello):
            self.extended = event.extended
        return event

    def _unknown(self, verb: bytes) -> Answer:
        if verb in commands.FOREIGN:
            return self._answer(Reply(421, "4.7.0", ("This is a mail server",)))
        if verb in commands.NOT_IMPLEMENTED:
            return self._answer(Reply(502, "5.5.1", ("Command not implemented",)))
        return self._answer(Reply(500, "5.5.2", ("Command not recognized",)))

    def _read_starttls(self, rest: bytes) -> Event:
        commands.require_no_argument(Command.STARTTLS, rest)
        if self.tls:
            raise Refused(503, "5.5.1", "TLS is on already")
        if not self.offer.starttls:
            raise Refused(502, "5.5.1", "TLS is not offered here")
        return StartTls()

    def _read_mail(self, rest: bytes) -> Event:
        if self._messages >= self.offer.max_messages:
            raise Refused(421, "4.7.0", "Too many messages in one session")  # RFC 9422 §3.1
        self._mail = commands.read_mail(rest, self.offer, self.tls)
        return self._mail

    def _read_rcpt(self, rest: bytes) -> RcptTo:
        event = commands.read_rcpt(rest, self._smtputf8)
        if self._recipients >= self.offer.max_recipients:
            raise Refused(452, "4.5.3", "Too many recipients")  # RFC 5321 §4.5.3.1.10
        return event

    def _read_data(self, rest: bytes) -> Event:
        commands.require_no_argument(Command.DATA, rest)
        commands.check_body(Command.DATA, self._body)
        return DataStart()

    def _read_reset(self, rest: bytes) -> Event:
        commands.require_no_argument(Command.RSET, rest)
        return Reset()

    def _read_quit(self, rest: bytes) -> Event:
        commands.require_no_argument(Command.QUIT, rest)
        return Quit()

    def _read_bdat(self, rest: bytes) -> Event | None:
        """Read BDAT: also when it is refused its octets follow, and are dropped (RFC 3030 §2)."""
        try:
            size, last = commands.read_bdat(rest)
        except ValueError:
            # Where the next command begins cannot be known.
            return self._answer(Reply(501, "5.5.4", ("Syntax: BDAT size [LAST]",)), State.CLOSED)
        if self.state not in TRANSITIONS[Command.BDAT]:
            self._discard = size
            self._discard_reply = Reply(503, "5.5.1", (NOT_BEFORE[self.state],))
            self._good = self.state
            self.state = State.DISCARD
            return self._next_of_discard()
        if self._chunks is None:
            self._chunks = ChunkText(
                self.offer.max_message_size, self._body is BodyType.BINARY_MIME, self.offer.keep_bare_cr
            )
        self._chunks.begin_chunk(size, last)
        self.state = State.CHUNK
        return self._next_of_chunk()

    # -- What is read elsewhere than in lines of commands

    def _next_of_text(self) -> Event | None:
        text = self._text
        assert text is not None
        while not text.ended:
            data = self._lines.take_all()
            if not data:
                return None
            octets = text.receive(data)
            if text.rest:
                self._lines.put_back(text.rest)
            if octets:
                return BodyChunk(octets)
        self._text = None
        return self._message_ended(BodyEnd(text.size, text.problem))

    def _next_of_chunk(self) -> Event | None:
        chunks = self._chunks
        assert chunks is not None
        while chunks.left:
            data = self._lines.take(chunks.left)
            if not data:
                return None
            octets = chunks.receive(data)
            if octets:
                return BodyChunk(octets)
        if not chunks.last:
            self._expect(Command.BDAT, State.CHUNKS, State.READY)
            return ChunkEnd(chunks.chunk_size, chunks.problem)
        kept = chunks.finish()
        if kept:
            return BodyChunk(kept)
        self._chunks = None
        return self._message_ended(BodyEnd(chunks.size, chunks.problem))

    def _message_ended(self, event: BodyEnd) -> BodyEnd:
        self._messages += 1
        self._idle_commands = 0
        replies = self._recipients if self.offer.flavour is Flavour.LMTP else 1
        self._expect(None, State.READY, State.READY, replies)
        return event

    def _next_of_discard(self) -> Event | None:
        while self._discard:
            data = self._lines.take(self._discard)
            if not data:
                return None
            self._discard -= len(data)
        return self._answer(self._discard_reply, self._good)

    def _next_of_exchange(self) -> Event | None:
        """Read a response. `*` cancels (RFC 4954 §4)."""
        line = self._lines.next_line()
        if line is None:
            return None
        if isinstance(line, LineFault):
            reply = _EXCHANGE_TOO_LONG if line is LineFault.TOO_LONG else _FAULTS[line]
            return self._answer(reply, State.READY)
        if line == b"*":
            return self._answer(Reply(501, "5.7.0", ("Authentication cancelled",)), State.READY)
        data = decode(line)
        if data is None:
            return self._answer(Reply(501, "5.5.2", ("Cannot decode base64",)), State.READY)
        self._expect(Command.AUTH, State.READY, State.READY)
        return AuthResponse(data)
