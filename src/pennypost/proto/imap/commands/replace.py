"""REPLACE and UID REPLACE (RFC 8508): an APPEND that takes the place of a message of the open mailbox.

Its message may be put together by CATENATE, as one of APPEND (RFC 8508 §4.2), but there is only one (§4.7).
"""

from msgspec.structs import replace

from pennypost.proto.imap.commands.announcement import is_argument, read_close
from pennypost.proto.imap.commands.append import Append, read_message
from pennypost.proto.imap.commands.catenate import (
    NOTHING,
    AppendRest,
    Catenate,
    CatenateText,
    Composed,
    read_rest,
)
from pennypost.proto.imap.reader import BadSyntax, Reader
from pennypost.proto.imap.sequence import STAR


def begin_replace(reader: Reader) -> Append | None:
    """Read a REPLACE up to the literal announced at its end; None if that literal is the mailbox name still, or a URL
    that is part of the message."""
    return _begin(reader, uid=False)


def begin_uid_replace(reader: Reader) -> Append | None:
    return _begin(reader, uid=True)


def _begin(reader: Reader, uid: bool) -> Append | None:
    found = _read(reader, uid)
    return None if isinstance(found, Catenate) else found


def _read(reader: Reader, uid: bool) -> Append | Catenate | None:
    reader.space("a message")
    message = reader.sequence_set()
    if message.saved or len(message.ranges) != 1 or message.ranges[0][0] != message.ranges[0][1]:
        raise BadSyntax("expected one message")
    if uid and message.ranges[0][0] == STAR:
        raise BadSyntax("expected a UID")
    reader.space("a mailbox name")
    if is_argument(reader):
        return None
    mailbox = reader.mailbox()
    found = read_message(reader, mailbox)
    if found is None:
        return None
    if isinstance(found, Composed):
        reader.end()
        return Catenate(mailbox, (found,), message, uid)
    return replace(found, replaces=message, uid=uid)


def end_replace(reader: Reader, before: Append) -> CatenateText | AppendRest:
    """Read what follows a literal on its line: more of a message that is put together, or nothing."""
    read_close(reader, before.wrapped)
    rest = NOTHING
    if before.catenates:
        found = read_rest(reader)
        if isinstance(found, CatenateText):
            return found
        rest = AppendRest(found)
    reader.end()
    return rest


def parse_replace(reader: Reader) -> Catenate:
    """Read a REPLACE that ended without a literal: well-formed only if URLs are all there is."""
    return _parse(reader, uid=False)


def parse_uid_replace(reader: Reader) -> Catenate:
    return _parse(reader, uid=True)


def _parse(reader: Reader, uid: bool) -> Catenate:
    found = _read(reader, uid)
    if isinstance(found, Catenate):
        return found
    raise BadSyntax("expected a message literal")
