"""Which signatures of a message hold (RFC 6376 §6).

Theory of operation. Signatures are read first, `MAX_SIGNATURES` of them, from the top. What can be said without the DNS
and without a hash is said at once. Then the body is hashed, once for all who want the same form of it, and only for
those that are left; then each key is asked for. A message without a signature costs one look at its header.
"""

import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from pennypost.message.headers import FIELD
from pennypost.model.dns import Consultation, DnsAnswer, DnsQuestion, DnsStatus, RecordType
from pennypost.model.verification import DkimResult, DkimVerdict
from pennypost.verify.dkim.canonical import BodyHash, Canonicalization, hash_body, header_field
from pennypost.verify.dkim.record import BadRecord, KeyRecord, parse_record
from pennypost.verify.dkim.signature import BadSignature, Signature, parse_signature, without_signature

MAX_SIGNATURES = 8
"""Signatures of one message that are looked at (RFC 6376 §6.1: a limit is allowed); the topmost come first."""

MAX_KEY_RECORDS = 4
"""TXT records at one name that are tried (RFC 6376 §3.6.2.2 leaves it open)."""

_START_OCTETS = 12
"""Characters of b= that tell signatures apart (RFC 6008 §4: eight at least)."""

_CLOCK_SKEW = 600
"""Seconds by which another clock may be ahead of ours."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a signature needs to be accepted. `min_rsa_bits`: RFC 8301 §3.2. `accept_sha1`: RFC 8301 §3.1 forbids it.
    `accept_length_limit`: whether l= is taken; what follows the signed octets could be anybody's (RFC 6376 §8.2)."""

    min_rsa_bits: int = 1024
    accept_sha1: bool = False
    accept_length_limit: bool = True


@dataclass(frozen=True, slots=True)
class SignedField:
    """A header field as it stands: `name` in lower case, `octets` without its line end."""

    name: bytes
    octets: bytes


_DEFAULT_POLICY = Policy()

_BodyHashes = dict[tuple[Canonicalization, str, int | None], BodyHash]


class Refused(Exception):
    """A signature does not hold, or cannot be judged: `result` and why."""

    def __init__(self, result: DkimResult, detail: str) -> None:
        self.result = result
        self.detail = detail
        super().__init__(detail)


def verify(
    header_block: bytes, body: bytes | memoryview, now: int, policy: Policy = _DEFAULT_POLICY
) -> Consultation[tuple[DkimVerdict, ...]]:
    """Judge the signatures of a message (RFC 6376 §6.1), the topmost first; nothing when there is none.

    `header_block`, `body`: CRLF lines. `now`: seconds since the epoch. Asks for each key once. The time is linear in
    the size of the message, the memory beyond it constant. A body of megabytes takes a while: verify it off the loop.
    """
    fields = fields_of(header_block)
    signed = [field for field in fields if field.name == b"dkim-signature"][:MAX_SIGNATURES]
    if not signed:
        return ()
    read: list[tuple[SignedField, Signature | None, Refused | None]] = []
    for field in signed:
        try:
            read.append((field, _admit(field, now, policy), None))
        except Refused as refused:
            read.append((field, None, refused))
    bodies = hash_bodies(body, [signature for _, signature, _ in read if signature is not None])
    verdicts: list[DkimVerdict] = []
    answers: dict[str, DnsAnswer] = {}
    for field, signature, hindrance in read:
        if signature is None:
            assert hindrance is not None
            verdicts.append(_unread_verdict(field, hindrance))
            continue
        record: KeyRecord | None = None
        partial = False
        try:
            partial = check_body(signature, bodies)
            name = f"{signature.selector}._domainkey.{signature.domain}"
            if name not in answers:
                answers[name] = yield DnsQuestion(name, RecordType.TXT)
            digest = header_hash(field.octets, signature, fields)
            record = check_keys(signature, digest, answers[name], policy)
            result, detail = DkimResult.PASS, ""
        except Refused as problem:
            result, detail = problem.result, problem.detail
        verdicts.append(_verdict(signature, result, detail, record, partial=partial))
    return tuple(verdicts)


def fields_of(header_block: bytes) -> list[SignedField]:
    """List the fields of a header block as they stand, from the top."""
    return [SignedField(match[1].lower(), match.group().removesuffix(b"\r")) for match in FIELD.finditer(header_block)]


# -- Before the key


def _admit(field: SignedField, now: int, policy: Policy) -> Signature:
    """Read a signature, and see whether it can hold at all. Raises Refused."""
    try:
        signature = parse_signature(field.octets.partition(b":")[2])
    except BadSignature as problem:
        raise Refused(DkimResult.NEUTRAL, str(problem)) from None
    check_times(signature, now)
    if signature.hash == "sha1" and not policy.accept_sha1:
        raise Refused(DkimResult.POLICY, "rsa-sha1 is not accepted (RFC 8301)")
    if signature.body_length is not None and not policy.accept_length_limit:
        raise Refused(DkimResult.POLICY, "a signature of a part of the body is not accepted")
    return signature


def check_times(signature: Signature, now: int) -> None:
    """Raise Refused for a signature that has expired, or is from the future (RFC 6376 §3.5: x=, t=)."""
    if signature.expiration is not None and now > signature.expiration + _CLOCK_SKEW:
        raise Refused(DkimResult.FAIL, "the signature has expired")
    if signature.timestamp is not None and signature.timestamp > now + _CLOCK_SKEW:
        raise Refused(DkimResult.FAIL, "the signature is from the future")


