"""All that is stored of a message beside its octets, in one call: the hot path of every delivery."""

import msgspec

from pennypost.message.defects import Defect, DefectKind
from pennypost.message.headers import FIELD, header_end
from pennypost.message.imap_form import imap_bodystructure, kept_envelope
from pennypost.message.limits import MAX_DEFECTS, MAX_HEADER_FIELDS, MAX_HEADER_OCTETS
from pennypost.message.scan import DEFAULT_TYPE, Scanner
from pennypost.message.structure import Part
from pennypost.message.summary import FieldScan, Summary, scan_fields, summarize


class ParsedMessage(msgspec.Struct, frozen=True):
    """The MIME index, the summary, and what is wrong with the message (at most `limits.MAX_DEFECTS`)."""

    index: Part
    summary: Summary
    defects: tuple[Defect, ...]


class MessageDigest(msgspec.Struct, frozen=True):
    """What the store keeps of a message. `bodystructure`: as IMAP sends it. `envelope`: `imap_form.sent_envelope` gives
    what IMAP sends."""

    index: Part
    summary: Summary
    envelope: bytes
    bodystructure: bytes
    has_attachment: bool


def parse(header_block: bytes, body: bytes) -> ParsedMessage:
    """Read a message in one pass. Never raises, whatever the octets are; time is linear in their number.

    Fields that are prepended later change neither index nor summary, unless they are among those the summary is
    made of: trace fields (RFC 5321 §4.4) are not.
    """
    scan, scanner, index, summary = _read(header_block, body)
    if (
        not scan.covered
        or scan.duplicates
        or not summary.from_
        or summary.sent_at is None
        or len(header_block) > MAX_HEADER_OCTETS
        or scan.count > MAX_HEADER_FIELDS
    ):
        _note_header_defects(header_block, scan, summary, scanner)
    elif not header_block.endswith(b"\n\r\n") and not header_block.endswith(b"\n\n"):
        scanner.defect(DefectKind.NO_HEADER_END, 0)
    return ParsedMessage(index, summary, tuple(scanner.defects))


def _read(header_block: bytes, body: bytes) -> tuple[FieldScan, Scanner, Part, Summary]:
    scan = scan_fields(header_block if len(header_block) <= MAX_HEADER_OCTETS else header_block[:MAX_HEADER_OCTETS])
    scanner = Scanner(body, len(header_block))
    index = scanner.entity(scan.fields, 0, 0, 1, DEFAULT_TYPE, None)
    return scan, scanner, index, summarize(scan.fields)


def digest(header_block: bytes, body: bytes) -> MessageDigest:
    """Make everything the store keeps of a message. As `parse` is: one pass, never raises."""
    _, _, index, summary = _read(header_block, body)
    return MessageDigest(index, summary, kept_envelope(summary), imap_bodystructure(index), has_attachment(index))


_TEXT_BODIES = frozenset({b"plain", b"html", b"enriched"})


def has_attachment(index: Part) -> bool:
    """Whether a reader would show an attachment (RFC 8621 §4.1.4): a leaf that is neither a text body nor inline and
    shown by one. Signatures of multipart/signed are not counted."""
    if index.children and index.type == b"multipart":
        if index.subtype == b"signed":
            return has_attachment(index.children[0])
        return any(_is_attached(child, index.subtype) for child in index.children)
    return _is_attached(index, b"")


def _is_attached(part: Part, parent: bytes) -> bool:
    if part.disposition == b"attachment":
        return True
    if part.is_multipart and part.children:
        return has_attachment(part)
    if part.type == b"text":
        return part.disposition is None and part.subtype not in _TEXT_BODIES
    if parent == b"related" and (part.content_id is not None or part.location is not None):
        return False
    return not (part.disposition == b"inline" and part.type == b"image") and not (
        parent == b"report" and part.type == b"message"
    )


def _note_header_defects(header_block: bytes, scan: FieldScan, summary: Summary, scanner: Scanner) -> None:
    """Say what is wrong with the top header, with offsets: not on the way of a message that is right."""
    size = len(header_block)
    if header_end(header_block, max(size - 3, 0), size) < 0:
        scanner.defect(DefectKind.NO_HEADER_END, 0)
    if size > MAX_HEADER_OCTETS:
        scanner.defect(DefectKind.HEADER_TOO_LARGE, MAX_HEADER_OCTETS - size)
    if scan.count > MAX_HEADER_FIELDS:
        scanner.defect(DefectKind.TOO_MANY_FIELDS, -size)
    if not summary.from_:
        scanner.defect(DefectKind.NO_FROM, -size)
    seen: set[bytes] = set()
    at = 0
    for match in FIELD.finditer(header_block, 0, MAX_HEADER_OCTETS):
        if header_block[at : match.start()].strip():
            scanner.defect(DefectKind.NOT_A_FIELD, at - size)
        at = match.end() + 1
        name = match[1].lower()
        if name in seen and name in scan.duplicates:
            scanner.defect(DefectKind.DUPLICATE_FIELD, match.start() - size)
        if name == b"date" and name not in seen and summary.sent_at is None:
            scanner.defect(DefectKind.BAD_DATE, match.start() - size)
        seen.add(name)
        if len(scanner.defects) >= MAX_DEFECTS:
            return
    if header_block[at:].strip():
        scanner.defect(DefectKind.NOT_A_FIELD, at - size)
