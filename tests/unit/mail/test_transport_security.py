"""DANE, MTA-STS, REQUIRETLS and the memory of TLS, with a DNS, a web server and next hosts of our own on loopback."""

import asyncio
import gzip
import hashlib
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.dns_server import FakeDns, Fault
from tests.next_host import EVERYTHING, NextHost

from pennypost.clients.http.https import Https
from pennypost.clients.smtp.pool import PoolSettings
from pennypost.clients.smtp.settings import SmtpTimeouts
from pennypost.mail.relay import Relayer
from pennypost.mail.relay_settings import RelaySettings
from pennypost.mail.security_judge import PolicyJudge
from pennypost.mail.sts_policies import StsPolicies
from pennypost.mail.tls_record import TlsRecord
from pennypost.model.address import Address
from pennypost.model.envelope import Envelope, Recipient
from pennypost.model.relaying import HopKind, NextHop, OutgoingMessage, RecipientResult, RelayState
from pennypost.net.client_tls import ClientTls
from pennypost.net.resolver import Resolver
from pennypost.net.settings import ResolverSettings, TlsSettings
from pennypost.store import tls_results, transport
from pennypost.store.settings import StoreSettings
from pennypost.store.store import Store

SENT, DEFERRED, FAILED = RelayState.SENT, RelayState.DEFERRED, RelayState.FAILED
HOP = NextHop(HopKind.MX, "example.org")
QUICK = SmtpTimeouts(*(timedelta(seconds=1),) * 8)
AUTHORITY, STRANGER = trustme.CA(), trustme.CA()
NOW = datetime.now(UTC)


def context(authority: trustme.CA, *names: str) -> tuple[ssl.SSLContext, bytes]:
    """A server's context, and its certificate in DER."""
    certificate = authority.issue_cert(*names)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(made)
    pem = certificate.cert_chain_pems[0].bytes()
    return made, x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


GOOD, GOOD_DER = context(AUTHORITY, "mx.example.org")
OTHER, _ = context(AUTHORITY, "other.example")
SELF, SELF_DER = context(STRANGER, "whatever.example")
WEB, _ = context(AUTHORITY, "mta-sts.example.org")


def tlsa(certificate: bytes, usage: int = 3) -> str:
    key = x509.load_der_x509_certificate(certificate).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"{usage} 1 1 {hashlib.sha256(spki).hexdigest()}"


class Web:
    """An HTTPS server that has one answer. `answer`: all of it; "" is silence."""

    def __init__(self, made: ssl.SSLContext = WEB) -> None:
        self.answer = b""
        self.asked: list[bytes] = []
        self._context = made
        self.policy("enforce", "mx.example.org")

    def policy(self, mode: str, *mx: str, age: int = 86400) -> None:
        text = "".join([f"version: STSv1\nmode: {mode}\n", *(f"mx: {each}\n" for each in mx), f"max_age: {age}\n"])
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(text)}\r\n\r\n"
        self.answer = (head + text).encode()

    async def __aenter__(self) -> "Web":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(self.answer)
            await writer.drain()
        finally:
            writer.close()


ME = Address("me", "me.example")


@dataclass
class Stage:
    """Everything put together, and a clock to move."""

    relayer: Relayer
    store: Store
    policies: StsPolicies
    record: TlsRecord
    resolver: Resolver

    async def send(
        self,
        octets: bytes = b"Subject: x\r\n\r\nx\r\n",
        *,
        require_tls: bool = False,
        sender: Address | None = ME,
    ) -> RecipientResult:
        async def read() -> bytes:
            return octets

        to = (Recipient(Address("alice", "example.org")),)
        envelope = Envelope(sender, to, require_tls=require_tls)
        outcome = await self.relayer.relay(HOP, OutgoingMessage("1", envelope, len(octets), read))
        return outcome.results[0]

    async def counted(self) -> dict[tuple[str, str], int]:
        """Sessions by policy type and result."""
        await self.record.flush()
        rows = await self.store.read(lambda tx: tls_results.of_day(tx, NOW.date().isoformat(), "example.org"))
        counts: dict[tuple[str, str], int] = {}
        for key, count in rows:
            counts[key.policy_type, key.result] = counts.get((key.policy_type, key.result), 0) + count
        return counts


