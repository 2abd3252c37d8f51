"""The Authenticated Received Chain (RFC 8617): does it hold, and our own link in it.

Theory of operation. Each host that passes a message on adds a set of three fields with the same number: what it found
out (ARC-Authentication-Results), a signature of the message as it was there (ARC-Message-Signature, a DKIM signature in
all but its name), and a seal over all sets so far (ARC-Seal). A chain holds if its sets are complete and in order, the
newest signature fits the message as it is now, and every seal fits.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pennypost.model.dns import Consultation, DnsAnswer, DnsQuestion, RecordType
from pennypost.model.verification import ArcResult, ArcVerdict, DkimResult
from pennypost.verify.authentication_results import Outcome, payload
from pennypost.verify.dkim.canonical import Canonicalization, header_field
from pennypost.verify.dkim.sign import SigningKey, SigningWork, fold, folded_signature, make_signature
from pennypost.verify.dkim.signature import BadSignature, Signature, read_tags, without_signature
from pennypost.verify.dkim.tags import BadTags, parse_tags
from pennypost.verify.dkim.verify import (
    Policy,
    Refused,
    SignedField,
    check_body,
    check_keys,
    check_times,
    fields_of,
    hash_bodies,
    header_hash,
)

MAX_SETS = 50
"""RFC 8617 §5.1.1.1."""

MAX_CHECKED_SIGNATURES = 5
"""Message signatures older than the newest that are checked to find how far back the message is unchanged."""

_RESULTS, _MESSAGE, _SEAL = b"arc-authentication-results", b"arc-message-signature", b"arc-seal"
_KINDS = (_RESULTS, _MESSAGE, _SEAL)

_DEFAULT_POLICY = Policy()


@dataclass(slots=True)
class _Set:
    """The three fields of one host."""

    results: SignedField
    message: SignedField
    seal: SignedField
    message_tags: dict[bytes, bytes]
    seal_tags: dict[bytes, bytes]


class _Broken(Exception):
    """The chain does not hold."""


def validate(
    header_block: bytes, body: bytes | memoryview, now: int, policy: Policy = _DEFAULT_POLICY
) -> Consultation[ArcVerdict]:
    """Judge the chain of a message (RFC 8617 §5.2). `header_block`, `body`, `now`: as for `dkim.verify`."""
    fields = fields_of(header_block)
    chain = [field for field in fields if field.name in _KINDS]
    if not chain:
        return ArcVerdict(ArcResult.NONE)
    try:
        sets = _sets(chain)
    except _Broken as broken:
        return ArcVerdict(ArcResult.FAIL, detail=str(broken))
    sealers = tuple(one.seal_tags[b"d"].decode("utf-8", "replace").lower() for one in sets)
    newest = sets[-1].results.octets.partition(b":")[2].decode("utf-8", "replace")
    verdict = ArcVerdict(ArcResult.FAIL, sealers, None, " ".join(newest.split()).partition(";")[2].strip())
    keys: dict[str, DnsAnswer] = {}
    try:
        signatures = [_message_signature(one, now) for one in sets[-1 - MAX_CHECKED_SIGNATURES :]]
        bodies = hash_bodies(body, signatures)
        oldest_pass = len(sets) + 1
        for number, (one, signature) in enumerate(zip(reversed(sets), reversed(signatures), strict=False)):
            try:
                if check_body(signature, bodies):
                    raise Refused(DkimResult.FAIL, "something stands behind what was signed")
                yield from _ask(signature, keys)
                digest = header_hash(one.message.octets, signature, fields)
                check_keys(signature, digest, keys[_key_name(signature)], policy)
            except Refused:
                if number == 0:
                    raise
                break
            oldest_pass = len(sets) - number
        for number in range(len(sets), 0, -1):
            signature = _seal_signature(sets[number - 1])
            yield from _ask(signature, keys)
            check_keys(signature, _seal_hash(sets[:number]), keys[_key_name(signature)], policy)
    except Refused as refused:
        return replace(verdict, detail=refused.detail, temporary=refused.result is DkimResult.TEMPERROR)
    except _Broken as broken:
        return replace(verdict, detail=str(broken))
    return replace(verdict, result=ArcResult.PASS, oldest_pass=0 if oldest_pass == 1 else oldest_pass)


def _ask(signature: Signature, keys: dict[str, DnsAnswer]) -> Consultation[None]:
    name = _key_name(signature)
    if name not in keys:
        keys[name] = yield DnsQuestion(name, RecordType.TXT)


def _key_name(signature: Signature) -> str:
    return f"{signature.selector}._domainkey.{signature.domain}"


# -- Taking a chain apart


def _sets(chain: Sequence[SignedField]) -> list[_Set]:
    """Sort the fields of a chain into sets (RFC 8617 §5.2 steps 1–3). Raises _Broken."""
    found: dict[int, dict[bytes, tuple[SignedField, dict[bytes, bytes]]]] = {}
    for field in chain:
        tags = _tags(field)
        instance = _instance(tags)
        of_instance = found.setdefault(instance, {})
        if field.name in of_instance:
            raise _Broken(f"there are two fields of set {instance}")
        of_instance[field.name] = (field, tags)
    if sorted(found) != list(range(1, len(found) + 1)):
        raise _Broken("a set is missing")
    sets: list[_Set] = []
    for instance in range(1, len(found) + 1):
        parts = found[instance]
        if len(parts) != len(_KINDS):
            raise _Broken(f"set {instance} is not complete")
        seal_tags = parts[_SEAL][1]
        if missing := [tag for tag in (b"a", b"b", b"cv", b"d", b"s") if tag not in seal_tags]:
            raise _Broken(f"seal {instance} has no {missing[0].decode('ascii')}=")
        sets.append(_Set(parts[_RESULTS][0], parts[_MESSAGE][0], parts[_SEAL][0], parts[_MESSAGE][1], parts[_SEAL][1]))
    if sets[-1].seal_tags[b"cv"].lower() == b"fail":
        raise _Broken("who sealed it last found it broken")
    for instance, one in enumerate(sets, 1):
        if one.seal_tags[b"cv"].lower() != (b"none" if instance == 1 else b"pass"):
            raise _Broken(f"seal {instance} says another state than it can be in")
    return sets


def _tags(field: SignedField) -> dict[bytes, bytes]:
    value = field.octets.partition(b":")[2]
    if field.name == _RESULTS:
        value = value.partition(b";")[0]  # the rest is no list of tags
    try:
        return parse_tags(value)
    except BadTags as problem:
        raise _Broken(f"{field.name.decode('ascii')}: {problem}") from None


def _instance(tags: dict[bytes, bytes]) -> int:
    text = tags.get(b"i", b"")
    if not text.isdigit() or len(text) > 2 or not 1 <= int(text) <= MAX_SETS:
        raise _Broken("a field has no number from 1 to 50")
    return int(text)


def _message_signature(one: _Set, now: int) -> Signature:
    """Read an ARC-Message-Signature (RFC 8617 §4.1.2). Raises _Broken, Refused."""
    tags = {name: value for name, value in one.message_tags.items() if name != b"i"}
    if missing := [tag for tag in (b"a", b"b", b"bh", b"d", b"h", b"s") if tag not in tags]:
        raise _Broken(f"a message signature has no {missing[0].decode('ascii')}=")
    signature = _read(tags)
    if _SEAL in signature.signed_fields:
        raise _Broken("a message signature covers a seal")
    check_times(signature, now)
    return signature


def _seal_signature(one: _Set) -> Signature:
    """Read an ARC-Seal (RFC 8617 §4.1.3) as the signature it is. Raises _Broken."""
    tags = one.seal_tags
    if b"h" in tags or b"bh" in tags:
        raise _Broken("a seal names fields of the message")
    return _read({tag: tags[tag] for tag in (b"a", b"b", b"d", b"s")} | {b"h": b"from", b"bh": b"AAAA"})


def _read(tags: dict[bytes, bytes]) -> Signature:
    try:
        signature = read_tags(tags)
    except BadSignature as problem:
        raise _Broken(str(problem)) from None
    if signature.hash != "sha256":
        raise _Broken("rsa-sha1 is not accepted (RFC 8301)")
    return signature


def _seal_hash(sets: Sequence[_Set]) -> bytes:
    """Hash what the last seal of `sets` covers (RFC 8617 §5.1.1)."""
    form = Canonicalization.RELAXED
    covered: list[bytes] = []
    for one in sets:
        covered += [header_field(one.results.octets, form), header_field(one.message.octets, form)]
        covered.append(header_field(one.seal.octets, form))
    covered[-1] = header_field(without_signature(sets[-1].seal.octets), form)
    return hashlib.sha256(b"\r\n".join(covered)).digest()


# -- Sealing


def seal(
    header_block: bytes,
    body: bytes | memoryview,
    key: SigningKey,
    authserv_id: str,
    outcomes: Sequence[Outcome],
    chain: ArcVerdict,
    now: int,
) -> bytes:
    """Make the three fields of our set (RFC 8617 §5.1), with CRLF lines, to be put before the header.

    `outcomes`: what was found out when the message came in. `chain`: what `validate` said of it then. The message must
    not be changed afterwards, but for trace fields. Gives b"" when the chain is full, or its last seal says already
    that it is broken, or a key was not to be had when it was judged: nothing can be said then.
    """
    numbers = [0]
    fields = fields_of(header_block)
    for field in fields:
        if field.name == _SEAL:
            try:
                tags = _tags(field)
                numbers.append(_instance(tags))
            except _Broken:
                continue
            if tags.get(b"cv", b"").lower() == b"fail":
                return b""
    instance = max(numbers) + 1
    if instance > MAX_SETS or chain.temporary:
        return b""
    status = chain.result.value if instance > 1 else "none"
    if instance > 1 and chain.result is ArcResult.NONE:
        status = ArcResult.FAIL.value
    results = f"ARC-Authentication-Results: i={instance}; ".encode() + payload(authserv_id, outcomes)
    work = SigningWork(header_block, body, also=(b"dkim-signature",))
    message = work.field("ARC-Message-Signature:", f"i={instance};", [], key, now)
    seal_tags = [
        f"i={instance};",
        f"a={key.algorithm.value};",
        f"cv={status};",
        f"d={key.domain};",
        f"s={key.selector};",
        f"t={now};",
    ]
    unsigned = fold("ARC-Seal:", seal_tags) + "\r\n\tb="
    own = _Set(
        SignedField(_RESULTS, results), SignedField(_MESSAGE, message), SignedField(_SEAL, unsigned.encode()), {}, {}
    )
    # A chain that is broken is sealed as such: our own set alone (RFC 8617 §5.1.2).
    earlier = _sets([field for field in fields if field.name in _KINDS]) if status == ArcResult.PASS.value else []
    sealed = folded_signature(unsigned, make_signature(key.key, _seal_hash([*earlier, own])))
    return sealed + b"\r\n" + message + b"\r\n" + results + b"\r\n"
