"""Aggregate reports (RFC 9990): written as XML and read, also those of older programs (RFC 7489 appendix C).

Reading is strict where it protects us, and lenient where reporters differ: a document type is refused, whatever it
declares, and so are more rows and texts than a bound; namespaces are ignored, what is missing is empty.
"""

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.sax.saxutils import escape

MAX_XML_OCTETS = 16 * 1024 * 1024
"""A report, uncompressed, that is read."""
MAX_ROWS = 50_000
"""Rows of one report that are read."""
MAX_ELEMENTS = 1_000_000
"""Elements of one report that are read."""
MAX_TEXT = 1024
"""Characters of one value that are kept."""

NAMESPACE = "urn:ietf:params:xml:ns:dmarc-2.0"


class ReportError(ValueError):
    """This is no report that can be read."""


@dataclass(frozen=True, slots=True)
class DkimOutcome:
    """One signature. `result`: a word of RFC 8601 §2.7.1."""

    domain: str
    selector: str
    result: str


@dataclass(frozen=True, slots=True)
class ReportRow:
    """Messages that shared everything a report tells. `disposition`: "none", "pass", "quarantine", "reject".

    `reason`: why the disposition is not the policy's, a PolicyOverrideType, "" for none. `spf_domain` "": not checked.
    """

    source_ip: str
    count: int
    disposition: str
    dkim_aligned: bool
    spf_aligned: bool
    header_from: str
    envelope_from: str = ""
    reason: str = ""
    comment: str = ""
    dkim: tuple[DkimOutcome, ...] = ()
    spf_domain: str = ""
    spf_result: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A report of one reporter about one policy domain. `begin`, `end`: seconds since the epoch, UTC, both inclusive.

    `published`: (tag, value) pairs of the policy, in the words of policy_published, without the domain.
    """

    organization: str
    email: str
    report_id: str
    begin: int
    end: int
    domain: str
    published: tuple[tuple[str, str], ...]
    rows: tuple[ReportRow, ...]
    error: str = ""


# -- Writing


def write_xml(report: Report, generator: str) -> bytes:
    """Write a report (RFC 9990 §3.1, appendix A)."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<feedback xmlns="{NAMESPACE}">',
        "<version>1.0</version>",
        "<report_metadata>",
        *_elements(("org_name", report.organization), ("email", report.email), ("report_id", report.report_id)),
        f"<date_range><begin>{report.begin}</begin><end>{report.end}</end></date_range>",
        *(_elements(("error", report.error)) if report.error else ()),
        *_elements(("generator", generator)),
        "</report_metadata>",
        "<policy_published>",
        *_elements(("domain", report.domain), ("discovery_method", "treewalk"), *report.published),
        "</policy_published>",
    ]
    for row in report.rows:
        lines += _row(row)
    lines.append("</feedback>\n")
    return "\n".join(lines).encode("utf-8", "replace")


def compress(xml: bytes) -> bytes:
    """Compress a report (RFC 1952), always to the same octets."""
    return gzip.compress(xml, mtime=0)


def file_name(reporter: str, report: Report) -> str:
    """Name the attachment (RFC 9990 §3.5.2)."""
    return f"{reporter}!{report.domain}!{report.begin}!{report.end}.xml.gz"


def subject(reporter: str, report: Report) -> str:
    """Write the subject of the message that carries a report (RFC 9990 §3.5.2)."""
    return f"Report Domain: {report.domain} Submitter: {reporter} Report-ID: <{report.report_id}>"


def _row(row: ReportRow) -> Iterator[str]:
    yield "<record>"
    yield "<row>"
    yield from _elements(("source_ip", row.source_ip), ("count", str(row.count)))
    yield "<policy_evaluated>"
    aligned = {True: "pass", False: "fail"}
    yield from _elements(
        ("disposition", row.disposition), ("dkim", aligned[row.dkim_aligned]), ("spf", aligned[row.spf_aligned])
    )
    if row.reason:
        comment = _elements(("comment", row.comment)) if row.comment else ()
        yield "".join(("<reason>", *_elements(("type", row.reason)), *comment, "</reason>"))
    yield "</policy_evaluated>"
    yield "</row>"
    yield "<identifiers>"
    yield from _elements(("header_from", row.header_from), ("envelope_from", row.envelope_from))
    yield "</identifiers>"
    yield "<auth_results>"
    for each in row.dkim:
        inner = _elements(("domain", each.domain), ("selector", each.selector), ("result", each.result))
        yield "".join(("<dkim>", *inner, "</dkim>"))
    if row.spf_domain:
        inner = _elements(("domain", row.spf_domain), ("scope", "mfrom"), ("result", row.spf_result))
        yield "".join(("<spf>", *inner, "</spf>"))
    yield "</auth_results>"
    yield "</record>"


def _elements(*pairs: tuple[str, str]) -> list[str]:
    return [f"<{name}>{escape(_printable(value))}</{name}>" for name, value in pairs]


