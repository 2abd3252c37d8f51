"""What a client can be answered (RFC 1939 §3). Texts are one line without CRLF, in UTF-8 at most 480 octets."""

from base64 import b64encode
from dataclasses import dataclass
from enum import Enum

from pennypost.proto.pop3.text import dot_stuffed_parts

MAX_TEXT = 480
"""Octets of the text of a response; the line has 512 in all (RFC 2449 §4)."""


class Code(Enum):
    """Why it failed, for programs: the code in brackets (RFC 2449 §6)."""

    IN_USE = "IN-USE"
    """RFC 2449 §8.1.2: the maildrop is locked by another session."""
    LOGIN_DELAY = "LOGIN-DELAY"
    """RFC 2449 §8.1.1: too soon after the last login."""
    SYS_TEMP = "SYS/TEMP"
    """RFC 3206 §4: our fault, and it will pass."""
    SYS_PERM = "SYS/PERM"
    """RFC 3206 §4: our fault, and somebody has to do something."""
    AUTH = "AUTH"
    """RFC 3206 §5: the credentials are wrong, and it is not our fault."""
    UTF8 = "UTF8"
    """RFC 6856 §5: the message can be had in UTF8 mode only."""


@dataclass(frozen=True, slots=True)
class Ok:
    text: str = ""


@dataclass(frozen=True, slots=True)
class Err:
    text: str
    code: Code | None = None


@dataclass(frozen=True, slots=True)
class Challenge:
    """A SASL challenge, not yet base64 (RFC 5034 §4)."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Listing:
    """+OK with lines. `lines`: without CRLF, none that begins with a dot."""

    text: str
    lines: tuple[str, ...] | list[str]


@dataclass(slots=True)  # not frozen: making one takes half as long
class Message:
    """+OK with a message, or the top of one, as it is stored: CRLF lines, not dot-stuffed.

    `octets`: all of it, or its header block, and the `body` that follows. `undotted`: whether it is known that no line
    of the body begins with "."."""

    text: str
    octets: bytes
    body: bytes = b""
    undotted: bool = False


@dataclass(frozen=True, slots=True)
class TextBegin:
    """+OK and the begin of a text whose octets follow by `text_piece` and `text_end`: for what is too large to copy."""

    text: str


Response = Ok | Err | Challenge | Listing | Message | TextBegin


def build_parts(response: Response) -> tuple[bytes, ...]:
    """Give the octets of a response, of a message in parts: it is not copied for it."""
    if isinstance(response, Message):
        return b"+OK %b\r\n" % response.text.encode(), *dot_stuffed_parts(
            response.octets, response.body, response.undotted
        )
    return (build(response),)


def build(response: Response) -> bytes:
    """Give the octets of a response."""
    match response:
        case Ok(text) | TextBegin(text):
            return _line("+OK", text)
        case Err(text, code):
            return _line("-ERR", text if code is None else f"[{code.value}] {text}")
        case Message():
            return b"".join(build_parts(response))
        case Listing(text, lines):
            return "\r\n".join([f"+OK {text}", *lines, ".\r\n"]).encode()
        case Challenge(octets):
            return b"+ %b\r\n" % b64encode(octets)


def _line(status: str, text: str) -> bytes:
    octets = text.encode()
    if len(octets) > MAX_TEXT or not text.isprintable():
        raise ValueError(f"not a response text: {text[:MAX_TEXT]!r}")
    return b"%b %b\r\n" % (status.encode(), octets) if text else status.encode() + b"\r\n"
