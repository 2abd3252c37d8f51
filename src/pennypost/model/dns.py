"""Questions to the DNS and their answers (RFC 1034 §3.7), as pure code asks them.

A calculation that needs the DNS is a generator, a `Consultation`: it yields a `DnsQuestion` and is sent the
`DnsAnswer`. `net.resolver` answers; a test is a list of questions and answers.
"""

from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from typing import TypeVar


class RecordType(Enum):
    """The types of records we ask for. The value is the mnemonic (RFC 1035 §3.2.2 and later)."""

    A = "A"
    AAAA = "AAAA"
    CAA = "CAA"
    CNAME = "CNAME"
    MX = "MX"
    NS = "NS"
    PTR = "PTR"
    SOA = "SOA"
    SRV = "SRV"
    TLSA = "TLSA"
    TXT = "TXT"


@dataclass(frozen=True, slots=True)
class DnsQuestion:
    """What is asked. `name`: a domain name with A-labels, lower case, without the final dot; "" is the root."""

    name: str
    type: RecordType


class DnsStatus(Enum):
    """How a question ended."""

    FOUND = "found"
    """There is at least one record of the type asked for."""
    NO_DATA = "no data"
    """The name exists, without a record of that type (RFC 2308 §2.2)."""
    NO_SUCH_NAME = "no such name"
    """NXDOMAIN (RFC 2308 §2.1)."""
    FAILED = "failed"
    """No answer that could be used: a time-out, SERVFAIL, REFUSED, a bogus signature. Asking later may help."""


@dataclass(frozen=True, slots=True)
class MxRecord:
    """RFC 1035 §3.3.9. `exchange` "" is the null MX's "." (RFC 7505)."""

    preference: int
    exchange: str


@dataclass(frozen=True, slots=True)
class TlsaRecord:
    """RFC 6698 §2.1."""

    usage: int
    selector: int
    matching_type: int
    data: bytes


@dataclass(frozen=True, slots=True)
class SrvRecord:
    """RFC 2782."""

    priority: int
    weight: int
    port: int
    target: str


@dataclass(frozen=True, slots=True)
class CaaRecord:
    """RFC 8659 §4.1."""

    flags: int
    tag: str
    value: bytes


DnsRecord = IPv4Address | IPv6Address | MxRecord | TlsaRecord | SrvRecord | CaaRecord | bytes | str
"""One record: `bytes` is a TXT with its strings joined, `str` the name in a CNAME, NS, PTR or SOA (its first name).
Names are lower case, without the final dot."""


@dataclass(frozen=True, slots=True)
class DnsAnswer:
    """What the DNS said.

    `authentic`: the resolver we trust validated it with DNSSEC (the AD bit, RFC 4035 §3.2.3); says something of NO_DATA
    and NO_SUCH_NAME, too. `canonical_name`: where CNAME records led, None when there were none. `ttl_seconds`: how long
    the answer holds, also a negative one (RFC 2308 §5).
    """

    status: DnsStatus
    records: tuple[DnsRecord, ...] = ()
    authentic: bool = False
    canonical_name: str | None = None
    ttl_seconds: int = 0


T = TypeVar("T")

Consultation = Generator[DnsQuestion, DnsAnswer, T]
"""A calculation that asks the DNS as it goes along and gives a `T`."""
