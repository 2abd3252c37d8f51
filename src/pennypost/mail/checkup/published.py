"""What the DNS has of a domain, beside what it should have. Every check is a calculation that asks the DNS.

A record that is not there and a DNS that does not answer are never the same finding.
"""

from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pennypost.mail.checkup.findings import Finding, good, hint, no_answer, problem, unknown
from pennypost.mail.dns_plan import PlannedRecord, PlanSettings, plan
from pennypost.model.dns import (
    CaaRecord,
    Consultation,
    DnsAnswer,
    DnsQuestion,
    DnsStatus,
    MxRecord,
    RecordType,
    SrvRecord,
    TlsaRecord,
)
from pennypost.model.verification import DmarcPolicy
from pennypost.verify import dane
from pennypost.verify.dkim.record import BadRecord, OtherKey, parse_own_record
from pennypost.verify.dmarc.record import mailbox_of, parse
from pennypost.verify.mta_sts import record_id
from pennypost.verify.tls_report import report_uris

Check = Consultation[list[Finding]]


def _texts(answer: DnsAnswer) -> list[bytes]:
    return [record for record in answer.records if isinstance(record, bytes)]


def _publish(record: PlannedRecord) -> str:
    return f"Publish: {record.name}. {record.type.value} {record.data}"


def _planned(domain: str, settings: PlanSettings, kind: RecordType, begin: str) -> PlannedRecord:
    """Give the planned record of a type whose name begins so."""
    return next(each for each in plan(domain, settings) if each.type is kind and each.name.startswith(begin))


# -- Mail comes here


def mx(domain: str, settings: PlanSettings) -> Check:
    """Whether mail for the domain comes to us (RFC 5321 §5.1, RFC 7505)."""
    host = settings.hostname
    answer = yield DnsQuestion(domain, RecordType.MX)
    if answer.status is DnsStatus.FAILED:
        return [no_answer("mx", domain, "MX")]
    advice = f"Publish: {_planned(domain, settings, RecordType.MX, domain).name}. MX 10 {host}."
    if answer.status is DnsStatus.NO_SUCH_NAME:
        return [problem("mx", f"{domain} does not exist in the DNS", f"Register it, or see to its zone. {advice}")]
    records = [record for record in answer.records if isinstance(record, MxRecord)]
    if not records:
        return [problem("mx", f"{domain} has no MX record", advice)]
    exchanges = [record.exchange for record in sorted(records, key=lambda record: record.preference)]
    if "" in exchanges:
        return [problem("mx", f"{domain} says that it takes no mail (null MX)", f"Remove that record. {advice}")]
    found = [] if host in exchanges else [problem("mx", f"mail goes to {', '.join(exchanges)}, not to {host}", advice)]
    for exchange in exchanges:
        found += yield from _exchange(exchange)
    return found or [good("mx", f"mail goes to {', '.join(exchanges)}")]


def _exchange(host: str) -> Check:
    """Whether a host of an MX record can be reached by its name (RFC 5321 §5.1, RFC 2181 §10.3)."""
    alias = yield DnsQuestion(host, RecordType.CNAME)
    if alias.status is DnsStatus.FOUND:
        return [problem("mx", f"{host} is only another name (CNAME) of a host", "Name that host in the MX record.")]
    failed = False
    for kind in (RecordType.A, RecordType.AAAA):
        answer = yield DnsQuestion(host, kind)
        if answer.status is DnsStatus.FOUND:
            return []
        failed = failed or answer.status is DnsStatus.FAILED
    if failed:
        return [no_answer("mx", host, "addresses")]
    return [problem("mx", f"{host} has no address", f"Publish an A record of {host}, and AAAA if it has IPv6.")]


# -- Who sends


def dkim(settings: PlanSettings, domain: str, waiting: Sequence[str]) -> Check:
    """Whether keys are published as they are in the store. `waiting`: selectors that do not sign yet."""
    if not settings.keys:
        advice = f"Run: pennypost dkim generate {domain}"
        return [problem("dkim", f"{domain} has no keys: its mail is not signed", advice)]
    found: list[Finding] = []
    for key in settings.keys:
        name = f"{key.selector}._domainkey.{key.domain}"
        answer = yield DnsQuestion(name, RecordType.TXT)
        planned = PlannedRecord(name, RecordType.TXT, key.record, "")
        grade: Callable[[str, str, str], Finding] = hint if key.selector in waiting else problem
        if answer.status is DnsStatus.FAILED:
            found.append(no_answer("dkim", name, "TXT"))
        elif not (texts := _texts(answer)):
            found.append(grade("dkim", f"{name} is not published", _publish(planned)))
        elif len(texts) > 1:
            found.append(problem("dkim", f"{name} has {len(texts)} records", "Leave one: " + _publish(planned)))
        else:
            found.append(_key(name, texts[0], planned))
    return found


