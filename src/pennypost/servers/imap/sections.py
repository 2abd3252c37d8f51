"""Which octets of a message a section names (RFC 9051 §6.4.5.1). Offsets count from the first octet of its header."""

from pennypost.message import structure
from pennypost.message.headers import select_fields, select_other_fields
from pennypost.message.structure import Part
from pennypost.proto.imap.section import Partial, Section, SectionText

Extent = tuple[int, int]
"""First octet, and the one behind the last."""

_OF_PART: dict[SectionText | None, structure.Section] = {
    None: structure.Section.CONTENT,
    SectionText.MIME: structure.Section.MIME,
    SectionText.TEXT: structure.Section.TEXT,
    SectionText.HEADER: structure.Section.HEADER,
    SectionText.HEADER_FIELDS: structure.Section.HEADER,
    SectionText.HEADER_FIELDS_NOT: structure.Section.HEADER,
}


def in_header(section: Section) -> bool:
    """Whether the message's own header block is all that a section needs."""
    return not section.part and section.text not in (None, SectionText.TEXT)


def extent(section: Section, index: Part | None, header_size: int, size: int) -> Extent | None:
    """Find the octets that a section is, or that its fields are chosen from; None if there is no such part.

    `index`: needed for sections with a part number only.
    """
    if not section.part:
        if section.text is None:
            return 0, size
        return (header_size, size) if section.text is SectionText.TEXT else (0, header_size)
    assert index is not None
    span = structure.locate(index, section.part, _OF_PART[section.text])
    if span is None:
        return None
    return (0, header_size) if span.in_header_block else (header_size + span.start, header_size + span.end)


def part_extent(part: Part, header_size: int) -> Extent:
    """Give the octets of a part's body."""
    return header_size + part.body_start, header_size + part.body_end


def chosen_fields(section: Section, header: bytes) -> bytes:
    """Choose the fields a HEADER.FIELDS section asks for; of any other section give all."""
    match section.text:
        case SectionText.HEADER_FIELDS:
            return select_fields(header, section.fields)
        case SectionText.HEADER_FIELDS_NOT:
            return select_other_fields(header, section.fields)
    return header


def cut(octets: bytes, partial: Partial | None) -> bytes:
    """Take what a partial asks for (RFC 9051 §6.4.5); nothing beyond the end."""
    return octets if partial is None else octets[partial[0] : partial[0] + partial[1]]


def narrowed(where: Extent, partial: Partial | None) -> Extent:
    """Do to an extent what `cut` does to octets."""
    if partial is None:
        return where
    first = min(where[0] + partial[0], where[1])
    return first, min(first + partial[1], where[1])
