"""Lists in the DNS as screeners: what is asked of them, and what their answers weigh (RFC 5782)."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from tests.dns_server import FakeDns, Fault
from tests.unit.clients.peers import VISIT

from pennypost.clients.dns_list import MAX_NAMES, DnsList, DnsListSettings, Listed
from pennypost.clients.screening.shape import NOTHING, Moment, Ruling, ScreenerFailed
from pennypost.junk.content import Content, Link
from pennypost.model.address import Address
from pennypost.model.envelope import Envelope
from pennypost.model.peer import Peer
from pennypost.net.resolver import Resolver
from pennypost.net.settings import ResolverSettings

ENVELOPE = Envelope(Address("carl", "mail.sender.test"))
DOMAINS = (Listed.HELO, Listed.SENDER, Listed.LINKS)


@pytest.fixture
def zone() -> Iterator[FakeDns]:
    with FakeDns() as dns:
        yield dns


@asynccontextmanager
async def asking(zone: FakeDns, **settings: Any) -> AsyncIterator[DnsList]:
    resolver = Resolver(ResolverSettings(timeout=timedelta(seconds=1)), (zone.server,))
    try:
        yield DnsList(DnsListSettings(zone="list.test", **settings), resolver)
    finally:
        await resolver.close()


def content(*hosts: str, author: str = "carl@author.test") -> Content:
    links = tuple(Link(host, "") for host in hosts)
    return Content({"from": author}, {}, "", links, (), False, ())


@pytest.mark.parametrize(
    ("ip", "name"), [("192.0.2.7", "7.2.0.192"), ("2001:db8::7", "7" + ".0" * 23 + ".8.b.d.0.1.0.0.2")]
)
async def test_the_address_of_the_host(zone: FakeDns, ip: str, name: str) -> None:
    zone.records[f"{name}.list.test", "A"] = ["127.0.0.4"]
    visit = replace(VISIT, peer=Peer(ip_address(ip), 1))
    async with asking(zone, weight=3.5) as dns_list:
        opinion = await dns_list.begin(visit).content(ENVELOPE, content("link.test"))
    (evidence,) = opinion.evidence
    assert (evidence.name, evidence.weight) == ("on-list.test", 3.5)
    assert evidence.sentence == f"the host {ip} is on list.test, a list of those who are known for junk."
    assert opinion.note == f"{name} is listed: 127.0.0.4"
    assert zone.asked == [(f"{name}.list.test", "A"), ("1.0.0.127.list.test", "A")]


async def test_who_is_on_no_list(zone: FakeDns) -> None:
    async with asking(zone) as dns_list:
        assert await dns_list.begin(VISIT).content(ENVELOPE, content()) is NOTHING
        assert await dns_list.begin(VISIT).content(ENVELOPE, content()) is NOTHING
    assert zone.asked == [("7.2.0.192.list.test", "A")]  # the second one was known


async def test_this_machine_and_unix_sockets_are_not_asked_about(zone: FakeDns) -> None:
    async with asking(zone) as dns_list:
        for ip in (None, ip_address("127.0.0.1"), ip_address("::1")):
            visit = replace(VISIT, peer=Peer(ip, 1))
            assert await dns_list.begin(visit).content(ENVELOPE, content()) is NOTHING
    assert zone.asked == []


async def test_domains_as_they_were_registered(zone: FakeDns) -> None:
    zone.records["evil.co.uk.list.test", "A"] = ["127.0.1.2"]
    async with asking(zone, of=DOMAINS) as dns_list:
        shown = content("a.b.evil.co.uk", "192.0.2.9", "[2001:db8::1]", "co.uk", "LINK.test", "bücher.test")
        opinion = await dns_list.begin(VISIT).content(ENVELOPE, shown)
    assert opinion.evidence[0].sentence.startswith("a link's domain evil.co.uk is on list.test")
    assert sorted(name.removesuffix(".list.test") for name, _ in zone.asked) == [
        "author.test", "evil.co.uk", "invalid", "link.test", "mx.example", "sender.test", "xn--bcher-kva.test",
    ]  # fmt: skip


async def test_the_number_of_questions_is_bounded(zone: FakeDns) -> None:
    async with asking(zone, of=(Listed.LINKS,)) as dns_list:
        await dns_list.begin(VISIT).content(ENVELOPE, content(*(f"link{n}.test" for n in range(100))))
    assert len(zone.asked) == MAX_NAMES


@pytest.mark.parametrize(
    ("codes", "weight"),
    [
        (["127.0.0.2"], 4.0),
        (["127.0.0.3"], 1.0),
        (["127.0.0.3", "127.0.0.2"], 4.0),
        (["127.0.0.9"], None),
        (["127.0.7.1"], -5.0),
    ],
)
async def test_each_answer_has_its_weight(zone: FakeDns, codes: list[str], weight: float | None) -> None:
    zone.records["7.2.0.192.list.test", "A"] = codes
    answers = {"127.0.0.0/29": 1.0, "127.0.0.2": 4.0, "127.0.7.0/24": -5.0}
    async with asking(zone, answers=answers) as dns_list:
        opinion = await dns_list.begin(VISIT).content(ENVELOPE, content())
    assert [evidence.weight for evidence in opinion.evidence] == ([weight] if weight is not None else [])


async def test_who_is_trusted(zone: FakeDns) -> None:
    zone.records["7.2.0.192.list.test", "A"] = ["127.0.5.1"]
    async with asking(zone, weight=-2.0) as dns_list:
        opinion = await dns_list.begin(VISIT).content(ENVELOPE, content())
    assert opinion.evidence[0].sentence.endswith("a list of those who are trusted.")
    assert opinion.evidence[0].weight == -2.0


async def test_refused_before_the_message_comes(zone: FakeDns) -> None:
    zone.records["7.2.0.192.list.test", "A"] = ["127.0.0.2"]
    zone.records["7.2.0.192.list.test", "TXT"] = ['"see https://list.test/7"']
    async with asking(zone, refuse=True) as dns_list:
        assert dns_list.moments == {Moment.SENDER, Moment.CONTENT}
        opinion = await dns_list.begin(VISIT).sender(ENVELOPE)
    assert opinion.ruling is Ruling.REFUSE
    assert opinion.reply is not None
    assert opinion.reply.text == "Refused: the host 192.0.2.7 is on the list list.test: see https://list.test/7"


async def test_a_list_of_friends_refuses_nobody(zone: FakeDns) -> None:
    zone.records["7.2.0.192.list.test", "A"] = ["127.0.0.2"]
    async with asking(zone, refuse=True, weight=-1.0) as dns_list:
        assert await dns_list.begin(VISIT).sender(ENVELOPE) is NOTHING


@pytest.mark.parametrize("fault", [Fault.SILENCE, Fault.SERVFAIL, Fault.REFUSED, Fault.GARBAGE])
async def test_a_list_that_does_not_answer_has_failed(zone: FakeDns, fault: Fault) -> None:
    zone.faults["7.2.0.192.list.test"] = fault
    async with asking(zone) as dns_list:
        with pytest.raises(ScreenerFailed, match="does not answer"):
            await dns_list.begin(VISIT).content(ENVELOPE, content())


async def test_one_name_without_an_answer_is_not_the_lists_failure(zone: FakeDns) -> None:
    zone.faults["one.test.list.test"] = Fault.SERVFAIL
    zone.records["two.test.list.test", "A"] = ["127.0.0.2"]
    async with asking(zone, of=(Listed.LINKS,)) as dns_list:
        opinion = await dns_list.begin(VISIT).content(ENVELOPE, content("one.test", "two.test"))
        assert len(opinion.evidence) == 1


async def test_a_list_that_refuses_to_answer_has_failed(zone: FakeDns) -> None:
    zone.records["two.test.list.test", "A"] = ["127.255.255.254"]
    async with asking(zone, of=(Listed.LINKS,)) as dns_list:
        with pytest.raises(ScreenerFailed, match=r"127\.255\.255\.254"):
            await dns_list.begin(VISIT).content(ENVELOPE, content("one.test", "two.test"))


@pytest.mark.parametrize(
    "settings",
    [
        {"zone": ""},
        {"zone": "List.test"},
        {"zone": "list.test", "of": ()},
        {"zone": "list.test", "of": (Listed.ADDRESS, Listed.LINKS)},
        {"zone": "list.test", "answers": {"192.0.2.1": 1.0}},
        {"zone": "list.test", "answers": {"x": 1.0}},
    ],
)
def test_settings_that_cannot_be(settings: Any) -> None:
    with pytest.raises(ValueError, match=r"expected|does not appear"):
        DnsListSettings(**settings)
