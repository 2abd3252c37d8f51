"""What follows from the verdicts on a sender: deliver, Junk, defer, refuse (RFC 9989 §5.3.6, §5.4).

One pure decision. The author's domain is followed unless somebody here knows better; who does, and why, is told in the
reports that the domain gets.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from pennypost.mail.verification import Handling, Verdicts
from pennypost.mail.verification_settings import VerificationSettings
from pennypost.model.verification import ArcResult, DmarcPolicy, DmarcResult, SpfResult
from pennypost.verify import authentication_results
from pennypost.verify.dmarc import Forgery

Ip = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Decision:
    """`override`: why the policy was not followed, a PolicyOverrideType of RFC 9990, "" when it was. `comment`: more
    of it."""

    handling: Handling
    override: str = ""
    comment: str = ""


def decide(verdicts: Verdicts, ip: Ip, settings: VerificationSettings) -> Decision:
    """Decide what becomes of a message."""
    if Forgery.SEVERAL_FIELDS in verdicts.forgeries and settings.refuse_several_authors:
        return Decision(Handling.REFUSE)
    if settings.refuse_spf_fail and verdicts.spf is not None and verdicts.spf.result is SpfResult.FAIL:
        return Decision(Handling.REFUSE, "local_policy", "SPF fail")
    if Forgery.NO_FIELD in verdicts.forgeries or Forgery.NO_DOMAIN in verdicts.forgeries:
        return Decision(Handling.QUARANTINE)
    dmarc = verdicts.dmarc
    if dmarc is None:
        return Decision(Handling.DELIVER)
    match dmarc.result:
        case DmarcResult.PERMERROR:
            return Decision(Handling.QUARANTINE)
        case DmarcResult.TEMPERROR:
            if settings.defer_unverifiable and dmarc.policy is not DmarcPolicy.NONE and dmarc.record:
                return Decision(Handling.DEFER)
            # One of several authors may have been named for his slow DNS: the others are not excused by it.
            several = Forgery.SEVERAL_DOMAINS in verdicts.forgeries
            return Decision(Handling.QUARANTINE if several else Handling.DELIVER)
        case DmarcResult.FAIL if dmarc.policy is not DmarcPolicy.NONE:
            return _override(verdicts, ip, settings) or _follow(dmarc.policy, settings)
    return Decision(Handling.DELIVER)


def _follow(policy: DmarcPolicy, settings: VerificationSettings) -> Decision:
    if policy is DmarcPolicy.REJECT:
        if settings.refuse_by_dmarc:
            return Decision(Handling.REFUSE)
        return Decision(Handling.QUARANTINE, "local_policy")
    if settings.quarantine_by_dmarc:
        return Decision(Handling.QUARANTINE)
    return Decision(Handling.DELIVER, "local_policy")


def _override(verdicts: Verdicts, ip: Ip, settings: VerificationSettings) -> Decision | None:
    """Give the reason not to follow the policy, if there is one."""
    assert verdicts.dmarc is not None
    if within(ip, settings.trusted_forwarders):
        return Decision(Handling.DELIVER, "trusted_forwarder", "a network that is trusted here")
    if _below(verdicts.dmarc.from_domain, settings.ignored_domains):
        return Decision(Handling.DELIVER, "local_policy", "the policy of this domain is not applied here")
    arc = verdicts.arc
    if arc is not None and arc.result is ArcResult.PASS and arc.sealers and settings.trusted_sealers:
        sealer = arc.sealers[-1]
        if _below(sealer, settings.trusted_sealers) and _passed_there(arc.results, verdicts.dmarc.from_domain):
            return Decision(Handling.DELIVER, "trusted_forwarder", f"arc=pass, sealed by {sealer}")
    return None


def _passed_there(results: str, author: str) -> bool:
    """Whether a sealer says that the message passed DMARC where it came to it, in the name of the same author."""
    try:
        outcomes = authentication_results.parse(results.encode()).outcomes
    except authentication_results.BadResults:
        return False
    return any(
        outcome.method == "dmarc"
        and outcome.result == "pass"
        and dict(outcome.properties).get("header.from", author).lower().rpartition("@")[2] == author
        for outcome in outcomes
    )


def within(ip: Ip, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    """Whether an address is in one of some networks."""
    return any(ip.version == network.version and ip in network for network in networks)


def _below(domain: str, listed: tuple[str, ...]) -> bool:
    return any(domain == name.lower() or domain.endswith("." + name.lower()) for name in listed)
