"""RFC 6698, RFC 7671, RFC 7672."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pennypost.model.dns import DnsAnswer, DnsStatus, TlsaRecord
from pennypost.verify.dane import Finding, Tlsa, find_tlsa, is_usable, vouches

NOW = datetime.now(UTC)


def der(pem: trustme.Blob) -> bytes:
    return x509.load_pem_x509_certificate(pem.bytes()).public_bytes(Encoding.DER)


def spki(certificate: bytes) -> bytes:
    key = x509.load_der_x509_certificate(certificate).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


ROOT = trustme.CA()
MIDDLE = ROOT.create_child_ca()
LEAF = der(MIDDLE.issue_cert("mx.example.org", "*.wild.example").cert_chain_pems[0])
CHAIN = [LEAF, der(MIDDLE.cert_pem), der(ROOT.cert_pem)]
OTHER = [der(trustme.CA().issue_cert("mx.example.org").cert_chain_pems[0])]
NAMES = ("mx.example.org", "example.org")


def record(usage: int, selector: int, matching: int, certificate: bytes) -> TlsaRecord:
    content = certificate if selector == 0 else spki(certificate)
    digests = {0: content, 1: hashlib.sha256(content).digest(), 2: hashlib.sha512(content).digest()}
    return TlsaRecord(usage, selector, matching, digests[matching])


@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
@pytest.mark.parametrize(("usage", "certificate"), [(3, CHAIN[0]), (2, CHAIN[1]), (2, CHAIN[2])])
def test_what_matches(usage: int, selector: int, matching: int, certificate: bytes) -> None:
    one = record(usage, selector, matching, certificate)
    assert vouches([one], CHAIN, NAMES, NOW)
    assert not vouches([one], OTHER, NAMES, NOW)
    assert vouches([record(3, 1, 1, OTHER[0]), one], CHAIN, NAMES, NOW)


def test_names_and_dates_matter_for_a_trust_anchor_only() -> None:
    """RFC 7672 §3.1.1, §3.2.3."""
    late = NOW - timedelta(days=30_000)  # before they were valid
    assert vouches([record(3, 1, 1, LEAF)], CHAIN, ("other.example",), late)
    assert not vouches([record(2, 1, 1, CHAIN[2])], CHAIN, ("other.example",), NOW)
    assert not vouches([record(2, 1, 1, CHAIN[2])], CHAIN, NAMES, late)
    assert vouches([record(2, 1, 1, CHAIN[2])], CHAIN, ("a.wild.example",), NOW)
    assert not vouches([record(2, 1, 1, CHAIN[2])], CHAIN, ("a.b.wild.example",), NOW)


def test_a_trust_anchor_has_to_have_issued_the_certificate() -> None:
    """An attacker who sends the anchor behind a certificate of their own proves nothing."""
    assert not vouches([record(2, 1, 1, CHAIN[2])], [*OTHER, CHAIN[2]], NAMES, NOW)
    assert not vouches([record(2, 0, 1, CHAIN[2])], [LEAF, CHAIN[2]], NAMES, NOW)  # the middle is missing
    assert vouches([record(2, 0, 0, CHAIN[1])], [LEAF], NAMES, NOW)  # it stands in the DNS
    # A host's certificate is no anchor for another one.
    assert not vouches([record(2, 0, 1, LEAF)], CHAIN, NAMES, NOW)


@pytest.mark.parametrize("chain", [[], [b""], [b"\x30\x03abc"]])
def test_what_is_no_chain(chain: list[bytes]) -> None:
    assert not vouches([record(3, 1, 1, LEAF), record(2, 1, 1, LEAF)], chain, NAMES, NOW)


@pytest.mark.parametrize(
    ("fields", "usable"),
    [
        ((3, 1, 1, 32), True),
        ((2, 0, 2, 64), True),
        ((3, 0, 0, 5), True),
        ((0, 1, 1, 32), False),
        ((1, 1, 1, 32), False),
        ((4, 1, 1, 32), False),
        ((3, 2, 1, 32), False),
        ((3, 1, 3, 32), False),
        ((3, 1, 1, 31), False),
        ((3, 1, 0, 0), False),
    ],
)
def test_what_is_usable(fields: tuple[int, int, int, int], usable: bool) -> None:
    usage, selector, matching, octets = fields
    assert is_usable(TlsaRecord(usage, selector, matching, bytes(octets))) is usable


def find(answers: Mapping[str, DnsAnswer], canonical: str | None = None) -> Tlsa:
    consultation = find_tlsa("mx.example.org", canonical, 25)
    try:
        question = next(consultation)
        while True:
            question = consultation.send(answers.get(question.name, DnsAnswer(DnsStatus.NO_SUCH_NAME)))
    except StopIteration as done:
        result: Tlsa = done.value
        return result


def found(*records: TlsaRecord, authentic: bool = True) -> DnsAnswer:
    return DnsAnswer(DnsStatus.FOUND, records, authentic)


def test_records_are_looked_for() -> None:
    """RFC 7672 §2.2."""
    good, bad = TlsaRecord(3, 1, 1, bytes(32)), TlsaRecord(1, 1, 1, bytes(32))
    where = "_25._tcp.mx.example.org"
    assert find({where: found(bad, good)}) == Tlsa(Finding.USABLE, (good,), "mx.example.org")
    assert find({where: found(bad)}).finding is Finding.UNUSABLE
    assert find({where: found(good, authentic=False)}).finding is Finding.NONE
    assert find({where: DnsAnswer(DnsStatus.FAILED)}).finding is Finding.FAILED
    assert find({}).finding is Finding.NONE
    alias = {"_25._tcp.real.example": found(good)}
    assert find(alias, "real.example").base == "real.example"
    assert find({where: found(good)}, "real.example").base == "mx.example.org"


def test_the_strongest_digest_counts() -> None:
    """RFC 7671 §9."""
    weak, strong, other = TlsaRecord(3, 1, 1, bytes(32)), TlsaRecord(3, 1, 2, bytes(64)), TlsaRecord(2, 1, 1, bytes(32))
    assert find({"_25._tcp.mx.example.org": found(weak, strong, other)}).records == (strong, other)
