"""check_host: does the policy of a domain let this client send (RFC 7208 §4)?

Theory of operation. One `_Evaluation` goes along with a check, through includes and redirects: it counts the terms that
ask the DNS, and answers that were void, against the limits of §4.6.4, so that no record can make us ask for long. What
ends a check early is an `_Ended`, raised from wherever it is noticed. A check asks at most 10 times for a record, 10
terms' worth of names, and 10 addresses for each MX and PTR: 122 questions in the worst of all cases.
"""

import re
from collections.abc import Generator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from pennypost.model.dns import Consultation, DnsAnswer, DnsQuestion, DnsStatus, MxRecord, RecordType
from pennypost.model.verification import SpfResult, SpfVerdict
from pennypost.verify.spf.macros import Values, expand, is_explanation, needs_p, shorten
from pennypost.verify.spf.record import Mechanism, Record, RecordError, is_spf, parse

MAX_TERMS = 10
"""Terms that ask the DNS, in all the records of one check (RFC 7208 §4.6.4)."""
MAX_VOID = 2
"""Answers without a record (RFC 7208 §4.6.4)."""
MAX_NAMES = 10
"""Hosts of one MX, and names of one PTR (RFC 7208 §4.6.4)."""
MAX_EXPLANATION = 500
"""Characters of an explanation that are kept."""

_LABEL = re.compile(r"[\x20-\x2d\x2f-\x7e]{1,63}")
"""Macros can make blanks, too (RFC 7208 §7.3)."""

Asking = Generator[DnsQuestion, DnsAnswer, DnsAnswer]


@dataclass(frozen=True, slots=True)
class Sender:
    """Who is checked. `ip`: the client. `helo`: what it calls itself. `local_part`, `domain`: of MAIL FROM, both ""
    for the null reverse-path; `domain` with A-labels. `receiver`, `timestamp`: for explanations (RFC 7208 §7.2)."""

    ip: IPv4Address | IPv6Address
    helo: str
    local_part: str = ""
    domain: str = ""
    receiver: str = "unknown"
    timestamp: int = 0


class _Ended(Exception):
    """The check ends with this result, whatever else stands in the records."""

    def __init__(self, result: SpfResult, detail: str) -> None:
        self.result = result
        self.detail = detail
        super().__init__(detail)


def verify_mail_from(sender: Sender) -> Consultation[SpfVerdict]:
    """Check the MAIL FROM identity; with a null reverse-path that is postmaster at the HELO name (RFC 7208 §2.4)."""
    if sender.domain:
        return (yield from check_host(sender, sender.domain, "mailfrom"))
    return (
        yield from check_host(replace(sender, local_part="postmaster", domain=sender.helo), sender.helo, "mailfrom")
    )


def verify_helo(sender: Sender) -> Consultation[SpfVerdict]:
    """Check the HELO identity (RFC 7208 §2.3)."""
    return (yield from check_host(replace(sender, local_part="postmaster", domain=sender.helo), sender.helo, "helo"))


