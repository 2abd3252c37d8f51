"""What is built is read back as it was meant (RFC 5322, RFC 2046, RFC 6522)."""

from datetime import UTC, datetime

import pytest

from pennypost.message import text
from pennypost.message.build import (
    Draft,
    NamedAddress,
    NewAttachment,
    ReportFields,
    build_message,
    build_message_id,
    build_report,
)
from pennypost.message.decode import content
from pennypost.message.digest import MessageDigest, digest, parse
from pennypost.message.headers import split, value
from pennypost.message.words import decode_words
from pennypost.model.address import Address

BOB = NamedAddress(Address("bob", "example.org"), 'Bob "B" Ünger')
ALICE = NamedAddress(Address("a b", "example.net"), "Alice, X")
NOW = datetime(2026, 11, 23, 22, tzinfo=UTC)


def read(octets: bytes) -> tuple[MessageDigest, bytes, bytes]:
    assert b"\n" not in octets.replace(b"\r\n", b"")
    header_block, body = split(octets)
    return digest(header_block, body), header_block, body


def draft(**more: object) -> Draft:
    fields: dict[str, object] = {"from_": BOB, "to": [ALICE], "date": NOW, "message_id": b"<1@example.org>", **more}
    return Draft(**fields)  # type: ignore[arg-type]


def test_text_html_and_attachments() -> None:
    pdf = NewAttachment(bytes(range(256)), "application/pdf", "Übersicht.pdf")
    image = NewAttachment(b"PNG", "image/png", "i.png", "i@x")
    octets = build_message(draft(subject="Grüße", text="Hallo ü\n", html="<p>Hallo</p>", attachments=[pdf, image]))
    made, _, body = read(octets)
    assert parse(*split(octets)).defects == ()
    assert made.summary.sent_at == NOW
    assert decode_words(made.summary.subject or b"") == "Grüße"
    assert [(one.display_name, one.address) for one in made.summary.from_] == [(BOB.name, BOB.address)]
    assert [(one.display_name, one.address) for one in made.summary.to] == [(ALICE.name, ALICE.address)]
    assert text.plain_text(made.index, body) == "Hallo ü\n"
    assert text.html(made.index, body) == "<p>Hallo</p>\n"
    attached = {one.file_name: content(one.part, body) for one in text.attachments(made.index)}
    assert attached == {"Übersicht.pdf": bytes(range(256)), "i.png": b"PNG"}
    assert made.has_attachment


def test_what_is_built_is_seven_bit_unless_an_address_is_not() -> None:
    assert build_message(draft(text="ü" * 2000)).isascii()
    assert not build_message(draft(to=[NamedAddress(Address("jörg", "example.org"))])).isascii()  # RFC 6532


def test_threading_and_further_fields() -> None:
    octets = build_message(
        draft(in_reply_to=b"<0@x>", references=[b"<a@x>", b"<0@x>"], fields=[("X-One", "1")], bcc=[ALICE], cc=[BOB])
    )
    made, header_block, _ = read(octets)
    assert made.summary.thread_ids == (b"a@x", b"0@x")
    assert value(header_block, b"x-one") == b"1"
    assert [len(made.summary.cc), len(made.summary.bcc)] == [1, 1]


@pytest.mark.parametrize(
    "more",
    [
        {"subject": "a\r\nBcc: x@y"},
        {"subject": "a\nb"},
        {"to": [NamedAddress(Address("a", "b"), "x\r\nBcc: y")]},
        {"to": [NamedAddress(Address("a\r\nBcc: y", "b"))]},
        {"fields": [("X", "a\r\nY: b")]},
    ],
)
def test_no_field_can_be_smuggled_in(more: dict[str, object]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        build_message(draft(**more))


def test_message_ids() -> None:
    assert build_message_id("a.1", "example.org") == b"<a.1@example.org>"
    assert build_message_id("a", "[192.0.2.1]") == b"<a@[192.0.2.1]>"


@pytest.mark.parametrize(
    ("left", "domain"), [("", "x"), ("a b", "x"), ("a..b", "x"), ("a", ""), ("a", "x>"), ("ü", "x")]
)
def test_what_is_no_message_id(left: str, domain: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        build_message_id(left, domain)


FIELDS = [("From", "Mail Delivery <postmaster@example.org>"), ("Subject", "Undelivered: ü")]
STATUS = ReportFields(
    [[("Reporting-MTA", "dns; mx.example.org")], [("Final-Recipient", "rfc822; a@b"), ("Action", "failed")]]
)


@pytest.mark.parametrize("headers_only", [True, False])
def test_report(headers_only: bool) -> None:
    """RFC 6522 §3, RFC 3464 §2.1; what it is about goes in unchanged."""
    original = b"From: x@y\r\nSubject: \xff\r\n\r\n"
    octets = build_report(FIELDS, "It failed.\nSorry", "delivery-status", STATUS, original, headers_only, "=_1")
    made, header_block, body = read(octets)
    assert made.index.subtype == b"report"
    human, machine, about = made.index.children
    assert text.text(human, body) == "It failed.\nSorry\n"
    assert content(machine, body) == (
        b"Reporting-MTA: dns; mx.example.org\r\n\r\nFinal-Recipient: rfc822; a@b\r\nAction: failed\r\n"
    )
    assert content(about, body) == original
    assert about.is_message is not headers_only
    assert decode_words(value(header_block, b"subject") or b"") == "Undelivered: ü"


def test_report_refuses_what_would_break_it() -> None:
    with pytest.raises(ValueError, match="boundary"):
        build_report(FIELDS, "x", "delivery-status", STATUS, b"A: b\r\n\r\nx\r\n--=_1\r\n", False, "=_1")
    bad = ReportFields([[("A", "b\r\nC: d")]])
    with pytest.raises(ValueError, match="field"):
        build_report(FIELDS, "x", "delivery-status", bad, b"", True, "=_1")
