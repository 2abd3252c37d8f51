"""Public keys as the DNS has them (RFC 6376 §3.6.1, RFC 8463 §4)."""

import base64
import binascii
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from pennypost.verify.dkim.tags import BadTags, colon_list, parse_tags, without_blanks

PublicKey = RSAPublicKey | Ed25519PublicKey

_MAX_RECORD_OCTETS = 16384
_MAX_RSA_BITS = 8192
"""Verifying with a larger key takes long, and nobody has one."""
_MAX_EXPONENT_BITS = 64
"""The same holds for the exponent, which is 65537 nearly everywhere."""


class BadRecord(ValueError):
    """What the DNS has is no key that can be used; the text says why."""


class RevokedKey(BadRecord):
    """An empty p= tag (RFC 6376 §3.6.1)."""


class OtherKey(BadRecord):
    """A key, but not the one that was looked for."""


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key record. `type`: k=. `hashes`: h=, None for all. `testing`, `strict`: the flags y and s of t=."""

    type: bytes
    key: PublicKey
    hashes: frozenset[bytes] | None
    testing: bool
    strict: bool


@lru_cache(maxsize=512)
def parse_record(text: bytes) -> KeyRecord:
    """Read a key record. Raises BadRecord: no key record, not for mail, a key that is none, or a revoked one."""
    if len(text) > _MAX_RECORD_OCTETS:
        raise BadRecord("the key record is too large")
    try:
        tags = parse_tags(text)
    except BadTags as problem:
        raise BadRecord(f"the key record: {problem}") from None
    if b"v" in tags and (tags[b"v"] != b"DKIM1" or next(iter(tags)) != b"v"):
        raise BadRecord("the key record has a version that is not known")
    if b"p" not in tags:
        raise BadRecord("the key record has no key")
    services = colon_list(tags.get(b"s", b"*"))
    if b"*" not in services and b"email" not in services:
        raise BadRecord("the key is not for mail")
    octets = without_blanks(tags[b"p"])
    if not octets:
        raise RevokedKey("the key was revoked")
    flags = colon_list(tags.get(b"t", b""))
    hashes = frozenset(colon_list(tags[b"h"])) if b"h" in tags else None
    type_ = tags.get(b"k", b"rsa").lower()
    return KeyRecord(type_, _load(type_, octets), hashes, b"y" in flags, b"s" in flags)


def _is_quick(key: RSAPublicKey) -> bool:
    return key.public_numbers().e.bit_length() <= _MAX_EXPONENT_BITS


def _load(type_: bytes, encoded: bytes) -> PublicKey:
    try:
        octets = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise BadRecord("the key is not base64") from None
    try:
        if type_ == b"ed25519":
            return Ed25519PublicKey.from_public_bytes(octets)
        if type_ == b"rsa":
            key = load_der_public_key(octets)
            if isinstance(key, RSAPublicKey) and key.key_size <= _MAX_RSA_BITS and _is_quick(key):
                return key
    except (ValueError, UnsupportedAlgorithm):
        pass
    else:
        if type_ != b"rsa":
            raise BadRecord("the key has a type that is not known")
    raise BadRecord("the key cannot be read")


def parse_own_record(text: bytes, ours: bytes) -> KeyRecord:
    """Read a key record that has to hold the key of `ours`, the record that was to be published: its tags may be
    others. Raises OtherKey, BadRecord."""
    found = parse_record(text)
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if found.key.public_bytes(*form) != parse_record(ours).key.public_bytes(*form):
        raise OtherKey("it is another key")
    return found
