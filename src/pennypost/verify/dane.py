"""DANE for SMTP: certificates that the DNS vouches for (RFC 6698, RFC 7671, RFC 7672)."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtensionOID, NameOID

from pennypost.model.dns import Consultation, DnsQuestion, DnsStatus, RecordType, TlsaRecord

DANE_TA = 2
DANE_EE = 3

_FULL, _SPKI = 0, 1
_EXACT, _SHA_256, _SHA_512 = 0, 1, 2
_DIGEST_OCTETS = {_SHA_256: 32, _SHA_512: 64}

MAX_RECORDS = 50
"""TLSA records of one host that are heeded."""

MAX_PATH = 8
"""Certificates between a host's and its trust anchor."""


class Finding(Enum):
    """What the DNS says of a host (RFC 7672 §2.2)."""

    NONE = "none"
    """Nothing that was validated: DANE does not apply."""
    USABLE = "usable"
    UNUSABLE = "unusable"
    """There are records, none of which we can use: TLS is needed, whoever is at its other end."""
    FAILED = "failed"
    """The question was not answered: the host must not be used now, somebody may hide its records."""


@dataclass(frozen=True, slots=True)
class Tlsa:
    """`records`: the usable ones. `base`: the name below which they stand: whom TLS asks for (RFC 7672 §8.1)."""

    finding: Finding
    records: tuple[TlsaRecord, ...] = ()
    base: str = ""


def find_tlsa(host: str, canonical_name: str | None, port: int) -> Consultation[Tlsa]:
    """Find the TLSA records of a host whose addresses were validated (RFC 7672 §2.2.2–2.2.3).

    `canonical_name`: where its CNAME records lead, else None: records are looked for there first.
    """
    for base in (canonical_name, host):
        if base is None:
            continue
        answer = yield DnsQuestion(f"_{port}._tcp.{base}", RecordType.TLSA)
        if answer.status is DnsStatus.FAILED:
            return Tlsa(Finding.FAILED)
        if answer.status is DnsStatus.FOUND and answer.authentic:
            records = [record for record in answer.records if isinstance(record, TlsaRecord)]
            usable = _strongest([record for record in records[:MAX_RECORDS] if is_usable(record)])
            return Tlsa(Finding.USABLE if usable else Finding.UNUSABLE, usable, base)
    return Tlsa(Finding.NONE)


def is_usable(record: TlsaRecord) -> bool:
    """Whether a record means something for SMTP (RFC 7672 §3.1: not PKIX-TA, not PKIX-EE; RFC 7671 §4)."""
    if record.usage not in (DANE_TA, DANE_EE) or record.selector not in (_FULL, _SPKI):
        return False
    if record.matching_type == _EXACT:
        return bool(record.data)
    return _DIGEST_OCTETS.get(record.matching_type) == len(record.data)


def _strongest(records: Sequence[TlsaRecord]) -> tuple[TlsaRecord, ...]:
    """Leave out what a stronger digest of the same usage and selector makes needless (RFC 7671 §9)."""
    strong = {(record.usage, record.selector) for record in records if record.matching_type == _SHA_512}
    return tuple(
        record
        for record in records
        if record.matching_type != _SHA_256 or (record.usage, record.selector) not in strong
    )


def vouches(records: Sequence[TlsaRecord], chain: Sequence[bytes], names: Sequence[str], now: datetime) -> bool:
    """Whether usable records vouch for the chain a host sent (RFC 7671 §5.1–5.2).

    `chain`: DER, the host's own certificate first. `names`: those a certificate under a trust anchor may be for
    (RFC 7672 §3.2.2). `now`: aware. Names and dates do not matter for DANE-EE (RFC 7672 §3.1.1).
    """
    certificates = []
    for octets in chain:
        try:
            certificates.append(x509.load_der_x509_certificate(octets))
        except ValueError:
            break
    if not certificates:
        return False
    leaf = certificates[0]
    if any(record.usage == DANE_EE and _matches(record, leaf) for record in records):
        return True
    anchors = [record for record in records if record.usage == DANE_TA]
    if not anchors or not _is_current(leaf, now) or not any(_is_for(leaf, name) for name in names):
        return False
    others = [*certificates[1:], *_anchors_in(anchors)]
    return any(any(_matches(record, issuer) for record in anchors) for issuer in _path(leaf, others, now))


def _path(leaf: x509.Certificate, others: list[x509.Certificate], now: datetime) -> Iterator[x509.Certificate]:
    """Go up from a certificate to those that issued it, as far as signatures and dates hold."""
    below = leaf
    for _ in range(MAX_PATH):
        issuer = next((other for other in others if _issued(other, below)), None)
        if issuer is None or not _is_current(issuer, now):
            return
        yield issuer
        others = [other for other in others if other is not issuer]
        below = issuer


def _issued(issuer: x509.Certificate, below: x509.Certificate) -> bool:
    try:
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
        if not constraints.ca:
            return False
        below.verify_directly_issued_by(issuer)
    except (x509.ExtensionNotFound, InvalidSignature, ValueError, TypeError):
        return False
    return True


def _anchors_in(records: Sequence[TlsaRecord]) -> Iterator[x509.Certificate]:
    """Give the trust anchors that stand whole in the DNS, which a host need not send (RFC 7671 §5.2.2)."""
    for record in records:
        if (record.selector, record.matching_type) == (_FULL, _EXACT):
            try:
                yield x509.load_der_x509_certificate(record.data)
            except ValueError:
                continue


def _matches(record: TlsaRecord, certificate: x509.Certificate) -> bool:
    """RFC 6698 §2.1."""
    try:
        if record.selector == _FULL:
            content = certificate.public_bytes(Encoding.DER)
        else:
            content = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError):  # a kind of key that nobody here knows
        return False
    match record.matching_type:
        case 1:
            content = hashlib.sha256(content).digest()
        case 2:
            content = hashlib.sha512(content).digest()
    return content == record.data


def _is_current(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def _is_for(certificate: x509.Certificate, name: str) -> bool:
    """Whether a certificate is for a host: of its SAN, or else its common name (RFC 7672 §3.2.3)."""
    try:
        extension = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
        assert isinstance(extension.value, x509.SubjectAlternativeName)
        found = extension.value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        found = [str(attribute.value) for attribute in common]
    except ValueError:
        return False
    parent = name.partition(".")[2]
    return any(one == name or (one.startswith("*.") and one[2:] == parent) for one in map(str.lower, found))