def _key(name: str, text: bytes, planned: PlannedRecord) -> Finding:
    try:
        record = parse_own_record(text, planned.value.encode("ascii"))
    except OtherKey:
        return problem("dkim", f"{name} has another key than the one that signs", _publish(planned))
    except BadRecord as bad:
        return problem("dkim", f"{name}: {bad}", _publish(planned))
    if record.testing:
        return hint("dkim", f"{name} says that the domain is only testing (t=y)", _publish(planned))
    return good("dkim", f"{name} is published")


def dmarc(domain: str, settings: PlanSettings, takes_reports: bool) -> Check:
    """Whether there is a policy, and reports on it arrive (RFC 9989 §4.7). `takes_reports`: there is somebody at the
    planned address."""
    name = f"_dmarc.{domain}"
    answer = yield DnsQuestion(name, RecordType.TXT)
    if answer.status is DnsStatus.FAILED:
        return [no_answer("dmarc", name, "TXT")]
    planned = _planned(domain, settings, RecordType.TXT, "_dmarc.")
    records = [record for record in map(parse, _texts(answer)) if record is not None]
    if not records:
        return [problem("dmarc", f"{name} has no policy", _publish(planned))]
    if len(records) > 1:
        return [problem("dmarc", f"{name} has {len(records)} policies: none counts", "Leave one of them.")]
    record, found = records[0], list[Finding]()
    if record.policy is None:
        found.append(problem("dmarc", f"the policy of {name} cannot be read: {record.text[:200]}", _publish(planned)))
    elif record.policy is DmarcPolicy.NONE:
        found.append(
            hint(
                "dmarc",
                "the policy asks for nothing (p=none)",
                "When reports (pennypost reports dmarc) show that all your mail passes: p=quarantine, then p=reject.",
            )
        )
    addresses = [mailbox_of(uri) for uri in record.reports]
    if not any(addresses):
        found.append(hint("dmarc", "nobody gets reports (rua)", _publish(planned)))
    if f"{settings.report_address}@{domain}" in addresses and not takes_reports:
        wanted = f"{settings.report_address}@{domain}"
        advice = f"Run: pennypost alias add {wanted} postmaster@{domain}"
        found.append(problem("dmarc", f"reports go to {wanted}, which does not exist", advice))
    return found or [good("dmarc", record.text[:200])]


# -- How mail comes here


def tls_reports(domain: str, settings: PlanSettings) -> Check:
    """Whether others know where to report trouble with our TLS (RFC 8460 §3)."""
    name = f"_smtp._tls.{domain}"
    answer = yield DnsQuestion(name, RecordType.TXT)
    if answer.status is DnsStatus.FAILED:
        return [no_answer("tlsrpt", name, "TXT")]
    if uris := report_uris(_texts(answer)):
        return [good("tlsrpt", f"reports go to {', '.join(uris)}")]
    advice = _publish(_planned(domain, settings, RecordType.TXT, "_smtp._tls."))
    return [hint("tlsrpt", f"{name} has no record that can be used", advice)]


def mta_sts(domain: str, settings: PlanSettings) -> Check:
    """Whether the record says that there is the policy that we serve (RFC 8461 §3.1)."""
    name = f"_mta-sts.{domain}"
    answer = yield DnsQuestion(name, RecordType.TXT)
    if answer.status is DnsStatus.FAILED:
        return [no_answer("mta-sts", name, "TXT")]
    published = record_id(_texts(answer))
    if settings.sts.mode == "none":
        if published is None:
            return [good("mta-sts", "no policy, and none is published")]
        advice = "Leave it until others have forgotten the policy that was (its max_age), then remove it."
        return [hint("mta-sts", f"{name} is published, and sts.mode is none", advice)]
    planned = _planned(domain, settings, RecordType.TXT, "_mta-sts.")
    if published is None:
        return [hint("mta-sts", f"{name} has no record that can be used", _publish(planned))]
    if f"id={published}" != planned.value.rpartition(" ")[2]:
        return [problem("mta-sts", f"{name} names another version of the policy ({published})", _publish(planned))]
    return [good("mta-sts", f"{name} names the policy that is served")]


