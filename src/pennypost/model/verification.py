"""What was found out about who sent a message (RFC 8601 §2.7): the results of SPF, DKIM, DMARC, ARC and iprev.

The values of the enums are the words of Authentication-Results. `detail` is one line of ASCII for the curious.
"""

from dataclasses import dataclass
from enum import Enum


class SpfResult(Enum):
    """RFC 7208 §2.6."""

    NONE = "none"
    NEUTRAL = "neutral"
    PASS = "pass"
    FAIL = "fail"
    SOFTFAIL = "softfail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


@dataclass(frozen=True, slots=True)
class SpfVerdict:
    """`identity`: "mailfrom" or "helo". `domain`: the one whose record was evaluated. `mechanism`: what matched, as it
    stands in the record, None for a default. `explanation`: what the domain's owner says of a fail, made printable."""

    result: SpfResult
    identity: str
    domain: str
    mechanism: str | None = None
    explanation: str | None = None
    detail: str = ""


class DkimResult(Enum):
    """RFC 8601 §2.7.1."""

    NONE = "none"
    PASS = "pass"
    FAIL = "fail"
    POLICY = "policy"
    NEUTRAL = "neutral"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


@dataclass(frozen=True, slots=True)
class DkimVerdict:
    """One DKIM-Signature. `domain`, `selector`, `identity`, `algorithm`: its d=, s=, i= and a=; "" where they cannot be
    read. `signature_start`: the first octets of b=, which tell signatures apart (RFC 6008). `body_length_limited`: it
    has an l= tag; `partial`: and octets follow what it covers, which could be anybody's (RFC 6376 §8.2)."""

    result: DkimResult
    domain: str
    selector: str
    identity: str
    algorithm: str
    signature_start: str
    body_length_limited: bool = False
    testing: bool = False
    detail: str = ""
    partial: bool = False


class ArcResult(Enum):
    """The chain validation status (RFC 8617 §4.4)."""

    NONE = "none"
    PASS = "pass"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class ArcVerdict:
    """`sealers`: the d= of each ARC-Seal, the oldest first. `oldest_pass`: RFC 8617 §5.2, 0 means all pass.
    `results`: the text of the newest ARC-Authentication-Results."""

    result: ArcResult
    sealers: tuple[str, ...] = ()
    oldest_pass: int | None = None
    results: str = ""
    temporary: bool = False
    """A key could not be fetched: the result may be another one later."""
    detail: str = ""


class DmarcResult(Enum):
    """RFC 9989; the words of RFC 8601."""

    NONE = "none"
    PASS = "pass"
    FAIL = "fail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


class DmarcPolicy(Enum):
    """What the owner of a domain asks for (RFC 9989)."""

    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class DmarcVerdict:
    """`from_domain`: the Author Domain. `policy_domain`: where the record was found, "" without one. `policy`: what
    applies to this Author Domain (p, sp or np, and t considered)."""

    result: DmarcResult
    from_domain: str
    policy_domain: str = ""
    organizational_domain: str = ""
    policy: DmarcPolicy = DmarcPolicy.NONE
    spf_aligned: bool = False
    dkim_aligned: bool = False
    record: str = ""
    detail: str = ""


class IprevResult(Enum):
    """RFC 8601 §2.7.3."""

    PASS = "pass"
    FAIL = "fail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


@dataclass(frozen=True, slots=True)
class IprevVerdict:
    """`name`: the name whose address records lead back to the peer, or the first name that PTR gave."""

    result: IprevResult
    name: str = ""


@dataclass(frozen=True, slots=True)
class BimiVerdict:
    """The BIMI assertion of the author's domain: `location` of its logo (l=) and `evidence` for it (a=), both as they
    stand in the record. Recorded, never fetched here."""

    domain: str
    selector: str = "default"
    location: str = ""
    evidence: str = ""
