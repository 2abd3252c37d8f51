"""What a session says has happened. After each, a reply is due, except after BodyChunk."""

from dataclasses import dataclass

from pennypost.model.envelope import Envelope, Recipient
from pennypost.model.errors import MailError
from pennypost.proto.smtp.reply import Reply


@dataclass(frozen=True, slots=True)
class Hello:
    """HELO, EHLO or LHLO (RFC 5321 §4.1.1.1). `name`: what the client calls itself. Ends an open transaction."""

    name: str
    extended: bool


@dataclass(frozen=True, slots=True)
class StartTls:
    """STARTTLS (RFC 3207). After a 220 reply, and the handshake, call `tls_started`."""


@dataclass(frozen=True, slots=True)
class Authenticate:
    """AUTH (RFC 4954 §4). `mechanism`: in capitals, one that is offered. `initial`: decoded; None when not given.

    A 334 reply asks for a response, which comes as AuthResponse; any other ends the exchange.
    """

    mechanism: str
    initial: bytes | None


@dataclass(frozen=True, slots=True)
class AuthResponse:
    """The decoded response to a challenge."""

    data: bytes


@dataclass(frozen=True, slots=True)
class MailFrom:
    """MAIL (RFC 5321 §4.1.1.2). `envelope`: without recipients."""

    envelope: Envelope


@dataclass(frozen=True, slots=True)
class RcptTo:
    """RCPT (RFC 5321 §4.1.1.3)."""

    recipient: Recipient


@dataclass(frozen=True, slots=True)
class DataStart:
    """DATA (RFC 5321 §4.1.1.4). A 354 reply lets the text come."""


@dataclass(frozen=True, slots=True)
class BodyChunk:
    """Octets of the message, dots unstuffed, in any cut. No reply is due."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class ChunkEnd:
    """A BDAT chunk that is not the last is complete (RFC 3030 §2). `size`: its octets. `problem`: as in BodyEnd."""

    size: int
    problem: MailError | None


@dataclass(frozen=True, slots=True)
class BodyEnd:
    """The message is complete. `size`: its octets, also those that were not given out after a problem.

    `problem`: why it has to be refused, or None. In LMTP a reply is due for each accepted recipient (RFC 2033 §4.2).
    """

    size: int
    problem: MailError | None


@dataclass(frozen=True, slots=True)
class Reset:
    """RSET (RFC 5321 §4.1.1.5)."""


@dataclass(frozen=True, slots=True)
class Quit:
    """QUIT (RFC 5321 §4.1.1.10)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A command that needs nobody's decision: send `reply`. A running AUTH exchange is over."""

    reply: Reply


Event = (
    Hello
    | StartTls
    | Authenticate
    | AuthResponse
    | MailFrom
    | RcptTo
    | DataStart
    | BodyChunk
    | ChunkEnd
    | BodyEnd
    | Reset
    | Quit
    | Answer
)
