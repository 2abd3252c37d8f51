"""The server's side of one connection to a filter.

Theory of operation. `send` turns a command into octets, with the macros that go before it, and moves the state; what
the table does not list is a UsageError. A command that the filter does not want to hear gives no octets, and one that
it does not answer lets the next one follow at once. `next_reply` gives what the filter says: before the answer to the
end of the message these are changes, of those kinds that were agreed on. What it must not say is a PeerError.
"""

from collections.abc import Mapping
from enum import Enum

from pennypost.model.errors import PeerError, UsageError
from pennypost.proto.milter import commands, replies
from pennypost.proto.milter.commands import (
    TRAITS,
    Abort,
    Body,
    Command,
    Connect,
    Data,
    EndOfHeaders,
    EndOfMessage,
    Header,
    Helo,
    Mail,
    Negotiate,
    Quit,
    Rcpt,
)
from pennypost.proto.milter.options import (
    ALL_ACTIONS,
    ALL_STEPS,
    OLDEST_VERSION,
    VERSION,
    Actions,
    Options,
    Steps,
)
from pennypost.proto.milter.replies import MAX_PACKET, NEEDS, Continue, Discard, Progress, Reply, Skip


class _State(Enum):
    NEW = "before the negotiation"
    AGREED = "after the negotiation"
    CONNECT = "after CONNECT"
    HELO = "after HELO"
    MAIL = "after MAIL"
    RCPT = "after RCPT"
    DATA = "after DATA"
    HEADER = "within the header"
    BODY = "within the body"
    END = "after the end of the message"
    CLOSED = "over"


_AFTER: dict[type[Command], tuple[frozenset[_State], _State]] = {
    Negotiate: (frozenset({_State.NEW}), _State.AGREED),
    Connect: (frozenset({_State.AGREED}), _State.CONNECT),
    Helo: (frozenset({_State.CONNECT}), _State.HELO),
    Mail: (frozenset({_State.HELO, _State.END}), _State.MAIL),
    Rcpt: (frozenset({_State.MAIL, _State.RCPT}), _State.RCPT),
    Data: (frozenset({_State.RCPT}), _State.DATA),
    Header: (frozenset({_State.DATA, _State.HEADER}), _State.HEADER),
    EndOfHeaders: (frozenset({_State.DATA, _State.HEADER}), _State.BODY),
    Body: (frozenset({_State.BODY}), _State.BODY),
    EndOfMessage: (frozenset({_State.BODY}), _State.END),
    Abort: (frozenset(_State) - {_State.NEW, _State.AGREED, _State.CLOSED}, _State.HELO),
    Quit: (frozenset(_State) - {_State.CLOSED}, _State.CLOSED),
}
"""In which states a command may be said, and what comes after it."""

_UNANSWERED = (Abort, Quit)

DATA_SINCE = 4
"""The version that brought SMFIC_DATA."""


