"""REPLACE and UID REPLACE (RFC 8508): an APPEND that takes the place of a message of the open mailbox."""

import re

from msgspec.structs import replace

from pennypost.proto.imap.commands.announcement import read_close
from pennypost.proto.imap.commands.append import Append, read_message
from pennypost.proto.imap.commands.catenate import NOTHING, AppendRest
from pennypost.proto.imap.reader import BadSyntax, Reader
from pennypost.proto.imap.sequence import STAR

_ARGUMENT = re.compile(rb"\{[0-9]{1,19}\+?\}\Z")


def begin_replace(reader: Reader) -> Append | None:
    """Read a REPLACE up to the literal announced at its end; None if that literal is the mailbox name still."""
    return _begin(reader, uid=False)


def begin_uid_replace(reader: Reader) -> Append | None:
    return _begin(reader, uid=True)


def _begin(reader: Reader, uid: bool) -> Append | None:
    reader.space("a message")
    message = reader.sequence_set()
    if message.saved or len(message.ranges) != 1 or message.ranges[0][0] != message.ranges[0][1]:
        raise BadSyntax("expected one message")
    if uid and message.ranges[0][0] == STAR:
        raise BadSyntax("expected a UID")
    reader.space("a mailbox name")
    if _ARGUMENT.match(reader.octets, reader.at):
        return None
    return replace(read_message(reader, reader.mailbox()), replaces=message, uid=uid)


def end_replace(reader: Reader, before: Append) -> AppendRest:
    """Read what follows the message on its line: nothing."""
    read_close(reader, before.wrapped)
    reader.end()
    return NOTHING


def parse_replace(reader: Reader) -> Append:
    """Read a REPLACE that ended without a message: never well-formed."""
    begin_replace(reader)
    raise BadSyntax("expected a message literal")