def tlsa(settings: PlanSettings, port: int = 25) -> Check:
    """Whether published TLSA records fit our certificate: else no host with DANE sends to us (RFC 7672)."""
    host = settings.hostname
    name = f"_{port}._tcp.{host}"
    answer = yield DnsQuestion(name, RecordType.TLSA)
    if answer.status is DnsStatus.FAILED:
        return [no_answer("dane", name, "TLSA")]
    records = [record for record in answer.records if isinstance(record, TlsaRecord)]
    advice = "; ".join(_publish(each) for each in plan(host, settings) if each.type is RecordType.TLSA)
    if not records:
        if not answer.authentic:
            return [good("dane", f"{host} is in no zone signed with DNSSEC that we could see; DANE does not apply")]
        return [hint("dane", f"{name} has no record, though its zone is signed", advice)]
    fitting = [r for r in records if dane.is_usable(r) and any(_vouches(r, c) for c in settings.certificates)]
    if not fitting:
        return [problem("dane", f"no TLSA record of {name} fits the certificate of this host", advice)]
    if not answer.authentic:
        return [hint("dane", f"{name} is published, but was not validated", "Sign the zone with DNSSEC.")]
    return [good("dane", f"{name} fits the certificate")]


def _vouches(record: TlsaRecord, certificate: x509.Certificate) -> bool:
    """Of DANE-TA nothing can be said from here: what it names is sent by the host, too."""
    if record.usage == dane.DANE_TA:
        return True
    now = certificate.not_valid_before_utc
    return dane.vouches([record], [certificate.public_bytes(Encoding.DER)], [], now)


# -- For clients and authorities


def services(domain: str, settings: PlanSettings) -> Check:
    """Whether mail programs find our doors (RFC 6186)."""
    missing: list[PlannedRecord] = []
    for planned in (each for each in plan(domain, settings) if each.type is RecordType.SRV):
        answer = yield DnsQuestion(planned.name, RecordType.SRV)
        if answer.status is DnsStatus.FAILED:
            return [no_answer("services", planned.name, "SRV")]
        port, target = planned.value.split(" ")[2:]
        records = [record for record in answer.records if isinstance(record, SrvRecord)]
        wrong = records and not any(str(r.port) == port and r.target == target.removesuffix(".") for r in records)
        if wrong or (not records and port != "0"):
            missing.append(planned)
    if missing:
        advice = "\n".join(map(_publish, missing))
        return [hint("services", f"mail programs do not find {', '.join(each.name for each in missing)}", advice)]
    return [good("services", "mail programs find this host by SRV records")]


def authorities(names: Sequence[str], authority: str) -> Check:
    """Whether CAA records let our authority issue certificates (RFC 8659 §3). `authority`: "" if it is not known."""
    for name in names:
        labels = name.split(".")
        for start in range(len(labels) - 1):
            at = ".".join(labels[start:])
            answer = yield DnsQuestion(at, RecordType.CAA)
            if answer.status is DnsStatus.FAILED:
                advice = "While authorities see the same, none may issue a certificate (RFC 8659 §4.4)."
                return [unknown("caa", f"the DNS does not answer for CAA of {at}", advice)]
            records = [record for record in answer.records if isinstance(record, CaaRecord)]
            if records:
                if bad := _forbids(records, authority):
                    return [problem("caa", f"CAA of {at} lets {bad} issue, not {authority}", f"Add {authority} there.")]
                break
    return [good("caa", "CAA records let our authority issue certificates" if authority else "CAA records answer")]


def _forbids(records: Sequence[CaaRecord], authority: str) -> str:
    """Give who may issue, if our authority may not."""
    issue = [r.value.decode("ascii", "replace") for r in records if r.tag.lower() == "issue"]
    allowed = [value.partition(";")[0].strip().lower() for value in issue]
    return (", ".join(filter(None, allowed)) or "nobody") if authority and issue and authority not in allowed else ""


def addresses(host: str) -> Consultation[tuple[list[IPv4Address | IPv6Address], list[Finding]]]:
    """Give the addresses of our host, and what is wrong with them."""
    found: list[IPv4Address | IPv6Address] = []
    findings: list[Finding] = []
    for kind in (RecordType.A, RecordType.AAAA):
        answer = yield DnsQuestion(host, kind)
        if answer.status is DnsStatus.FAILED:
            findings.append(no_answer("host", host, kind.value))
        found += [record for record in answer.records if isinstance(record, IPv4Address | IPv6Address)]
    if not found and not findings:
        advice = f"Publish an A record of {host}, or set server.hostname to a name that leads here."
        findings.append(problem("host", f"{host} has no address in the DNS", advice))
    for ip in found:
        if not ip.is_global:
            advice = f"Publish the address under which others reach this host for {host}."
            findings.append(problem("host", f"{host} leads to {ip}, which nobody else can reach", advice))
    return found, findings or [good("host", f"{host} is at {', '.join(map(str, found))}")]
