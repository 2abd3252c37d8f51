"""Who we are to hosts that we send to: names that lead back, SPF, blocklists."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from pennypost.mail.checkup.findings import Finding, Grade, good, hint, no_answer, problem, unknown
from pennypost.mail.checkup.published import Check
from pennypost.model.dns import Consultation, DnsQuestion, DnsStatus, RecordType
from pennypost.model.verification import IprevResult, SpfResult
from pennypost.verify import iprev, spf
from pennypost.verify.spf.record import is_spf

Addresses = Sequence[IPv4Address | IPv6Address]

BLOCKLISTS = ("zen.spamhaus.org", "bl.spamcop.net")

_STRANGER = ip_address("192.0.2.1")
"""An address that nobody has (RFC 5737)."""
_REFUSED = "127.255.255."
"""How Spamhaus says that it does not answer those who ask so."""


def reverse(ips: Addresses, host: str) -> Check:
    """Whether each address has a name that leads back to it, best our own (RFC 8601 §3; many hosts refuse others)."""
    found: list[Finding] = []
    for ip in ips:
        verdict = yield from iprev.verify(ip)
        advice = f"Ask whoever gave you {ip} (provider, hoster) to set its reverse DNS to {host}."
        match verdict.result:
            case IprevResult.TEMPERROR:
                found.append(no_answer("reverse", ip.reverse_pointer, "PTR"))
            case IprevResult.PASS if verdict.name == host:
                found.append(good("reverse", f"{ip} leads to {host}, and back"))
            case IprevResult.PASS:
                found.append(hint("reverse", f"{ip} leads to {verdict.name}, and back", advice))
            case IprevResult.FAIL:
                found.append(problem("reverse", f"{ip} leads to {verdict.name}, which does not lead back", advice))
            case _:
                found.append(problem("reverse", f"{ip} has no name", advice))
    return found


def sender_policy(domain: str, host: str, ips: Addresses) -> Check:
    """Whether SPF lets us send for the domain, and not everybody (RFC 7208)."""
    answer = yield DnsQuestion(domain, RecordType.TXT)
    if answer.status is DnsStatus.FAILED:
        return [no_answer("spf", domain, "TXT")]
    records = [record for record in answer.records if isinstance(record, bytes) and is_spf(record)]
    advice = f'Publish: {domain}. TXT "v=spf1 mx -all", with other hosts that send its mail before "-all".'
    if not records:
        return [problem("spf", f"{domain} has no SPF record", advice)]
    if len(records) > 1:
        return [problem("spf", f"{domain} has {len(records)} SPF records: none counts", "Make one of them.")]
    text = records[0].decode("ascii", "replace")
    found: list[Finding] = []
    for ip in ips:
        verdict = yield from spf.verify_mail_from(spf.Sender(ip, host, "postmaster", domain))
        if verdict.result is SpfResult.TEMPERROR:
            later = "Look again later; if it stays so, see whether the hosts it names answer."
            found.append(unknown("spf", f"the DNS did not answer for what {text} needs: {verdict.detail}", later))
        elif verdict.result is SpfResult.PERMERROR:
            return [problem("spf", f"{text}: {verdict.detail}", advice)]
        elif verdict.result is not SpfResult.PASS:
            found.append(problem("spf", f"{text} does not let {ip} send ({verdict.result.value})", advice))
    verdict = yield from spf.verify_mail_from(spf.Sender(_STRANGER, host, "postmaster", domain))
    if verdict.result is SpfResult.PASS:
        found.append(problem("spf", f"{text} lets everybody send", advice))
    elif verdict.result not in (SpfResult.FAIL, SpfResult.SOFTFAIL, SpfResult.TEMPERROR):
        found.append(hint("spf", f"{text} forbids nobody to send", 'End it with "-all" or "~all".'))
    return found or [good("spf", text)]


def hello_policy(host: str, ips: Addresses) -> Check:
    """Whether SPF passes for the name under which we say hello: what bounces are judged by (RFC 7208 §2.3)."""
    for ip in ips:
        verdict = yield from spf.verify_helo(spf.Sender(ip, host))
        if verdict.result is SpfResult.TEMPERROR:
            return [no_answer("helo", host, "SPF")]
        if verdict.result is SpfResult.NONE:
            return [hint("helo", f"{host} has no SPF record", f'Publish: {host}. TXT "v=spf1 a -all"')]
        if verdict.result is not SpfResult.PASS:
            advice = f'Publish: {host}. TXT "v=spf1 a -all"'
            return [problem("helo", f"SPF of {host} does not let {ip} say hello ({verdict.result.value})", advice)]
    return [good("helo", f"SPF of {host} passes")] if ips else []


def blocklists(ips: Addresses, zones: Sequence[str]) -> Check:
    """Whether lists of senders of junk have our addresses (RFC 5782). A list that does not know its own test entry
    does not answer us: then nothing is said."""
    found: list[Finding] = []
    for zone in zones:
        works = yield DnsQuestion(f"2.0.0.127.{zone}", RecordType.A)
        if works.status is DnsStatus.FAILED:
            found.append(no_answer("blocklist", zone, "A"))
            continue
        if works.status is not DnsStatus.FOUND or any(str(each).startswith(_REFUSED) for each in works.records):
            advice = "Lists refuse public resolvers: ask through a resolver of your own."
            found.append(unknown("blocklist", f"{zone} does not answer us", advice))
            continue
        for ip in ips:
            finding = yield from _listed(ip, zone)
            found += [finding]
    return found


def _listed(ip: IPv4Address | IPv6Address, zone: str) -> Consultation[Finding]:
    name = f"{ip.reverse_pointer.rpartition('.')[0].rpartition('.')[0]}.{zone}"
    answer = yield DnsQuestion(name, RecordType.A)
    if answer.status is DnsStatus.FAILED:
        return no_answer("blocklist", name, "A")
    if answer.status is not DnsStatus.FOUND:
        return good("blocklist", f"{ip} is not on {zone}")
    reason = yield DnsQuestion(name, RecordType.TXT)
    told = [record.decode("utf-8", "replace") for record in reason.records if isinstance(record, bytes)]
    why = f": {told[0][:300]}" if told else f" ({', '.join(map(str, answer.records))})"
    advice = f"Find out what sent junk from there, stop it, and ask {zone} to take {ip} off."
    return Finding("blocklist", Grade.PROBLEM, f"{ip} is on {zone}{why}", advice)
