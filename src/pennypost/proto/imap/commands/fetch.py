"""FETCH and UID FETCH (RFC 9051 §6.4.5), with BINARY (RFC 3516) and CHANGEDSINCE (RFC 7162 §3.1.4)."""

import re
from dataclasses import dataclass
from enum import Enum

from pennypost.model.ids import ModSeq
from pennypost.proto.imap.limits import MAX_FETCH_ITEMS, MAX_FETCH_SECTIONS
from pennypost.proto.imap.partial_range import PartialRange, read_partial_range
from pennypost.proto.imap.reader import BadSyntax, Reader, one_of
from pennypost.proto.imap.section import (
    Part,
    Partial,
    Section,
    part_octets,
    read_part,
    read_partial,
    read_section,
    section_octets,
)
from pennypost.proto.imap.sequence import SequenceSet


class FetchAttribute(Enum):
    """Data items that are one word; the value is what stands on the wire, in the request and in the response.

    The three of RFC 3501 that RFC 9051 dropped are alike to BODY[], BODY.PEEK[HEADER] and BODY[TEXT] but for their
    name in the response.
    """

    BODY = b"BODY"
    BODYSTRUCTURE = b"BODYSTRUCTURE"
    ENVELOPE = b"ENVELOPE"
    FLAGS = b"FLAGS"
    INTERNALDATE = b"INTERNALDATE"
    RFC822_SIZE = b"RFC822.SIZE"
    UID = b"UID"
    MODSEQ = b"MODSEQ"  # RFC 7162 §3.1.5
    EMAILID = b"EMAILID"  # RFC 8474 §5
    THREADID = b"THREADID"
    SAVEDATE = b"SAVEDATE"  # RFC 8514 §4.2
    PREVIEW = b"PREVIEW"  # RFC 8970 §3
    RFC822 = b"RFC822"
    RFC822_HEADER = b"RFC822.HEADER"
    RFC822_TEXT = b"RFC822.TEXT"


@dataclass(frozen=True, slots=True)
class BodyItem:
    r"""BODY[…] and BODY.PEEK[…]. `peek`: `\Seen` is not set. `label`: how the response names it, `BODY[1.MIME]<0>`."""

    section: Section
    peek: bool
    partial: Partial | None
    label: bytes


@dataclass(frozen=True, slots=True)
class BinaryItem:
    """BINARY[…] and BINARY.PEEK[…]: a part with its transfer encoding undone (RFC 3516 §4.2).

    `partial` counts decoded octets.
    """

    part: Part
    peek: bool
    partial: Partial | None
    label: bytes


@dataclass(frozen=True, slots=True)
class BinarySizeItem:
    """BINARY.SIZE[…]: how many octets BINARY[…] would have (RFC 3516 §4.3)."""

    part: Part
    label: bytes


FetchItem = FetchAttribute | BodyItem | BinaryItem | BinarySizeItem


@dataclass(frozen=True, slots=True)
class Fetch:
    """Ask for data of messages. `uid`: `messages` are UIDs; `items` need not hold UID then, which is answered all the
    same, but under UIDONLY (RFC 9051 §6.4.9, RFC 9586 §3.3).

    `items`: macros expanded, what is asked twice kept once, in the client's order. `changed_since`: only messages with
    a greater modseq; `items` holds MODSEQ then. `vanished`: tell also which UIDs of the set went (RFC 7162 §3.2.6).
    `partial`: only these of the messages (RFC 9394 §3.3).
    """

    messages: SequenceSet
    items: tuple[FetchItem, ...]
    uid: bool
    changed_since: ModSeq | None = None
    vanished: bool = False
    partial: PartialRange | None = None


_FAST = (FetchAttribute.FLAGS, FetchAttribute.INTERNALDATE, FetchAttribute.RFC822_SIZE)
_MACROS: dict[bytes, tuple[FetchItem, ...]] = {
    b"FAST": _FAST,
    b"ALL": (*_FAST, FetchAttribute.ENVELOPE),
    b"FULL": (*_FAST, FetchAttribute.ENVELOPE, FetchAttribute.BODY),
}
_ATTRIBUTES: dict[bytes, FetchAttribute] = {attribute.value: attribute for attribute in FetchAttribute}
_NAME = re.compile(rb"[A-Za-z0-9.]+")
_BRACKET = 0x5B


def parse_fetch(reader: Reader) -> Fetch:
    return _parse(reader, uid=False)


def parse_uid_fetch(reader: Reader) -> Fetch:
    return _parse(reader, uid=True)


def _parse(reader: Reader, uid: bool) -> Fetch:
    reader.space("a sequence set")
    messages = reader.sequence_set()
    reader.space("fetch items")
    items = _read_items(reader)
    modifiers = Modifiers()
    if reader.more_in_parentheses():
        modifiers = _read_modifiers(reader, uid)
    reader.end()
    if modifiers.changed_since is not None and FetchAttribute.MODSEQ not in items:  # RFC 7162 §3.1.4.1
        items = (*items, FetchAttribute.MODSEQ)
    return Fetch(messages, items, uid, modifiers.changed_since, modifiers.vanished, modifiers.partial)


