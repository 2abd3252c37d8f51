"""What only shows on the network: port 25 in both directions, the policy over HTTPS, the clock."""

import asyncio
import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address

from pennypost.clients.http.https import Https, HttpsFailed
from pennypost.mail.checkup.findings import Finding, good, hint, no_answer, problem, unknown
from pennypost.mail.own_policy import StsSettings, policy_of
from pennypost.model.dns import DnsQuestion, DnsStatus, MxRecord, RecordType
from pennypost.net.resolver import Resolver
from pennypost.verify.mta_sts import BadPolicy, parse_policy

PATIENCE = timedelta(seconds=10)
MAX_GREETING_OCTETS = 512
MAX_POLICY_OCTETS = 64 * 1024
TOLERANCE = timedelta(seconds=30)
"""How wrong a clock may be: dates in messages, signatures and one-time codes bear that much."""

_NTP_EPOCH = datetime(1900, 1, 1, tzinfo=UTC)


async def greeting(host: str, port: int) -> str:
    """Give the first line that a host says. Raises OSError (TimeoutError is one)."""
    async with asyncio.timeout(PATIENCE.total_seconds()):
        reader, writer = await asyncio.open_connection(host, port, limit=MAX_GREETING_OCTETS)
        try:
            return (await reader.read(MAX_GREETING_OCTETS)).partition(b"\r\n")[0].decode("ascii", "replace")
        finally:
            writer.close()


async def incoming(ips: Sequence[IPv4Address | IPv6Address], host: str, port: int = 25) -> list[Finding]:
    """Whether our port answers under the addresses that the DNS has: seen from this machine, so that a firewall in
    front of it stays unseen."""
    findings: list[Finding] = []
    for ip in ips:
        try:
            said = await greeting(str(ip), port)
        except OSError as error:
            why = "no answer in time" if isinstance(error, TimeoutError) else (error.strerror or str(error))
            advice = f"See whether the server runs, and lets port {port} of {ip} through the firewall and the router."
            findings.append(problem("incoming", f"nobody answers at {ip}, port {port}: {why}", advice))
            continue
        if not said.startswith("220"):
            findings.append(problem("incoming", f"{ip} says {said!r}", "See what listens there."))
        elif said[4:].split(" ")[0].lower() != host:
            advice = f"See what listens there, or set server.hostname: it is {host} here."
            findings.append(problem("incoming", f"another host answers at {ip}: {said!r}", advice))
        else:
            findings.append(good("incoming", f"we answer at {ip}, port {port}"))
    return findings


async def outgoing(resolver: Resolver, probe: str, port: int = 25) -> list[Finding]:
    """Whether we reach port 25 of others: many providers close it. `probe`: a domain whose hosts are tried; no mail is
    sent."""
    answer = await resolver.ask(DnsQuestion(probe, RecordType.MX))
    if answer.status is DnsStatus.FAILED:
        return [no_answer("outgoing", probe, "MX")]
    hosts = [r.exchange for r in sorted(_exchanges(answer.records), key=lambda r: r.preference) if r.exchange]
    if not hosts:
        return [unknown("outgoing", f"no hosts of {probe} were found", "Name another domain: --probe")]
    reasons: list[str] = []
    for host in hosts[:2]:
        for kind in (RecordType.A, RecordType.AAAA):
            found = await resolver.ask(DnsQuestion(host, kind))
            for ip in [record for record in found.records if isinstance(record, IPv4Address | IPv6Address)][:1]:
                try:
                    said = await greeting(str(ip), port)
                except OSError as error:
                    reasons.append(f"{ip}: {error.strerror or 'no answer in time'}")
                else:
                    if said.startswith("220"):
                        return [good("outgoing", f"{host} [{ip}] answers")]
                    reasons.append(f"{ip}: {said}")
    advice = "Ask your provider to open port 25, or send through a smarthost: queue.smarthosts"
    return [problem("outgoing", f"no host of {probe} answers ({'; '.join(reasons) or 'no addresses'})", advice)]


def _exchanges(records: Sequence[object]) -> list[MxRecord]:
    return [record for record in records if isinstance(record, MxRecord)]


_LEAD_THERE = "Lead HTTPS of that name to the HTTP door (a reverse proxy), with a certificate for it."


