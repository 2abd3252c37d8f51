"""What CATENATE puts a message together of, in APPEND and REPLACE: URLs of messages we have, and texts (RFC 4469 §3).

Texts are literals that the machine hands on in chunks, as it does a message. So the parts are read a line at a time:
URLs up to the announcement of the next text, or to the end. A URL may itself be a literal before the first text only.
"""

from dataclasses import dataclass
from datetime import datetime

from pennypost.proto.imap.commands.announcement import Announcement, is_argument, read_announcement
from pennypost.proto.imap.flags import FlagList
from pennypost.proto.imap.limits import MAX_URLS
from pennypost.proto.imap.reader import BadSyntax, Reader
from pennypost.proto.imap.sequence import SequenceSet


@dataclass(frozen=True, slots=True)
class Composed:
    """A message of what URLs name, and nothing else. They are as they came: see `url.parse_url`."""

    flags: FlagList
    date: datetime | None
    urls: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Catenate:
    """An APPEND of such messages alone, or a REPLACE by one: nothing of them has to come.

    `replaces`: the one message that goes for it (RFC 8508 §4.2), by UID if `uid`.
    """

    mailbox: str
    messages: tuple[Composed, ...]
    replaces: SequenceSet | None = None
    uid: bool = False


@dataclass(frozen=True, slots=True)
class AppendRest:
    """What stands behind the last literal of an APPEND: `urls` that end the message it was of, and whole messages."""

    urls: tuple[bytes, ...] = ()
    messages: tuple[Composed, ...] = ()


@dataclass(frozen=True, slots=True)
class CatenateText:
    """A text that is about to come, and the URLs between it and the text before."""

    urls: tuple[bytes, ...]
    text: Announcement

    @property
    def size(self) -> int:
        """Octets of the text."""
        return self.text.size


NOTHING = AppendRest()


def read_parts(reader: Reader) -> CatenateText | tuple[bytes, ...] | None:
    """Read parts up to a text, or to the end of the message: then give the URLs. None: a URL comes as a literal."""
    urls: list[bytes] = []
    while True:
        if reader.peek_word() == b"UTF8":
            return CatenateText(tuple(urls), read_announcement(reader, "a literal8"))
        if reader.word("URL or TEXT") == b"TEXT":
            reader.space("a literal")
            return CatenateText(tuple(urls), read_announcement(reader, "a literal"))
        reader.space("a URL")
        if is_argument(reader):
            return None
        urls.append(reader.astring("a URL"))
        if len(urls) > MAX_URLS:
            raise BadSyntax("too many URLs")
        if reader.skip(b")"):
            return tuple(urls)
        reader.space("URL or TEXT")


def read_rest(reader: Reader) -> CatenateText | tuple[bytes, ...]:
    """Read what follows a text on its line: more parts, or the end of the message; then give the URLs before it."""
    if reader.skip(b")"):
        return ()
    reader.space("URL or TEXT")
    parts = read_parts(reader)
    if parts is None:
        raise BadSyntax("a URL after a text has to be quoted")
    return parts
