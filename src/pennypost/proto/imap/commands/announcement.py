"""How a message, or a text of one, is announced at the end of a line: a literal (RFC 9051 §4.3), a literal8 (RFC 3516
§4.4), or a literal8 in the wrapping of RFC 6855 §4, `UTF8 (~{n}…)`, which RFC 9755 dropped and clients still use."""

import re
from typing import NamedTuple

from pennypost.proto.imap.limits import MAX_NUMBER64
from pennypost.proto.imap.reader import BadSyntax, Reader

_BRACE = 0x7B
_ARGUMENT = re.compile(rb"\{[0-9]{1,19}\+?\}\Z")
_LITERAL = re.compile(rb"(~?)\{([0-9]{1,19})(\+?)\}\Z")


class Announcement(NamedTuple):
    """`size`: octets that follow. `binary`: it is a literal8. `synchronizing`: the client waits to be asked for it.

    `wrapped`: it stands in the parentheses of UTF8, which close behind it.
    """

    size: int
    binary: bool
    synchronizing: bool
    wrapped: bool


def is_argument(reader: Reader) -> bool:
    """Whether the line ends here with a literal; where an argument is expected, one that is still to come."""
    return _ARGUMENT.match(reader.octets, reader.at) is not None


def read_announcement(reader: Reader, name: str) -> Announcement:
    """Read an announcement, with which the line ends. `name`: what is expected here."""
    wrapped = reader.next_octet() != _BRACE and reader.peek_word() == b"UTF8"
    if wrapped:
        reader.word(name)
        reader.space("a literal8 in parentheses")
        reader.expect(b"(", "a literal8 in parentheses")
    found = _LITERAL.match(reader.octets, reader.at)
    if found is None or (wrapped and not found.group(1)):
        raise BadSyntax(f"expected {'a literal8' if wrapped else name}")
    size = int(found.group(2))
    if size > MAX_NUMBER64:
        raise BadSyntax("literal is too large")
    return Announcement(size, bool(found.group(1)), not found.group(3), wrapped)


def read_close(reader: Reader, wrapped: bool) -> None:
    """Read the parenthesis that closes behind a literal that was wrapped."""
    if wrapped:
        reader.expect(b")", "a closing parenthesis")
