import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import pytest
from tests.dns_server import FakeDns, Fault

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
from pennypost.net import resolver as module
from pennypost.net.resolver import Resolver
from pennypost.net.settings import ResolverSettings

A, MX, TXT = RecordType.A, RecordType.MX, RecordType.TXT

QUICK = ResolverSettings(timeout=timedelta(seconds=0.3))


class Clock:
    """Seconds that pass when told to; asyncio's own go on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def dns() -> Iterator[FakeDns]:
    with FakeDns({("example.org", "A"): ["192.0.2.1", "192.0.2.2"]}) as server:
        yield server


@asynccontextmanager
async def resolving(*servers: FakeDns, settings: ResolverSettings = QUICK, **options: Any) -> AsyncIterator[Resolver]:
    resolver = Resolver(settings, tuple(server.server for server in servers), **options)
    yield resolver
    await resolver.close()


async def ask(dns: FakeDns, name: str, kind: RecordType = A, settings: ResolverSettings = QUICK) -> DnsAnswer:
    async with resolving(dns, settings=settings) as resolver:
        return await resolver.ask(DnsQuestion(name, kind))


@pytest.mark.parametrize(
    ("kind", "text", "record"),
    [
        ("A", "192.0.2.7", IPv4Address("192.0.2.7")),
        ("AAAA", "2001:db8::7", IPv6Address("2001:db8::7")),
        ("MX", "10 MX1.Example.ORG.", MxRecord(10, "mx1.example.org")),
        ("MX", "0 .", MxRecord(0, "")),
        ("TXT", '"v=spf1 " "-all"', b"v=spf1 -all"),
        ("TLSA", "3 1 1 " + "ab" * 32, TlsaRecord(3, 1, 1, b"\xab" * 32)),
        ("SRV", "1 2 993 imap.example.org.", SrvRecord(1, 2, 993, "imap.example.org")),
        ("CAA", '128 issue "ca.example"', CaaRecord(128, "issue", b"ca.example")),
        ("SOA", "Ns1.example.org. h.example.org. 1 2 3 4 5", "ns1.example.org"),
        ("NS", "ns1.example.org.", "ns1.example.org"),
        ("PTR", "host.example.org.", "host.example.org"),
        ("CNAME", "other.example.org.", "other.example.org"),
    ],
)
async def test_each_type(dns: FakeDns, kind: str, text: str, record: object) -> None:
    dns.records["x.example.org", kind] = [text]
    answer = await ask(dns, "x.example.org", RecordType(kind))
    assert answer == DnsAnswer(DnsStatus.FOUND, (record,), ttl_seconds=300)  # type: ignore[arg-type]


async def test_what_is_not_there(dns: FakeDns) -> None:
    """The time to live of an absence is that of the SOA record (RFC 2308 §5)."""
    assert (await ask(dns, "example.org", MX)).status is DnsStatus.NO_DATA
    assert (await ask(dns, "nothing.org")).status is DnsStatus.NO_SUCH_NAME
    dns.ttl = 40  # also the SOA's minimum
    assert (await ask(dns, "nothing.org")).ttl_seconds == 40


async def test_an_alias_is_followed(dns: FakeDns) -> None:
    dns.records["www.example.org", "CNAME"] = ["Web.example.org."]
    dns.records["web.example.org", "CNAME"] = ["example.org."]
    answer = await ask(dns, "www.example.org")
    assert (len(answer.records), answer.canonical_name) == (2, "example.org")
    answer = await ask(dns, "www.example.org", MX)
    assert (answer.status, answer.canonical_name) == (DnsStatus.NO_DATA, "example.org")


async def test_aliases_in_a_circle_are_a_failure(dns: FakeDns) -> None:
    dns.records["a.example.org", "CNAME"] = ["b.example.org."]
    dns.records["b.example.org", "CNAME"] = ["a.example.org."]
    assert (await ask(dns, "a.example.org")).status is DnsStatus.FAILED


@pytest.mark.parametrize("name", ["a" * 64 + ".org", "a..org", "bücher.example", ".".join(["abcdefgh"] * 29)])
async def test_a_name_that_cannot_be_does_not_exist(dns: FakeDns, name: str) -> None:
    assert (await ask(dns, name)).status is DnsStatus.NO_SUCH_NAME
    assert not dns.asked


async def test_a_backslash_is_no_escape(dns: FakeDns) -> None:
    await ask(dns, r"a\046b.org")
    assert dns.asked == [(r"a\\046b.org", "A")]


async def test_the_authentic_bit_is_believed_of_loopback_only(dns: FakeDns) -> None:
    dns.secure.add("example.org")
    assert (await ask(dns, "example.org")).authentic
    assert (await ask(dns, "example.org", MX)).authentic
    assert not (await ask(dns, "example.net")).authentic
    never = ResolverSettings(QUICK.timeout, trust_ad="never")
    assert not (await ask(dns, "example.org", settings=never)).authentic
    loopback = Resolver(QUICK, (("192.0.2.1", 53),))
    assert not loopback._believes(("192.0.2.1", 53))
    assert loopback._believes(("::1", 53))
    assert Resolver(ResolverSettings(trust_ad="always"))._believes(("192.0.2.1", 53))


@pytest.mark.parametrize(
    "fault",
    [
        Fault.SILENCE,
        Fault.SERVFAIL,
        Fault.REFUSED,
        Fault.WRONG_ID,
        Fault.WRONG_QUESTION,
        Fault.GARBAGE,
        Fault.TRUNCATED_ALWAYS,
    ],
)
async def test_faults_are_failures(dns: FakeDns, fault: Fault) -> None:
    dns.faults["example.org"] = fault
    assert await ask(dns, "example.org") == DnsAnswer(DnsStatus.FAILED, ttl_seconds=module.FAILURE_SECONDS)


async def test_records_of_another_name_do_not_count(dns: FakeDns) -> None:
    dns.faults["example.org"] = Fault.OTHER_NAME
    assert (await ask(dns, "example.org")).status is DnsStatus.NO_DATA


async def test_what_is_truncated_is_asked_for_over_tcp(dns: FakeDns) -> None:
    dns.faults["example.org"] = Fault.TRUNCATED
    assert len((await ask(dns, "example.org")).records) == 2
    assert (len(dns.asked), dns.tcp_count) == (2, 1)


async def test_a_server_older_than_edns_is_asked_without(dns: FakeDns) -> None:
    dns.faults["example.org"] = Fault.NO_EDNS
    assert (await ask(dns, "example.org")).status is DnsStatus.FOUND


async def test_answers_are_kept_as_long_as_they_hold(dns: FakeDns) -> None:
    clock = Clock()
    dns.ttl = 60
    async with resolving(dns, clock=clock) as resolver:
        question = DnsQuestion("example.org", A)
        await resolver.ask(question)
        clock.now += 20
        assert (await resolver.ask(question)).ttl_seconds == 40
        assert len(dns.asked) == 1
        clock.now += 41
        assert (await resolver.ask(question)).ttl_seconds == 60
        assert len(dns.asked) == 2


async def test_failures_are_kept_for_a_moment(dns: FakeDns) -> None:
    """RFC 9520 §3.2."""
    clock = Clock()
    dns.faults["example.org"] = Fault.SERVFAIL
    async with resolving(dns, clock=clock) as resolver:
        question = DnsQuestion("example.org", A)
        await resolver.ask(question)
        asked = len(dns.asked)
        assert (await resolver.ask(question)).status is DnsStatus.FAILED
        assert len(dns.asked) == asked
        dns.faults.clear()
        clock.now += module.FAILURE_SECONDS
        assert (await resolver.ask(question)).status is DnsStatus.FOUND


async def test_the_cache_is_bounded(dns: FakeDns, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        dns.records[name, "TXT"] = ['"' + "x" * 200 + '"']
    async with resolving(dns, settings=ResolverSettings(QUICK.timeout, cache_entries=2)) as resolver:
        for name in ("a", "b", "a", "c", "a", "b"):  # b is the least recently used one when c comes
            await resolver.ask(DnsQuestion(name, TXT))
        assert [name for name, _ in dns.asked] == ["a", "b", "c", "b"]
        dns.asked.clear()
        monkeypatch.setattr(module, "MAX_CACHED_OCTETS", 1000)  # there is room for one
        for name in ("c", "a", "a", "c"):
            await resolver.ask(DnsQuestion(name, TXT))
        assert [name for name, _ in dns.asked] == ["c", "a", "c"]


async def test_who_asks_the_same_shares_the_answer(dns: FakeDns) -> None:
    dns.ttl = 0  # not kept
    async with resolving(dns) as resolver:
        question = DnsQuestion("example.org", A)
        waiting = [asyncio.create_task(resolver.ask(question)) for _ in range(5)]
        await asyncio.sleep(0)
        waiting.pop(0).cancel()  # whoever asked first gives up; the others do not notice
        assert all(answer.status is DnsStatus.FOUND for answer in await asyncio.gather(*waiting))
        assert len(dns.asked) == 1


async def test_a_place_is_taken_until_the_answer_not_until_nobody_waits(dns: FakeDns) -> None:
    dns.faults["silent.example"] = Fault.SILENCE
    room = asyncio.Semaphore(1)
    async with resolving(dns) as resolver:
        silent = asyncio.create_task(resolver.ask(DnsQuestion("silent.example", A), room))
        await asyncio.sleep(0.05)
        silent.cancel()
        two = [asyncio.create_task(resolver.ask(DnsQuestion("example.org", A), room)) for _ in range(2)]
        await asyncio.sleep(0.05)
        assert ("example.org", "A") not in dns.asked
        assert (await resolver.ask(DnsQuestion("example.org", MX))).status is DnsStatus.NO_DATA
        assert [answer.status for answer in await asyncio.gather(*two)] == [DnsStatus.FOUND] * 2
        assert dns.asked.count(("example.org", "A")) == 1
        assert not room.locked()


async def test_the_next_server_is_asked_and_asked_first_from_then_on(dns: FakeDns) -> None:
    with FakeDns(faults={"example.org": Fault.SERVFAIL}) as bad:
        async with resolving(bad, dns) as resolver:
            assert (await resolver.ask(DnsQuestion("example.org", A))).status is DnsStatus.FOUND
            assert (await resolver.ask(DnsQuestion("example.org", MX))).status is DnsStatus.NO_DATA
            assert len(bad.asked) == 1


async def test_where_nobody_listens_the_failure_comes_at_once() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    resolver = Resolver(ResolverSettings(timeout=timedelta(seconds=60)), (("127.0.0.1", port),))
    async with asyncio.timeout(5):
        assert (await resolver.ask(DnsQuestion("example.org", A))).status is DnsStatus.FAILED


async def test_a_consultation_is_driven_to_its_end(dns: FakeDns) -> None:
    dns.records["example.org", "MX"] = ["10 example.org."]

    def first_address(domain: str) -> Consultation[object]:
        mx = yield DnsQuestion(domain, MX)
        assert isinstance(mx.records[0], MxRecord)
        addresses = yield DnsQuestion(mx.records[0].exchange, A)
        return addresses.records[0]

    async with resolving(dns) as resolver:
        assert await resolver.consult(first_address("example.org")) in {
            IPv4Address("192.0.2.1"),
            IPv4Address("192.0.2.2"),
        }


async def test_closing_ends_what_is_being_asked(dns: FakeDns) -> None:
    dns.faults["example.org"] = Fault.SILENCE
    resolver = Resolver(ResolverSettings(), (dns.server,))
    waiting = asyncio.create_task(resolver.ask(DnsQuestion("example.org", A)))
    await asyncio.sleep(0)
    await resolver.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_the_servers_of_the_system_are_read_again_when_they_change(tmp_path: Path) -> None:
    clock = Clock()
    file = tmp_path / "resolv.conf"
    resolver = Resolver(QUICK, resolv_conf=file, clock=clock)
    resolver._reread_resolv_conf()
    assert resolver._servers == [("127.0.0.1", 53)]
    file.write_text("# mine\nnameserver 192.0.2.1\nnameserver 2001:db8::1\nsearch example.org\n")
    resolver._reread_resolv_conf()
    assert resolver._servers == [("127.0.0.1", 53)]
    clock.now += module.RESOLV_CONF_SECONDS
    resolver._reread_resolv_conf()
    assert resolver._servers == [("192.0.2.1", 53), ("2001:db8::1", 53)]