def check_host(sender: Sender, domain: str, identity: str) -> Consultation[SpfVerdict]:
    """Evaluate the policy of `domain` for a sender (RFC 7208 §4). Never raises."""
    ip = sender.ip
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    name = domain.removesuffix(".").lower()
    values = Values(
        ip, sender.local_part or "postmaster", sender.domain, sender.helo, name, sender.receiver, sender.timestamp
    )
    evaluation = _Evaluation(values)
    try:
        outcome = yield from evaluation.check(name)
    except _Ended as end:
        return SpfVerdict(end.result, identity, name, detail=end.detail)
    explanation = None
    if outcome.result is SpfResult.FAIL and outcome.explanation is not None:
        explanation = yield from evaluation.explain(outcome.explanation, outcome.domain)
    return SpfVerdict(outcome.result, identity, name, outcome.mechanism, explanation, outcome.detail)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What one record leads to. `domain`, `explanation`: whose record decided, and its exp."""

    result: SpfResult
    domain: str
    mechanism: str | None = None
    explanation: str | None = None
    detail: str = ""


class _Evaluation:
    """One check, through all the records it leads to."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self._terms = 0
        self._void = 0
        self._validated: list[str] | None = None

    def check(self, domain: str) -> Consultation[_Outcome]:
        """Evaluate one record (RFC 7208 §4.3 to §4.7)."""
        if not _is_fully_qualified(domain):
            return _Outcome(SpfResult.NONE, domain, detail="not a domain that can have a policy")
        record = yield from self._record(domain)
        if record is None:
            return _Outcome(SpfResult.NONE, domain, detail="no policy")
        for mechanism in record.mechanisms:
            if (yield from self._matches(mechanism, domain)):
                return _Outcome(mechanism.result, domain, mechanism.text, record.explanation)
        if record.redirect is None:
            return _Outcome(SpfResult.NEUTRAL, domain, detail="nothing matched")
        self._count_term()
        target = yield from self._target(record.redirect, domain)
        outcome = yield from self.check(target)
        if outcome.result is SpfResult.NONE:
            raise _Ended(SpfResult.PERMERROR, "redirect to a domain without a policy")  # RFC 7208 §6.1
        return outcome

    def _record(self, domain: str) -> Consultation[Record | None]:
        """Find the one record of a domain (RFC 7208 §4.4, §4.5)."""
        answer = yield DnsQuestion(domain, RecordType.TXT)
        if answer.status is DnsStatus.FAILED:
            raise _Ended(SpfResult.TEMPERROR, f"the policy of {domain} could not be looked up")
        found = [text for text in answer.records if isinstance(text, bytes) and is_spf(text)]
        if not found:
            return None
        if len(found) > 1:
            raise _Ended(SpfResult.PERMERROR, f"{domain} has several policies")
        try:
            return parse(found[0])
        except RecordError as error:
            raise _Ended(SpfResult.PERMERROR, f"{domain}: {error}") from None

    # -- Mechanisms (RFC 7208 §5)

    def _matches(self, mechanism: Mechanism, domain: str) -> Consultation[bool]:
        ip = self._values.ip
        match mechanism.kind:
            case "all":
                return True
            case "ip4" | "ip6":
                assert mechanism.network is not None
                return ip.version == mechanism.network.version and ip in mechanism.network
        self._count_term()
        target = domain
        if mechanism.domain:
            target = yield from self._target(mechanism.domain, domain)
        match mechanism.kind:
            case "include":
                return (yield from self._included(target))
            case "a":
                return (yield from self._has_address(target, mechanism))
            case "mx":
                return (yield from self._mx_matches(target, mechanism))
            case "ptr":
                names = yield from self._validated_names()
                return any(name == target or name.endswith("." + target) for name in names)
            case _:
                answer = yield from self._ask(target, RecordType.A)  # exists: A, also for IPv6 clients (§5.7)
                return answer.status is DnsStatus.FOUND

    def _included(self, target: str) -> Consultation[bool]:
        """Ask another policy (RFC 7208 §5.2)."""
        outcome = yield from self.check(target)
        if outcome.result is SpfResult.NONE:
            raise _Ended(SpfResult.PERMERROR, f"included {target} has no policy")
        return outcome.result is SpfResult.PASS

    def _has_address(self, name: str, mechanism: Mechanism) -> Consultation[bool]:
        ip = self._values.ip
        answer = yield from self._ask(name, RecordType.A if ip.version == 4 else RecordType.AAAA)
        return any(_in_network(ip, address, mechanism) for address in answer.records)

    def _mx_matches(self, target: str, mechanism: Mechanism) -> Consultation[bool]:
        answer = yield from self._ask(target, RecordType.MX)
        hosts = [record.exchange for record in answer.records if isinstance(record, MxRecord)]
        for host in hosts[:MAX_NAMES]:
            if host and (yield from self._has_address(host, mechanism)):
                return True
        if len(hosts) > MAX_NAMES:
            raise _Ended(SpfResult.PERMERROR, f"{target} has more than {MAX_NAMES} MX records")
        return False

    def _validated_names(self) -> Consultation[list[str]]:
        """Find the names of the client that lead back to it (RFC 7208 §5.5). Failures only make for fewer names."""
        if self._validated is not None:
            return self._validated
        self._validated = []
        ip = self._values.ip
        answer = yield DnsQuestion(ip.reverse_pointer.lower(), RecordType.PTR)
        self._note_void(answer)
        kind = RecordType.A if ip.version == 4 else RecordType.AAAA
        names = [name for name in answer.records if isinstance(name, str)]
        for name in names[:MAX_NAMES]:
            if _is_name(name) and ip in (yield DnsQuestion(name, kind)).records:
                self._validated.append(name)
        return self._validated

    # -- Names and questions

    def _target(self, spec: str, domain: str) -> Consultation[str]:
        """Expand a domain-spec into a name (RFC 7208 §4.8)."""
        values = yield from self._values_for(spec, domain)
        return shorten(expand(spec, values).removesuffix(".")).lower()

    def _values_for(self, text: str, domain: str) -> Consultation[Values]:
        values = replace(self._values, domain=domain)
        if needs_p(text):
            names = yield from self._validated_names()
            best = [n for n in names if n == domain] or [n for n in names if n.endswith("." + domain)] or names
            values = replace(values, validated=best[0] if best else "unknown")
        return values

    def _ask(self, name: str, kind: RecordType) -> Asking:
        """Ask for a term. What cannot be a name, a local part beyond ASCII say (RFC 8616 §4), is not there."""
        answer = (yield DnsQuestion(name, kind)) if _is_name(name) else DnsAnswer(DnsStatus.NO_SUCH_NAME)
        if answer.status is DnsStatus.FAILED:
            raise _Ended(SpfResult.TEMPERROR, f"{name} could not be looked up")
        self._note_void(answer)
        return answer

    def _note_void(self, answer: DnsAnswer) -> None:
        if answer.status in (DnsStatus.NO_DATA, DnsStatus.NO_SUCH_NAME):
            self._void += 1
            if self._void > MAX_VOID:
                raise _Ended(SpfResult.PERMERROR, f"more than {MAX_VOID} void look-ups")

    def _count_term(self) -> None:
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise _Ended(SpfResult.PERMERROR, f"more than {MAX_TERMS} terms that need the DNS")

    # -- Explanations

    def explain(self, spec: str, domain: str) -> Consultation[str | None]:
        """Fetch what the owner of the domain says of a fail (RFC 7208 §6.2). What goes wrong makes it None."""
        try:
            target = yield from self._target(spec, domain)
            if not _is_name(target):
                return None
            answer = yield DnsQuestion(target, RecordType.TXT)
            texts = [text for text in answer.records if isinstance(text, bytes)]
            if len(texts) != 1 or not texts[0].isascii():
                return None
            text = texts[0].decode("ascii")
            if not is_explanation(text):
                return None
            values = yield from self._values_for(text, domain)
        except _Ended:
            return None
        said = expand(text, values)[:MAX_EXPLANATION]
        return "".join(c if " " <= c <= "~" else "?" for c in said)


def _in_network(ip: IPv4Address | IPv6Address, address: object, mechanism: Mechanism) -> bool:
    if isinstance(address, IPv4Address) and isinstance(ip, IPv4Address):
        return ip in IPv4Network((address, mechanism.prefix4), strict=False)
    if isinstance(address, IPv6Address) and isinstance(ip, IPv6Address):
        return ip in IPv6Network((address, mechanism.prefix6), strict=False)
    return False


def _is_name(name: str) -> bool:
    """Whether a name can be asked for."""
    return 0 < len(name) <= 253 and all(_LABEL.fullmatch(label) for label in name.split("."))


def _is_fully_qualified(domain: str) -> bool:
    """Say whether a domain can have a policy: several labels, none empty or too long (RFC 7208 §4.3)."""
    return "." in domain and _is_name(domain) and not domain.startswith("[")
