"""The transition table (RFC 5321 §4.1.4): what may follow what, as data.

    CONNECTED ── greeting ──▶ GREETED ── EHLO ──▶ READY ── MAIL ──▶ MAIL ── RCPT ──▶ RECIPIENTS ── DATA ──▶ TEXT
                                 ▲                │  ▲ ▲                                  └─ BDAT ──▶ CHUNK ⇄ CHUNKS
                        TLS ◀────┼─── STARTTLS ───┤  │ └──── the end of a text or of the last chunk, whatever the reply
                         └───────┘                └──┴── AUTH ──▶ EXCHANGE

A pair that is not listed is answered 503 5.5.1. A negative reply leaves the state as it is, but for those of a text,
a chunk and an exchange, which end it.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType


class State(Enum):
    """Where a session stands. In TEXT, CHUNK and DISCARD octets are read, in EXCHANGE responses, elsewhere commands."""

    __hash__ = object.__hash__  # members are singletons; Enum's own, in Python, is felt in the command loop

    CONNECTED = "connected, not greeted"
    GREETED = "greeted, no hello yet"
    READY = "no transaction"
    MAIL = "a sender, no recipient"
    RECIPIENTS = "a recipient at least"
    TEXT = "text after DATA"
    CHUNK = "octets of a BDAT chunk"
    CHUNKS = "between BDAT chunks"
    DISCARD = "octets of a BDAT command that is refused"
    EXCHANGE = "a SASL exchange"
    TLS = "a TLS handshake"
    CLOSED = "over"


class Command(Enum):
    """What a client may say."""

    __hash__ = object.__hash__

    HELO = b"HELO"
    EHLO = b"EHLO"
    LHLO = b"LHLO"
    STARTTLS = b"STARTTLS"
    AUTH = b"AUTH"
    MAIL = b"MAIL"
    RCPT = b"RCPT"
    DATA = b"DATA"
    BDAT = b"BDAT"
    RSET = b"RSET"
    NOOP = b"NOOP"
    VRFY = b"VRFY"
    EXPN = b"EXPN"
    HELP = b"HELP"
    QUIT = b"QUIT"


READING = frozenset({State.TEXT, State.CHUNK, State.DISCARD, State.EXCHANGE, State.TLS, State.CLOSED})
"""States in which no command is read."""

_COMMANDING = (State.GREETED, State.READY, State.MAIL, State.RECIPIENTS, State.CHUNKS)

_TO_READY = dict.fromkeys(_COMMANDING, State.READY)
_UNMOVED = {state: state for state in _COMMANDING}

TRANSITIONS: Mapping[Command, Mapping[State, State]] = MappingProxyType(
    {
        Command.HELO: _TO_READY,
        Command.EHLO: _TO_READY,
        Command.LHLO: _TO_READY,
        Command.STARTTLS: {State.READY: State.TLS},
        Command.AUTH: {State.READY: State.READY},
        Command.MAIL: {State.READY: State.MAIL},
        Command.RCPT: {State.MAIL: State.RECIPIENTS, State.RECIPIENTS: State.RECIPIENTS},
        Command.DATA: {State.RECIPIENTS: State.TEXT},
        Command.BDAT: {State.RECIPIENTS: State.CHUNK, State.CHUNKS: State.CHUNK},
        Command.RSET: _TO_READY | {State.GREETED: State.GREETED},
        Command.NOOP: _UNMOVED,
        Command.VRFY: _UNMOVED,
        Command.EXPN: _UNMOVED,
        Command.HELP: _UNMOVED,
        Command.QUIT: dict.fromkeys(_COMMANDING, State.CLOSED),
    }
)
"""The state after a positive reply (2xx or 3xx), for each command and the states in which it is allowed."""

NOT_BEFORE: Mapping[State, str] = MappingProxyType(
    {
        State.GREETED: "Say hello first",
        State.READY: "No mail transaction is open: MAIL first",
        State.MAIL: "No recipient yet: RCPT first, and no second MAIL",
        State.RECIPIENTS: "A mail transaction is open",
        State.CHUNKS: "Chunks of a message have begun: only BDAT may follow",
    }
)
"""What the 503 reply says in each state."""
