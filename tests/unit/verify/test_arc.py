"""RFC 8617: chains that hold, and those that do not."""

import dkim as dkimpy
import pytest
from tests.unit.verify.dkim.keys import ED25519, NOW, RSA, consult, published, rsa_key

from pennypost.model.verification import ArcResult, ArcVerdict
from pennypost.verify.arc import MAX_SETS, seal, validate
from pennypost.verify.authentication_results import Outcome
from pennypost.verify.dkim import SigningKey, sign
from pennypost.verify.dkim.canonical import Canonicalization
from pennypost.verify.dkim.canonical import body as canonical_body
from pennypost.verify.dkim.sign import SigningWork

OTHER = SigningKey("lists.example.net", "a", rsa_key())
RECORDS = published(RSA, ED25519, OTHER)
HEADER = b"From: Ann <ann@example.org>\r\nTo: list@example.net\r\nSubject: Hello\r\n\r\n"
BODY = b"Hi\r\n"
PASSED = (Outcome("spf", "pass"), Outcome("dkim", "pass", properties=(("header.d", "example.org"),)))


def judge(header: bytes, body: bytes = BODY, records: dict[str, list[bytes]] = RECORDS) -> ArcVerdict:
    return consult(validate(header, body, NOW), records)


def sealed(header: bytes, key: SigningKey, body: bytes = BODY, host: str = "mx.example.net") -> bytes:
    return seal(header, body, key, host, PASSED, judge(header, body), NOW) + header


def test_a_message_without_a_chain() -> None:
    assert judge(HEADER).result is ArcResult.NONE


def test_one_set() -> None:
    verdict = judge(sealed(HEADER, OTHER))
    assert verdict.result is ArcResult.PASS
    assert verdict.sealers == ("lists.example.net",)
    assert verdict.oldest_pass == 0
    assert verdict.results.startswith("mx.example.net; spf=pass; dkim=pass header.d=example.org")


def test_a_chain_of_three_algorithms_and_hosts() -> None:
    signed = sign(HEADER, BODY, [RSA], NOW) + HEADER
    header = sealed(sealed(sealed(signed, OTHER), ED25519, host="mx.two.example"), RSA, host="mx.three.example")
    verdict = judge(header)
    assert (verdict.result, verdict.oldest_pass) == (ArcResult.PASS, 0)
    assert verdict.sealers == ("lists.example.net", "example.org", "example.org")


def test_a_list_that_changes_the_body_can_still_seal() -> None:
    """The seals before its own hold; its own signature is of the message as it is now."""
    first = sealed(HEADER, OTHER)
    changed = BODY + b"-- \r\nthe list\r\n"
    broken = seal(first, changed, RSA, "mx.two.example", PASSED, judge(first, BODY), NOW) + first
    verdict = judge(broken, changed)
    assert (verdict.result, verdict.oldest_pass) == (ArcResult.PASS, 2)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Subject: Hello", b"Subject: Hallo"),
        (b"spf=pass", b"spf=fail"),
        (b"cv=none", b"cv=pass"),
        (b"i=1; a=rsa-sha256; cv", b"i=2; a=rsa-sha256; cv"),
        (b"ARC-Message-Signature: i=1", b"ARC-Message-Signature: i=x"),
        (b"ARC-Message-Signature", b"X-Message-Signature"),
        (b"ARC-Authentication-Results: i=1", b"ARC-Authentication-Results: i=1; i=1"),
        (b"d=lists.example.net; s=a; t=", b"d=lists.example.net; s=b; t="),
        (b"cv=none", b"cv=fail"),
        (b"cv=none;", b"h=from;"),
    ],
)
def test_what_breaks_a_chain(old: bytes, new: bytes) -> None:
    header = sealed(HEADER, OTHER)
    assert old in header
    verdict = judge(header.replace(old, new))
    assert verdict.result is ArcResult.FAIL
    assert verdict.detail


def test_a_set_that_comes_twice() -> None:
    own = seal(HEADER, BODY, OTHER, "mx.example.net", PASSED, judge(HEADER), NOW)
    assert judge(own + own + HEADER).detail == "there are two fields of set 1"


def test_a_body_that_was_changed() -> None:
    assert judge(sealed(HEADER, OTHER), b"Bye\r\n").result is ArcResult.FAIL


def test_octets_behind_what_was_signed_break_a_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    length = sum(map(len, canonical_body(BODY, Canonicalization.RELAXED)))
    plain = SigningWork.field

    def limited(work: SigningWork, name: str, first: str, _: list[str], key: SigningKey, now: int) -> bytes:
        return plain(work, name, first, [f"l={length};"], key, now)

    monkeypatch.setattr(SigningWork, "field", limited)
    header = sealed(HEADER, RSA)
    assert judge(header).result is ArcResult.PASS
    assert judge(header, BODY + b"and more\r\n").result is ArcResult.FAIL


def test_a_key_that_cannot_be_fetched_now() -> None:
    verdict = judge(sealed(HEADER, OTHER), records={"a._domainkey.lists.example.net": []})
    assert (verdict.result, verdict.temporary) == (ArcResult.FAIL, True)


def test_a_broken_chain_is_sealed_as_broken_and_no_further() -> None:
    broken = sealed(HEADER, OTHER).replace(b"Subject: Hello", b"Subject: Hallo")
    marked = sealed(broken, RSA)
    assert b"i=2; a=rsa-sha256; cv=fail" in marked
    verdict = judge(marked)
    assert (verdict.result, verdict.detail) == (ArcResult.FAIL, "who sealed it last found it broken")
    assert sealed(marked, RSA) == marked


def test_a_chain_has_an_end() -> None:
    header = HEADER
    for _ in range(MAX_SETS):
        header = sealed(header, ED25519)
    assert judge(header).result is ArcResult.PASS
    assert sealed(header, ED25519) == header


def test_another_implementation_agrees() -> None:
    header = sealed(sealed(HEADER, OTHER), RSA, host="mx.two.example")

    def look_up(name: bytes, timeout: int = 5) -> bytes:
        return RECORDS[name.decode().rstrip(".")][0]

    status, _, reason = dkimpy.arc_verify(header + BODY, dnsfunc=look_up)
    assert status == b"pass", reason
    status, _, _ = dkimpy.arc_verify(header + BODY + b"more\r\n", dnsfunc=look_up)
    assert status == b"fail"