class MilterClientSession:
    """One connection. `options`: what was agreed on, None before."""

    def __init__(self) -> None:
        self.options: Options | None = None
        self._state = _State.NEW
        self._due: Command | None = None
        self._buffer = bytearray()
        self._skipping = False

    @property
    def reply_due(self) -> bool:
        """Whether the filter has to say something before the next command."""
        return self._due is not None

    def wants(self, kind: type[Command]) -> bool:
        """Whether the filter wants to hear a command."""
        options = self.options
        if options is None:
            return True
        if kind is Data and options.version < DATA_SINCE:
            return False
        return not (options.steps & TRAITS[kind].unwanted or (kind is Body and self._skipping))

    def send(self, command: Command, macros: Mapping[bytes, bytes] | None = None) -> bytes:
        """Give the octets of a command, b"" when the filter does not want it. Raises UsageError where it is not
        allowed."""
        allowed, after = _AFTER[type(command)]
        if self._state not in allowed:
            raise UsageError(f"{type(command).__name__} {self._state.value}")
        if isinstance(command, _UNANSWERED):
            self._due = None
        elif self._due is not None:
            raise UsageError(f"{type(command).__name__} before the answer to {type(self._due).__name__}")
        self._state = after
        if not self.wants(type(command)):
            return b""
        octets = commands.macros(command, self._wanted(command, macros or {})) + command.encode()
        silent = self.options is not None and self.options.steps & TRAITS[type(command)].silent
        if not isinstance(command, _UNANSWERED) and not silent:
            self._due = command
        if isinstance(command, Mail | Abort):
            self._skipping = False
        return octets

    def leave(self) -> bytes:
        """Give the octets that end the connection, in whatever state it is."""
        if self._state is _State.CLOSED:
            return b""
        aborted = self.send(Abort()) if self._state in _AFTER[Abort][0] - {_State.END} else b""
        return aborted + self.send(Quit())

    def receive_data(self, data: bytes) -> None:
        """Take octets, in any cut. Call `next_reply` until it gives None before more are given."""
        if self._state is not _State.CLOSED:
            self._buffer += data

    def next_reply(self) -> Reply | None:
        """Give the next thing the filter says; None when more octets are due. Raises PeerError: end the connection."""
        while self._state is not _State.CLOSED:
            length = int.from_bytes(self._buffer[:4])
            if len(self._buffer) >= 4 and not 0 < length <= MAX_PACKET:
                raise PeerError(f"a packet of {length} octets")
            if len(self._buffer) < 4 or len(self._buffer) < 4 + length:
                return None
            letter, data = bytes(self._buffer[4:5]), bytes(self._buffer[5 : 4 + length])
            del self._buffer[: 4 + length]
            reply = self._heard(letter, data)
            if reply is not None:
                return reply
        return None

    # -- What it means

    def _heard(self, letter: bytes, data: bytes) -> Reply | None:
        due = self._due
        if due is None:
            raise PeerError("a reply to nothing")
        if isinstance(due, Negotiate):
            if letter != TRAITS[Negotiate].letter:
                raise PeerError("a negotiation that is answered by something else")
            self.options = agreed(data)
            self._due = None
            return Continue()
        reply = replies.read(letter, data)
        if isinstance(reply, Progress):
            return reply
        if letter in NEEDS:
            assert self.options is not None
            if not isinstance(due, EndOfMessage) or not self.options.actions & NEEDS[letter]:
                raise PeerError(f"a change that was not agreed on: {letter!r}")
            return reply
        if isinstance(reply, Skip):
            if not isinstance(due, Body):
                raise PeerError("SKIP outside the body")
            self._skipping = True
        if isinstance(reply, Discard) and isinstance(due, Connect | Helo):
            raise PeerError("DISCARD before there is a message")
        self._due = None
        return reply

    def _wanted(self, command: Command, macros: Mapping[bytes, bytes]) -> list[tuple[bytes, bytes]]:
        """Give the macros that go before a command: those the filter asked for, where it did."""
        stage = TRAITS[type(command)].macro_stage
        if stage is None:
            return []
        chosen = self.options.macros.get(stage) if self.options is not None else None
        return [(name, value) for name, value in macros.items() if chosen is None or name in chosen]


def agreed(data: bytes) -> Options:
    """Read the filter's answer to our offer. Raises PeerError when it wants what was not offered."""
    if len(data) < 12:
        raise PeerError("a negotiation that is cut off")
    version, actions, steps = (int.from_bytes(data[at : at + 4]) for at in (0, 4, 8))
    if not OLDEST_VERSION <= version <= VERSION:
        raise PeerError(f"version {version} of the protocol")
    if actions & ~int(ALL_ACTIONS) or steps & ~int(ALL_STEPS):
        raise PeerError("it wants what was not offered")
    macros: dict[int, frozenset[bytes]] = {}
    rest = data[12:]
    while rest:
        names, nul, following = rest[4:].partition(b"\0")
        if not nul:
            raise PeerError("a list of macros that is cut off")
        macros[int.from_bytes(rest[:4])] = frozenset(_macro_name(name) for name in names.replace(b",", b" ").split())
        rest = following
    return Options(version, Actions(actions), Steps(steps), macros)


def _macro_name(name: bytes) -> bytes:
    """Long names stand in braces, with or without which they may be asked for."""
    return b"{" + name + b"}" if len(name) > 1 and not name.startswith(b"{") else name
