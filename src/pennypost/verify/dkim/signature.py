"""A DKIM-Signature field, taken apart (RFC 6376 §3.5)."""

import base64
import binascii
import re
from dataclasses import dataclass

from pennypost.verify.dkim.canonical import Canonicalization
from pennypost.verify.dkim.tags import BadTags, colon_list, parse_tags, without_blanks

MAX_SIGNED_FIELDS = 500
"""Names in h=, doubles counted: nobody signs more."""

_NUMBER = re.compile(rb"[0-9]{1,76}")
_DOMAIN = re.compile(r"(?:[^\s@.:;]{1,63}\.)+[^\s@.:;]{1,63}")
_SELECTOR = re.compile(r"[^\s@.:;]{1,63}(?:\.[^\s@.:;]{1,63})*")
_SIGNATURE_VALUE = re.compile(rb"((?:^|;)[ \t\r\n]*b[ \t\r\n]*=)[^;]*")
_HASHES = {b"rsa-sha256": "sha256", b"ed25519-sha256": "sha256", b"rsa-sha1": "sha1"}


class BadSignature(ValueError):
    """The field cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Signature:
    """The tags of a signature. `domain`, `selector`: lower case, A-labels. `timestamp`, `expiration`: seconds since the
    epoch. `body_length`: l=, None for the whole body. `hash`: what hashlib calls it."""

    algorithm: bytes
    hash: str
    signature: bytes
    body_hash: bytes
    header_form: Canonicalization
    body_form: Canonicalization
    domain: str
    selector: str
    identity: str
    signed_fields: tuple[bytes, ...]
    body_length: int | None
    timestamp: int | None
    expiration: int | None


def parse_signature(value: bytes) -> Signature:
    """Read the body of a DKIM-Signature field. Raises BadSignature."""
    try:
        tags = parse_tags(value)
    except BadTags as problem:
        raise BadSignature(str(problem)) from None
    if missing := [name for name in (b"v", b"a", b"b", b"bh", b"d", b"h", b"s") if name not in tags]:
        raise BadSignature(f"tag {missing[0].decode('ascii')}= is missing")
    if tags[b"v"] != b"1":
        raise BadSignature("a version that is not known")
    return read_tags(tags)


def read_tags(tags: dict[bytes, bytes]) -> Signature:
    """Read the tags that DKIM-Signature and ARC-Message-Signature (RFC 8617 §4.1.2) share. Raises BadSignature."""
    algorithm = tags[b"a"].lower()
    if algorithm not in _HASHES:
        raise BadSignature("an algorithm that is not known")
    header_form, body_form = _forms(tags.get(b"c", b"simple"))
    domain = domain_name(tags[b"d"], _DOMAIN, "d=")
    fields = tuple(name.lower() for name in colon_list(tags[b"h"]))
    if len(fields) > MAX_SIGNED_FIELDS:
        raise BadSignature("h= names too many fields")
    if b"from" not in fields:
        raise BadSignature("From is not signed")
    if b"q" in tags and b"dns/txt" not in [query.lower() for query in colon_list(tags[b"q"])]:
        raise BadSignature("the key is asked for in a way that is not known")
    timestamp, expiration = _number(tags, b"t"), _number(tags, b"x")
    if timestamp is not None and expiration is not None and expiration < timestamp:
        raise BadSignature("it expires before it was made")
    return Signature(
        algorithm,
        _HASHES[algorithm],
        _base64(tags[b"b"], "b="),
        _base64(tags[b"bh"], "bh="),
        header_form,
        body_form,
        domain,
        domain_name(tags[b"s"], _SELECTOR, "s="),
        _identity(tags.get(b"i"), domain),
        fields,
        _number(tags, b"l"),
        timestamp,
        expiration,
    )


def without_signature(field: bytes) -> bytes:
    """Give a signature field with the value of its b= taken out, as it was when it was signed (RFC 6376 §3.7)."""
    name, colon, value = field.partition(b":")
    return name + colon + _SIGNATURE_VALUE.sub(rb"\1", value, count=1)


def domain_name(value: bytes, pattern: re.Pattern[str], tag: str) -> str:
    """Give a domain name in lower case, with A-labels (RFC 8616 §4). Raises BadSignature."""
    try:
        text = value.decode("utf-8").lower()
        if not text.isascii():
            text = text.encode("idna").decode("ascii")
    except UnicodeError:
        raise BadSignature(f"{tag} is no domain name") from None
    if len(text) > 253 or pattern.fullmatch(text) is None:
        raise BadSignature(f"{tag} is no domain name")
    return text


def _forms(value: bytes) -> tuple[Canonicalization, Canonicalization]:
    header, _, body = value.lower().partition(b"/")
    try:
        return Canonicalization(header.strip()), Canonicalization(body.strip() or b"simple")
    except ValueError:
        raise BadSignature("a canonicalization that is not known") from None


def _identity(value: bytes | None, domain: str) -> str:
    """Give i=, or its default; its domain is d= or below it (RFC 6376 §3.5)."""
    if value is None:
        return f"@{domain}"
    text = value.decode("utf-8", "replace")
    local_part, at, host = text.rpartition("@")
    host = host.lower()
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            host = ""
    if not at or (host != domain and not host.endswith(f".{domain}")):
        raise BadSignature("i= is not within d=")
    return f"{local_part}@{host}"


def _number(tags: dict[bytes, bytes], name: bytes) -> int | None:
    value = tags.get(name)
    if value is None:
        return None
    if _NUMBER.fullmatch(value) is None:
        raise BadSignature(f"{name.decode('ascii')}= is no number")
    return int(value)


def _base64(value: bytes, tag: str) -> bytes:
    try:
        octets = base64.b64decode(without_blanks(value), validate=True)
    except (binascii.Error, ValueError):
        octets = b""
    if not octets:
        raise BadSignature(f"{tag} is not base64")
    return octets
