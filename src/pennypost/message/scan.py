"""The MIME index of a body, in one pass (RFC 2045, RFC 2046 §5.1).

Theory of operation. The body is gone through once, from front to back. What is looked for is the next delimiter line
of any multipart that is open at this point: LF, two hyphens and the longest beginning that all open boundaries have
in common; with one multipart open that is its whole boundary. So a long attachment is a few searches in C over slices
of 1 MiB. A hit is then read to the end of its line and compared with the open boundaries, the innermost first; a
delimiter of an outer multipart ends all that is open inside it (RFC 2046 §5.1.2), and the end of the body ends
everything.

The depth of the recursion is bounded by `limits.MAX_DEPTH`, the number of hits by `limits.MAX_DELIMITER_CANDIDATES`.
Past a bound the rest becomes one opaque leaf. LFs are counted once for a text and, but for the parts inside that are
counted already, once for a message.

A boundary line may end in white space (RFC 2046 §5.1.1, transport padding), and any line may end in LF alone. Unlike
§5.1.2, which would be content with a line that begins with the boundary, the whole line has to be it: a boundary that
begins with an outer boundary would else end the wrong part.
"""

from collections.abc import Iterator

from pennypost.message.defects import Defect, DefectKind
from pennypost.message.headers import header_end
from pennypost.message.imap_form import imap_envelope
from pennypost.message.limits import (
    MAX_BOUNDARY_OCTETS,
    MAX_DEFECTS,
    MAX_DELIMITER_CANDIDATES,
    MAX_DEPTH,
    MAX_HEADER_OCTETS,
    MAX_PARTS,
    SLICE_OCTETS,
)
from pennypost.message.parameters import (
    parse_content_type,
    parse_disposition,
    parse_encoding,
    parse_languages,
)
from pennypost.message.structure import NO_LINES, Parameters, Part
from pennypost.message.summary import Fields, scan_fields, scan_part_fields, summarize

ContentType = tuple[bytes, bytes, Parameters]

DEFAULT_TYPE: ContentType = (b"text", b"plain", ((b"charset", b"us-ascii"),))
"""RFC 2045 §5.2."""

_DIGEST_TYPE: ContentType = (b"message", b"rfc822", ())
_OPAQUE_TYPE: ContentType = (b"application", b"octet-stream", ())

_COMPOSITE = frozenset({b"multipart", b"message"})
_MESSAGE_SUBTYPES = frozenset({b"rfc822", b"global"})
_ENCODINGS = frozenset({b"7bit", b"8bit", b"binary", b"base64", b"quoted-printable"})
_CR = 13
_FIRST_WINDOW = 4_096