@dataclass(slots=True)
class Modifiers:
    """What stands behind the items (RFC 4466 §2.4)."""

    changed_since: ModSeq | None = None
    vanished: bool = False
    partial: PartialRange | None = None


def _read_modifiers(reader: Reader, uid: bool) -> Modifiers:
    """Read `(CHANGEDSINCE 5 VANISHED)`."""
    reader.expect(b"(", "FETCH modifiers")
    modifiers = Modifiers()
    while True:
        match reader.word("a FETCH modifier"):
            case b"CHANGEDSINCE" if modifiers.changed_since is None:
                reader.space("a mod-sequence")
                modifiers.changed_since = reader.modseq()
            case b"VANISHED" if uid and not modifiers.vanished:
                modifiers.vanished = True
            case b"PARTIAL" if modifiers.partial is None:
                reader.space("a range of results")
                modifiers.partial = read_partial_range(reader)
            case _:
                known = "CHANGEDSINCE, PARTIAL or VANISHED" if uid else "CHANGEDSINCE or PARTIAL"
                raise BadSyntax(f"expected a FETCH modifier, each once: {known}")
        if not reader.skip(b" "):
            break
    reader.expect(b")", "a FETCH modifier or a closing parenthesis")
    if modifiers.vanished and modifiers.changed_since is None:
        raise BadSyntax("VANISHED needs CHANGEDSINCE")  # RFC 7162 §3.2.6
    return modifiers


def _read_items(reader: Reader) -> tuple[FetchItem, ...]:
    if not reader.skip(b"("):
        macro = _MACROS.get(reader.peek_word())
        if macro is not None:
            reader.word("a fetch item")
            return macro
        return (_read_item(reader),)
    return read_items_to_end(reader)


def read_items_to_end(reader: Reader) -> tuple[FetchItem, ...]:
    """Read data items behind an opening parenthesis, and the closing one; what is there twice is kept once."""
    items: dict[FetchItem, None] = {}
    for _ in range(MAX_FETCH_ITEMS):
        items[_read_item(reader)] = None
        if not reader.skip(b" "):
            reader.expect(b")", "a fetch item or a closing parenthesis")
            if sum(isinstance(item, BodyItem | BinaryItem | BinarySizeItem) for item in items) > MAX_FETCH_SECTIONS:
                break
            return tuple(items)
    raise BadSyntax("too many fetch items")


def _read_item(reader: Reader) -> FetchItem:
    found = _NAME.match(reader.octets, reader.at)
    if found is None:
        raise BadSyntax("expected a fetch item, as FLAGS or BODY.PEEK[]")
    reader.at = found.end()
    name = found.group().upper()
    if reader.next_octet() != _BRACKET:
        attribute = _ATTRIBUTES.get(name)
        if attribute is None:
            raise _unknown_item()
        if attribute is FetchAttribute.PREVIEW:
            _skip_preview_modifiers(reader)
        return attribute
    match name:
        case b"BODY" | b"BODY.PEEK":
            section = read_section(reader)
            partial = read_partial(reader)
            label = b"BODY" + section_octets(section) + _origin(partial)
            return BodyItem(section, name == b"BODY.PEEK", partial, label)
        case b"BINARY" | b"BINARY.PEEK":
            part = _read_binary_part(reader)
            partial = read_partial(reader)
            label = b"BINARY[" + part_octets(part) + b"]" + _origin(partial)
            return BinaryItem(part, name == b"BINARY.PEEK", partial, label)
        case b"BINARY.SIZE":
            part = _read_binary_part(reader)
            return BinarySizeItem(part, b"BINARY.SIZE[" + part_octets(part) + b"]")
    raise _unknown_item()


def _unknown_item() -> BadSyntax:
    sections = "or BODY, BODY.PEEK, BINARY, BINARY.PEEK or BINARY.SIZE with a section"
    return BadSyntax(f"expected a fetch item: {one_of(_ATTRIBUTES)}, {sections}")


def _skip_preview_modifiers(reader: Reader) -> None:
    """Read `(LAZY)` after PREVIEW, if it is there: previews are made when they are asked for (RFC 8970 §4.1)."""
    if reader.more_in_parentheses():
        reader.expect(b"(", "a PREVIEW modifier")
        if reader.word("a PREVIEW modifier") != b"LAZY":
            raise BadSyntax("expected a PREVIEW modifier: LAZY")
        reader.expect(b")", "a closing parenthesis")


def _read_binary_part(reader: Reader) -> Part:
    """Read `[1.2]`, also `[]` (RFC 3516 §7, section-binary)."""
    reader.expect(b"[", "a part")
    part = read_part(reader)
    reader.expect(b"]", "the end of the part")
    return part


def _origin(partial: Partial | None) -> bytes:
    """Name the first octet of a partial answer (RFC 9051 §7.5.2)."""
    return b"" if partial is None else b"<%d>" % partial[0]
