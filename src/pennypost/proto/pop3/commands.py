"""The grammar of each command, and the states in which it is valid (RFC 1939 §9)."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from pennypost.proto.pop3.events import (
    Authenticate,
    Capabilities,
    Delete,
    Event,
    Language,
    List,
    ListMechanisms,
    NoOperation,
    Quit,
    Reset,
    Retrieve,
    StartTls,
    Statistics,
    Top,
    UniqueIds,
    User,
    Utf8,
)
from pennypost.proto.sasl import decode_initial


class State(Enum):
    """Where a session is (RFC 1939 §3); an exchange of AUTH and the time after QUIT or STLS are states too."""

    AUTHORIZATION = auto()
    TRANSACTION = auto()
    SASL = auto()
    """A Challenge was sent: the next line is no command."""
    STARTING_TLS = auto()
    CLOSED = auto()


class Fault(Enum):
    """Why a line is no command that can be done. The value is a text for people."""

    UNKNOWN = "Unknown command"
    STATE = "Command not valid in this state"
    NOT_UTF8 = "Not UTF-8"
    NO_APOP = "APOP is not offered: it would need passwords in clear"
    BASE64 = "Not base64"


@dataclass(frozen=True, slots=True)
class BadArgument:
    """What follows a keyword is not what has to. `expected`: the syntax of the command, in words."""

    expected: str


@dataclass(frozen=True, slots=True)
class Password:
    """PASS, before it is known whether there was a USER."""

    password: str


_MAX_DIGITS = 10
"""Of a number: enough for any maildrop, and few enough to be converted safely."""

_LANGUAGE = re.compile(rb"\*|[A-Za-z0-9]{1,8}(?:-[A-Za-z0-9]{1,8})*")
"""RFC 4647 §2.1, language-range, as far as LANG takes it (RFC 6856 §3)."""

_MECHANISM = re.compile(rb"[A-Za-z0-9_-]{1,20}")
"""RFC 4422 §3.1, sasl-mech."""

Parsed = Event | Password | Fault | BadArgument

NOTHING = BadArgument("nothing after the command")
A_NUMBER = BadArgument("the number of a message")
PERHAPS_A_NUMBER = BadArgument("the number of a message, or nothing")
TOP = BadArgument("the number of a message and a number of lines")
A_NAME = BadArgument("a user name")
A_PASSWORD = BadArgument("a password")
A_MECHANISM = BadArgument("a SASL mechanism, and perhaps an initial response")
A_LANGUAGE = BadArgument("a language tag, as en or de-AT, * or nothing")


def _bare(event: Event) -> Callable[[bytes], Parsed]:
    return lambda argument: NOTHING if argument.strip(b" ") else event


def _is_number(argument: bytes) -> bool:
    return argument.isdigit() and len(argument) <= _MAX_DIGITS


def _number(make: Callable[[int], Event]) -> Callable[[bytes], Parsed]:
    def parse(argument: bytes) -> Parsed:
        argument = argument.rstrip(b" ")
        return make(int(argument)) if _is_number(argument) else A_NUMBER

    return parse


def _optional_number(make: Callable[[int | None], Event]) -> Callable[[bytes], Parsed]:
    def parse(argument: bytes) -> Parsed:
        argument = argument.rstrip(b" ")
        if not argument:
            return make(None)
        return make(int(argument)) if _is_number(argument) else PERHAPS_A_NUMBER

    return parse


def _top(argument: bytes) -> Parsed:
    number, _, lines = argument.rstrip(b" ").partition(b" ")
    if not (_is_number(number) and _is_number(lines)):
        return TOP
    return Top(int(number), int(lines))


def _user(argument: bytes) -> Parsed:
    """RFC 1939 §7: all that follows the space is the name; RFC 6856 §2.2: it may be UTF-8."""
    if not argument:
        return A_NAME
    try:
        return User(argument.decode("utf-8"))
    except UnicodeDecodeError:
        return Fault.NOT_UTF8


def _pass(argument: bytes) -> Parsed:
    """RFC 1939 §7: spaces may be part of the password, also at its end."""
    if not argument:
        return A_PASSWORD
    try:
        return Password(argument.decode("utf-8"))
    except UnicodeDecodeError:
        return Fault.NOT_UTF8


def _auth(argument: bytes) -> Parsed:
    mechanism, _, initial = argument.rstrip(b" ").partition(b" ")
    if not mechanism:
        return ListMechanisms()
    if not _MECHANISM.fullmatch(mechanism):
        return A_MECHANISM
    decoded = decode_initial(initial)
    if initial and decoded is None:
        return Fault.BASE64
    return Authenticate(mechanism.decode("ascii").upper(), decoded)


def _lang(argument: bytes) -> Parsed:
    argument = argument.rstrip(b" ")
    if not argument:
        return Language(None)
    return Language(argument.decode("ascii").lower()) if _LANGUAGE.fullmatch(argument) else A_LANGUAGE


_BEFORE = (State.AUTHORIZATION,)
_AFTER = (State.TRANSACTION,)
_ANY = (*_BEFORE, *_AFTER)

_COMMANDS: dict[bytes, tuple[tuple[State, ...], Callable[[bytes], Parsed]]] = {
    b"USER": (_BEFORE, _user),
    b"PASS": (_BEFORE, _pass),
    b"APOP": (_BEFORE, lambda _: Fault.NO_APOP),
    b"AUTH": (_BEFORE, _auth),
    b"STLS": (_BEFORE, _bare(StartTls())),
    b"UTF8": (_BEFORE, _bare(Utf8())),
    b"CAPA": (_ANY, _bare(Capabilities())),
    b"LANG": (_ANY, _lang),
    b"QUIT": (_ANY, _bare(Quit(update=False))),
    b"STAT": (_AFTER, _bare(Statistics())),
    b"LIST": (_AFTER, _optional_number(List)),
    b"UIDL": (_AFTER, _optional_number(UniqueIds)),
    b"RETR": (_AFTER, _number(Retrieve)),
    b"TOP": (_AFTER, _top),
    b"DELE": (_AFTER, _number(Delete)),
    b"RSET": (_AFTER, _bare(Reset())),
    # RFC 1939 §5 has NOOP in TRANSACTION only.
    b"NOOP": (_AFTER, _bare(NoOperation())),
}


def parse_command(line: bytes, state: State) -> Parsed:
    """Read a command. `line`: without its CRLF. Keywords are case-insensitive; one space separates (RFC 1939 §3)."""
    keyword, _, argument = line.partition(b" ")
    found = _COMMANDS.get(keyword.upper())
    if found is None:
        return Fault.UNKNOWN
    states, parse = found
    if state not in states:
        return Fault.STATE
    return parse(argument)