async def policy(resolver: Resolver, https: Https, domain: str, settings: StsSettings, hostname: str) -> list[Finding]:
    """Whether others get our MTA-STS policy (RFC 8461 §3.3)."""
    if settings.mode == "none":
        return []
    name = f"mta-sts.{domain}"
    if (await resolver.ask(DnsQuestion(name, RecordType.A))).status is DnsStatus.FAILED:
        return [no_answer("policy", name, "A")]
    url = f"https://{name}/.well-known/mta-sts.txt"
    try:
        answer = await https.get(url, max_octets=MAX_POLICY_OCTETS, patience=PATIENCE)
    except HttpsFailed as failed:
        return [problem("policy", f"{url}: {failed}", _LEAD_THERE)]
    if answer.status != 200:
        return [problem("policy", f"{url} answers {answer.status}", _LEAD_THERE)]
    try:
        served = parse_policy(answer.content)
    except BadPolicy as bad:
        return [problem("policy", f"{url}: {bad}", _LEAD_THERE)]
    if served != policy_of(settings, hostname):
        advice = "See who serves it: it is not what the configuration says (sts)."
        return [problem("policy", f"{url} has another policy ({served.mode.value}: {', '.join(served.mx)})", advice)]
    return [good("policy", f"{url}: {served.mode.value}")]


async def programs(resolver: Resolver, https: Https, domain: str, host: str) -> list[Finding]:
    """Whether mail programs find their settings where they look for them. `host`: who gives them; "" is nobody."""
    if not host:
        return []
    name = f"autoconfig.{domain}"
    answers = [await resolver.ask(DnsQuestion(name, kind)) for kind in (RecordType.A, RecordType.AAAA)]
    if any(answer.status is DnsStatus.FAILED for answer in answers):
        return [no_answer("programs", name, "addresses")]
    if all(answer.status is not DnsStatus.FOUND for answer in answers):
        advice = f"Publish: {name}. CNAME {host}.\nPublish: autodiscover.{domain}. CNAME {host}."
        return [hint("programs", f"{name} does not exist: mail programs have to be told where this host is", advice)]
    url = f"https://{name}/mail/config-v1.1.xml"
    try:
        answer = await https.get(url, max_octets=MAX_POLICY_OCTETS, patience=PATIENCE)
    except HttpsFailed as failed:
        return [hint("programs", f"{url}: {failed}", _LEAD_THERE)]
    if answer.status != 200 or b"<clientConfig" not in answer.content:
        return [hint("programs", f"{url} answers {answer.status}, and tells no settings", _LEAD_THERE)]
    return [good("programs", f"{url} tells mail programs their settings")]


# -- The clock


class _OneAnswer(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self.answer.done():
            self.answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)


async def _time_told(address: str, port: int) -> bytes:
    """Ask a time server. Raises OSError (TimeoutError is one), also where there is no way to it."""
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        _OneAnswer, remote_addr=(address, port)
    )
    try:
        transport.sendto(b"\x23" + bytes(47))
        async with asyncio.timeout(PATIENCE.total_seconds()):
            return await protocol.answer
    finally:
        transport.close()


async def clock(resolver: Resolver, server: str, port: int = 123) -> list[Finding]:
    """Whether our clock agrees with a time server (SNTP, RFC 5905 §14)."""
    advice = "Have the time set by the network: systemd-timesyncd, chrony."
    answer = await resolver.ask(DnsQuestion(server, RecordType.A))
    if answer.status is DnsStatus.FAILED:
        return [no_answer("clock", server, "A")]
    if answer.status is not DnsStatus.FOUND:
        return [unknown("clock", f"no address of {server} was found", "Name another time server: --time-server")]
    begun = datetime.now(UTC)
    try:
        packet = await _time_told(str(answer.records[0]), port)
    except OSError as error:
        return [unknown("clock", f"{server} does not answer: {error.strerror or 'no answer in time'}", advice)]
    ended = datetime.now(UTC)
    seconds, fraction = struct.unpack("!II", packet[40:48]) if len(packet) >= 48 else (0, 0)
    if len(packet) < 48 or not (seconds or fraction) or packet[0] & 7 != 4 or packet[1] == 0:
        return [unknown("clock", f"{server} does not tell the time", "Name another time server: --time-server")]
    if seconds < 1 << 31:  # the count begins anew in 2036 (RFC 5905 §6)
        seconds += 1 << 32
    theirs = _NTP_EPOCH + timedelta(seconds=seconds + fraction / 2**32)
    off = begun + (ended - begun) / 2 - theirs
    if abs(off) > TOLERANCE:
        return [problem("clock", f"the clock is {off.total_seconds():+.0f} s off", advice)]
    return [
        hint("clock", f"the clock is {off.total_seconds():+.1f} s off", advice)
        if abs(off) > timedelta(seconds=2)
        else good("clock", f"the clock is {off.total_seconds():+.2f} s off")
    ]