def hash_bodies(body: bytes | memoryview, signatures: list[Signature]) -> _BodyHashes:
    """Hash the body in all the forms that signatures ask for, each once."""
    wanted: dict[Canonicalization, list[tuple[str, int | None]]] = {}
    for signature in signatures:
        one = (signature.hash, signature.body_length)
        of_form = wanted.setdefault(signature.body_form, [])
        if one not in of_form:
            of_form.append(one)
    hashed: _BodyHashes = {}
    for form, ones in wanted.items():
        for (name, limit), found in hash_body(body, form, ones).items():
            hashed[form, name, limit] = found
    return hashed


def check_body(signature: Signature, bodies: _BodyHashes) -> bool:
    """Raise Refused when the body is not the one that was signed (RFC 6376 §6.1.3 step 3). Gives whether something
    follows what was signed, which l= allows."""
    found = bodies[signature.body_form, signature.hash, signature.body_length]
    if signature.body_length is not None and found.octets < signature.body_length:
        raise Refused(DkimResult.FAIL, "the body is shorter than what was signed")
    if found.digest() != signature.body_hash:
        raise Refused(DkimResult.FAIL, "the body has been changed")
    return signature.body_length is not None and found.octets > signature.body_length


# -- With the key


def header_hash(own: bytes, signature: Signature, fields: list[SignedField]) -> bytes:
    """Hash the header fields that are signed, and the signature's own (RFC 6376 §3.7, §5.4.2).

    `own`: the signature's field as it stands.
    """
    form = signature.header_form
    covered = signed_header(signature.signed_fields, fields, form) + header_field(without_signature(own), form)
    return hashlib.new(signature.hash, covered, usedforsecurity=False).digest()


def signed_header(names: Sequence[bytes], fields: list[SignedField], form: Canonicalization) -> bytes:
    """Give the header fields that names stand for, in a canonical form: each for the lowest field of that name that was
    not taken yet; one that is not there for nothing (RFC 6376 §5.4.2). Every line has its end."""
    left: dict[bytes, list[bytes]] = {}
    for field in fields:
        left.setdefault(field.name, []).append(field.octets)
    taken: list[bytes] = []
    for name in names:
        of_name = left.get(name)
        if of_name:
            taken.append(header_field(of_name.pop(), form) + b"\r\n")
    return b"".join(taken)


def check_keys(signature: Signature, digest: bytes, answer: DnsAnswer, policy: Policy) -> KeyRecord:
    """Find a key record that the signature holds under (RFC 6376 §6.1.2, §6.1.3). Raises Refused with the last
    reason."""
    if answer.status is DnsStatus.FAILED:
        raise Refused(DkimResult.TEMPERROR, "the key could not be fetched")
    records = [record for record in answer.records if isinstance(record, bytes)][:MAX_KEY_RECORDS]
    reason = Refused(DkimResult.PERMERROR, "there is no key")
    for text in records:
        try:
            record = parse_record(text)
        except BadRecord as problem:
            reason = Refused(DkimResult.PERMERROR, str(problem))
            continue
        try:
            _check_key(signature, digest, record, policy)
        except Refused as refused:
            reason = refused
            continue
        return record
    raise reason


def _check_key(signature: Signature, digest: bytes, record: KeyRecord, policy: Policy) -> None:
    key_type, _, _ = signature.algorithm.partition(b"-")
    if key_type != record.type:
        raise Refused(DkimResult.PERMERROR, "the key is for another algorithm")
    if record.hashes is not None and signature.hash.encode("ascii") not in record.hashes:
        raise Refused(DkimResult.PERMERROR, "the key is not for this hash")
    if record.strict and signature.identity.rpartition("@")[2] != signature.domain:
        raise Refused(DkimResult.PERMERROR, "the key is for d= alone, and i= is below it")
    key = record.key
    if isinstance(key, RSAPublicKey) and key.key_size < policy.min_rsa_bits:
        raise Refused(DkimResult.POLICY, f"the key is weak: {key.key_size} bits")
    if not holds(key, signature, digest):
        raise Refused(DkimResult.FAIL, "the signature does not fit")


def holds(key: RSAPublicKey | Ed25519PublicKey, signature: Signature, digest: bytes) -> bool:
    """Whether a signature over a hash was made with the key's other half."""
    try:
        if isinstance(key, RSAPublicKey):
            algorithm = hashes.SHA256() if signature.hash == "sha256" else hashes.SHA1()  # noqa: S303 -- checks policy
            key.verify(signature.signature, digest, PKCS1v15(), Prehashed(algorithm))
        else:
            key.verify(signature.signature, digest)  # RFC 8463 §3: what is signed is the hash
    except InvalidSignature:
        return False
    return True


# -- Verdicts


def _verdict(
    signature: Signature, result: DkimResult, detail: str, record: KeyRecord | None, *, partial: bool = False
) -> DkimVerdict:
    return DkimVerdict(
        result,
        signature.domain,
        signature.selector,
        signature.identity,
        signature.algorithm.decode("ascii"),
        _start(signature.signature),
        body_length_limited=signature.body_length is not None,
        testing=record is not None and record.testing,
        detail=detail,
        partial=partial,
    )


def _unread_verdict(field: SignedField, refused: Refused) -> DkimVerdict:
    """Say of a signature that is not looked at any further what can be read of it."""
    try:
        signature = parse_signature(field.octets.partition(b":")[2])
    except BadSignature:
        return DkimVerdict(refused.result, "", "", "", "", "", detail=refused.detail)
    return _verdict(signature, refused.result, refused.detail, None)


def _start(signature: bytes) -> str:
    return b64_text(signature)[:_START_OCTETS]


def b64_text(octets: bytes) -> str:
    """Give octets as base64 text on one line."""
    return binascii.b2a_base64(octets, newline=False).decode("ascii")