@pytest.fixture
def dns() -> Iterator[FakeDns]:
    with FakeDns(ttl=0) as server:
        server.records["example.org", "MX"] = ["10 mx.example.org."]
        server.records["mx.example.org", "A"] = ["127.0.0.1"]
        server.records["mta-sts.example.org", "A"] = ["127.0.0.1"]
        yield server


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@asynccontextmanager
async def stage(
    dns: FakeDns, port: int, folder: Path, clock: Clock, web: Web | None = None, **given: object
) -> AsyncIterator[Stage]:
    file = folder / "ca.pem"
    AUTHORITY.cert_pem.write_to_path(str(file))
    settings = RelaySettings(
        port=port,
        timeouts=QUICK,
        refuse_networks=(),
        pool=PoolSettings(idle=timedelta()),
        **given,  # type: ignore[arg-type]
    )
    store = await Store.open(StoreSettings(folder / "data"), clock=clock)
    resolver = Resolver(ResolverSettings(timeout=timedelta(seconds=2)), (dns.server,))
    tls = ClientTls(TlsSettings(ca_file=file))
    policies = StsPolicies(store, resolver, Https(resolver, lambda: tls.verified, port=web.port if web else 9))
    record = TlsRecord(store, settings.tls_memory, settings.tls_patience)
    judge = PolicyJudge(settings, resolver, policies, record)
    relayer = Relayer(settings, "me.example", resolver, tls, judge, record, clock)
    yield Stage(relayer, store, policies, record, resolver)
    await relayer.close()
    await policies.close()
    await resolver.close()
    await store.close()


# -- DANE


@pytest.mark.parametrize(
    ("record", "expected", "by"),
    [
        (tlsa(SELF_DER), SENT, "dane"),
        (tlsa(GOOD_DER), DEFERRED, ""),
        ("1 1 1 " + "00" * 32, SENT, ""),
        ("3 1 1 " + "00" * 32, DEFERRED, ""),
    ],
    ids=["matching", "another", "unusable", "wrong"],
)
async def test_dane(dns: FakeDns, tmp_path: Path, clock: Clock, record: str, expected: RelayState, by: str) -> None:
    """RFC 7672 §2.2, §3.1: a certificate that nobody else vouches for."""
    dns.secure.add("example.org")
    async with NextHost(tls=SELF) as host, stage(dns, host.port, tmp_path, clock) as on:
        dns.records[f"_{host.port}._tcp.mx.example.org", "TLSA"] = [record]
        result = await on.send()
        assert result.state is expected
        if expected is SENT:
            assert result.tls is not None
            assert result.tls.authenticated_by == by
        else:
            assert result.status == "4.7.5"
        assert (await on.counted()).get(("tlsa", "" if expected is SENT else "validation-failure")) == 1


@pytest.mark.parametrize("family", ["A", "AAAA"])
async def test_an_answer_that_is_kept_away_keeps_no_dane_away(
    dns: FakeDns, tmp_path: Path, clock: Clock, family: str
) -> None:
    """RFC 7672 §2.2.2: what does not come is not insecure. Without IPv4 there is nobody here to be reached."""
    dns.secure.add("example.org")
    async with NextHost(tls=SELF) as host, stage(dns, host.port, tmp_path, clock) as on:
        dns.records[f"_{host.port}._tcp.mx.example.org", "TLSA"] = ["3 1 1 " + "00" * 32]
        dns.faults["mx.example.org", family] = Fault.SERVFAIL
        result = await on.send()
        assert result.state is DEFERRED
        assert result.status == ("4.7.5" if family == "AAAA" else "4.4.3")


async def test_dane_needs_tls(dns: FakeDns, tmp_path: Path, clock: Clock) -> None:
    """RFC 7672 §2.2: where STARTTLS was taken out of the answer nothing is sent."""
    dns.secure.add("example.org")
    async with NextHost() as host, stage(dns, host.port, tmp_path, clock) as on:
        dns.records[f"_{host.port}._tcp.mx.example.org", "TLSA"] = [tlsa(GOOD_DER)]
        assert (await on.send()).status == "4.7.10"
        assert await on.counted() == {("tlsa", "starttls-not-supported"): 1}


async def test_dane_trust_anchor(dns: FakeDns, tmp_path: Path, clock: Clock) -> None:
    dns.secure.add("example.org")
    root = x509.load_pem_x509_certificate(AUTHORITY.cert_pem.bytes()).public_bytes(Encoding.DER)
    full = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = AUTHORITY.issue_cert("mx.example.org")
    chain = tmp_path / "chain.pem"
    chain.write_bytes(certificate.private_key_and_cert_chain_pem.bytes() + AUTHORITY.cert_pem.bytes())
    full.load_cert_chain(chain)
    async with NextHost(tls=full) as host, stage(dns, host.port, tmp_path, clock) as on:
        dns.records[f"_{host.port}._tcp.mx.example.org", "TLSA"] = [tlsa(root, 2)]
        assert (await on.send()).state is SENT


