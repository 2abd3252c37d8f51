"""What a screener is asked about a message, and what it may answer.

A *screener* is a program of somebody else's: ClamAV, Rspamd, a milter, a list in the DNS, a web service. It is asked at
the moments it wants to be asked at: when the sender is named, at each recipient, when the whole message is there, and
when its content has been looked into. Each time it gives an `Opinion`. Whoever asks decides what follows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from pennypost.junk.content import Content
from pennypost.junk.evidence import Evidence
from pennypost.model.address import Address
from pennypost.model.envelope import Envelope, Recipient
from pennypost.model.peer import Peer, TlsInfo

if TYPE_CHECKING:
    from pennypost.clients.screening.settings import ScreenerSettings

MAX_NOTE = 200
"""Characters of a note that is kept."""

MAX_FIELD_OCTETS = 64 * 1024
"""Octets of a field body that somebody may add to a header."""


class ScreenerFailed(Exception):
    """It gave no answer that could be used. The text says why, in one line."""


class Ruling(Enum):
    """What is to become of a message. The later ones outdo those before them."""

    ACCEPT = "accept"
    JUNK = "junk"
    """To the mailbox for junk."""
    HOLD = "hold"
    """To the mailbox in which such mail is held; without one, as junk."""
    DEFER = "defer"
    """Its sender is told to try again later."""
    REFUSE = "refuse"
    """Its sender is told that it is not taken."""


GRAVITY = {ruling: number for number, ruling in enumerate(Ruling)}


class Moment(Enum):
    """When a screener is asked."""

    SENDER = "sender"
    RECIPIENT = "recipient"
    MESSAGE = "message"
    CONTENT = "content"
    DELIVERED = "delivered"


@dataclass(frozen=True, slots=True)
class Visit:
    """Who brings a message. `hostname`: who we say we are. `id`: what our Received field will call the message.

    `hello`: the argument of HELO or EHLO; `extended`: it was EHLO. `user`: who logged in, "" for a stranger.
    """

    peer: Peer
    hello: str
    hostname: str
    id: str
    tls: TlsInfo | None = None
    user: str = ""
    extended: bool = True


@dataclass(frozen=True, slots=True)
class Specimen:
    """A message that is not accepted yet. `header`: its header block as it is going to be stored, but for what we put
    on top; `body`: the rest, CRLF lines, valid while the question is asked.

    `verdicts`: what our own checks of its sender said, by name. `replace_body`: takes the octets of a body to be stored
    in place of this one, in any number of pieces; the first call begins it. Raises ScreenerFailed when it gets too
    large.
    """

    envelope: Envelope
    header: bytes
    body: memoryview
    verdicts: Mapping[str, str] = field(default_factory=dict)
    replace_body: Callable[[bytes], None] | None = None

    @property
    def size(self) -> int:
        """Octets of header and body."""
        return len(self.header) + len(self.body)

    def pieces(self, octets: int, start: int = 0) -> Iterator[bytes]:
        """Give the message in pieces of at most so many octets. Each is a copy: the body's file can be closed when they
        are still held. `start`: 0, or the size of the header for the body alone."""
        for at in range(start, len(self.header), octets):
            yield self.header[at : at + octets]
        for at in range(0, len(self.body), octets):
            yield bytes(self.body[at : at + octets])


@dataclass(frozen=True, slots=True)
class AddField:
    """A header field to be added. `value`: without CRLF at its end, folded with CRLF. `position`: the number of fields
    that stand before it; None: at the end."""

    name: bytes
    value: bytes
    position: int | None = 0


@dataclass(frozen=True, slots=True)
class ChangeField:
    """Another value for a field that is there. `occurrence`: which one of that name, from 1; 0 is all of them. `value`:
    None removes it; a value where there is no such field adds one at the end."""

    name: bytes
    occurrence: int
    value: bytes | None


HeaderChange = AddField | ChangeField


@dataclass(frozen=True, slots=True)
class Reply:
    """What a sender is told. `status`: RFC 3463, agreeing with `code`; "" for the usual one."""

    code: int
    status: str
    text: str


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a screener says. `note`: a few words for the log and the timeline. `reply`: with DEFER and REFUSE.

    `header`: changes, in their order. `sender`: another reverse-path, in a tuple because None is one, too. `add`,
    `remove`: recipients. `evidence`: reasons that count in the score. `finished`: it wants to hear no more of this
    message. `failed`: nothing was found out.
    """

    ruling: Ruling = Ruling.ACCEPT
    note: str = ""
    reply: Reply | None = None
    evidence: tuple[Evidence, ...] = ()
    header: tuple[HeaderChange, ...] = ()
    sender: tuple[Address | None] | None = None
    add: tuple[Address, ...] = ()
    remove: tuple[Address, ...] = ()
    finished: bool = False
    failed: bool = False


NOTHING = Opinion()
"""It has nothing to say."""


class Screening:
    """One screener's look at one transaction. What is not overridden has nothing to say.

    Each question raises ScreenerFailed, OSError, ConnectionEnded, PeerError or TimeoutError when there is no answer.
    """

    async def sender(self, envelope: Envelope) -> Opinion:
        """Judge who brings mail, and MAIL FROM. `envelope` has no recipients yet."""
        return NOTHING

    async def recipient(self, envelope: Envelope, recipient: Recipient) -> Opinion:
        """Judge a recipient that we would take."""
        return NOTHING

    async def message(self, specimen: Specimen) -> Opinion:
        """Judge the whole message."""
        return NOTHING

    async def content(self, envelope: Envelope, content: Content) -> Opinion:
        """Judge what was found in the message. Evidence only."""
        return NOTHING

    def delivered(self, envelope: Envelope, size: int, stored: Sequence[str]) -> None:
        """The message is stored. `size`: octets as they came; `stored`: what the store calls its parts. Must not
        wait."""

    def end(self) -> None:
        """The transaction is over, however it ended. Must not wait."""


class Screener(Protocol):
    """Somebody who is asked; one for each worker. `name`: what logs and evidence call it. `kind`: what figures do.

    `in_turn`: it may change the message, and so is asked alone, after those that only look.
    """

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def settings(self) -> "ScreenerSettings": ...
    @property
    def moments(self) -> frozenset[Moment]: ...
    @property
    def in_turn(self) -> bool: ...

    def begin(self, visit: Visit) -> Screening:
        """Begin a transaction. Asks nothing yet."""

    async def close(self) -> None:
        """Let go of connections."""


def one_line(text: str) -> str:
    """Make a text of somebody else's fit for a reply, a log or a header: one line of printable ASCII, not too long."""
    plain = "".join(c if c.isascii() and c.isprintable() else " " if c.isspace() else "?" for c in text)
    return " ".join(plain.split())[:MAX_NOTE]


def field_line(text: str) -> bytes | None:
    """Make a field body of somebody else's fit for a header: line ends become folds. None: it cannot be one."""
    octets = text.encode("utf-8", "surrogateescape").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    lines = [line.rstrip() for line in octets.split(b"\n") if line.strip()]
    if b"\0" in octets or not lines or len(octets) > MAX_FIELD_OCTETS:
        return None
    return b"\r\n".join([lines[0].lstrip(), *(line if line[0] in b" \t" else b"\t" + line for line in lines[1:])])


def is_field_name(name: bytes) -> bool:
    """Whether a header field can be called so (RFC 5322 §2.2)."""
    return 0 < len(name) <= 76 and all(33 <= octet <= 126 and octet != 58 for octet in name)
