"""Status responses and continuation requests (RFC 9051 §7.1, §7.6).

Texts are one line of ASCII of ours: what a client sent is never echoed in them.
"""

from binascii import b2a_base64
from enum import Enum

import msgspec

from pennypost.proto.imap.responses.codes import ResponseCode


class Condition(Enum):
    OK = b"OK"
    NO = b"NO"
    BAD = b"BAD"
    PREAUTH = b"PREAUTH"
    BYE = b"BYE"


class Tagged(msgspec.Struct, frozen=True):
    """The end of a command: OK, NO or BAD. `ImapServerSession.send` adds the tag and moves the state."""

    condition: Condition
    text: str
    code: ResponseCode | None = None


def ok(text: str, code: ResponseCode | None = None) -> Tagged:
    return Tagged(Condition.OK, text, code)


def no(text: str, code: ResponseCode | None = None) -> Tagged:
    return Tagged(Condition.NO, text, code)


def bad(text: str, code: ResponseCode | None = None) -> Tagged:
    return Tagged(Condition.BAD, text, code)


def status_line(tag: bytes, condition: Condition, text: str, code: ResponseCode | None = None) -> bytes:
    """Write `tag OK [CODE] text`."""
    if code is None:
        return b"%b %b %b\r\n" % (tag, condition.value, text.encode("ascii"))
    return b"%b %b [%b] %b\r\n" % (tag, condition.value, code, text.encode("ascii"))


def untagged(condition: Condition, text: str, code: ResponseCode | None = None) -> bytes:
    """Write `* OK [CODE] text`: a greeting, news, or BYE."""
    return status_line(b"*", condition, text, code)


def continuation(text: str) -> bytes:
    """Ask for more (RFC 9051 §7.6)."""
    return b"+ %b\r\n" % text.encode("ascii")


def challenge(data: bytes) -> bytes:
    """Ask for the next line of a SASL exchange (RFC 9051 §6.2.2); `data` goes out in base64."""
    return b"+ %b\r\n" % b2a_base64(data, newline=False)
