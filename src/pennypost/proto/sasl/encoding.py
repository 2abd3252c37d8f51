"""The base64 in which line protocols carry an exchange (RFC 4954 §4, RFC 9051 §6.2.2, RFC 5034 §4)."""

from base64 import b64encode
from binascii import Error, a2b_base64

MAX_LINE = 12288
"""Octets of a base64 line without its CRLF (RFC 4954 §4)."""


def decode(line: bytes) -> bytes | None:
    """Decode a response. None when it is no base64 (RFC 4648 §4): stray characters and wrong padding are refused."""
    try:
        return a2b_base64(line, strict_mode=True) if line else b""
    except Error:
        return None


def decode_initial(argument: bytes) -> bytes | None:
    """Decode the initial response of an AUTH command, where `=` is the empty one (RFC 4954 §4, RFC 5034 §4)."""
    if not argument:
        return None
    return b"" if argument == b"=" else decode(argument)


def encode(challenge: bytes) -> bytes:
    """Encode a challenge."""
    return b64encode(challenge)
