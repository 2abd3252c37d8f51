"""Reports of other hosts are tied to what we have sent."""

import pytest

from pennypost.mail.heard import hear
from pennypost.store.timeline import trace_id

HEADER = (
    b"From: <postmaster@far.example>\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n"
)
STATUS = (
    b"Reporting-MTA: dns; mx.far.example\r\n\r\nFinal-Recipient: rfc822; x@far.example\r\nAction: failed\r\n"
    b"Status: 5.2.2\r\nDiagnostic-Code: smtp; 552 5.2.2\r\n full\r\n\r\n"
    b"Final-recipient: rfc822;y@far.example\r\nAction: delayed\r\nStatus: 4.0.0\r\n"
)
ORIGINAL = (
    b"Received: from localhost (authenticated client)\r\n\tby mail.penny.test (Pennypost) with ESMTPSA"
    b" id 00000000000000ab\r\n\tfor <x@far.example>;\r\n\tFri, 27 Nov 2026 21:00:00 +0000\r\nSubject: hi\r\n"
)


def report(status: bytes = STATUS, original: bytes = ORIGINAL) -> bytes:
    return (
        b"--x\r\nContent-Type: text/plain\r\n\r\nIt failed.\r\n--x\r\nContent-Type: message/delivery-status\r\n\r\n"
        + status
        + b"\r\n--x\r\nContent-Type: text/rfc822-headers\r\n\r\n"
        + original
        + b"\r\n--x--\r\n"
    )


def test_a_report_is_tied_to_its_message() -> None:
    """RFC 3464 §2."""
    heard = hear(HEADER, report(), "mail.penny.test")
    assert heard is not None
    assert trace_id(heard.trace) == "00000000000000ab"
    assert heard.facts == {
        "from": "mx.far.example",
        "results": [
            ["x@far.example", "failed", "5.2.2", "smtp; 552 5.2.2 full"],
            ["y@far.example", "delayed", "4.0.0", ""],
        ],
    }


@pytest.mark.parametrize(
    ("header", "body"),
    [
        (b"Subject: hello\r\n\r\n", report()),
        (HEADER, b""),
        (HEADER, report(original=ORIGINAL.replace(b"mail.penny.test", b"mail.other.test"))),
        (HEADER, report(original=ORIGINAL.replace(b"00ab", b"zz"))),
        (HEADER, report(status=b"nothing")),
        (HEADER, report() + b"x" * 300_000),
        (HEADER, b"Content-Type: message/delivery-status"),
    ],
)
def test_what_is_no_report_on_ours(header: bytes, body: bytes) -> None:
    assert hear(header, body, "mail.penny.test") is None


def test_controls_and_endless_values_are_kept_out() -> None:
    status = STATUS.replace(b"552 5.2.2", b"\x1b[2J" + b"y" * 5000)
    heard = hear(HEADER, report(status), "mail.penny.test")
    assert heard is not None
    results = heard.facts["results"]
    assert isinstance(results, list)
    assert results[0][3].isprintable()
    assert len(results[0][3]) <= 300
