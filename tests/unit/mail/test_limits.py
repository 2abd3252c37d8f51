"""Limits on strangers: buckets, lists, bans, and what workers hear of each other."""

from datetime import timedelta
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from tests.unit.mail.conftest import World

from pennypost.mail.limit_settings import DefenceSettings
from pennypost.mail.limits import Buckets, Defence, Lists, Rate
from pennypost.model.address import Address
from pennypost.model.errors import RateLimited, SenderBanned
from pennypost.model.peer import Peer
from pennypost.model.units import Octets
from pennypost.store import bans, buckets
from pennypost.store.bans import canonical_subject


class Seconds:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def peer(text: str = "192.0.2.7") -> Peer:
    return Peer(ip_address(text), 25)


CARL = Address("carl", "Example.org")


def defence(world: World, seconds: Seconds | None = None, **settings: Any) -> Defence:
    return Defence(world.store, DefenceSettings(**settings), clock=seconds or Seconds())


def test_a_bucket_runs_down_and_takes_one_thing_whatever_its_size() -> None:
    clock = Seconds()
    found = Buckets(clock)
    rate = Rate(10, 60)
    assert found.fits("k", 50, rate)
    found.add("k", 50, rate)
    assert not found.fits("k", 1, rate)
    clock.now += 250
    assert found.fits("k", 1, rate)
    assert not found.fits("k", 2, rate)


def test_buckets_that_are_not_used_are_forgotten() -> None:
    found = Buckets(Seconds(), size=2)
    for key in ("a", "b", "c"):
        found.add(key, 1, Rate(1, 60))
    assert [addition.key for addition in found.take_additions()] != []
    assert found.fits("a", 1, Rate(1, 60))


def test_allowed_wins_over_banned_whatever_is_longer(world: World) -> None:
    lists = Lists()
    now = world.clock.now
    lists.put("192.0.2.0/24", allowed=False, until=None)
    lists.put("192.0.2.7/32", allowed=True, until=None)
    lists.put("198.51.100.0/25", allowed=False, until=now + timedelta(hours=1))
    lists.put("2001:db8::/32", allowed=False, until=None)
    assert lists.verdict(ip_address("192.0.2.7"), now) is True
    assert lists.verdict(ip_address("192.0.2.8"), now) is False
    assert lists.verdict(ip_address("198.51.100.1"), now) is False
    assert lists.verdict(ip_address("198.51.100.1"), now + timedelta(hours=2)) is None
    assert lists.verdict(ip_address("2001:db8:1::1"), now) is False
    assert lists.verdict(ip_address("203.0.113.1"), now) is None


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("192.0.2.7", "192.0.2.7/32"),
        ("192.0.2.7/24", "192.0.2.0/24"),
        ("2001:DB8::1", "2001:db8::1/128"),
        ("@Spam.Example", "spam.example"),
        ("bücher.example", "xn--bcher-kva.example"),
    ],
)
def test_what_can_be_listed(text: str, subject: str) -> None:
    assert canonical_subject(text) == subject


async def test_connections_are_counted_by_address_and_by_network(world: World) -> None:
    clock = Seconds()
    door = defence(world, clock, connections_per_minute=2, network_factor=2)
    assert [door.admits(peer()) for _ in range(3)] == [True, True, False]
    assert [door.admits(peer("192.0.2.8")) for _ in range(3)] == [True, True, False]
    assert not door.admits(peer("192.0.2.9"))
    assert door.admits(peer("198.51.100.1"))
    assert door.admits(Peer(None, 0))
    clock.now += 31
    assert door.admits(peer())


async def test_nobody_is_exempt_who_is_not_named(world: World) -> None:
    strict = defence(world, connections_per_minute=1)
    assert [strict.admits(peer("127.0.0.1")) for _ in range(2)] == [True, False]
    lenient = defence(world, connections_per_minute=1, exempt=(ip_network("127.0.0.0/8"),))
    assert [lenient.admits(peer("127.0.0.1")) for _ in range(2)] == [True, True]


