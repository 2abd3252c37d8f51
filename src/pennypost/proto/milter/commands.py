"""What the server says (SMFIC_*), as packets."""

from dataclasses import dataclass
from typing import ClassVar

from pennypost.model.errors import UsageError
from pennypost.proto.milter.options import ALL_ACTIONS, ALL_STEPS, VERSION, Steps

BODY_CHUNK = 65535
"""Octets of the body in one packet (MILTER_CHUNK_SIZE)."""


def packet(letter: bytes, data: bytes) -> bytes:
    """Put a packet together."""
    return (len(data) + 1).to_bytes(4) + letter + data


def strings(*each: bytes) -> bytes:
    """Write strings, each with its NUL. Raises UsageError for one that holds a NUL."""
    if any(b"\0" in one for one in each):
        raise UsageError("a NUL within a string")
    return b"".join(one + b"\0" for one in each)


class Command:
    """Something the server says. `letter`: SMFIC_*. `unwanted`, `silent`: the steps by which a filter declines it, or
    declines to answer. `macro_stage`: where macros for it are listed (SMFIM_*), None for none."""

    letter: ClassVar[bytes]
    unwanted: ClassVar[Steps] = Steps(0)
    silent: ClassVar[Steps] = Steps(0)
    macro_stage: ClassVar[int | None] = None

    def data(self) -> bytes:
        """Give what comes behind the letter."""
        return b""

    def encode(self) -> bytes:
        """Give the octets that go on the wire."""
        return packet(self.letter, self.data())


@dataclass(frozen=True, slots=True)
class Negotiate(Command):
    """SMFIC_OPTNEG: offer all that we can."""

    letter: ClassVar[bytes] = b"O"

    def data(self) -> bytes:
        return VERSION.to_bytes(4) + ALL_ACTIONS.to_bytes(4) + ALL_STEPS.to_bytes(4)


@dataclass(frozen=True, slots=True)
class Connect(Command):
    """SMFIC_CONNECT. `name`: the client's, or its address in brackets. `family`: b"4", b"6", b"L", or b"U" for
    unknown."""

    letter: ClassVar[bytes] = b"C"
    unwanted: ClassVar[Steps] = Steps.NO_CONNECT
    silent: ClassVar[Steps] = Steps.SILENT_CONNECT
    macro_stage: ClassVar[int | None] = 0
    name: bytes
    family: bytes
    port: int = 0
    address: bytes = b""

    def data(self) -> bytes:
        if self.family == b"U":
            return strings(self.name) + self.family
        return strings(self.name) + self.family + self.port.to_bytes(2) + strings(self.address)


@dataclass(frozen=True, slots=True)
class Helo(Command):
    """SMFIC_HELO."""

    letter: ClassVar[bytes] = b"H"
    unwanted: ClassVar[Steps] = Steps.NO_HELO
    silent: ClassVar[Steps] = Steps.SILENT_HELO
    macro_stage: ClassVar[int | None] = 1
    name: bytes

    def data(self) -> bytes:
        return strings(self.name)


@dataclass(frozen=True, slots=True)
class Mail(Command):
    """SMFIC_MAIL. `path`: with its angle brackets; `parameters`: as "SIZE=100"."""

    letter: ClassVar[bytes] = b"M"
    unwanted: ClassVar[Steps] = Steps.NO_MAIL
    silent: ClassVar[Steps] = Steps.SILENT_MAIL
    macro_stage: ClassVar[int | None] = 2
    path: bytes
    parameters: tuple[bytes, ...] = ()

    def data(self) -> bytes:
        return strings(self.path, *self.parameters)


@dataclass(frozen=True, slots=True)
class Rcpt(Command):
    """SMFIC_RCPT."""

    letter: ClassVar[bytes] = b"R"
    unwanted: ClassVar[Steps] = Steps.NO_RCPT
    silent: ClassVar[Steps] = Steps.SILENT_RCPT
    macro_stage: ClassVar[int | None] = 3
    path: bytes
    parameters: tuple[bytes, ...] = ()

    def data(self) -> bytes:
        return strings(self.path, *self.parameters)


@dataclass(frozen=True, slots=True)
class Data(Command):
    """SMFIC_DATA."""

    letter: ClassVar[bytes] = b"T"
    unwanted: ClassVar[Steps] = Steps.NO_DATA
    silent: ClassVar[Steps] = Steps.SILENT_DATA
    macro_stage: ClassVar[int | None] = 4


@dataclass(frozen=True, slots=True)
class Header(Command):
    """SMFIC_HEADER. `value`: lines end with LF, without one at the end."""

    letter: ClassVar[bytes] = b"L"
    unwanted: ClassVar[Steps] = Steps.NO_HEADERS
    silent: ClassVar[Steps] = Steps.SILENT_HEADERS
    name: bytes
    value: bytes

    def data(self) -> bytes:
        return strings(self.name, self.value)


@dataclass(frozen=True, slots=True)
class EndOfHeaders(Command):
    """SMFIC_EOH."""

    letter: ClassVar[bytes] = b"N"
    unwanted: ClassVar[Steps] = Steps.NO_END_OF_HEADERS
    silent: ClassVar[Steps] = Steps.SILENT_END_OF_HEADERS
    macro_stage: ClassVar[int | None] = 6


@dataclass(frozen=True, slots=True)
class Body(Command):
    """SMFIC_BODY: at most `BODY_CHUNK` octets, CRLF lines, any cut."""

    letter: ClassVar[bytes] = b"B"
    unwanted: ClassVar[Steps] = Steps.NO_BODY
    silent: ClassVar[Steps] = Steps.SILENT_BODY
    octets: bytes

    def data(self) -> bytes:
        if len(self.octets) > BODY_CHUNK:
            raise UsageError("a chunk that is too large")
        return self.octets


@dataclass(frozen=True, slots=True)
class EndOfMessage(Command):
    """SMFIC_BODYEOB."""

    letter: ClassVar[bytes] = b"E"
    macro_stage: ClassVar[int | None] = 5


@dataclass(frozen=True, slots=True)
class Abort(Command):
    """SMFIC_ABORT: the message ended before its time. Not answered."""

    letter: ClassVar[bytes] = b"A"


@dataclass(frozen=True, slots=True)
class Quit(Command):
    """SMFIC_QUIT. Not answered."""

    letter: ClassVar[bytes] = b"Q"


def macros(command: Command, values: list[tuple[bytes, bytes]]) -> bytes:
    """Give the packet that defines macros for the command behind it (SMFIC_MACRO); b"" for none."""
    if not values:
        return b""
    return packet(b"D", command.letter + strings(*(part for pair in values for part in pair)))
