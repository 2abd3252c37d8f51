"""What reports of other hosts say, and of which message."""

from base64 import b64encode
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pennypost.mail.heard import MAX_RECIPIENTS, DeliveryReport, Told, addresses_of, read_report

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


def read(header: bytes = HEADER, body: bytes | None = None) -> DeliveryReport | None:
    return read_report(header, report() if body is None else body, "mail.penny.test")


def test_a_report_is_read() -> None:
    """RFC 3464 §2."""
    found = read()
    assert found is not None
    assert found.reporter == "mx.far.example"
    assert found.told == (
        Told("x@far.example", "", "failed", "5.2.2", "smtp; 552 5.2.2 full"),
        Told("y@far.example", "", "delayed", "4.0.0", ""),
    )
    assert found.trace == 0xAB
    assert found.received_at == datetime(2026, 11, 27, 21, 0, tzinfo=UTC)
    assert (found.message_id, found.envelope_id, found.bulk) == (None, None, False)


def test_what_else_tells_of_the_message() -> None:
    status = b"Original-Envelope-Id: QQ314159\r\n" + STATUS
    header = b"List-Id: <all.penny.test>\r\nMessage-ID: <1@penny.test>\r\n"
    found = read(body=report(status, header))
    assert found is not None
    assert (found.message_id, found.envelope_id, found.bulk) == (b"1@penny.test", "QQ314159", True)
    assert (found.trace, found.received_at) == (None, None)


def test_the_address_we_wrote_goes_before_the_one_it_became() -> None:
    """RFC 3464 §2.3.1, §2.3.2."""
    status = STATUS.replace(
        b"Final-Recipient: rfc822; x@",
        b"Original-Recipient: rfc822;sales@far.example\r\nFinal-Recipient: RFC822; <x@",
        1,
    )
    found = read(body=report(status.replace(b"<x@far.example", b"<x@far.example>", 1)))
    assert found is not None
    assert list(addresses_of(found.told[0])) == ["sales@far.example", "x@far.example"]


@pytest.mark.parametrize("written", ["jürgen@far.example", r"j\x{FC}rgen@far.example"])
def test_addresses_of_all_letters(written: str) -> None:
    """RFC 6533 §3."""
    found = read(body=report(STATUS.replace(b"rfc822; x@far.example", b"UTF-8; " + written.encode())))
    assert found is not None
    assert found.told[0].final == "jürgen@far.example"


def test_letters_that_are_none() -> None:
    found = read(
        body=report(STATUS.replace(b"rfc822; x@far.example", rb"utf-8; \x{D800}\x{1}\x{07}\x{10FFFF}@far.example"))
    )
    assert found is not None
    assert found.told[0].final == r"?\x{1}??@far.example"


def test_a_status_without_detail_is_looked_for_in_what_the_host_said() -> None:
    found = read(body=report(STATUS.replace(b"Status: 5.2.2", b"Status: 5.0.0")))
    assert found is not None
    assert found.told[0].status == "5.2.2"


def test_parts_may_be_encoded() -> None:
    """RFC 6533 §4: message/global-delivery-status may be; RFC 6522 §3 has nothing against it for the header."""

    def encoded(content: bytes) -> bytes:
        return b"Content-Transfer-Encoding: base64\r\n\r\n" + b64encode(content)

    plain = report()
    body = plain.replace(
        b"message/delivery-status\r\n\r\n" + STATUS, b"message/global-delivery-status\r\n" + encoded(STATUS)
    )
    body = body.replace(b"text/rfc822-headers\r\n\r\n" + ORIGINAL, b"message/global-headers\r\n" + encoded(ORIGINAL))
    assert read(body=body) == read(body=plain)


def test_what_is_large_is_read_as_far_as_it_has_to_be() -> None:
    assert read(body=report() + b"x" * 300_000) == read()


@pytest.mark.parametrize(
    ("header", "body"),
    [
        (b"Subject: hello\r\n\r\n", report()),
        (HEADER, b""),
        (HEADER, report(status=b"nothing")),
        (HEADER, report(status=STATUS.replace(b"failed", b"fun").replace(b"delayed", b"fun"))),
        (HEADER, b"Content-Type: message/delivery-status"),
        (HEADER, b"--x\r\n" * 100 + report()),
    ],
)
def test_what_is_no_report(header: bytes, body: bytes) -> None:
    assert read(header, body) is None


@pytest.mark.parametrize(
    "original",
    [
        ORIGINAL.replace(b"mail.penny.test", b"mail.other.test"),
        ORIGINAL.replace(b"00ab", b"zz"),
        ORIGINAL.replace(b"Received", b"X-Received"),
    ],
)
def test_a_field_that_is_not_ours(original: bytes) -> None:
    found = read(body=report(original=original))
    assert found is not None
    assert found.trace is None


def test_controls_and_endless_values_are_kept_out() -> None:
    found = read(body=report(STATUS.replace(b"552 5.2.2", b"\x1b[2J" + b"y" * 5000)))
    assert found is not None
    assert found.told[0].diagnostic.isprintable()
    assert len(found.told[0].diagnostic) <= 300


def test_recipients_are_bounded() -> None:
    one = b"Final-Recipient: rfc822; x@far.example\r\nAction: failed\r\n\r\n"
    found = read(body=report(b"Reporting-MTA: dns; mx\r\n\r\n" + one * 5000))
    assert found is not None
    assert len(found.told) == MAX_RECIPIENTS


@given(st.binary(max_size=400), st.integers(0, 700))
def test_it_never_fails(junk: bytes, at: int) -> None:
    whole = report()
    read_report(HEADER, whole[:at] + junk + whole[at:], "mail.penny.test")
