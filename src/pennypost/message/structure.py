"""The MIME index: where each part of a message is and what it says it is, and its stored form.

Offsets are relative to the start of the *body*, the octets behind the top header block. So fields may be put before the
header (Return-Path at delivery, RFC 5321 §4.4) and the index stays right without a change.

These classes are msgspec structs: they are made, packed and unpacked many times faster than dataclasses, and a
server reads an index for every part that a client asks for.
"""

from enum import Enum

import msgspec

Parameters = tuple[tuple[bytes, bytes], ...]
"""(lower-case name, value unquoted) in order. RFC 2231 continuations are joined; a name that ends in `*` has a value in
the extended form of RFC 2231 §4, still percent-encoded, for `parameters.text_value` to decode."""

_FORMAT = b"\x01"

NO_LINES = -1


class Part(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One body part (RFC 2045 §2.5), or a message: the whole one, or one inside a message/rfc822 part.

    `header_start` … `body_start`: its header with the empty line; `body_start` … `body_end`: its body, without the line
    end that belongs to the delimiter after it (RFC 2046 §5.1.1). The whole message has its header in the header block
    and `header_start == body_start == 0`.
    """

    header_start: int
    body_start: int
    body_end: int
    type: bytes = b"text"
    """Lower case, as `subtype` and `encoding` are. RFC 2045 §5.2 defaults are filled in."""
    subtype: bytes = b"plain"
    parameters: Parameters = ()
    encoding: bytes = b"7bit"
    lines: int = NO_LINES
    """LFs in the body of a text or message/rfc822 part."""
    content_id: bytes | None = None
    description: bytes | None = None
    md5: bytes | None = None
    disposition: bytes | None = None
    """Lower case; RFC 2183."""
    disposition_parameters: Parameters = ()
    language: tuple[bytes, ...] = ()
    location: bytes | None = None
    envelope: bytes | None = None
    """Of a message inside a message/rfc822 part: its ENVELOPE in IMAP form."""
    children: "tuple[Part, ...]" = ()
    """The parts of a multipart, or the one message inside a message/rfc822 part."""

    @property
    def size(self) -> int:
        """Octets of the body, still encoded."""
        return self.body_end - self.body_start

    @property
    def is_multipart(self) -> bool:
        return self.type == b"multipart"

    @property
    def lacks_parts(self) -> bool:
        """Whether it is a multipart in which no part was found: all of its body is preamble."""
        return len(self.children) == 1 and self.children[0].header_start == self.body_end and self.is_multipart

    @property
    def is_message(self) -> bool:
        """Whether it is a message/rfc822 (or RFC 6532 message/global) part with a message inside."""
        return self.type == b"message" and len(self.children) == 1

    def parameter(self, name: bytes) -> bytes | None:
        """Give the plain value of a Content-Type parameter. `name`: lower case."""
        for key, value in self.parameters:
            if key == name:
                return value
        return None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Part)


def encode(index: Part) -> bytes:
    """Pack an index for storing: one octet of format version, then MessagePack."""
    return _FORMAT + _encoder.encode(index)


def decode(stored: bytes) -> Part:
    """Unpack what `encode` packed. Raises ValueError for what it did not pack."""
    if stored[:1] != _FORMAT:
        raise ValueError("a MIME index in an unknown format")
    try:
        return _decoder.decode(memoryview(stored)[1:])
    except msgspec.DecodeError as error:
        raise ValueError("a damaged MIME index") from error


class Section(Enum):
    """What IMAP can ask of a part: BODY[1.2], BODY[1.2.MIME], BODY[1.2.HEADER], BODY[1.2.TEXT] (RFC 9051 §6.4.5)."""

    CONTENT = ""
    MIME = "MIME"
    HEADER = "HEADER"
    TEXT = "TEXT"


class Span(msgspec.Struct, frozen=True):
    """Octets `start` … `end` of the body; or, `in_header_block`, the whole header block (then both are 0)."""

    start: int
    end: int
    in_header_block: bool = False


def find_part(index: Part, numbers: tuple[int, ...]) -> Part | None:
    """Find a part by its part specifier (RFC 9051 §6.4.5.1), 1-based; None if there is no such part.

    Part 1 of a message that is no multipart is its body: the message itself is given. Part numbers under a
    message/rfc822 part count the parts of the message inside.
    """
    part = index
    inside_message = True
    for number in numbers:
        if number < 1:
            return None
        if part.is_message and not inside_message:
            part = part.children[0]
            inside_message = True
        if part.is_multipart and part.children:
            if number > len(part.children):
                return None
            part = part.children[number - 1]
            inside_message = False
        elif number == 1 and inside_message:
            inside_message = False
        else:
            return None
    return part


def locate(index: Part, numbers: tuple[int, ...], section: Section) -> Span | None:
    """Find the octets that BODY[numbers.section] names (RFC 9051 §6.4.5.1); None if there are none such.

    `numbers` empty: HEADER is the header block, TEXT and CONTENT the body.
    """
    if not numbers:
        if section in (Section.HEADER, Section.MIME):
            return Span(0, 0, True) if section is Section.HEADER else None
        return Span(index.body_start, index.body_end)
    part = find_part(index, numbers)
    if part is None:
        return None
    match section:
        case Section.CONTENT:
            return Span(part.body_start, part.body_end)
        case Section.MIME:
            if part is index:
                return Span(0, 0, True)
            return Span(part.header_start, part.body_start)
        case _:
            if not part.is_message:
                return None
            inner = part.children[0]
            if section is Section.HEADER:
                return Span(inner.header_start, inner.body_start)
            return Span(inner.body_start, inner.body_end)