class Scanner:
    """Scans one body. `header_octets`: the size of the header block before it, which only defects need."""

    def __init__(self, body: bytes, header_octets: int) -> None:
        self.body = body
        self.end = len(body)
        self.header_octets = header_octets
        self.defects: list[Defect] = []
        self.parts = 0
        self.candidates = 0
        # Boundaries of the open multiparts, outermost first, and the octets with which all their delimiters begin.
        self.boundaries: list[bytes] = []
        self.needle = b""
        # The delimiter at which the scan stands: where the line before it ends (its LF), which multipart it is
        # of (-1: the end of the body), whether it closes, where the line after it begins.
        self.hit = 0
        self.level = -1
        self.closes = False
        self.next = 0

    def defect(self, kind: DefectKind, offset: int) -> None:
        """Note a defect at an offset in the body; negative ones are in the header block."""
        if len(self.defects) < MAX_DEFECTS:
            self.defects.append(Defect(kind, self.header_octets + offset))

    def entity(
        self,
        fields: Fields,
        header_start: int,
        body_start: int,
        depth: int,
        default: ContentType,
        envelope: bytes | None,
    ) -> Part:
        """Scan a part or message whose header has been read; the scan is left at the delimiter behind it.

        `default`: its type if it declares none (RFC 2046 §5.1.5). `envelope`: of a message inside another.
        """
        self.parts += 1
        declared = fields.get(b"content-type")
        type_, subtype, parameters = default
        if declared is not None:
            parsed = parse_content_type(declared)
            if parsed is None:
                parsed = DEFAULT_TYPE
                self.defect(DefectKind.BAD_CONTENT_TYPE, header_start)
            type_, subtype, parameters = parsed
        encoding = b"7bit"
        if b"content-transfer-encoding" in fields:
            encoding = parse_encoding(fields[b"content-transfer-encoding"])
            if encoding not in _ENCODINGS:
                self.defect(DefectKind.BAD_ENCODING, header_start)
        children: tuple[Part, ...] = ()
        if depth >= MAX_DEPTH and type_ in _COMPOSITE:
            self.defect(DefectKind.TOO_DEEP, header_start)
            type_, subtype, parameters = _OPAQUE_TYPE
        if type_ == b"multipart":
            children = self.multipart(subtype, parameters, header_start, body_start, depth)
        elif type_ == b"message" and subtype in _MESSAGE_SUBTYPES:
            children = (self.message(body_start, depth + 1),)
        else:
            self.find_delimiter(body_start)
        body_end = self.part_end(body_start)
        if children and children[-1].body_end > body_end:
            # The line end before a delimiter may be the one that ends the header of an empty part: it is both.
            body_end = children[-1].body_end
        lines = NO_LINES
        if type_ == b"text":
            lines = self.count_lines(body_start, body_end)
        elif children and type_ == b"message":
            lines = self.message_lines(children[0], body_start, body_end)
        disposition: bytes | None = None
        disposition_parameters: Parameters = ()
        if b"content-disposition" in fields:
            disposed = parse_disposition(fields[b"content-disposition"])
            if disposed is not None:
                disposition, disposition_parameters = disposed
        language = fields.get(b"content-language")
        return Part(
            header_start,
            body_start,
            body_end,
            type_,
            subtype,
            parameters,
            encoding,
            lines,
            fields.get(b"content-id"),
            fields.get(b"content-description"),
            fields.get(b"content-md5"),
            disposition,
            disposition_parameters,
            parse_languages(language) if language is not None else (),
            fields.get(b"content-location"),
            envelope,
            children,
        )

    def part_end(self, body_start: int) -> int:
        """Where the body of a part ends that stands before the present delimiter, whose line end is not its own."""
        end = self.hit
        if self.level >= 0 and end > body_start and self.body[end - 1] == _CR:
            end -= 1
        return max(end, body_start)

    def multipart(
        self, subtype: bytes, parameters: Parameters, header_start: int, body_start: int, depth: int
    ) -> tuple[Part, ...]:
        """Scan the parts of a multipart (RFC 2046 §5.1.1).

        Without a boundary or without delimiters all is preamble, and one empty text part stands for the parts: IMAP
        has no way to say that there are none (RFC 9051 §9, body-type-mpart).
        """
        boundary = b""
        for name, value in parameters:
            if name == b"boundary":
                boundary = value.rstrip()
                break
        if not boundary or len(boundary) > MAX_BOUNDARY_OCTETS:
            self.defect(DefectKind.NO_BOUNDARY, header_start)
            self.find_delimiter(body_start)
            return (self.no_part(body_start),)
        level = len(self.boundaries)
        outer_needle = self.needle
        self.boundaries.append(boundary)
        self.needle = _common_start(outer_needle, b"\n--" + boundary) if level else b"\n--" + boundary
        default = _DIGEST_TYPE if subtype == b"digest" else DEFAULT_TYPE
        children: list[Part] = []
        self.find_delimiter(body_start)
        while self.level == level and not self.closes:
            if self.parts >= MAX_PARTS:
                children.append(self.opaque_rest(self.next))
                break
            children.append(self.part(self.next, depth + 1, default))
        self.boundaries.pop()
        self.needle = outer_needle
        if self.level == level:
            self.find_delimiter(self.next)  # what is left is the epilogue
        elif children:
            self.defect(DefectKind.NO_CLOSE_DELIMITER, self.hit)
        if not children:
            self.defect(DefectKind.NO_PARTS, header_start)
            children.append(self.no_part(body_start))
        return tuple(children)

    def part(self, start: int, depth: int, default: ContentType) -> Part:
        """Scan one part that begins with its header at `start`."""
        body_start = self.header(start)
        fields = scan_part_fields(self.body[start : min(body_start, start + MAX_HEADER_OCTETS)])
        return self.entity(fields, start, body_start, depth, default, None)

    def message(self, start: int, depth: int) -> Part:
        """Scan the message inside a message/rfc822 part (RFC 2046 §5.2.1)."""
        body_start = self.header(start)
        fields = scan_fields(self.body[start : min(body_start, start + MAX_HEADER_OCTETS)]).fields
        return self.entity(fields, start, body_start, depth, DEFAULT_TYPE, imap_envelope(summarize(fields)))

    def header(self, start: int) -> int:
        """Find the end of the header at `start`: behind its empty line, or where a delimiter or the body's end cuts."""
        body = self.body
        limit = min(self.end, start + MAX_HEADER_OCTETS)
        window = _FIRST_WINDOW
        while True:  # growing windows: what is looked at is never much more than what the header has
            reach = min(limit, start + window)
            stop = header_end(body, start, reach)
            # The header's own first line may be a delimiter already: then the part is empty.
            if self.boundaries and body.find(self.needle, max(start - 1, 0), reach if stop < 0 else stop) >= 0:
                self.find_delimiter(start)
                cut = min(self.hit + 1, self.end)
                if cut <= (reach if stop < 0 else stop):
                    self.defect(DefectKind.NO_HEADER_END, start)
                    return max(cut, start)
            if stop >= 0:
                return stop
            if reach == limit:
                break
            window *= 8
        self.defect(DefectKind.NO_HEADER_END, start)
        return self.end if limit == self.end else start

    def find_delimiter(self, start: int) -> None:
        """Go to the first delimiter line of an open multipart at or behind `start`, which is where a line begins."""
        body, end, needle = self.body, self.end, self.needle
        boundaries = self.boundaries
        at = start - 1
        if not boundaries:
            at = end
        elif at < 0:  # the body's first line has no LF before it
            if body.startswith(needle[1:]) and self.is_delimiter(-1):
                return
            at = 0
        reach = len(needle) - 1
        while at < end:
            stop = at + SLICE_OCTETS
            found = body.find(needle, at, stop)
            if found < 0:
                at = stop - reach
                continue
            if self.is_delimiter(found):
                return
            self.candidates += 1
            if self.candidates > MAX_DELIMITER_CANDIDATES:
                self.defect(DefectKind.TOO_MANY_CANDIDATES, found)
                break
            at = found + reach
        self.hit = end
        self.next = end
        self.level = -1
        self.closes = False

    def is_delimiter(self, line_end: int) -> bool:
        """Whether the line behind `line_end` is a delimiter; if so the scan stands there."""
        body = self.body
        start = line_end + 3
        stop = body.find(b"\n", start, start + MAX_BOUNDARY_OCTETS + 80)
        if stop < 0:
            stop = min(self.end, start + MAX_BOUNDARY_OCTETS + 80)
        line = body[start:stop].rstrip()
        boundaries = self.boundaries
        for level in range(len(boundaries) - 1, -1, -1):
            boundary = boundaries[level]
            if line.startswith(boundary):
                rest = line[len(boundary) :]
                if not rest or rest == b"--":
                    self.hit = max(line_end, 0)
                    self.level = level
                    self.closes = bool(rest)
                    self.next = min(stop + 1, self.end)
                    return True
        return False

    def no_part(self, body_start: int) -> Part:
        """Make the empty part that stands at the end of a multipart in which none was found."""
        self.parts += 1
        end = self.part_end(body_start)
        return Part(end, end, end, *DEFAULT_TYPE, lines=0)

    def opaque_rest(self, start: int) -> Part:
        """Make one leaf of all that is left, down to the end of the body."""
        self.defect(DefectKind.TOO_MANY_PARTS, start)
        self.hit = self.next = self.end
        self.level = -1
        self.closes = False
        self.parts += 1
        return Part(start, start, self.end, *_OPAQUE_TYPE)

    def count_lines(self, start: int, end: int) -> int:
        """Count LFs, slice by slice."""
        body = self.body
        if end - start <= SLICE_OCTETS:
            return body.count(b"\n", start, end)
        return sum([body.count(b"\n", at, min(at + SLICE_OCTETS, end)) for at in range(start, end, SLICE_OCTETS)])

    def message_lines(self, inner: Part, start: int, end: int) -> int:
        """Count the LFs of a message whose messages inside have been counted: each octet once, however deep."""
        total = 0
        at = start
        for part in _messages_inside(inner):
            total += self.count_lines(at, part.body_start) + part.lines
            at = part.body_end
        return total + self.count_lines(at, end)


def _messages_inside(part: Part) -> Iterator[Part]:
    """Give the outermost message/rfc822 parts inside `part`, itself included, in order."""
    if part.is_message:
        yield part
        return
    for child in part.children:
        yield from _messages_inside(child)


def _common_start(one: bytes, other: bytes) -> bytes:
    """Give the longest beginning that two delimiters have in common; never less than LF and two hyphens."""
    length = min(len(one), len(other))
    if one[:length] == other[:length]:
        return one[:length]
    for at in range(length):
        if one[at] != other[at]:
            return one[:at]
    return one[:length]