async def test_unsigned_tlsa_records_mean_nothing(dns: FakeDns, tmp_path: Path, clock: Clock) -> None:
    async with NextHost(tls=SELF) as host, stage(dns, host.port, tmp_path, clock) as on:
        dns.records[f"_{host.port}._tcp.mx.example.org", "TLSA"] = [tlsa(GOOD_DER)]
        assert (await on.send()).state is SENT
        assert not any(kind == "TLSA" for _, kind in dns.asked)


async def test_tlsa_records_that_are_hidden(dns: FakeDns, tmp_path: Path, clock: Clock) -> None:
    """RFC 7672 §2.1.2: a question that is not answered is no "no"."""
    dns.secure.add("example.org")
    async with NextHost(tls=SELF) as host, stage(dns, host.port, tmp_path, clock) as on:
        dns.faults[f"_{host.port}._tcp.mx.example.org"] = Fault.SERVFAIL
        result = await on.send()
        assert (result.state, result.status) == (DEFERRED, "4.7.5")
        assert host.connections == 0
        assert await on.counted() == {("tlsa", "dnssec-invalid"): 1}


async def test_dane_can_be_switched_off(dns: FakeDns, tmp_path: Path, clock: Clock) -> None:
    dns.secure.add("example.org")
    async with NextHost(tls=SELF) as host, stage(dns, host.port, tmp_path, clock, dane=False) as on:
        dns.records[f"_{host.port}._tcp.mx.example.org", "TLSA"] = [tlsa(GOOD_DER)]
        assert (await on.send()).state is SENT


# -- MTA-STS


@pytest.mark.parametrize(
    ("made", "mode", "expected", "by", "counted"),
    [
        (GOOD, "enforce", SENT, "mta-sts", {("sts", ""): 1}),
        (OTHER, "enforce", DEFERRED, "", {("sts", "certificate-host-mismatch"): 1}),
        (SELF, "enforce", DEFERRED, "", {("sts", "certificate-not-trusted"): 1}),
        (None, "enforce", DEFERRED, "", {("sts", "starttls-not-supported"): 1}),
        (GOOD, "testing", SENT, "pki", {("sts", ""): 1}),
        (OTHER, "testing", SENT, "", {("sts", "certificate-host-mismatch"): 1}),
        (None, "testing", SENT, "", {("sts", "starttls-not-supported"): 1}),
        (SELF, "none", SENT, "", {("no-policy-found", ""): 1}),
    ],
)
async def test_mta_sts(
    dns: FakeDns,
    tmp_path: Path,
    clock: Clock,
    made: ssl.SSLContext | None,
    mode: str,
    expected: RelayState,
    by: str,
    counted: dict[tuple[str, str], int],
) -> None:
    """RFC 8461 §5."""
    dns.records["_mta-sts.example.org", "TXT"] = ['"v=STSv1; id=1"']
    async with Web() as web, NextHost(tls=made) as host, stage(dns, host.port, tmp_path, clock, web) as on:
        web.policy(mode, "mx.example.org")
        result = await on.send()
        assert result.state is expected
        if result.tls is not None and expected is SENT:
            assert result.tls.authenticated_by == by
        assert await on.counted() == counted
        assert web.asked[0].startswith(b"GET /.well-known/mta-sts.txt HTTP/1.1\r\n")
        assert b"Host: mta-sts.example.org\r\n" in web.asked[0]
        await on.send()
        assert len(web.asked) == 1  # it is kept


async def test_hosts_that_a_policy_does_not_name(dns: FakeDns, tmp_path: Path, clock: Clock) -> None:
    dns.records["_mta-sts.example.org", "TXT"] = ['"v=STSv1; id=1"']
    async with Web() as web, NextHost(tls=GOOD) as host:
        web.policy("enforce", "elsewhere.example.org")
        async with stage(dns, host.port, tmp_path, clock, web) as on:
            result = await on.send()
            assert (result.state, result.status, host.connections) == (DEFERRED, "4.7.5", 0)
        async with stage(dns, host.port, tmp_path, clock, web, mta_sts="testing") as on:
            assert (await on.send()).state is SENT
            assert await on.counted() == {("sts", "validation-failure"): 1, ("no-policy-found", ""): 1}


