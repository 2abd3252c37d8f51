"""APPEND (RFC 9051 §6.3.12), with BINARY (RFC 3516 §4.4), MULTIAPPEND (RFC 3502) and CATENATE (RFC 4469).

The message is never an argument: when the machine meets a literal in an APPEND it asks `begin_append` whether the
message starts here, announces it, and hands it on in chunks. What may follow it is read by `end_append`.
"""

from datetime import datetime

import msgspec
from msgspec.structs import replace

from pennypost.model.flags import Flags
from pennypost.proto.imap.commands.announcement import is_argument, read_announcement, read_close
from pennypost.proto.imap.commands.catenate import (
    NOTHING,
    AppendRest,
    Catenate,
    CatenateText,
    Composed,
    read_parts,
    read_rest,
)
from pennypost.proto.imap.dates import parse_date_time
from pennypost.proto.imap.flags import FlagList
from pennypost.proto.imap.reader import BadSyntax, Reader
from pennypost.proto.imap.sequence import SequenceSet

_BRACE = 0x7B
_NO_FLAGS = FlagList(Flags.NONE, ())


class Append(msgspec.Struct, frozen=True):
    """A message that is about to come. `date`: the internal date asked for, None means now.

    `size`: octets that follow. `binary`: it comes as a literal8 and may hold NUL (RFC 3516 §4.4). `synchronizing`: the
    client waits to be asked for it. `replaces`: the one message that goes for it (RFC 8508), by UID if `uid`.
    `wrapped`: as in `Announcement`, of what comes now. `catenates`: that is the first text of several parts, and `urls`
    those ahead of it. `ending`: what URLs name ends the message before it; `composed`: whole messages of such URLs that
    stand between the two.
    """

    mailbox: str
    flags: FlagList
    date: datetime | None
    size: int
    binary: bool
    synchronizing: bool
    replaces: SequenceSet | None = None
    uid: bool = False
    urls: tuple[bytes, ...] = ()
    catenates: bool = False
    ending: tuple[bytes, ...] = ()
    composed: tuple[Composed, ...] = ()
    wrapped: bool = False


def begin_append(reader: Reader) -> Append | None:
    """Read an APPEND up to the literal announced at its end; None if that literal is the mailbox name still, or a URL
    that is part of the message."""
    found = _read(reader)
    return None if isinstance(found, Catenate) else found


def _read(reader: Reader) -> Append | Catenate | None:
    reader.space("a mailbox name")
    if reader.next_octet() == _BRACE and is_argument(reader):
        return None
    mailbox = reader.mailbox()
    found = _read_messages(reader, mailbox)
    return Catenate(mailbox, found) if isinstance(found, tuple) else found


def _read_messages(reader: Reader, mailbox: str) -> Append | tuple[Composed, ...] | None:
    """Read messages, as they follow each other (RFC 3502), up to a literal, or to the end: then all were composed.

    None: the literal is a URL.
    """
    composed: list[Composed] = []
    while True:
        found = read_message(reader, mailbox, tuple(composed))
        if not isinstance(found, Composed):
            return found
        composed.append(found)
        if reader.at_end():
            return tuple(composed)


def read_message(reader: Reader, mailbox: str, composed: tuple[Composed, ...] = ()) -> Append | Composed | None:
    """Read flags and date of a message, as they stand before each one (RFC 3502 §6.3.11), and what it is made of, up
    to a literal or to its end. `composed`: those ahead of it.

    None: the literal is a URL.
    """
    flags, date = _read_options(reader)
    if reader.next_octet() == _BRACE or reader.peek_word() != b"CATENATE":
        size, binary, synchronizing, wrapped = read_announcement(reader, "a message literal")
        return Append(mailbox, flags, date, size, binary, synchronizing, composed=composed, wrapped=wrapped)
    parts = _read_catenate(reader)
    if parts is None:
        return None
    if not isinstance(parts, CatenateText):
        return Composed(flags, date, parts)
    text = parts.text
    return Append(
        mailbox,
        flags,
        date,
        text.size,
        text.binary,
        text.synchronizing,
        urls=parts.urls,
        catenates=True,
        composed=composed,
        wrapped=text.wrapped,
    )


def _read_options(reader: Reader) -> tuple[FlagList, datetime | None]:
    reader.space("a message literal")
    flags = _NO_FLAGS
    if reader.opens():
        flags = reader.flag_list()
        reader.space("a message literal")
    date = None
    if reader.next_octet() == 0x22:
        date = _read_date(reader)
        reader.space("a message literal")
    return flags, date


def _read_catenate(reader: Reader) -> CatenateText | tuple[bytes, ...] | None:
    reader.word("CATENATE")
    reader.space("a list of parts")
    reader.expect(b"(", "a list of parts")
    return read_parts(reader)


def end_append(reader: Reader, before: Append) -> Append | CatenateText | AppendRest:
    """Read what follows a literal on its line: more of a message that is put together (RFC 4469), more messages (RFC
    3502), or nothing."""
    read_close(reader, before.wrapped)
    ending: tuple[bytes, ...] = ()
    if before.catenates:
        found = read_rest(reader)
        if isinstance(found, CatenateText):
            return found
        ending = found
    if reader.at_end():
        return AppendRest(ending) if ending else NOTHING
    following = _read_messages(reader, before.mailbox)
    if following is None:
        raise BadSyntax("a URL after a text has to be quoted")
    return AppendRest(ending, following) if isinstance(following, tuple) else replace(following, ending=ending)


def parse_append(reader: Reader) -> Catenate:
    """Read an APPEND that ended without a literal: well-formed only if URLs are all there is."""
    found = _read(reader)
    if isinstance(found, Catenate):
        return found
    raise BadSyntax("expected a message literal")


def _read_date(reader: Reader) -> datetime:
    try:
        return parse_date_time(reader.string("a date and time"))
    except ValueError:
        raise BadSyntax('expected a date and time, as " 1-Feb-2026 10:00:00 +0000"') from None
