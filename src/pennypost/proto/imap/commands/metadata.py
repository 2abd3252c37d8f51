"""GETMETADATA and SETMETADATA (RFC 5464 §4.2, §4.3)."""

import re
from dataclasses import dataclass
from enum import Enum

from pennypost.proto.imap.limits import MAX_ENTRY_NAME, MAX_LIST_ITEMS
from pennypost.proto.imap.reader import BadSyntax, Reader

# entry: components after "/", none empty, no "*" or "%", printable ASCII (RFC 5464 §3.2)
_ENTRY = re.compile(rb"/(private|shared)((?:/[ -$&-)+-.0-~]+)*)")
_VENDOR = re.compile(r"/vendor(?:/[^/]+)?")


class MetadataDepth(Enum):
    """Which entries below one are asked for (RFC 5464 §4.2.2)."""

    NONE = b"0"
    ONE = b"1"
    ALL = b"INFINITY"


@dataclass(frozen=True, slots=True)
class EntryName:
    """`path`: in lower case, behind /private or /shared; empty stands for all of them."""

    private: bool
    path: str

    def octets(self) -> bytes:
        return (b"/private" if self.private else b"/shared") + self.path.encode("ascii")


@dataclass(frozen=True, slots=True)
class GetMetadata:
    """Ask for values. An empty `mailbox` is the server. `max_size`: larger values are left out."""

    mailbox: str
    entries: tuple[EntryName, ...]
    depth: MetadataDepth = MetadataDepth.NONE
    max_size: int | None = None


@dataclass(frozen=True, slots=True)
class SetMetadata:
    """Set values, or remove entries where they are None."""

    mailbox: str
    values: tuple[tuple[EntryName, bytes | None], ...]


def parse_getmetadata(reader: Reader) -> GetMetadata:
    """Read a GETMETADATA. Its options come before the mailbox, as the grammar has it, or after it, as the examples."""
    reader.space("a mailbox name")
    depth, max_size, optioned = MetadataDepth.NONE, None, False
    if reader.opens():
        depth, max_size = _options(reader)
        optioned = True
        reader.space("a mailbox name")
    mailbox = reader.mailbox()
    reader.space("entries")
    if not optioned and _options_follow(reader):
        depth, max_size = _options(reader)
        reader.space("entries")
    entries = read_entries(reader)
    reader.end()
    return GetMetadata(mailbox, entries, depth, max_size)


def read_entries(reader: Reader) -> tuple[EntryName, ...]:
    """Read one entry or a list of them."""
    if not reader.opens():
        return (_entry(reader),)
    reader.expect(b"(", "entries")
    entries = [_entry(reader)]
    while reader.skip(b" "):
        entries.append(_entry(reader))
        if len(entries) > MAX_LIST_ITEMS:
            raise BadSyntax("too many entries")
    reader.expect(b")", "an entry or a closing parenthesis")
    return tuple(dict.fromkeys(entries))


def parse_setmetadata(reader: Reader) -> SetMetadata:
    reader.space("a mailbox name")
    mailbox = reader.mailbox()
    reader.space("entries and values")
    reader.expect(b"(", "entries and values")
    values: dict[EntryName, bytes | None] = {}
    while True:
        entry = _entry(reader)
        if not entry.path or _VENDOR.fullmatch(entry.path):  # RFC 5464 §3.2: four components at the least
            raise BadSyntax("expected the name of an entry")
        reader.space("a value")
        values[entry] = reader.nstring8("a value")
        if len(values) > MAX_LIST_ITEMS:
            raise BadSyntax("too many entries")
        if not reader.skip(b" "):
            break
    reader.expect(b")", "an entry or a closing parenthesis")
    reader.end()
    return SetMetadata(mailbox, tuple(values.items()))


def _entry(reader: Reader) -> EntryName:
    octets = reader.astring("an entry").lower()
    found = _ENTRY.fullmatch(octets)
    if found is None or len(octets) > MAX_ENTRY_NAME:
        raise BadSyntax("expected an entry name, as /private/comment: it begins with /private or /shared")
    return EntryName(found.group(1) == b"private", found.group(2).decode("ascii"))


def _options_follow(reader: Reader) -> bool:
    """Whether what opens here are options, not entries, which begin with "/" or a quote or a literal."""
    return reader.opens() and reader.octets[reader.at + 1 : reader.at + 2].upper() in (b"M", b"D")


def _options(reader: Reader) -> tuple[MetadataDepth, int | None]:
    depth, max_size = MetadataDepth.NONE, None
    reader.expect(b"(", "options")
    for _ in range(MAX_LIST_ITEMS):
        match reader.word("an option"):
            case b"MAXSIZE":
                reader.space("a size")
                max_size = reader.number("a size")
            case b"DEPTH":
                reader.space("a depth")
                try:
                    depth = MetadataDepth(reader.atom("a depth").upper())
                except ValueError:
                    raise BadSyntax("expected 0, 1 or infinity") from None
            case _:
                raise BadSyntax("expected an option: DEPTH or MAXSIZE")
        if not reader.skip(b" "):
            reader.expect(b")", "an option or a closing parenthesis")
            return depth, max_size
    raise BadSyntax("too many options")
