"""Sections of a message: what BODY[…] and BINARY[…] name (RFC 9051 §6.4.5.1, §9 section)."""

import re
from dataclasses import dataclass
from enum import Enum

from pennypost.proto.imap.limits import MAX_HEADER_FIELDS, MAX_NUMBER, MAX_NUMBER64, MAX_PART_DEPTH
from pennypost.proto.imap.reader import BadSyntax, Reader, one_of
from pennypost.proto.imap.responses.text import astring

Part = tuple[int, ...]
"""A part specifier: (1, 2) is 1.2; empty is the whole message."""

Partial = tuple[int, int]
"""First octet, counted from 0, and the greatest number of octets (RFC 9051 §6.4.5)."""


class SectionText(Enum):
    """What of a part is meant, where it is not all of it. The value is what stands on the wire."""

    HEADER = b"HEADER"
    HEADER_FIELDS = b"HEADER.FIELDS"
    HEADER_FIELDS_NOT = b"HEADER.FIELDS.NOT"
    TEXT = b"TEXT"
    MIME = b"MIME"


@dataclass(frozen=True, slots=True)
class Section:
    """One section. `text` None: the part's body, or the whole message if `part` is empty too.

    `fields`: header field names as they came, for the two HEADER.FIELDS texts; compare them without regard to case.
    """

    part: Part = ()
    text: SectionText | None = None
    fields: tuple[bytes, ...] = ()


WHOLE = Section()

_PART = re.compile(rb"[1-9][0-9]{0,9}(?:\.[1-9][0-9]{0,9})*")
_TEXTS = {text.value: text for text in SectionText}
_FIELD_NAME = re.compile(rb"[!-9;-~]+")
_PARTIAL = re.compile(rb"<([0-9]{1,19})\.([1-9][0-9]{0,18})>")


def read_part(reader: Reader) -> Part:
    """Read a section-part; empty if there is none (RFC 9051 §9)."""
    found = _PART.match(reader.octets, reader.at)
    if found is None:
        return ()
    numbers = found.group().split(b".", MAX_PART_DEPTH)
    if len(numbers) > MAX_PART_DEPTH:
        raise BadSyntax(f"expected a part of at most {MAX_PART_DEPTH} numbers")
    part = tuple([int(number) for number in numbers])
    if max(part) > MAX_NUMBER:
        raise BadSyntax(f"expected part numbers of at most {MAX_NUMBER}")
    reader.at = found.end()
    return part


def read_section(reader: Reader) -> Section:
    """Read `[…]` (RFC 9051 §9, section)."""
    if reader.skip(b"[]"):
        return WHOLE
    reader.expect(b"[", "a section")
    part = read_part(reader)
    if part and not reader.skip(b"."):
        reader.expect(b"]", "the end of the section")
        return Section(part)
    text = _TEXTS.get(reader.word("a section text"))
    if text is None:
        raise BadSyntax(f"expected a section text: {one_of(_TEXTS)}")
    if text is SectionText.MIME and not part:
        raise BadSyntax("expected a part number before MIME, as 1.MIME")
    fields: tuple[bytes, ...] = ()
    if text is SectionText.HEADER_FIELDS or text is SectionText.HEADER_FIELDS_NOT:
        reader.space("a list of header fields")
        fields = _read_fields(reader)
    reader.expect(b"]", "the end of the section")
    return Section(part, text, fields)


def _read_fields(reader: Reader) -> tuple[bytes, ...]:
    reader.expect(b"(", "a list of header fields")
    names: list[bytes] = []
    while True:
        name = reader.astring("a header field name")
        if _FIELD_NAME.fullmatch(name) is None:
            raise BadSyntax("expected a header field name: ASCII without blanks and colons")
        names.append(name)
        if len(names) > MAX_HEADER_FIELDS:
            raise BadSyntax("too many header fields")
        if not reader.skip(b" "):
            break
    reader.expect(b")", "a header field name or a closing parenthesis")
    return tuple(names)


def read_partial(reader: Reader) -> Partial | None:
    """Read `<first.count>` if it is there (RFC 9051 §9, partial)."""
    if reader.next_octet() != 0x3C:
        return None
    found = _PARTIAL.match(reader.octets, reader.at)
    if found is None:
        raise BadSyntax("expected a partial range, as <0.1024>")
    first, count = int(found.group(1)), int(found.group(2))
    if first > MAX_NUMBER64 or count > MAX_NUMBER64:
        raise BadSyntax(f"expected a partial range of at most {MAX_NUMBER64}")
    reader.at = found.end()
    return first, count


def part_octets(part: Part) -> bytes:
    return b".".join([b"%d" % number for number in part])


def section_octets(section: Section) -> bytes:
    """Write a section with its brackets, as FETCH responses name it (RFC 9051 §7.5.2)."""
    if section.text is None:
        return b"[%b]" % part_octets(section.part)
    text = section.text.value
    if section.fields:
        text = b"%b (%b)" % (text, b" ".join([astring(name) for name in section.fields]))
    return b"[%b.%b]" % (part_octets(section.part), text) if section.part else b"[%b]" % text
