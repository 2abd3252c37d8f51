"""What is stored of a message: summary, ENVELOPE, BODYSTRUCTURE, attachments, defects (RFC 9051 §7.5.2)."""

from datetime import UTC, datetime

import pytest

from pennypost.message import addresses, imap_form
from pennypost.message import digest as digests
from pennypost.message.defects import Defect, DefectKind
from pennypost.message.digest import MessageDigest, digest, has_attachment, parse
from pennypost.message.headers import prepend, split
from pennypost.message.imap_form import imap_body, imap_envelope, nstring, sent_envelope, string
from pennypost.message.limits import MAX_HEADER_FIELDS, MAX_HEADER_OCTETS, MAX_SORT_KEY


def made(text: str) -> MessageDigest:
    header_block, body = split(text.replace("\n", "\r\n").encode("utf-8", "surrogateescape"))
    return digest(header_block, body)


def defects_of(text: str) -> tuple[Defect, ...]:
    return parse(*split(text.replace("\n", "\r\n").encode())).defects


FULL_TEXT = """\
Date: Mon, 23 Nov 2026 23:00:00 +0100
From: Bob <bob@example.org>
To: "Carol \\"C\\"" <carol@example.com>, list:;
Cc: dave@example.com (Dave D.)
Subject: Re: [x] a "quoted" \\ word
In-Reply-To: <2@example.com>
References: <1@example.com>
  <2@example.com>
Message-ID: <3@example.org>
Content-Type: text/plain; charset=utf-8
Content-Language: en, de
Content-Location: http://example.org/x
Content-MD5: abc==
Content-ID: <c@d>
Content-Description: words
Content-Disposition: inline; filename=x

one
two
"""
FULL = made(FULL_TEXT)


def test_envelope() -> None:
    bob = b'(("Bob" NIL "bob" "example.org"))'
    assert sent_envelope(FULL.envelope) == (
        b'("Mon, 23 Nov 2026 23:00:00 +0100" "Re: [x] a \\"quoted\\" \\\\ word" '
        + b" ".join([bob, bob, bob])
        + b' (("Carol \\"C\\"" NIL "carol" "example.com")(NIL NIL "list" NIL)(NIL NIL NIL NIL))'
        b' (("Dave D." NIL "dave" "example.com")) NIL "<2@example.com>" "<3@example.org>")'
    )


def test_bodystructure() -> None:
    assert FULL.bodystructure == (
        b'("text" "plain" ("charset" "utf-8") "<c@d>" "words" "7bit" 10 2 "abc=="'
        b' ("inline" ("filename" "x")) ("en" "de") "http://example.org/x")'
    )
    assert imap_body(FULL.index) == b'("text" "plain" ("charset" "utf-8") "<c@d>" "words" "7bit" 10 2)'


def test_summary() -> None:
    summary = FULL.summary
    assert summary.sent_at == datetime(2026, 11, 23, 22, tzinfo=UTC)
    assert (summary.base_subject, summary.is_reply) == ('a "quoted" \\ word', True)
    assert (summary.own_id, summary.thread_ids) == (b"3@example.org", (b"1@example.com", b"2@example.com"))
    assert (summary.from_key, summary.to_key, summary.cc_key) == ("bob", "carol", "dave")
    assert (summary.from_display, summary.to_display) == ("Bob", 'Carol "C"')


def test_keys_have_a_bound_and_what_clients_are_shown_has_none() -> None:
    long = "Xy" * MAX_SORT_KEY
    found = made(f"From: {long}@example.org\nTo: {long} <x@y>\nCc: <x@{long}>\nSubject: Re: {long}\n\n")
    summary = found.summary
    keys = summary.subject_key, summary.from_key, summary.from_display, summary.to_display
    assert [len(key) for key in keys] == [MAX_SORT_KEY] * 4
    assert long.lower().startswith(summary.subject_key)
    assert summary.subject == f"Re: {long}".encode()
    assert sent_envelope(found.envelope).count(long.encode()) == 6  # From stands for Sender and Reply-To, too


def test_long_addresses_are_not_remembered() -> None:
    long = "x" * 101
    for author in (f"{long}@example.org", f"{long} <a@b>"):
        before = addresses._remembered.cache_info(), imap_form._remembered.cache_info()
        made(f"From: {author}\n\n")
        assert (addresses._remembered.cache_info(), imap_form._remembered.cache_info()) == before
    made("From: one that is not seen before <in-this@test.example>\n\n")
    after = addresses._remembered.cache_info(), imap_form._remembered.cache_info()
    assert [one.misses - other.misses for one, other in zip(after, before, strict=True)] == [1, 1]


def test_keys_without_names_or_addresses() -> None:
    summary = made("From: A.B@example.org\nTo: =?utf-8?q?Gr=C3=BCn?= <X@y>\nSubject: RE: Straße\n\n").summary
    assert (summary.from_key, summary.from_display) == ("a.b", "A.B@example.org")
    assert (summary.to_key, summary.to_display) == ("x", "Grün")
    assert summary.subject_key == "strasse"
    assert made("To: Friends:;\n\n").summary.to_key == "friends"
    assert made("To: Friends:;\n\n").summary.to_display == "Friends"
    empty = made("\n").summary
    assert (empty.from_key, empty.from_display, empty.base_subject, empty.own_id) == ("", "", "", None)
    assert empty.thread_ids == ()


def test_what_is_missing_and_what_is_empty() -> None:
    """RFC 9051 §7.5.2: NIL if the field is not there, an empty string if it is empty; Sender follows From."""
    assert made("\n").envelope == b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
    kept = made("Date:\nSubject:\nFrom: a@b\nReply-To:\nTo:\nIn-Reply-To:\nMessage-ID: \n\n").envelope
    empty = sent_envelope(kept)
    one = b'((NIL NIL "a" "b"))'
    assert empty == b'("" "" ' + b" ".join([one, one, one]) + b' NIL NIL NIL "" "")'