def _printable(text: str) -> str:
    """XML 1.0 cannot hold control characters, however they are written."""
    return "".join(c if c >= " " and c != "\x7f" and not 0xD800 <= ord(c) <= 0xDFFF else "?" for c in text)


# -- Reading


def uncompress(octets: bytes) -> bytes:
    """Unpack what reporters attach: gzip, zip or plain XML, told apart by their first octets. Raises ReportError."""
    try:
        if octets.startswith(b"\x1f\x8b"):
            engine = zlib.decompressobj(wbits=31)
            unpacked = engine.decompress(octets, MAX_XML_OCTETS)
            if engine.unconsumed_tail:
                raise ReportError(f"too large: more than {MAX_XML_OCTETS} octets")
            return unpacked
        if octets.startswith(b"PK\x03\x04"):
            with zipfile.ZipFile(io.BytesIO(octets)) as archive:
                members = [info for info in archive.infolist() if not info.is_dir()]
                if len(members) != 1 or members[0].flag_bits & 1:
                    raise ReportError("expected one file in the archive, not encrypted")
                with archive.open(members[0]) as file:
                    unpacked = file.read(MAX_XML_OCTETS + 1)
        else:
            unpacked = octets
    except (zlib.error, zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise ReportError("cannot be unpacked") from error
    if len(unpacked) > MAX_XML_OCTETS:
        raise ReportError(f"too large: more than {MAX_XML_OCTETS} octets")
    return unpacked


class _Bounded(ElementTree.TreeBuilder):
    """Refuses documents that declare anything, since entities are how XML is made to explode, and too many elements."""

    def __init__(self) -> None:
        super().__init__()
        self._elements = 0

    def start(self, tag: str, attrs: dict[str, str]) -> ElementTree.Element:
        """Count an element in."""
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            raise ReportError(f"more than {MAX_ELEMENTS} elements")
        return super().start(tag, attrs)

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise ReportError("has a document type")


def read_xml(octets: bytes) -> Report:
    """Read a report. Raises ReportError."""
    try:
        root = ElementTree.fromstring(octets, ElementTree.XMLParser(target=_Bounded()))  # noqa: S314 -- no entities
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise ReportError(f"not well-formed XML ({error})") from error
    if _local(root) != "feedback":
        raise ReportError("its outermost element is not feedback")
    metadata, published = _child(root, "report_metadata"), _child(root, "policy_published")
    domain = _text(published, "domain").lower()
    if not domain:
        raise ReportError("it has no policy_published with a domain")
    dates = _child(metadata, "date_range")
    records = [element for element in root if _local(element) == "record"]
    if len(records) > MAX_ROWS:
        raise ReportError(f"more than {MAX_ROWS} records")
    tags = () if published is None else tuple((_local(e), _value(e)) for e in published if _local(e) != "domain")
    return Report(
        organization=_text(metadata, "org_name"),
        email=_text(metadata, "email"),
        report_id=_text(metadata, "report_id"),
        begin=_number(_text(dates, "begin")),
        end=_number(_text(dates, "end")),
        domain=domain,
        published=tags[:20],
        rows=tuple(_read_row(record) for record in records),
        error=_text(metadata, "error"),
    )


def _read_row(record: ElementTree.Element) -> ReportRow:
    row, identifiers, results = _child(record, "row"), _child(record, "identifiers"), _child(record, "auth_results")
    evaluated = _child(row, "policy_evaluated")
    reason = _child(evaluated, "reason")
    signatures = () if results is None else [element for element in results if _local(element) == "dkim"]
    spf = _child(results, "spf")
    return ReportRow(
        source_ip=_text(row, "source_ip"),
        count=_number(_text(row, "count")),
        disposition=_text(evaluated, "disposition").lower(),
        dkim_aligned=_text(evaluated, "dkim").lower() == "pass",
        spf_aligned=_text(evaluated, "spf").lower() == "pass",
        header_from=_text(identifiers, "header_from").lower(),
        envelope_from=_text(identifiers, "envelope_from").lower(),
        reason=_text(reason, "type"),
        comment=_text(reason, "comment"),
        dkim=tuple(
            DkimOutcome(_text(each, "domain"), _text(each, "selector"), _text(each, "result").lower())
            for each in signatures[:100]
        ),
        spf_domain=_text(spf, "domain"),
        spf_result=_text(spf, "result").lower(),
    )


def _local(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _child(element: ElementTree.Element | None, name: str) -> ElementTree.Element | None:
    if element is None:
        return None
    return next((child for child in element if _local(child) == name), None)


def _value(element: ElementTree.Element | None) -> str:
    text = element.text if element is not None else None
    return (text or "").strip()[:MAX_TEXT]


def _text(element: ElementTree.Element | None, name: str) -> str:
    return _value(_child(element, name))


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else 0
