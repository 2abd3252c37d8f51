"""The server's side of an IMAP connection (RFC 9051), as a machine: octets in, events out.

Theory of operation
-------------------
The octets of a command stay in one buffer, its literals in place, until the command is whole; then it is parsed in one
go. What ends a line in `{n}` is a literal still to come: the machine announces it (`LiteralRequested`) unless the
client sends it unasked (`{n+}`, RFC 7888). A literal that is a message (`CommandSpec.begin`) is never gathered: it
leaves in chunks.

Each event but `AppendChunk` is a question, and `next_event` gives nothing more until it is answered: so commands are
taken one at a time, however many the client sends ahead. `_Mode` says what is due. Literals that were refused and come
all the same are read and forgotten (`DISCARD`), with the rest of their command.

What a client can make the machine hold is bounded by `limits`; what lies beyond ends the connection (`PeerError`).
"""

import re
from enum import Enum, auto

from msgspec.structs import replace

from pennypost.model.errors import PeerError, UsageError
from pennypost.proto.imap.commands import COMMANDS, CommandSpec
from pennypost.proto.imap.commands.append import Append
from pennypost.proto.imap.commands.authenticate import decode_base64
from pennypost.proto.imap.commands.catenate import NOTHING, AppendRest, CatenateText
from pennypost.proto.imap.events import (
    AppendChunk,
    AppendEnd,
    AppendStart,
    AppendText,
    AuthenticateCancelled,
    AuthenticateResponse,
    BadCommand,
    Command,
    Event,
    IdleDone,
    LiteralRequested,
)
from pennypost.proto.imap.limits import AFTER_LOGIN, BEFORE_LOGIN, LITERAL_MINUS, MAX_TAG, Limits
from pennypost.proto.imap.reader import BadSyntax, Reader
from pennypost.proto.imap.responses.status import Condition, Tagged, continuation, status_line
from pennypost.proto.imap.responses.status import challenge as challenge_line
from pennypost.proto.imap.states import State

# tag = 1*<any ASTRING-CHAR except "+">; then the command's name
_TAG = re.compile(rb"[!#$&',\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]{1,%d}(?= |\Z)" % MAX_TAG)
_VERB = re.compile(rb" ([A-Za-z]+)(?= |\Z)")
# What announces a literal at the end of a line: literal, literal8 (RFC 9051 §9), either unasked (RFC 7888 §8)
_ANNOUNCEMENT = re.compile(rb"(~?)\{([0-9]{1,19})(\+?)\}\Z")
_LONGEST_ANNOUNCEMENT = 23
_OPENING = b"{"
_BINARY = 0x7E

_AUTHENTICATE = COMMANDS[b"AUTHENTICATE"]
_IDLE = COMMANDS[b"IDLE"]
_STARTTLS = COMMANDS[b"STARTTLS"]


class _Mode(Enum):
    """What is due. The first five wait for us, the others for the client."""

    ANSWER = auto()
    LITERAL_OFFERED = auto()
    MESSAGE_OFFERED = auto()
    TLS = auto()
    CLOSED = auto()
    COMMAND = auto()
    MESSAGE = auto()
    MESSAGE_END = auto()
    IDLE = auto()
    AUTHENTICATE = auto()
    DISCARD = auto()
    DISCARD_LINE = auto()


_OURS = (_Mode.ANSWER, _Mode.LITERAL_OFFERED, _Mode.MESSAGE_OFFERED)


def _announced(octets: bytes | bytearray, start: int, end: int) -> re.Match[bytes] | None:
    """Find the literal that a line announces at its end. The line: from `start` to before `end`."""
    start = max(start, end - _LONGEST_ANNOUNCEMENT)
    at = octets.rfind(_OPENING, start, end)
    if at < 0:
        return None
    if at > start and octets[at - 1] == _BINARY:
        at -= 1
    return _ANNOUNCEMENT.match(octets, at, end)