@pytest.mark.parametrize(
    ("fields", "repeats"),
    [
        ("From: Bob <bob@example.org>", True),
        ("From: Bob <bob@example.org>\nSender:\nReply-To:", True),
        ("From: Bob <bob@example.org>\nSender: c@d", False),
        ("From: Bob <bob@example.org>\nReply-To: c@d", False),
        ("From: \u1234 <bob@example.org>\nSubject: \u1234", True),
        ("Subject: (\x01", False),
        ("From: a@b\nSubject: " + "x" * 70_000, False),
        ("From: " + ", ".join(["someone@some.example.org"] * 3_000), False),
        ("", False),
    ],
)
def test_an_envelope_is_kept_without_what_it_repeats(fields: str, repeats: bool) -> None:
    found = made(f"{fields}\nTo: Carol <carol@example.com>\n\n")
    sent = imap_envelope(found.summary)
    assert sent_envelope(found.envelope) == sent
    assert sent_envelope(sent) == sent  # as it was kept before
    assert (len(found.envelope) < len(sent)) is repeats
    assert found.envelope.startswith(b"(") is not repeats


def test_raw_octets_are_literals() -> None:
    assert made("Subject: grün\n\n").envelope.startswith(b"(NIL {5}\r\ngr\xc3\xbcn NIL")
    assert string(b"a\0b") == b"{3}\r\na?b"
    assert string(b"") == b'""'
    assert string(b"tab\there") == b'"tab\there"'
    assert nstring(None) == b"NIL"


def test_fields_that_are_there_twice() -> None:
    """RFC 5322 §3.6 allows one; all authors are told, of the others the last counts."""
    text = "From: a@b\nFrom: c@d\nSubject: 1\nSubject: 2\nDate: 1 Jan 2026 00:00 +0000\n\n"
    twice = made(text)
    assert [one.local_part for one in twice.summary.from_] == [b"a", b"c"]
    assert twice.summary.subject == b"2"
    assert [(one.kind, one.offset) for one in defects_of(text)] == [
        (DefectKind.DUPLICATE_FIELD, 11),
        (DefectKind.DUPLICATE_FIELD, 34),
    ]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        (FULL_TEXT, set()),
        ("From: a@b\nDate: 1 Jan 2026 00:00 +0000\n", {DefectKind.NO_HEADER_END}),
        ("From: a@b\nDate: never\n\n", {DefectKind.BAD_DATE}),
        ("Date: 1 Jan 2026 00:00 +0000\n\n", {DefectKind.NO_FROM}),
        ("From: a@b\nDate: 1 Jan 2026 00:00 +0000\nwhat is this\n\n", {DefectKind.NOT_A_FIELD}),
        (">From a\nFrom: a@b\nDate: 1 Jan 2026 00:00 +0000\n\n", {DefectKind.NOT_A_FIELD}),
        ("", {DefectKind.NO_HEADER_END, DefectKind.NO_FROM}),
    ],
)
def test_defects(text: str, kinds: set[DefectKind]) -> None:
    assert {defect.kind for defect in defects_of(text)} == kinds


def test_defects_of_large_headers() -> None:
    date = "From: a@b\nDate: 1 Jan 2026 00:00 +0000\n"
    assert DefectKind.HEADER_TOO_LARGE in {
        defect.kind for defect in defects_of(date + "X: " + "x" * MAX_HEADER_OCTETS + "\n\n")
    }
    many = "".join(f"X{number}: y\n" for number in range(MAX_HEADER_FIELDS + 1))
    assert {defect.kind for defect in defects_of(date + many + "\n")} == {DefectKind.TOO_MANY_FIELDS}


def test_fields_put_before_change_nothing() -> None:
    header_block, body = split(
        b"From: a@b\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\n\r\nx\r\n--B--\r\n"
    )
    longer = prepend(header_block, (b"Return-Path", b"<a@b>"), (b"Received", b"by x"))
    one, other = digests.parse(header_block, body), digests.parse(longer, body)
    assert (one.index, one.summary) == (other.index, other.summary)


PDF = "Content-Type: application/pdf\n\nx\n"
TEXT = "\nx\n"
STATUS = "Content-Type: message/delivery-status\n\nx\n"
MESSAGE = "Content-Type: message/rfc822\n\nA: b\n\n"
PNG = "Content-Type: image/png\nContent-ID: <a@b>\n\nx\n"


@pytest.mark.parametrize(
    ("kind", "parts", "attached"),
    [
        ("mixed", [TEXT], False),
        ("mixed", [TEXT, PDF], True),
        ("mixed", [TEXT, "Content-Disposition: attachment\n" + TEXT], True),
        ("mixed", [TEXT, "Content-Type: text/calendar\n\nx\n"], True),
        ("mixed", [TEXT, MESSAGE], True),
        ("alternative", [TEXT, "Content-Type: text/html\n\nx\n"], False),
        ("related", ["Content-Type: text/html\n\nx\n", PNG], False),
        ("signed", [TEXT, "Content-Type: application/pgp-signature\n\nx\n"], False),
        (
            "report",
            [TEXT, STATUS, MESSAGE],
            False,
        ),
    ],
)
def test_has_attachment(kind: str, parts: list[str], attached: bool) -> None:
    body = "".join(f"--B\n{part}" for part in parts)
    assert made(f"Content-Type: multipart/{kind}; boundary=B\n\n{body}--B--\n").has_attachment is attached


def test_a_message_that_is_one_attachment() -> None:
    assert has_attachment(made(PDF).index)
    assert not has_attachment(made(TEXT).index)
