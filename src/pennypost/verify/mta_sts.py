"""MTA-STS: what a domain says of its mail hosts (RFC 8461). Records and policies as text; nothing is fetched here."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from pennypost.model.dns import Consultation, DnsQuestion, DnsStatus, RecordType

MAX_POLICY_OCTETS = 64 * 1024
"""RFC 8461 §3.3 suggests this bound."""

MAX_MX = 200
"""Patterns of one policy that are heeded."""

MAX_AGE_SECONDS = 31_557_600
"""RFC 8461 §3.2."""

WELL_KNOWN = "/.well-known/mta-sts.txt"

# sts-id = 1*32(ALPHA / DIGIT) (RFC 8461 §3.1)
_ID = re.compile(rb"[A-Za-z0-9]{1,32}")
_VERSION = re.compile(rb"v=STSv1[ \t]*(?:;|$)")
# sts-policy-field = name ":" *WSP value *WSP (RFC 8461 §3.2)
_FIELD = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,31})[ \t]*:[ \t]*(.*?)[ \t]*")
_HOST = re.compile(r"(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")


class StsMode(Enum):
    """RFC 8461 §5."""

    ENFORCE = "enforce"
    TESTING = "testing"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class StsPolicy:
    """A policy. `mx`: patterns, lower case; "*." stands for one label."""

    mode: StsMode
    mx: tuple[str, ...]
    max_age_seconds: int

    def allows(self, host: str) -> bool:
        """Whether a mail host may be used (RFC 8461 §4.1)."""
        host = host.lower().removesuffix(".")
        parent = host.partition(".")[2]
        return any(pattern == host or (pattern.startswith("*.") and pattern[2:] == parent) for pattern in self.mx)

    @property
    def lines(self) -> tuple[str, ...]:
        """The policy's lines, as it is served and as reports quote it (RFC 8460 §4.4)."""
        return (
            "version: STSv1",
            f"mode: {self.mode.value}",
            *(f"mx: {pattern}" for pattern in self.mx),
            f"max_age: {self.max_age_seconds}",
        )

    @property
    def text(self) -> bytes:
        """What is served at WELL_KNOWN (RFC 8461 §3.2): CRLF lines."""
        return "".join(f"{line}\r\n" for line in self.lines).encode("ascii")


class BadPolicy(ValueError):
    """The text is no policy that can be used."""


def find_record_id(domain: str) -> Consultation[str | None]:
    """Ask which version of a policy a domain has (RFC 8461 §3.1). None: none, or the DNS does not answer.

    The domain has none when there is not exactly one record of version STSv1.
    """
    answer = yield DnsQuestion(f"_mta-sts.{domain}", RecordType.TXT)
    if answer.status is not DnsStatus.FOUND:
        return None
    return record_id([record for record in answer.records if isinstance(record, bytes)])


def record_id(records: Sequence[bytes]) -> str | None:
    """Read the records of `_mta-sts` (RFC 8461 §3.1)."""
    records = [record for record in records if _VERSION.match(record)]
    if len(records) != 1:
        return None
    for field in records[0].split(b";")[1:]:
        name, equals, value = field.partition(b"=")
        if equals and name.strip() == b"id":
            value = value.strip()
            return str(value, "ascii") if _ID.fullmatch(value) else None
    return None


def parse_policy(octets: bytes) -> StsPolicy:
    """Read a policy (RFC 8461 §3.2). Of fields that are there twice the first counts, but for mx. Raises BadPolicy."""
    if len(octets) > MAX_POLICY_OCTETS:
        raise BadPolicy("too large")
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError:
        raise BadPolicy("not UTF-8") from None
    values: dict[str, str] = {}
    patterns: list[str] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        match = _FIELD.fullmatch(line)
        if match is None:
            if line.strip():
                raise BadPolicy("a line that is no field")
        elif match[1] == "mx":
            patterns.append(match[2].lower().removesuffix("."))
        else:
            values.setdefault(match[1], match[2])
    if values.get("version") != "STSv1":
        raise BadPolicy("not of version STSv1")
    try:
        mode = StsMode(values.get("mode", ""))
    except ValueError:
        raise BadPolicy("no mode") from None
    age = values.get("max_age", "")
    if not (age.isascii() and age.isdigit() and len(age) <= 10):
        raise BadPolicy("no max_age")
    if not all(_HOST.fullmatch(pattern) for pattern in patterns):
        raise BadPolicy("an mx that is no host name")
    if mode is not StsMode.NONE and not patterns:
        raise BadPolicy("no mx")
    return StsPolicy(mode, tuple(patterns[:MAX_MX]), min(int(age), MAX_AGE_SECONDS))