class ImapServerSession:
    """One connection. `tls`: it is encrypted from the start. `literal_plus`: after login a message of any size may come
    unasked (LITERAL+), not just 4096 octets (LITERAL-, RFC 7888 §5).

    Raises PeerError where the stream cannot go on: answer `* BYE` and close. Raises UsageError where we erred.
    """

    __slots__ = (
        "_append",
        "_buffer",
        "_errors",
        "_limits",
        "_line",
        "_literal_plus",
        "_mode",
        "_remaining",
        "_scanned",
        "_spec",
        "_state",
        "_tag",
        "_tls",
        "_unasked",
        "_utf8",
        "_verb_end",
    )

    def __init__(self, tls: bool = False, literal_plus: bool = True) -> None:
        self._tls = tls
        self._literal_plus = literal_plus
        self._state = State.NOT_AUTHENTICATED
        self._limits = BEFORE_LOGIN
        self._mode = _Mode.COMMAND
        self._utf8 = False
        self._errors = 0
        self._buffer = bytearray()
        self._line = 0  # where in the buffer the line begins that is being read; lines before it belong to its command
        self._scanned = 0  # up to here there is no CRLF that was not seen
        self._tag: bytes | None = None  # of the command in hand
        self._spec: CommandSpec | None = None  # of the command in hand; None also when it is not known
        self._append: Append | None = None  # what was read before the message in hand
        self._verb_end = 0  # where its arguments begin
        self._remaining = 0  # octets of the literal in hand that are still to come
        self._unasked = False  # whether that literal comes without our asking

    @property
    def state(self) -> State:
        return self._state

    @property
    def limits(self) -> Limits:
        return self._limits

    @property
    def buffered(self) -> int:
        """Octets that were received and not yet used."""
        return len(self._buffer)

    @property
    def congested(self) -> bool:
        """Whether an answer of ours is due while the client sends ahead: do not read from it until this is False."""
        return self._mode in _OURS and len(self._buffer) >= self._limits.line

    # -- What comes in

    def receive_data(self, data: bytes) -> None:
        """Take octets, in any cut. What comes between STARTTLS and TLS, or after LOGOUT, is dropped."""
        if self._mode is _Mode.TLS or self._mode is _Mode.CLOSED:
            return
        if len(self._buffer) + len(data) > self._limits.buffered:
            raise PeerError("too much sent ahead")
        self._buffer += data

    def next_event(self) -> Event | None:
        """Give the next event; None when octets or an answer of ours are due first."""
        while True:
            mode = self._mode
            if mode is _Mode.COMMAND:
                return self._read_command()
            if mode is _Mode.MESSAGE:
                chunk = self._read_message()
                if chunk is not None or self._remaining:
                    return chunk
                self._mode = _Mode.MESSAGE_END
            elif mode is _Mode.MESSAGE_END:
                return self._read_message_end()
            elif mode is _Mode.IDLE:
                return self._read_done()
            elif mode is _Mode.AUTHENTICATE:
                return self._read_authenticate_line()
            elif mode is _Mode.DISCARD or mode is _Mode.DISCARD_LINE:
                if not self._discard():
                    return None
            else:
                return None

    # -- What goes out

    def send(self, response: Tagged) -> bytes:
        """End the command in hand. Gives the octets to write and moves the state (RFC 9051 §3).

        It may also come in place of `accept_literal`, or before a message is whole: the rest of it is forgotten.
        """
        mode, tag, spec = self._mode, self._tag, self._spec
        if mode not in _OURS and mode is not _Mode.MESSAGE and mode is not _Mode.MESSAGE_END:
            raise UsageError("no command waits for an answer")
        condition = response.condition
        octets = status_line(tag if tag is not None else b"*", condition, response.text, response.code)
        if mode is _Mode.LITERAL_OFFERED:
            self._drop(self._line)
        comes = self._unasked or mode is _Mode.MESSAGE or mode is _Mode.MESSAGE_END
        self._mode = self._discard_mode() if comes else _Mode.COMMAND
        self._tag = self._spec = None
        self._unasked = False
        if spec is not None:
            self._move(spec, condition)
        return octets

    def accept_literal(self) -> bytes:
        """Let a literal come. Gives the octets to write: none if the client does not wait for them."""
        if self._mode is _Mode.LITERAL_OFFERED:
            self._line += self._remaining
            self._scanned = self._line
            self._remaining = 0
            self._mode = _Mode.COMMAND
        elif self._mode is _Mode.MESSAGE_OFFERED:
            self._mode = _Mode.MESSAGE
        else:
            raise UsageError("no literal was announced")
        return b"" if self._unasked else continuation("Ready for literal data")

    def continue_(self, text: str = "idling") -> bytes:
        """Begin to idle (RFC 9051 §6.3.13)."""
        if self._mode is not _Mode.ANSWER or self._spec is not _IDLE:
            raise UsageError("no IDLE waits")
        self._mode = _Mode.IDLE
        return continuation(text)

    def challenge(self, data: bytes) -> bytes:
        """Ask for the next line of a SASL exchange (RFC 9051 §6.2.2)."""
        if self._mode is not _Mode.ANSWER or self._spec is not _AUTHENTICATE:
            raise UsageError("no AUTHENTICATE waits")
        self._mode = _Mode.AUTHENTICATE
        return challenge_line(data)

    def tls_started(self) -> None:
        """Say that the handshake is done. Nothing that was read in clear is left (RFC 9051 §11.1)."""
        if self._mode is not _Mode.TLS:
            raise UsageError("STARTTLS was not answered with OK")
        self._tls = True
        self._errors = 0
        self._mode = _Mode.COMMAND

    def use_utf8_names(self) -> None:
        """Read mailbox names as UTF-8 from now on: IMAP4rev2 was enabled (RFC 9051 Appendix A)."""
        self._utf8 = True

    # -- State

    def _move(self, spec: CommandSpec, condition: Condition) -> None:
        if condition is Condition.OK:
            if spec is _STARTTLS:
                self._forget()
                self._mode = _Mode.TLS
            target = spec.on_ok
        else:
            target = spec.on_no if condition is Condition.NO else None
        if target is None:
            return
        self._state = target
        if target is State.NOT_AUTHENTICATED:
            self._utf8 = False
        if target is State.LOGOUT:
            self._forget()
            self._mode = _Mode.CLOSED
        self._limits = BEFORE_LOGIN if target is State.NOT_AUTHENTICATED else AFTER_LOGIN

    def _forget(self) -> None:
        self._buffer = bytearray()
        self._line = self._scanned = 0

    def _discard_mode(self) -> _Mode:
        return _Mode.DISCARD if self._remaining else _Mode.DISCARD_LINE

    def _drop(self, count: int) -> None:
        """Forget the first octets of the buffer; the next line begins after them."""
        del self._buffer[:count]
        self._line = self._scanned = 0

    # -- Lines

    def _find_line(self) -> int:
        """Give where the CRLF of the line is, -1 if it has not come. A line over the limit ends the connection."""
        buffer = self._buffer
        end = buffer.find(b"\r\n", self._scanned)
        length = (end if end >= 0 else len(buffer) - 1) - self._line
        if length > self._limits.line:
            raise PeerError("line too long")
        if end < 0:
            self._scanned = max(self._line, len(buffer) - 1)
        return end

    def _take_line(self) -> bytes | None:
        """Take the line at the head of the buffer, without its CRLF."""
        end = self._find_line()
        if end < 0:
            return None
        line = bytes(self._buffer[:end])
        self._drop(end + 2)
        return line

    # -- Commands

    def _read_command(self) -> Event | None:
        while True:
            end = self._find_line()
            if end < 0:
                return None
            if self._buffer[end - 1] == 0x7D:  # }
                announced = _announced(self._buffer, self._line, end)
                if announced is not None:
                    event = self._literal(end, announced)
                    if event is None:
                        continue
                    return event
            octets = bytes(self._buffer[:end])
            first = self._line == 0
            self._drop(end + 2)
            return self._parse(octets, first)

    def _parse(self, octets: bytes, first: bool) -> Event:
        """Parse a whole command. `first`: it has one line, its head was not read yet."""
        try:
            if first:
                self._read_head(octets)
            spec, tag = self._spec, self._tag
            assert spec is not None
            assert tag is not None
        except BadSyntax as problem:
            return self._bad(problem.reason)
        reader = Reader(octets, self._verb_end, self._utf8)
        try:
            body = spec.parse(reader)
        except BadSyntax as problem:
            return self._bad(f"{problem.reason} (read up to octet {reader.at})")
        if self._state is not State.NOT_AUTHENTICATED:
            self._errors = 0
        self._mode = _Mode.ANSWER
        return Command(tag, body)

    def _read_head(self, octets: bytes) -> None:
        """Read tag and verb of a command; leave them, and what the table says of it, in hand. Raises BadSyntax."""
        self._tag = self._spec = None
        tag = _TAG.match(octets)
        if tag is None:
            raise BadSyntax("expected a tag")
        self._tag = tag.group()
        verb = _VERB.match(octets, tag.end())
        if verb is None:
            raise BadSyntax("expected a command")
        name = verb.group(1).upper()
        if name == b"UID":
            second = _VERB.match(octets, verb.end())
            if second is None:
                raise BadSyntax("expected a command after UID")
            verb, name = second, b"UID " + second.group(1).upper()
        spec = COMMANDS.get(name)
        if spec is None:
            raise BadSyntax("unknown command")
        if self._state not in spec.states:
            raise BadSyntax(f"{name.decode('ascii')} is not allowed when {self._state.value}")
        if spec is _STARTTLS and self._tls:
            raise BadSyntax("TLS is active already")
        self._spec = spec
        self._verb_end = verb.end()

    def _bad(self, reason: str) -> BadCommand:
        """Give up the command in hand. Its literal, if one comes unasked, is forgotten after the answer."""
        self._errors += 1
        if self._errors > self._limits.errors:
            raise PeerError("too many bad commands")
        self._spec = None
        self._mode = _Mode.ANSWER
        return BadCommand(self._tag, reason)

    # -- Literals

    def _literal(self, end: int, announced: re.Match[bytes]) -> Event | None:
        """Deal with the literal that the line announces. None: it is an argument that comes unasked; read on."""
        size = int(announced.group(2))
        self._unasked = bool(announced.group(3))
        try:
            octets = bytes(self._buffer[:end])
            if self._line == 0:
                self._read_head(octets)
            spec, tag = self._spec, self._tag
            assert spec is not None
            assert tag is not None
            if spec.begin is not None:
                append = spec.begin(Reader(octets, self._verb_end, self._utf8))
                if append is not None:
                    self._allow_unasked(size)
                    self._drop(end + 2)
                    self._remaining = size
                    self._mode = _Mode.MESSAGE_OFFERED
                    self._append = append
                    return AppendStart(tag, append)
            self._allow_argument(size, end, bool(announced.group(1)))
        except BadSyntax as problem:
            self._drop(end + 2)
            self._remaining = size if self._unasked else 0
            return self._bad(problem.reason)
        self._line = end + 2
        if not self._unasked:
            self._remaining = size
            self._mode = _Mode.LITERAL_OFFERED
            return LiteralRequested(tag, size)
        self._line += size
        self._scanned = self._line
        self._unasked = False
        return None

    def _allow_argument(self, size: int, end: int, binary: bool) -> None:
        """Hold a literal that is an argument against the limits. Raises BadSyntax."""
        if binary and (self._spec is None or not self._spec.literal8):
            raise BadSyntax("a literal8 is not allowed here")
        if size > self._limits.literal:
            raise BadSyntax("literal is too large")
        if end + 2 + size > self._limits.command:
            raise BadSyntax("command is too large")
        self._allow_unasked(size)

    def _allow_unasked(self, size: int) -> None:
        """Hold a literal that comes unasked against LITERAL- (RFC 7888 §5). Raises BadSyntax."""
        if self._unasked and not self._literal_plus and size > LITERAL_MINUS:
            raise BadSyntax("literal is too large to be sent unasked")

    def _discard(self) -> bool:
        """Forget octets of a refused literal, then the rest of its command. False: more must come first."""
        if self._mode is _Mode.DISCARD:
            if self._remaining > self._limits.discard:
                raise PeerError("literal too large")
            count = min(self._remaining, len(self._buffer))
            self._drop(count)
            self._remaining -= count
            if self._remaining:
                return False
            self._mode = _Mode.DISCARD_LINE
        line = self._take_line()
        if line is None:
            return False
        announced = _announced(line, 0, len(line))
        # A literal that waits for us ends the command: the client has seen its answer (RFC 9051 §4.3)
        self._mode = _Mode.COMMAND
        if announced is not None and announced.group(3):
            self._remaining = int(announced.group(2))
            self._mode = self._discard_mode()
        return True

    # -- Messages

    def _read_message(self) -> AppendChunk | None:
        """Hand on what is there of a message."""
        buffer = self._buffer
        if not buffer or not self._remaining:
            return None
        if len(buffer) <= self._remaining:
            data = bytes(buffer)
            self._forget()
        else:
            data = bytes(buffer[: self._remaining])
            self._drop(self._remaining)
        self._remaining -= len(data)
        return AppendChunk(data)

    def _read_message_end(self) -> Event | None:
        """Read what follows a message: the end of the line, or one more message (RFC 3502)."""
        line = self._take_line()
        if line is None:
            return None
        tag, spec, before = self._tag, self._spec, self._append
        assert tag is not None
        assert spec is not None
        assert spec.end is not None
        assert before is not None
        if not line and not before.catenates and not before.wrapped:  # what nearly all of them send
            self._unasked = False
            self._errors = 0
            self._mode = _Mode.ANSWER
            return AppendEnd(tag, NOTHING)
        announced = _announced(line, 0, len(line))
        self._unasked = announced is not None and bool(announced.group(3))
        self._remaining = int(announced.group(2)) if announced is not None and self._unasked else 0
        try:
            rest = spec.end(Reader(line, 0, self._utf8), before)
            if isinstance(rest, AppendRest):
                self._errors = 0
                self._mode = _Mode.ANSWER
                return AppendEnd(tag, rest)
            self._allow_unasked(rest.size)
        except BadSyntax as problem:
            return self._bad(problem.reason)
        self._remaining = rest.size
        self._mode = _Mode.MESSAGE_OFFERED
        if isinstance(rest, CatenateText):
            self._append = replace(before, wrapped=rest.text.wrapped)
            return AppendText(tag, rest)
        self._append = rest
        return AppendStart(tag, rest)

    # -- Continued commands

    def _read_done(self) -> Event | None:
        line = self._take_line()
        if line is None:
            return None
        if line.upper() != b"DONE":
            return self._bad("expected DONE")
        tag = self._tag
        assert tag is not None
        self._mode = _Mode.ANSWER
        return IdleDone(tag)

    def _read_authenticate_line(self) -> Event | None:
        line = self._take_line()
        if line is None:
            return None
        tag = self._tag
        assert tag is not None
        self._mode = _Mode.ANSWER
        if line == b"*":
            return AuthenticateCancelled(tag)
        try:
            return AuthenticateResponse(decode_base64(line))
        except BadSyntax as problem:
            return self._bad(problem.reason)
