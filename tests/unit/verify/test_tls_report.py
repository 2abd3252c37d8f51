"""RFC 8460."""

import gzip
import json
from datetime import UTC, datetime

import pytest

from pennypost.verify import tls_report
from pennypost.verify.tls_report import (
    BadReport,
    FailureDetail,
    PolicySummary,
    TlsReport,
    decompress,
    mail_address,
    read_report,
    report_uris,
    write_report,
)

EXAMPLE = b"""{
     "organization-name": "Company-X",
     "date-range": {"start-datetime": "2016-04-01T00:00:00Z", "end-datetime": "2016-04-01T23:59:59Z"},
     "contact-info": "sts-reporting@company-x.example",
     "report-id": "5065427c-23d3-47ca-b6e0-946ea0e8c4be",
     "policies": [{
       "policy": {
         "policy-type": "sts",
         "policy-string": ["version: STSv1","mode: testing", "mx: *.mail.company-y.example","max_age: 86400"],
         "policy-domain": "company-y.example",
         "mx-host": "*.mail.company-y.example"
       },
       "summary": {"total-successful-session-count": 5326, "total-failure-session-count": 303},
       "failure-details": [{
         "result-type": "certificate-expired",
         "sending-mta-ip": "2001:db8:abcd:0012::1",
         "receiving-mx-hostname": "mx1.mail.company-y.example",
         "failed-session-count": 100
       }, {
         "result-type": "starttls-not-supported",
         "sending-mta-ip": "2001:db8:abcd:0013::1",
         "receiving-mx-hostname": "mx2.mail.company-y.example",
         "receiving-ip": "203.0.113.56",
         "failed-session-count": 200,
         "additional-information": "https://reports.company-x.example/report_info"
       }]
     }]
   }"""


def test_the_report_of_the_rfc() -> None:
    """RFC 8460 appendix B; mx-host there is a text, in §4.4 a list."""
    report = read_report(EXAMPLE)
    assert (report.organization, report.successful, report.failed) == ("Company-X", 5326, 303)
    assert report.begins == datetime(2016, 4, 1, tzinfo=UTC)
    (policy,) = report.policies
    assert (policy.type, policy.domain, policy.mx) == ("sts", "company-y.example", ("*.mail.company-y.example",))
    assert [detail.sessions for detail in policy.details] == [100, 200]
    assert read_report(write_report(report)) == report


def test_what_is_written_has_the_fields_of_the_rfc() -> None:
    day = datetime(2026, 1, 31, tzinfo=UTC)
    detail = FailureDetail("validation-failure", 2, "", "mx.b", "192.0.2.1", "no TLSA record matches")
    policy = PolicySummary("tlsa", "b.example", ("_25._tcp.mx.b. IN TLSA 3 1 1 AB",), ("mx.b",), 5, 2, (detail,))
    written = json.loads(write_report(TlsReport("a.example", "postmaster@a.example", "1", day, day, (policy,))))
    assert written["date-range"] == {
        "start-datetime": "2026-01-31T00:00:00Z",
        "end-datetime": "2026-01-31T00:00:00Z",
    }
    assert written["policies"][0]["failure-details"] == [
        {
            "result-type": "validation-failure",
            "receiving-mx-hostname": "mx.b",
            "receiving-ip": "192.0.2.1",
            "failure-reason-code": "no TLSA record matches",
            "failed-session-count": 2,
        }
    ]
    assert written["policies"][0]["policy"]["policy-type"] == "tlsa"


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        EXAMPLE.replace(b"5326", b"-1"),
        EXAMPLE.replace(b"5326", b"true"),
        EXAMPLE.replace(b"2016-04-01T00:00:00Z", b"yesterday"),
        EXAMPLE.replace(b'"Company-X"', b"{}"),
        EXAMPLE.replace(b'"certificate-expired"', b"5"),
        EXAMPLE.replace(b'"policies": [', b'"policies": 5, "x": ['),
    ],
)
def test_what_is_no_report(octets: bytes) -> None:
    with pytest.raises(BadReport):
        read_report(octets)


def test_decompression_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert decompress(gzip.compress(EXAMPLE)) == EXAMPLE
    assert decompress(EXAMPLE) == EXAMPLE
    with pytest.raises(BadReport):
        decompress(gzip.compress(EXAMPLE)[:-20])
    with pytest.raises(BadReport):
        decompress(b"\x1f\x8bnothing")
    monkeypatch.setattr(tls_report, "MAX_REPORT_OCTETS", 1000)
    with pytest.raises(BadReport):
        decompress(gzip.compress(b"x" * 1_000_000))


@pytest.mark.parametrize(
    ("records", "uris"),
    [
        ([b"v=TLSRPTv1;rua=mailto:reports@example.com"], ("mailto:reports@example.com",)),
        ([b"v=TLSRPTv1; rua=https://a.example/r , mailto:x@y;"], ("https://a.example/r", "mailto:x@y")),
        ([b"v=TLSRPTv1; ext=1; rua=mailto:x@y"], ("mailto:x@y",)),
        ([b"v=TLSRPTv1;rua=ftp://x/,http://y/,mailto:nobody"], ()),
        ([b"v=TLSRPTv1;rua=mailto:x@y", b"v=TLSRPTv1;rua=mailto:z@y"], ()),
        ([b"v=TLSRPTv1;rua=mailto:x@y", b"v=spf1"], ("mailto:x@y",)),
        ([b"v=TLSRPTv2;rua=mailto:x@y"], ()),
        ([b"v=TLSRPTv1"], ()),
        ([], ()),
    ],
)
def test_records(records: list[bytes], uris: tuple[str, ...]) -> None:
    """RFC 8460 §3."""
    assert report_uris(records) == uris


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("mailto:a@b?subject=x", "a@b"),
        ("MAILTO:a%2Bc@b", "a+c@b"),
        ("mailto:a@b,c@d", ""),
        ("mailto:a%0D%0AX@b", ""),
        ("mailto:%3Ca@b", ""),
        (f"mailto:{'a' * 64}@b", "a" * 64 + "@b"),
        (f"mailto:{'a' * 65}@b", ""),
        (f"mailto:a@{'b' * 256}", ""),
        ("mailto:ä@b", ""),
        ("https://a@b", ""),
    ],
)
def test_addresses(uri: str, address: str) -> None:
    assert mail_address(uri) == address
