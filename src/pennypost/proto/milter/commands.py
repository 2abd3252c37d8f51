"""What the server says (SMFIC_*), as packets."""

from collections.abc import Mapping
from dataclasses import dataclass

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
    """Something the server says."""

    def data(self) -> bytes:
        """Give what comes behind the letter."""
        return b""

    def encode(self) -> bytes:
        """Give the octets that go on the wire."""
        return packet(TRAITS[type(self)].letter, self.data())


@dataclass(frozen=True, slots=True)
class Negotiate(Command):
    """SMFIC_OPTNEG: offer all that we can."""

    def data(self) -> bytes:
        return VERSION.to_bytes(4) + ALL_ACTIONS.to_bytes(4) + ALL_STEPS.to_bytes(4)


@dataclass(frozen=True, slots=True)
class Connect(Command):
    """SMFIC_CONNECT. `name`: the client's, or its address in brackets. `family`: b"4", b"6", b"L", or b"U" for
    unknown."""

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

    name: bytes

    def data(self) -> bytes:
        return strings(self.name)


@dataclass(frozen=True, slots=True)
class Mail(Command):
    """SMFIC_MAIL. `path`: with its angle brackets; `parameters`: as "SIZE=100"."""

    path: bytes
    parameters: tuple[bytes, ...] = ()

    def data(self) -> bytes:
        return strings(self.path, *self.parameters)


@dataclass(frozen=True, slots=True)
class Rcpt(Command):
    """SMFIC_RCPT."""

    path: bytes
    parameters: tuple[bytes, ...] = ()

    def data(self) -> bytes:
        return strings(self.path, *self.parameters)


@dataclass(frozen=True, slots=True)
class Data(Command):
    """SMFIC_DATA."""


@dataclass(frozen=True, slots=True)
class Header(Command):
    """SMFIC_HEADER. `value`: lines end with LF, without one at the end."""

    name: bytes
    value: bytes

    def data(self) -> bytes:
        return strings(self.name, self.value)


@dataclass(frozen=True, slots=True)
class EndOfHeaders(Command):
    """SMFIC_EOH."""


@dataclass(frozen=True, slots=True)
class Body(Command):
    """SMFIC_BODY: at most `BODY_CHUNK` octets, CRLF lines, any cut."""

    octets: bytes

    def data(self) -> bytes:
        if len(self.octets) > BODY_CHUNK:
            raise UsageError("a chunk that is too large")
        return self.octets


@dataclass(frozen=True, slots=True)
class EndOfMessage(Command):
    """SMFIC_BODYEOB."""


@dataclass(frozen=True, slots=True)
class Abort(Command):
    """SMFIC_ABORT: the message ended before its time. Not answered."""


@dataclass(frozen=True, slots=True)
class Quit(Command):
    """SMFIC_QUIT. Not answered."""


@dataclass(frozen=True, slots=True)
class Trait:
    """What a kind of command is like. `letter`: SMFIC_*. `unwanted`, `silent`: the steps by which a filter declines it,
    or declines to answer. `macro_stage`: where macros for it are listed (SMFIM_*), None for none."""

    letter: bytes
    unwanted: Steps
    silent: Steps
    macro_stage: int | None


TRAITS: Mapping[type[Command], Trait] = {
    Negotiate: Trait(b"O", Steps(0), Steps(0), None),
    Connect: Trait(b"C", Steps.NO_CONNECT, Steps.SILENT_CONNECT, 0),
    Helo: Trait(b"H", Steps.NO_HELO, Steps.SILENT_HELO, 1),
    Mail: Trait(b"M", Steps.NO_MAIL, Steps.SILENT_MAIL, 2),
    Rcpt: Trait(b"R", Steps.NO_RCPT, Steps.SILENT_RCPT, 3),
    Data: Trait(b"T", Steps.NO_DATA, Steps.SILENT_DATA, 4),
    Header: Trait(b"L", Steps.NO_HEADERS, Steps.SILENT_HEADERS, None),
    EndOfHeaders: Trait(b"N", Steps.NO_END_OF_HEADERS, Steps.SILENT_END_OF_HEADERS, 6),
    Body: Trait(b"B", Steps.NO_BODY, Steps.SILENT_BODY, None),
    EndOfMessage: Trait(b"E", Steps(0), Steps(0), 5),
    Abort: Trait(b"A", Steps(0), Steps(0), None),
    Quit: Trait(b"Q", Steps(0), Steps(0), None),
}


def macros(command: Command, values: list[tuple[bytes, bytes]]) -> bytes:
    """Give the packet that defines macros for the command behind it (SMFIC_MACRO); b"" for none."""
    if not values:
        return b""
    return packet(b"D", TRAITS[type(command)].letter + strings(*(part for pair in values for part in pair)))
