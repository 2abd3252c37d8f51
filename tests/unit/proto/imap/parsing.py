"""Reads one command as the machine would, without the machine."""

import pytest

from pennypost.proto.imap.commands import COMMANDS, CommandBody
from pennypost.proto.imap.reader import BadSyntax, Reader


def parse(line: bytes, utf8: bool = False) -> CommandBody:
    """`line`: a command without its tag and last CRLF; literals in place."""
    verb = line.split(b" ", 1)[0].upper()
    if verb == b"UID":
        verb = b" ".join(line.split(b" ", 2)[:2]).upper()
    return COMMANDS[verb].parse(Reader(line, len(verb), utf8))


def reason(line: bytes, utf8: bool = False) -> str:
    """Give the reason why a command is not well-formed."""
    with pytest.raises(BadSyntax) as caught:
        parse(line, utf8)
    return caught.value.reason
