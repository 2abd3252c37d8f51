"""Strings on the wire (RFC 9051 §4.3)."""

import re

from pennypost.proto.imap.mailbox_name import encode_name

# What a quoted string takes without regard to the client: 7-bit text, not too long to read
_PLAIN = re.compile(rb"[\x20\x21\x23-\x5b\x5d-\x7e]{0,1024}")
_QUOTABLE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]{0,1024}")
_ESCAPE = re.compile(rb'(["\\])')
_ATOM_STRING = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+")

NIL = b"NIL"


def quoted(value: bytes) -> bytes:
    """Quote a string that has no CR, LF or NUL."""
    return b'"%b"' % (_ESCAPE.sub(rb"\\\1", value))


def literal(value: bytes) -> bytes:
    """Write a literal, its announcement and its octets."""
    return b"{%d}\r\n%b" % (len(value), value)


def literal8(value: bytes) -> bytes:
    """Write a literal8, which may hold NUL (RFC 3516 §4.4, RFC 9051 §4.3.1)."""
    return b"~{%d}\r\n%b" % (len(value), value)


def string(value: bytes) -> bytes:
    """Write a string in the shortest form every client reads: quoted if it is 7-bit text, else a literal."""
    if _PLAIN.fullmatch(value) is not None:
        return b'"%b"' % value
    return quoted(value) if _QUOTABLE.fullmatch(value) is not None else literal(value)


def nstring(value: bytes | None) -> bytes:
    return NIL if value is None else string(value)


def astring(value: bytes) -> bytes:
    """Write an atom where the grammar allows it, else a string."""
    if _ATOM_STRING.fullmatch(value) is not None and value.upper() != NIL:
        return value
    return string(value)


def text_string(value: str, utf8: bool) -> bytes:
    """Write text: UTF-8 in quotes to a client that takes it so (RFC 9051 §4.3), else a literal if it is not ASCII."""
    octets = value.encode("utf-8")
    if utf8 and len(octets) <= 1024 and not any(c in octets for c in b"\r\n\x00"):
        return quoted(octets)
    return string(octets)


def mailbox(name: str, utf8: bool) -> bytes:
    """Write a mailbox name: modified UTF-7, or UTF-8 to a client that enabled it. Never an atom, but for INBOX."""
    if name == "INBOX":
        return b"INBOX"
    return text_string(name, utf8=True) if utf8 else string(encode_name(name, utf8=False))