async def test_messages_recipients_and_octets_are_limited(world: World) -> None:
    door = defence(
        world,
        messages_per_hour=2,
        recipients_per_hour=2,
        octets_per_hour=Octets(1000),
        domain_messages_per_hour=3,
        recipient_messages_per_hour=3,
    )
    for _ in range(2):
        door.sender(peer(), CARL)
        door.recipient(peer(), Address("anna", "penny.test"))
    door.octets(peer(), 900)
    with pytest.raises(RateLimited):
        door.sender(peer(), CARL)
    with pytest.raises(RateLimited):
        door.recipient(peer(), Address("anna", "penny.test"))
    with pytest.raises(RateLimited):
        door.octets(peer(), 900)
    other = peer("198.51.100.9")
    door.sender(other, CARL)
    with pytest.raises(RateLimited, match="domain"):
        door.sender(other, CARL)
    door.recipient(other, Address("Anna", "penny.test"))
    with pytest.raises(RateLimited, match="recipient"):
        door.recipient(other, Address("anna", "penny.test"))


async def test_failures_delay_then_ban_and_the_other_workers_hear_of_it(world: World) -> None:
    settings = {"failures_before_tarpit": 2, "failures_before_ban": 5, "tarpit_delay": timedelta(seconds=7)}
    here, there = defence(world, **settings), defence(world, **settings)
    assert [here.failed(peer(), "no such recipient") for _ in range(5)] == [0.0, 0.0, 7.0, 7.0, 7.0]
    assert not here.admits(peer())
    assert here.admits_user(peer())  # who may share the address with others
    assert there.admits(peer())
    await here.exchange()
    await there.exchange()
    assert not there.admits(peer())
    assert there.admits_user(peer())
    assert there.admits(peer("192.0.2.8"))
    listed = await world.store.read(bans.listed)
    assert [(entry.subject, "no such recipient" in entry.reason) for entry in listed] == [("192.0.2.7/32", True)]
    world.clock.forward(timedelta(hours=2))
    await there.exchange()
    assert there.admits(peer())
    assert await world.store.write(bans.sweep) == 1


async def test_an_ipv6_host_is_banned_with_its_network(world: World) -> None:
    door = defence(world, failures_before_ban=2)
    door.failed(peer("2001:db8::1"), "x")
    door.failed(peer("2001:db8::2"), "x")
    assert not door.admits(peer("2001:db8::3"))


async def test_workers_fill_buckets_together(world: World) -> None:
    clock = Seconds()
    one, two = (defence(world, clock, messages_per_hour=3) for _ in range(2))
    one.sender(peer(), CARL)
    one.sender(peer(), CARL)
    await one.exchange()
    two.sender(peer(), CARL)
    await two.exchange()
    with pytest.raises(RateLimited):
        two.sender(peer(), CARL)
    world.clock.forward(timedelta(hours=3))
    assert await world.store.write(buckets.sweep) == 2


async def test_what_an_administrator_lists_is_heeded(world: World) -> None:
    door = defence(world, failures_before_ban=1)
    forever = None
    await world.store.write(lambda tx: bans.put(tx, "192.0.2.7/32", "a friend", forever, allowed=True))
    await world.store.write(lambda tx: bans.put(tx, "spam.example", "enough", forever))
    await door.exchange()
    door.failed(peer(), "x")
    assert door.admits(peer())
    with pytest.raises(SenderBanned):
        door.sender(peer(), Address("x", "mail.SPAM.example"))
    door.sender(peer(), None)
    await world.store.write(lambda tx: bans.put(tx, "198.51.100.0/24", "enough", forever))
    await door.exchange()
    assert not door.admits_user(peer("198.51.100.9"))
    await world.store.write(lambda tx: bans.remove(tx, "198.51.100.0/24"))
    # What a worker finds cannot undo what an administrator said.
    until = world.clock.now + timedelta(hours=1)
    await world.store.write(lambda tx: bans.add_automatic(tx, "192.0.2.7/32", "failures", until))
    assert [entry.allowed for entry in await world.store.read(bans.listed)] == [True, False]
    assert await world.store.write(lambda tx: bans.remove(tx, "spam.example"))


async def test_an_idle_exchange_writes_nothing(world: World) -> None:
    door = defence(world, connections_per_minute=5)
    door.admits(peer())
    await door.exchange()
    before = await world.store.read(lambda tx: tx.fetch_one("SELECT total_changes()"))
    await door.exchange()
    assert await world.store.read(lambda tx: tx.fetch_one("SELECT total_changes()")) == before
