"""What a client can ask for. Message numbers are 1-based and as they were sent: the maildrop knows which exist."""

from dataclasses import dataclass

from pennypost.proto.pop3.responses import Err


@dataclass(frozen=True, slots=True)
class User:
    """USER (RFC 1939 §7). Answer Ok whether or not there is such an account."""

    name: str


@dataclass(frozen=True, slots=True)
class Login:
    """PASS after USER (RFC 1939 §7). Ok begins the TRANSACTION state. Both texts: not yet prepared (RFC 4013)."""

    name: str
    password: str


@dataclass(frozen=True, slots=True)
class Authenticate:
    """AUTH (RFC 5034 §4). `mechanism`: in capitals, one that was offered. `initial`: decoded, None when there was none.

    Challenge asks for a SaslResponse; Ok begins the TRANSACTION state; Err ends the exchange.
    """

    mechanism: str
    initial: bytes | None


@dataclass(frozen=True, slots=True)
class SaslResponse:
    """The answer to a Challenge, decoded. None: the client gave up, or sent no base64; answer Err then."""

    response: bytes | None


@dataclass(frozen=True, slots=True)
class ListMechanisms:
    """AUTH without an argument: the list of mechanisms, as clients older than CAPA ask for it."""


@dataclass(frozen=True, slots=True)
class StartTls:
    """STLS (RFC 2595 §4). After Ok the handshake follows, and `tls_started`."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """CAPA (RFC 2449 §5)."""


@dataclass(frozen=True, slots=True)
class Utf8:
    """UTF8 (RFC 6856 §2.1): from now on messages are sent as they are."""


@dataclass(frozen=True, slots=True)
class Language:
    """LANG (RFC 6856 §3). `tag`: lower case; "*" is the default; None asks for the list."""

    tag: str | None


@dataclass(frozen=True, slots=True)
class Statistics:
    """STAT (RFC 1939 §5)."""


@dataclass(frozen=True, slots=True)
class List:
    """LIST (RFC 1939 §5). None is all messages."""

    number: int | None


@dataclass(frozen=True, slots=True)
class UniqueIds:
    """UIDL (RFC 1939 §7). None is all messages."""

    number: int | None


@dataclass(frozen=True, slots=True)
class Retrieve:
    """RETR (RFC 1939 §5)."""

    number: int


@dataclass(frozen=True, slots=True)
class Top:
    """TOP (RFC 1939 §7). `lines`: of the body, 0 or more."""

    number: int
    lines: int


@dataclass(frozen=True, slots=True)
class Delete:
    """DELE (RFC 1939 §5): mark, until the UPDATE state."""

    number: int


@dataclass(frozen=True, slots=True)
class NoOperation:
    """NOOP (RFC 1939 §5)."""


@dataclass(frozen=True, slots=True)
class Reset:
    """RSET (RFC 1939 §5): unmark all."""


@dataclass(frozen=True, slots=True)
class Quit:
    """QUIT (RFC 1939 §4, §6). `update`: it came in the TRANSACTION state, so what is marked is to be removed first.

    The connection ends after the answer, whatever it is.
    """

    update: bool


@dataclass(frozen=True, slots=True)
class BadCommand:
    """Not a command, or not now. Answer with `response`. `last`: it was one too many: close then."""

    response: Err
    last: bool


Event = (
    User
    | Login
    | Authenticate
    | SaslResponse
    | ListMechanisms
    | StartTls
    | Capabilities
    | Utf8
    | Language
    | Statistics
    | List
    | UniqueIds
    | Retrieve
    | Top
    | Delete
    | NoOperation
    | Reset
    | Quit
    | BadCommand
)
