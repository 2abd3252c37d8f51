"""Alignment, result and policy (RFC 9989 §4.4, §4.10, §5.3).

Theory of operation. Most mail is decided by few questions: the record at the Author Domain, and an identifier that is
the very same domain. Only where domains differ and alignment is relaxed is the tree walked, first for the Author
Domain, then for an identifier that lies below the author's Organizational Domain; no other one can be aligned.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pennypost.model.dns import Consultation, DnsQuestion, DnsStatus, RecordType
from pennypost.model.verification import (
    DkimResult,
    DkimVerdict,
    DmarcPolicy,
    DmarcResult,
    DmarcVerdict,
    SpfResult,
    SpfVerdict,
)
from pennypost.verify.dmarc.record import PolicyRecord
from pennypost.verify.dmarc.tree import LookupFailed, Walk, look_up, walk

MAX_AUTHORS = 5
"""Author Domains of one message that are looked at (RFC 9989 §11.5)."""
MAX_IDENTIFIERS = 10
"""Domains of signatures that are held against the Author Domain."""

_SEVERITY = {DmarcPolicy.NONE: 0, DmarcPolicy.QUARANTINE: 1, DmarcPolicy.REJECT: 2}
_ONE_LEVEL_BELOW = {DmarcPolicy.REJECT: DmarcPolicy.QUARANTINE, DmarcPolicy.QUARANTINE: DmarcPolicy.NONE}


def verify_all(
    authors: Sequence[str], spf: SpfVerdict | None, dkim: Sequence[DkimVerdict]
) -> Consultation[DmarcVerdict]:
    """Evaluate DMARC for each Author Domain; of those that fail, the strictest policy applies (RFC 9989 §11.5).

    No Author Domain, or too many of them, is a permerror.
    """
    if not authors or len(authors) > MAX_AUTHORS:
        return DmarcVerdict(DmarcResult.PERMERROR, authors[0] if authors else "", detail="no single author domain")
    verdicts: list[DmarcVerdict] = []
    for author in authors:
        verdict = yield from verify(author, spf, dkim)
        verdicts.append(verdict)
    failed = max((v for v in verdicts if v.result is DmarcResult.FAIL), key=_severity, default=None)
    if failed is not None and failed.policy is DmarcPolicy.REJECT:
        return failed
    doubtful = max((v for v in verdicts if v.result is DmarcResult.TEMPERROR), key=_severity, default=None)
    if doubtful is not None:  # it may be stricter
        return doubtful
    if failed is not None:
        return failed
    order = (DmarcResult.PERMERROR, DmarcResult.NONE, DmarcResult.PASS)
    return min(verdicts, key=lambda v: order.index(v.result))


def _severity(verdict: DmarcVerdict) -> int:
    return _SEVERITY[verdict.policy]


def verify(author: str, spf: SpfVerdict | None, dkim: Sequence[DkimVerdict]) -> Consultation[DmarcVerdict]:
    """Evaluate DMARC for one Author Domain (RFC 9989 §5.3): lower case, A-labels. Never raises.

    `spf`: of the MAIL FROM identity; that of HELO does not count (§4.4.2).
    """
    found = None
    try:
        found = yield from _discover(author)
        if found is None:
            return DmarcVerdict(DmarcResult.NONE, author, detail="no policy")
        return (yield from _verify(found, spf, dkim))
    except LookupFailed as failure:
        return _undecided(author, found, f"{failure} could not be looked up")


def _undecided(author: str, found: "_Author | None", detail: str) -> DmarcVerdict:
    """Say that the DNS failed, and what the domain wants as far as it is known."""
    if found is None or not found.record.usable:
        return DmarcVerdict(DmarcResult.TEMPERROR, author, detail=detail)
    record = found.record
    below = author != found.policy_domain
    policy = (record.subdomain_policy if below else None) or record.effective
    return DmarcVerdict(
        DmarcResult.TEMPERROR,
        author,
        found.policy_domain,
        policy=_ONE_LEVEL_BELOW.get(policy, policy) if record.testing else policy,
        record=record.text,
        detail=detail,
    )


@dataclass(slots=True)
class _Author:
    """The Author Domain and what is known of it. `tree`: its walk, once somebody needed it."""

    domain: str
    record: PolicyRecord
    policy_domain: str
    tree: Walk | None

    def organizational_domain(self) -> Consultation[str]:
        if self.tree is None:
            self.tree = yield from walk(self.domain)
        return self.tree.organizational_domain


def _verify(found: _Author, spf: SpfVerdict | None, dkim: Sequence[DkimVerdict]) -> Consultation[DmarcVerdict]:
    author, record = found.domain, found.record
    if not record.usable:
        return DmarcVerdict(
            DmarcResult.NONE, author, found.policy_domain, record=record.text, detail="no usable policy"
        )
    spf_aligned = spf_doubt = False
    if spf is not None and spf.result in (SpfResult.PASS, SpfResult.TEMPERROR):
        aligned = yield from _aligned(found, spf.domain, record.strict_spf)
        spf_aligned = aligned and spf.result is SpfResult.PASS
        spf_doubt = aligned and not spf_aligned
    dkim_aligned, dkim_doubt = yield from _dkim_aligned(found, dkim)
    if spf_aligned or dkim_aligned:
        result = DmarcResult.PASS
    else:
        # What could not be looked up might have passed (RFC 9989 §5.3.6).
        result = DmarcResult.TEMPERROR if spf_doubt or dkim_doubt else DmarcResult.FAIL
    try:
        policy = yield from _policy(found)
    except LookupFailed:
        if result is not DmarcResult.PASS:
            raise
        policy = record.subdomain_policy or record.effective
    return DmarcVerdict(
        result,
        author,
        found.policy_domain,
        found.tree.organizational_domain if found.tree is not None else author,
        _ONE_LEVEL_BELOW.get(policy, policy) if record.testing else policy,
        spf_aligned,
        dkim_aligned,
        record.text,
    )


def _discover(author: str) -> Consultation[_Author | None]:
    """Find the policy that applies (RFC 9989 §4.10.1)."""
    record, _ = yield from look_up(author)
    if record is not None:
        return _Author(author, record, author, None)
    tree = yield from walk(author)
    organization = tree.organizational_domain
    record = tree.record_at(organization)
    if record is not None:
        return _Author(author, record, organization, tree)
    suffix = tree.public_suffix
    return None if suffix is None else _Author(author, suffix[1], suffix[0], tree)


def _dkim_aligned(author: _Author, dkim: Sequence[DkimVerdict]) -> Consultation[tuple[bool, bool]]:
    """Say whether an aligned signature passed, and whether one might have.

    One with octets behind what it signs does not count: anybody may have put his own text there (RFC 6376 §8.2).
    """
    doubt = False
    for verdict in dkim[:MAX_IDENTIFIERS]:
        if verdict.result not in (DkimResult.PASS, DkimResult.TEMPERROR) or not verdict.domain or verdict.partial:
            continue
        if (yield from _aligned(author, verdict.domain.lower(), author.record.strict_dkim)):
            if verdict.result is DkimResult.PASS:
                return True, False
            doubt = True
    return False, doubt


def _aligned(author: _Author, identifier: str, strict: bool) -> Consultation[bool]:
    """Compare a domain that was authenticated with the Author Domain (RFC 9989 §4.4, §4.10.2)."""
    if identifier == author.domain:
        return True
    if strict:
        return False
    organization = yield from author.organizational_domain()
    if identifier != organization and not identifier.endswith("." + organization):
        return False
    tree = yield from walk(identifier)
    return tree.organizational_domain == organization


def _policy(author: _Author) -> Consultation[DmarcPolicy]:
    """Choose between p, sp and np (RFC 9989 §4.10.1). What does not exist is NXDOMAIN (RFC 8020)."""
    record = author.record
    if author.policy_domain == author.domain:
        return record.effective
    existing = record.subdomain_policy or record.effective
    if record.missing_policy is None or record.missing_policy is existing:
        return existing
    if author.tree is not None and not author.tree.start_missing:
        return existing
    answer = yield DnsQuestion(author.domain, RecordType.A)
    if answer.status is DnsStatus.FAILED:
        raise LookupFailed(author.domain)
    return record.missing_policy if answer.status is DnsStatus.NO_SUCH_NAME else existing
