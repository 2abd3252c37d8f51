"""How a host that is found by MX records has to prove itself: nobody asks, DANE, MTA-STS, or what we remember of it."""

from dataclasses import dataclass
from enum import IntEnum

from pennypost.model.dns import TlsaRecord


class Proof(IntEnum):
    """What TLS has to be before a message is sent. Each demands what those before it do."""

    CLEAR = 0
    """No TLS, even where it is offered."""
    OPPORTUNISTIC = 1
    """TLS where it is offered and works (RFC 7435)."""
    ENCRYPTED = 2
    """TLS, whoever is at its other end."""
    VALID = 3
    """A certificate that authorities vouch for, for the host's name (RFC 8461 §4.1)."""
    DANE = 4
    """A certificate that the DNS vouches for (RFC 7672)."""


@dataclass(frozen=True, slots=True)
class PolicyIdentity:
    """Which policy a session was held against, as TLSRPT tells of it (RFC 8460 §4.4).

    `type`: "tlsa", "sts" or "no-policy-found". `domain`: of the recipients. `strings`: the policy's own lines. `mx`:
    its patterns, or the host that the TLSA records are for.
    """

    type: str
    domain: str
    strings: tuple[str, ...] = ()
    mx: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HostSecurity:
    """What is asked of one host. `vouched_by`: what `TlsFacts.authenticated_by` is when it passes.

    `tlsa`: the usable records; `tls_name`: whom TLS asks for, "" is the host; `names`: those a DANE-TA certificate may
    be for. `trusted_name`: that this host serves the domain is known by DNSSEC or MTA-STS, as REQUIRETLS wants it
    (RFC 8689 §4.2.1). `testing`: a certificate that is not valid is noted, and no reason not to send (RFC 8461 §5).
    `policy`: what sessions are counted under, None: they are not counted.
    """

    proof: Proof
    vouched_by: str = ""
    tlsa: tuple[TlsaRecord, ...] = ()
    tls_name: str = ""
    names: tuple[str, ...] = ()
    trusted_name: bool = False
    testing: bool = False
    policy: PolicyIdentity | None = None
