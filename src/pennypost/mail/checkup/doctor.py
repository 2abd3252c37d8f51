"""All checks of a domain, one after the other where they need each other, else side by side."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pennypost.clients.http.https import Https
from pennypost.mail.checkup import certificates, identity, published, reachable
from pennypost.mail.checkup.findings import Finding
from pennypost.mail.checkup.identity import BLOCKLISTS
from pennypost.mail.checkup.published import Check
from pennypost.mail.dns_plan import PlanSettings
from pennypost.net.resolver import Resolver


@dataclass(frozen=True, slots=True)
class DoctorSettings:
    """What is looked at, and by whom it is measured.

    `probe`: a domain whose hosts show whether port 25 is open towards others. `time_server`: tells the time.
    `blocklists`: zones that are asked. `smtp_port`, `time_port`: where hosts listen; others than 25 and 123 only to try
    things out.
    """

    probe: str = "gmail.com"
    time_server: str = "pool.ntp.org"
    blocklists: tuple[str, ...] = BLOCKLISTS
    smtp_port: int = 25
    time_port: int = 123


@dataclass(frozen=True, slots=True)
class Patient:
    """A domain of ours. `plan`: what it should publish. `waiting`: selectors of keys that do not sign yet.
    `takes_reports`: somebody gets what is sent to the planned address for DMARC reports."""

    domain: str
    plan: PlanSettings
    waiting: Sequence[str]
    takes_reports: bool


async def examine(
    patient: Patient,
    settings: DoctorSettings,
    resolver: Resolver,
    https: Https,
    now: datetime,
    before: Sequence[Finding] = (),
) -> list[Finding]:
    """Look at everything. `before`: what was found already, of files. Takes at most some tens of seconds."""
    domain, plan, host = patient.domain, patient.plan, patient.plan.hostname
    ips, about_host = await resolver.consult(published.addresses(host))
    checks: list[Check] = [
        published.mx(domain, plan),
        identity.reverse(ips, host),
        identity.sender_policy(domain, host, ips),
        identity.hello_policy(host, ips),
        published.dkim(plan, domain, patient.waiting),
        published.dmarc(domain, plan, patient.takes_reports),
        published.mta_sts(domain, plan),
        published.tls_reports(domain, plan),
        published.tlsa(plan),
        published.services(domain, plan),
        published.authorities([host, domain], plan.authority),
        identity.blocklists([ip for ip in ips if ip.is_global], settings.blocklists),
    ]
    asked = asyncio.gather(*map(resolver.consult, checks))
    tried = asyncio.gather(
        reachable.incoming(ips, host, settings.smtp_port),
        reachable.outgoing(resolver, settings.probe, settings.smtp_port),
        reachable.policy(resolver, https, domain, plan.sts, host),
        reachable.programs(resolver, https, domain, plan.autoconfig_host),
        reachable.clock(resolver, settings.time_server, settings.time_port),
    )
    found = [about_host, *await asked, *await tried]
    enforced = plan.sts.mode == "enforce"
    found.append([*before, *certificates.judge(plan.certificates, [host], now, enforced=enforced)])
    return [finding for each in found for finding in each]
