"""RFC 6376 §6, RFC 8301, RFC 8463, RFC 8616: which signatures hold."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.unit.verify.dkim.keys import ED25519, NOW, RSA, consult, published, rsa_key, verdicts

from pennypost.model.verification import DkimResult
from pennypost.verify.dkim import MAX_SIGNATURES, Policy, SigningKey, public_record, sign, verify
from pennypost.verify.dkim.canonical import Canonicalization, hash_body
from pennypost.verify.dkim.record import BadRecord, parse_record
from pennypost.verify.dkim.sign import make_signature
from pennypost.verify.dkim.signature import Signature
from pennypost.verify.dkim.verify import fields_of, header_hash

HEADER = (
    b"From: Ann <ann@example.org>\r\nTo: bob@example.net\r\nSubject: Hello\r\n\tthere\r\n"
    b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <1@example.org>\r\n\r\n"
)
BODY = b"Hi,  Bob. \r\n\r\nYours\r\n\r\n\r\n"


def signed(*keys: SigningKey, header: bytes = HEADER, body: bytes = BODY) -> bytes:
    return sign(header, body, keys, NOW) + header + body


def handmade(
    tags: str,
    *,
    header: bytes = HEADER,
    body: bytes = BODY,
    forms: tuple[Canonicalization, Canonicalization] = (Canonicalization.RELAXED, Canonicalization.RELAXED),
    key: SigningKey = ED25519,
    fields: str = "from:to:subject",
    limit: int | None = None,
) -> bytes:
    """Sign with any tags whatever."""
    hashed = hash_body(body, forms[1], [("sha256", limit)])["sha256", limit].digest()
    algorithm = key.algorithm.value
    field = (
        f"DKIM-Signature: v=1; a={algorithm}; c={forms[0].value.decode()}/{forms[1].value.decode()}; d={key.domain}; "
        f"s={key.selector}; h={fields}; bh={base64.b64encode(hashed).decode()};{tags} b="
    ).encode()
    names = tuple(name.encode() for name in fields.split(":"))
    signature = Signature(b"", "sha256", b"", b"", forms[0], forms[1], "", "", "", names, None, None, None)
    digest = header_hash(field, signature, fields_of(header))
    return field + base64.b64encode(make_signature(key.key, digest)) + b"\r\n" + header + body


def only(message: bytes, records: dict[str, list[bytes]], **named: object) -> tuple[DkimResult, str]:
    (verdict,) = verdicts(message, records, **named)  # type: ignore[arg-type]
    return verdict.result, verdict.detail


PUBLISHED = published(RSA, ED25519)


def test_both_algorithms() -> None:
    first, second = verdicts(signed(RSA, ED25519), PUBLISHED)
    assert (first.result, first.domain, first.selector, first.algorithm) == (
        DkimResult.PASS,
        "example.org",
        "r1",
        "rsa-sha256",
    )
    assert (second.result, second.algorithm, second.identity) == (DkimResult.PASS, "ed25519-sha256", "@example.org")
    assert first.signature_start != second.signature_start


def test_a_message_without_one_asks_for_nothing() -> None:
    asked: list[str] = []
    assert consult(verify(HEADER, BODY, NOW), {}, asked) == ()
    assert asked == []


def test_each_key_is_asked_for_once() -> None:
    field = sign(HEADER, BODY, [ED25519], NOW)
    asked: list[str] = []
    found = consult(verify(field + field + HEADER, BODY, NOW), PUBLISHED, asked)
    assert [verdict.result for verdict in found] == [DkimResult.PASS] * 2
    assert asked == ["e1._domainkey.example.org"]


def test_the_topmost_signatures_only() -> None:
    field = sign(HEADER, BODY, [ED25519], NOW)
    assert len(consult(verify(field * (MAX_SIGNATURES + 3) + HEADER, BODY, NOW), PUBLISHED)) == MAX_SIGNATURES


@pytest.mark.parametrize("header_form", Canonicalization)
@pytest.mark.parametrize("body_form", Canonicalization)
def test_every_canonicalization(header_form: Canonicalization, body_form: Canonicalization) -> None:
    message = handmade("", forms=(header_form, body_form))
    assert only(message, PUBLISHED)[0] is DkimResult.PASS
    loose = message.replace(b"Subject: Hello\r\n\tthere", b"subject:Hello   there").replace(b"Hi,  Bob. ", b"Hi, Bob.")
    relaxed = header_form is body_form is Canonicalization.RELAXED
    assert (only(loose, PUBLISHED)[0] is DkimResult.PASS) is relaxed


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"ann@", b"eve@"),
        (b"Hello", b"Hallo"),
        (b"Yours", b"Mine"),
        (b"\r\n\r\nHi", b"\r\nSubject: another\r\n\r\nHi"),
        (b"From: Ann", b"From: eve@example.com\r\nFrom: Ann"),
        (b"Date: Tue", b"Reply-To: eve@example.com\r\nDate: Tue"),
    ],
)
def test_what_was_signed_cannot_be_changed_or_added_to(old: bytes, new: bytes) -> None:
    message = signed(RSA)
    assert old in message
    assert only(message.replace(old, new), PUBLISHED)[0] is DkimResult.FAIL


def test_trace_fields_may_be_added() -> None:
    message = b"Received: from a by b; date\r\nReturn-Path: <ann@example.org>\r\n" + signed(RSA, ED25519)
    assert [verdict.result for verdict in verdicts(message, PUBLISHED)] == [DkimResult.PASS] * 2


@pytest.mark.parametrize(
    ("tags", "result", "detail"),
    [
        ("", DkimResult.PASS, ""),
        (" i=ann@example.org;", DkimResult.PASS, ""),
        (" i=ann@sub.example.org;", DkimResult.PASS, ""),
        (" i=ann@example.com;", DkimResult.NEUTRAL, "i= is not within d="),
        (" i=ann@badexample.org;", DkimResult.NEUTRAL, "i= is not within d="),
        (" q=dns/txt;", DkimResult.PASS, ""),
        (" q=other:dns/txt;", DkimResult.PASS, ""),
        (" q=other;", DkimResult.NEUTRAL, "the key is asked for in a way that is not known"),
        (f" t={NOW}; x={NOW + 100};", DkimResult.PASS, ""),
        (f" x={NOW - 10000};", DkimResult.FAIL, "the signature has expired"),
        (f" t={NOW + 100000};", DkimResult.FAIL, "the signature is from the future"),
        (f" t={NOW}; x={NOW - 1};", DkimResult.NEUTRAL, "it expires before it was made"),
        (" x=soon;", DkimResult.NEUTRAL, "x= is no number"),
        (" z=From:ann@example.org|To:bob@example.net;", DkimResult.PASS, ""),
        (" unknown=tag;", DkimResult.PASS, ""),
        (" d=example.org;", DkimResult.NEUTRAL, "tag d= comes twice"),
        (" 1=2;", DkimResult.NEUTRAL, "not a list of tags"),
    ],
)
def test_tags(tags: str, result: DkimResult, detail: str) -> None:
    assert only(handmade(tags), PUBLISHED) == (result, detail)


@pytest.mark.parametrize("tag", ["v", "a", "b", "bh", "d", "h", "s"])
def test_a_tag_that_must_be_there(tag: str) -> None:
    message = handmade("")
    assert only(message.replace(f" {tag}=".encode(), b" zz=", 1), PUBLISHED) == (
        DkimResult.NEUTRAL,
        f"tag {tag}= is missing",
    )


def test_from_must_be_signed() -> None:
    assert only(handmade("", fields="to:subject"), PUBLISHED) == (DkimResult.NEUTRAL, "From is not signed")


def test_part_of_a_body() -> None:
    message = handmade(" l=10;", limit=10)
    (verdict,) = verdicts(message + b"and more\r\n", PUBLISHED)
    assert (verdict.result, verdict.body_length_limited, verdict.partial) == (DkimResult.PASS, True, True)
    (verdict,) = verdicts(handmade(" l=10;", limit=10, body=b"12345678\r\n"), PUBLISHED)
    assert (verdict.result, verdict.body_length_limited, verdict.partial) == (DkimResult.PASS, True, False)
    assert only(message, PUBLISHED, policy=Policy(accept_length_limit=False))[0] is DkimResult.POLICY
    assert only(handmade(" l=10;", limit=10, body=b"Hi\r\n"), PUBLISHED) == (
        DkimResult.FAIL,
        "the body is shorter than what was signed",
    )


def test_sha1_is_refused() -> None:
    """RFC 8301 §3.1: also if it held."""
    message = handmade("", key=RSA).replace(b"a=rsa-sha256", b"a=rsa-sha1")
    assert only(message, PUBLISHED)[0] is DkimResult.POLICY


def test_weak_keys_are_refused() -> None:
    weak = SigningKey("example.org", "w", rsa_key(1024))
    message = signed(weak)
    assert only(message, published(weak))[0] is DkimResult.PASS
    assert only(message, published(weak), policy=Policy(min_rsa_bits=2048)) == (
        DkimResult.POLICY,
        "the key is weak: 1024 bits",
    )


NAME = "e1._domainkey.example.org"
RECORD = PUBLISHED[NAME][0]


@pytest.mark.parametrize(
    ("records", "result", "detail"),
    [
        ({}, DkimResult.PERMERROR, "there is no key"),
        ({NAME: []}, DkimResult.TEMPERROR, "the key could not be fetched"),
        ({NAME: [b"v=spf1 -all", RECORD]}, DkimResult.PASS, ""),
        ({NAME: [RECORD + b"; n=a note; unknown=x;"]}, DkimResult.PASS, ""),
        ({NAME: [RECORD.removeprefix(b"v=DKIM1; ")]}, DkimResult.PASS, ""),
        ({NAME: [b"k=ed25519; v=DKIM1; " + RECORD[9:]]}, DkimResult.PERMERROR, "the key record: tag k= comes twice"),
        ({NAME: [b"v=DKIM2; p=AAAA"]}, DkimResult.PERMERROR, "the key record has a version that is not known"),
        ({NAME: [b"v=DKIM1; k=ed25519; p="]}, DkimResult.PERMERROR, "the key was revoked"),
        ({NAME: [b"v=DKIM1; k=ed25519"]}, DkimResult.PERMERROR, "the key record has no key"),
        ({NAME: [b"v=DKIM1; k=ed25519; p=!!"]}, DkimResult.PERMERROR, "the key is not base64"),
        ({NAME: [b"v=DKIM1; k=ed25519; p=AAAA"]}, DkimResult.PERMERROR, "the key cannot be read"),
        ({NAME: [b"v=DKIM1; k=other; p=AAAA"]}, DkimResult.PERMERROR, "the key has a type that is not known"),
        ({NAME: [b"v=DKIM1; p=AAAA"]}, DkimResult.PERMERROR, "the key cannot be read"),
        ({NAME: PUBLISHED["r1._domainkey.example.org"]}, DkimResult.PERMERROR, "the key is for another algorithm"),
        ({NAME: [RECORD + b"; s=tlsrpt"]}, DkimResult.PERMERROR, "the key is not for mail"),
        ({NAME: [RECORD + b"; s=other:email"]}, DkimResult.PASS, ""),
        ({NAME: [RECORD + b"; h=sha1"]}, DkimResult.PERMERROR, "the key is not for this hash"),
        ({NAME: [RECORD + b"; h=sha1 : sha256"]}, DkimResult.PASS, ""),
        ({NAME: [b"v=DKIM1; n=" + b"x" * 20000]}, DkimResult.PERMERROR, "the key record is too large"),
    ],
)
def test_key_records(records: dict[str, list[bytes]], result: DkimResult, detail: str) -> None:
    assert only(signed(ED25519), records) == (result, detail)


def test_a_key_in_testing_says_so() -> None:
    (verdict,) = verdicts(signed(ED25519), {NAME: [RECORD + b"; t=y:s"]})
    assert (verdict.result, verdict.testing) == (DkimResult.PASS, True)


def test_a_strict_key() -> None:
    strict = {NAME: [RECORD + b"; t=s"]}
    assert only(handmade(" i=ann@example.org;"), strict)[0] is DkimResult.PASS
    assert only(handmade(" i=ann@sub.example.org;"), strict)[0] is DkimResult.PERMERROR


def test_internationalized_names() -> None:
    """RFC 8616 §4: U-labels in a signature lead to A-labels in the DNS."""
    key = SigningKey("b\u00fccher.example", "s", ED25519.key)
    records = {"s._domainkey.xn--bcher-kva.example": [public_record(ED25519.key.public_key()).encode()]}
    header = HEADER.replace(b"example.org", "b\u00fccher.example".encode())
    assert only(handmade("", key=key, header=header), records)[0] is DkimResult.PASS


@pytest.mark.parametrize(
    "value", [b"", b"v=1", b"v=1; a=", b";;;", b"\xff\xfe", b"v=1; a=rsa-sha256; b=x; bh=x; d=.; h=from; s=."]
)
def test_a_field_that_is_none(value: bytes) -> None:
    assert only(b"DKIM-Signature: " + value + b"\r\n" + HEADER + BODY, {})[0] is DkimResult.NEUTRAL


def test_a_key_that_takes_long_is_none() -> None:
    """Fifty seals and eight signatures may each be checked with one."""
    numbers = RSAPublicNumbers(2**2000 + 1, rsa_key().public_key().public_numbers().n)
    encoded = numbers.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(BadRecord, match="cannot be read"):
        parse_record(b"v=DKIM1; p=" + base64.b64encode(encoded))