async def test_a_policy_holds_though_its_record_and_its_host_are_gone(
    dns: FakeDns, tmp_path: Path, clock: Clock
) -> None:
    """RFC 8461 §10.2: who can hide them must not be able to undo it."""
    record = ("_mta-sts.example.org", "TXT")
    dns.records[record] = ['"v=STSv1; id=1"']
    async with Web() as web, NextHost(tls=OTHER) as host, stage(dns, host.port, tmp_path, clock, web) as on:
        assert (await on.send()).state is DEFERRED
        del dns.records[record]
        assert (await on.send()).state is DEFERRED
        dns.faults["_mta-sts.example.org"] = Fault.SERVFAIL
        assert (await on.send()).state is DEFERRED
        dns.faults.clear()
        web.answer = b"HTTP/1.1 302 Found\r\nLocation: https://evil.example/\r\nContent-Length: 0\r\n\r\n"
        dns.records[record] = ['"v=STSv1; id=2"']
        assert (await on.send()).state is DEFERRED
        clock.now += timedelta(days=2)
        assert (await on.send()).state is SENT  # it has run out


async def test_a_new_policy_takes_the_place_of_the_old_one(dns: FakeDns, tmp_path: Path, clock: Clock) -> None:
    dns.records["_mta-sts.example.org", "TXT"] = ['"v=STSv1; id=1"']
    async with Web() as web, NextHost(tls=OTHER) as host, stage(dns, host.port, tmp_path, clock, web) as on:
        assert (await on.send()).state is DEFERRED
        web.policy("none")
        assert (await on.send()).state is DEFERRED
        clock.now += timedelta(hours=30)
        dns.records["_mta-sts.example.org", "TXT"] = ['"v=STSv1; id=2"']
        assert (await on.send()).state is SENT


async def test_policies_are_refreshed(dns: FakeDns, tmp_path: Path, clock: Clock) -> None:
    dns.records["_mta-sts.example.org", "TXT"] = ['"v=STSv1; id=1"']
    async with Web() as web, NextHost(tls=GOOD) as host, stage(dns, host.port, tmp_path, clock, web) as on:
        web.policy("enforce", "mx.example.org", age=5 * 86400)
        await on.send()
        assert await on.policies.refresh() == 0
        clock.now += timedelta(days=2)
        assert await on.policies.refresh() == 1
        kept = await on.store.read(lambda tx: transport.policy_of(tx, "example.org"))
        assert kept is not None
        assert kept.fetched_at == clock.now


PLAIN = b"Content-Type: text/plain\r\n"
POLICY = b"Content-Length: 63\r\n\r\nversion: STSv1\nmode: enforce\nmx: mx.example.org\nmax_age: 86400\n"
SQUEEZED = gzip.compress(b"version: STSv1\n" * 100_000)
BOMB = b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(SQUEEZED), SQUEEZED)


