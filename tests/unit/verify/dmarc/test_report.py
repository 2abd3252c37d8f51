"""Aggregate reports, written and read (RFC 9990)."""

import gzip
import io
import zipfile

import pytest

from pennypost.verify.dmarc import report
from pennypost.verify.dmarc.report import DkimOutcome, Report, ReportError, ReportRow

SAMPLE = Report(
    "Receiver & Sons",
    "dmarc@receiver.example",
    "1-example.org@receiver.example",
    1700006400,
    1700092799,
    "example.org",
    (("p", "reject"), ("sp", "quarantine"), ("adkim", "s"), ("aspf", "r"), ("fo", "0"), ("testing", "n")),
    (
        ReportRow(
            "192.0.2.1",
            7,
            "none",
            dkim_aligned=False,
            spf_aligned=False,
            header_from="news.example.org",
            envelope_from="lists.example",
            reason="trusted_forwarder",
            comment="sealed <by> lists.example",
            dkim=(DkimOutcome("example.org", "s1", "fail"),),
            spf_domain="lists.example",
            spf_result="pass",
        ),
        ReportRow("2001:db8::1", 1, "pass", dkim_aligned=True, spf_aligned=False, header_from="example.org"),
    ),
)


def test_what_is_written_is_read_back() -> None:
    xml = report.write_xml(SAMPLE, "Pennypost")
    packed = report.compress(xml)
    assert report.compress(xml) == packed
    found = report.read_xml(report.uncompress(packed))
    assert found.rows == SAMPLE.rows
    assert ("p", "reject") in found.published
    assert (found.domain, found.report_id, found.begin, found.end) == (
        "example.org",
        SAMPLE.report_id,
        SAMPLE.begin,
        SAMPLE.end,
    )


def test_elements_stand_in_the_order_of_the_schema() -> None:
    xml = report.write_xml(SAMPLE, "Pennypost").decode()
    order = ["<version>", "<report_metadata>", "<policy_published>", "<record>", "<row>", "<policy_evaluated>"]
    order += ["<disposition>", "<dkim>", "<spf>", "<reason>", "<identifiers>", "<auth_results>"]
    positions = [xml.index(name) for name in order]
    assert positions == sorted(positions)


def test_names_of_file_and_subject() -> None:
    assert report.file_name("mx.receiver.example", SAMPLE) == (
        "mx.receiver.example!example.org!1700006400!1700092799.xml.gz"
    )
    assert report.subject("mx.receiver.example", SAMPLE) == (
        "Report Domain: example.org Submitter: mx.receiver.example Report-ID: <1-example.org@receiver.example>"
    )


def test_control_characters_cannot_break_the_document() -> None:
    row = ReportRow("192.0.2.1", 1, "none", False, False, "a\x00b]]>&\ud800.example")
    broken = Report("x", "x", "x", 0, 1, "example.org", (), (row,))
    assert report.read_xml(report.write_xml(broken, "g")).rows[0].header_from == "a?b]]>&?.example"


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"<feedback>",
        b"<other/>",
        b"<feedback/>",
        b'<!DOCTYPE feedback [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><feedback>&b;</feedback>',
        '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE feedback [<!ENTITY a "b">]><feedback>&a;</feedback>'.encode(
            "utf-16"
        ),
        b'<?xml version="1.0" encoding="nonsense"?><feedback/>',
        b"\x1f\x8b\x08\x00junk",
        b"PK\x03\x04junk",
    ],
)
def test_what_is_no_report_is_refused(octets: bytes) -> None:
    with pytest.raises(ReportError):
        report.read_xml(report.uncompress(octets))


def test_bombs_are_not_unpacked() -> None:
    bomb = gzip.compress(b" " * (report.MAX_XML_OCTETS + 1))
    with pytest.raises(ReportError, match="too large"):
        report.uncompress(bomb)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.xml", b" " * (report.MAX_XML_OCTETS + 1))
    with pytest.raises(ReportError, match="too large"):
        report.uncompress(archive.getvalue())
