"""Aggregate reports of real reporters are read as their expected JSON says (RFC 9990)."""

import email
import email.policy
import json
from typing import Any

import pytest
from tests.vectors import mime

from pennypost.verify.dmarc import report

FOLDER = mime.root() / "dmarc-reports-tlsrpt-arf" / "dmarc-feedback"
FILES = sorted([*FOLDER.glob("*.xml"), *FOLDER.glob("*.eml")])


def attached(octets: bytes) -> bytes:
    for part in email.message_from_bytes(octets, policy=email.policy.default).walk():
        content = part.get_payload(decode=True) if not part.is_multipart() else None
        if isinstance(content, bytes) and content.startswith((b"\x1f\x8b", b"PK")):
            return content
    raise AssertionError("no report attached")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_report_is_read(path: Any) -> None:
    octets = path.read_bytes()
    found = report.read_xml(report.uncompress(attached(octets) if path.suffix == ".eml" else octets))
    expected = json.loads(path.with_suffix(".json").read_text())
    assert found.domain == expected["policy_published"]["domain"]
    metadata = expected["report_metadata"]
    assert (found.organization, found.report_id) == (metadata["org_name"], metadata["report_id"])
    assert (found.begin, found.end) == (metadata["date_range"]["begin"], metadata["date_range"]["end"])
    assert len(found.rows) == len(expected["record"])
    for row, wanted in zip(found.rows, expected["record"], strict=True):
        evaluated = wanted["row"]["policy_evaluated"]
        assert (row.source_ip, row.count) == (wanted["row"]["source_ip"] or "", wanted["row"]["count"])
        assert row.dkim_aligned is (evaluated["dkim"] == "Pass")
        assert row.spf_aligned is (evaluated["spf"] == "Pass")
        assert row.header_from == wanted["identifiers"]["header_from"]
        assert [d.domain for d in row.dkim] == [d["domain"] for d in wanted["auth_results"]["dkim"]]


def test_the_reports_are_there() -> None:
    assert len(FILES) >= 10
