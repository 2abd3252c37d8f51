"""What an SPF record says (RFC 7208 §4.5, §4.6, §5, §6, §12)."""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Network, IPv6Network, NetmaskValueError

from pennypost.model.verification import SpfResult
from pennypost.verify.spf.macros import is_domain_spec, is_macro_string

MAX_RECORD_OCTETS = 8192
"""Longer records are an error. RFC 7208 §3.4 wants records that fit into 512 octets with all else."""

_VERSION = b"v=spf1"

# RFC 7208 §12: directive = [ qualifier ] mechanism; the names are compared without regard to case.
_DIRECTIVE = re.compile(r"([+\-?~]?)(all|include|a|mx|ptr|ip4|ip6|exists)(?![A-Za-z0-9_.\-=])(.*)", re.IGNORECASE)
# modifier: name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." )
_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9\-_.]*)=(.*)")
# dual-cidr-length = [ ip4-cidr-length ] [ "/" ip6-cidr-length ], each "/" ( "0" / %x31-39 0*1DIGIT ... )
_DUAL_CIDR = re.compile(r"(?:/(0|[1-9][0-9]{0,2}))?(?://(0|[1-9][0-9]{0,2}))?$")

_QUALIFIERS = {
    "": SpfResult.PASS,
    "+": SpfResult.PASS,
    "-": SpfResult.FAIL,
    "~": SpfResult.SOFTFAIL,
    "?": SpfResult.NEUTRAL,
}


class RecordError(Exception):
    """A record that breaks the grammar: "permerror" (RFC 7208 §4.6). The text says where."""


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One directive (RFC 7208 §4.6.2). `text`: as it stands in the record. `result`: what a match leads to.

    `domain`: the domain-spec, "" for the domain at hand. `network`: of ip4 and ip6. `prefix4`, `prefix6`: of a and mx.
    """

    text: str
    kind: str
    result: SpfResult
    domain: str = ""
    network: IPv4Network | IPv6Network | None = None
    prefix4: int = 32
    prefix6: int = 128


@dataclass(frozen=True, slots=True)
class Record:
    """A record. `redirect`, `explanation`: domain-specs, None without that modifier (RFC 7208 §6.1, §6.2)."""

    mechanisms: tuple[Mechanism, ...]
    redirect: str | None = None
    explanation: str | None = None


def is_spf(text: bytes) -> bool:
    """Whether a TXT record is one of SPF's (RFC 7208 §4.5): its first word is exactly the version."""
    return text[:6].lower() == _VERSION and (len(text) == 6 or text[6:7] == b" ")


def parse(text: bytes) -> Record:
    """Read a record that `is_spf` knows. Raises RecordError; nothing of such a record counts, whatever stands first."""
    if len(text) > MAX_RECORD_OCTETS:
        raise RecordError("the record is too long")
    try:
        terms = text[6:].decode("ascii")
    except UnicodeDecodeError:
        raise RecordError("the record is not ASCII") from None
    mechanisms: list[Mechanism] = []
    modifiers: dict[str, str] = {}
    for term in terms.split(" "):
        if not term:
            continue
        found = _DIRECTIVE.fullmatch(term)
        if found is not None:
            mechanisms.append(_mechanism(term, found))
            continue
        named = _MODIFIER.fullmatch(term)
        if named is None:
            raise RecordError(f"unknown mechanism {_shown(term)}")
        _add_modifier(modifiers, named[1].lower(), named[2])
    return Record(tuple(mechanisms), modifiers.get("redirect"), modifiers.get("exp"))


def _add_modifier(modifiers: dict[str, str], name: str, value: str) -> None:
    """Take a modifier in: redirect and exp once at most, others only when they are well formed (RFC 7208 §6)."""
    if name in ("redirect", "exp"):
        if name in modifiers:
            raise RecordError(f"{name} stands there twice")
        if not is_domain_spec(value):
            raise RecordError(f"{name} without a domain")
        modifiers[name] = value
    elif not is_macro_string(value):
        raise RecordError(f"malformed modifier {_shown(name)}")


def _mechanism(text: str, found: re.Match[str]) -> Mechanism:
    result, kind, rest = _QUALIFIERS[found[1]], found[2].lower(), found[3]
    if kind == "all":
        if rest:
            raise RecordError("all with an argument")
        return Mechanism(text, kind, result)
    if kind in ("ip4", "ip6"):
        return Mechanism(text, kind, result, network=_network(text, kind, rest))
    prefix4, prefix6 = 32, 128
    if kind in ("a", "mx"):
        cidr = _DUAL_CIDR.search(rest)
        assert cidr is not None
        prefix4 = int(cidr[1]) if cidr[1] else 32
        prefix6 = int(cidr[2]) if cidr[2] else 128
        if prefix4 > 32 or prefix6 > 128:
            raise RecordError(f"bad prefix length in {_shown(text)}")
        rest = rest[: cidr.start()]
    if not rest and kind in ("a", "mx", "ptr"):
        return Mechanism(text, kind, result, "", None, prefix4, prefix6)
    if not rest.startswith(":") or not is_domain_spec(rest[1:]):
        raise RecordError(f"bad domain in {_shown(text)}")
    return Mechanism(text, kind, result, rest[1:], None, prefix4, prefix6)


def _network(text: str, kind: str, rest: str) -> IPv4Network | IPv6Network:
    address, slash, length = rest[1:].partition("/")
    if not rest.startswith(":") or (slash and re.fullmatch(r"0|[1-9][0-9]{0,2}", length) is None) or "%" in address:
        raise RecordError(f"bad address in {_shown(text)}")
    try:
        if kind == "ip4":
            return IPv4Network(f"{address}/{length or 32}", strict=False)
        return IPv6Network(f"{address}/{length or 128}", strict=False)
    except (AddressValueError, NetmaskValueError, ValueError):
        raise RecordError(f"bad address in {_shown(text)}") from None


def _shown(text: str) -> str:
    return text[:64]