@pytest.mark.parametrize(
    ("answer", "made", "problem"),
    [
        (b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", WEB, "sts-policy-fetch-error"),
        (b"HTTP/1.1 301 Moved\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", WEB, "sts-policy-fetch-error"),
        (b"HTTP/1.1 200 OK\r\n" + PLAIN + b"Content-Length: 5\r\n\r\nhello", WEB, "sts-policy-invalid"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n" + POLICY, WEB, "sts-policy-fetch-error"),
        (b"HTTP/1.1 200 OK\r\n" + POLICY, WEB, "sts-policy-fetch-error"),
        (b"HTTP/1.1 200 OK\r\n" + PLAIN + BOMB, WEB, "sts-policy-invalid"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000, WEB, "sts-policy-fetch-error"),
        (b"\x00\xff", WEB, "sts-policy-fetch-error"),
        (b"", WEB, "sts-policy-fetch-error"),
        (b"", OTHER, "sts-webpki-invalid"),
    ],
)
async def test_policies_that_cannot_be_had(
    dns: FakeDns, tmp_path: Path, clock: Clock, answer: bytes, made: ssl.SSLContext, problem: str
) -> None:
    """RFC 8461 §3.3: mail goes as if there was none; RFC 8460 §4.3.2.2: and it is told."""
    dns.records["_mta-sts.example.org", "TXT"] = ['"v=STSv1; id=1"']
    async with Web(made) as web, NextHost(tls=SELF) as host, stage(dns, host.port, tmp_path, clock, web) as on:
        web.answer = answer
        for _ in range(2):
            assert (await on.send()).state is SENT
        assert len(web.asked) == (0 if made is OTHER else 1)  # not asked for again at once
        assert await on.counted() == {("sts", problem): 2, ("no-policy-found", ""): 2}


async def test_dane_comes_before_mta_sts(dns: FakeDns, tmp_path: Path, clock: Clock) -> None:
    """RFC 8461 §2."""
    dns.secure.add("example.org")
    dns.records["_mta-sts.example.org", "TXT"] = ['"v=STSv1; id=1"']
    async with Web() as web, NextHost(tls=SELF) as host, stage(dns, host.port, tmp_path, clock, web) as on:
        dns.records[f"_{host.port}._tcp.mx.example.org", "TLSA"] = [tlsa(SELF_DER)]
        assert (await on.send()).state is SENT
        assert not web.asked


# -- What the message asks for


async def test_the_sender_can_do_without_policies(dns: FakeDns, tmp_path: Path, clock: Clock) -> None:
    """RFC 8689 §3: TLS-Required: No."""
    dns.records["_mta-sts.example.org", "TXT"] = ['"v=STSv1; id=1"']
    async with Web() as web, NextHost(tls=OTHER) as host, stage(dns, host.port, tmp_path, clock, web) as on:
        octets = b"TLS-Required: No\r\nSubject: your TLS is broken\r\n\r\nx\r\n"
        assert (await on.send(octets)).state is SENT
        assert (await on.send(octets, require_tls=True)).state is DEFERRED  # REQUIRETLS weighs more
        assert (await on.send(b"TLS-Required: Yes\r\n\r\nx\r\n")).state is DEFERRED


@pytest.mark.parametrize(
    ("made", "expected"), [(GOOD, (SENT, "2.0.0")), (OTHER, (DEFERRED, "4.7.5")), (None, (DEFERRED, "4.7.10"))]
)
async def test_require_tls_by_mta_sts(
    dns: FakeDns, tmp_path: Path, clock: Clock, made: ssl.SSLContext | None, expected: tuple[RelayState, str]
) -> None:
    """RFC 8689 §4.2.1: a policy in testing mode also says whose hosts they are."""
    dns.records["_mta-sts.example.org", "TXT"] = ['"v=STSv1; id=1"']
    announced = (*EVERYTHING, "REQUIRETLS")
    async with Web() as web, NextHost(announced, tls=made) as host, stage(dns, host.port, tmp_path, clock, web) as on:
        web.policy("testing", "mx.example.org")
        result = await on.send(require_tls=True)
        assert (result.state, result.status) == expected


@pytest.mark.parametrize(
    ("extension", "made", "asked"),
    [("REQUIRETLS", GOOD, True), ("REQUIRETLS", OTHER, False), ("8BITMIME", None, False)],
)
async def test_a_report_is_not_lost_for_want_of_tls(
    dns: FakeDns, tmp_path: Path, clock: Clock, extension: str, made: ssl.SSLContext | None, asked: bool
) -> None:
    """RFC 8689 §5: with a null reverse-path REQUIRETLS is asked for where it can be had, and nothing fails without."""
    dns.records["_mta-sts.example.org", "TXT"] = ['"v=STSv1; id=1"']
    async with (
        Web() as web,
        NextHost((extension,), tls=made) as host,
        stage(dns, host.port, tmp_path, clock, web) as on,
    ):
        web.policy("testing", "mx.example.org")
        assert (await on.send(require_tls=True, sender=None)).state is SENT
        assert any("REQUIRETLS" in line for line in host.lines) is asked


# -- Memory


async def test_no_silent_downgrade(dns: FakeDns, tmp_path: Path, clock: Clock) -> None:
    """Mail that went under TLS does not go in clear soon after; once it has waited long enough it does."""
    async with NextHost(tls=SELF) as host, stage(dns, host.port, tmp_path, clock) as on:
        assert (await on.send()).state is SENT
        host.tls = None
        result = await on.send()
        assert (result.state, result.status) == (DEFERRED, "4.7.10")
        await on.record.flush()
        assert (await on.send()).state is DEFERRED
        clock.now += timedelta(days=1)
        assert (await on.send()).state is DEFERRED
        host.tls = SELF
        assert (await on.send()).state is SENT  # it is back
        await on.record.flush()
        host.tls = None
        assert (await on.send()).state is DEFERRED
        await on.record.flush()
        clock.now += timedelta(days=2, minutes=1)
        assert (await on.send()).state is SENT
        assert not host.kept[-1].tls


async def test_memory_ends(dns: FakeDns, tmp_path: Path, clock: Clock) -> None:
    async with NextHost(tls=SELF) as host, stage(dns, host.port, tmp_path, clock) as on:
        await on.send()
        await on.record.flush()
        host.tls = None
        clock.now += timedelta(days=31)
        assert (await on.send()).state is SENT
        assert await on.store.write(lambda tx: transport.sweep(tx, clock.now - timedelta(days=30))) == 1
