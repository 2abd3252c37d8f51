"""Reverse-paths of forwarded mail, and back from them."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.mail.conftest import World
from tests.unit.mail.test_signing import SETTINGS
from tests.unit.mail.test_transaction import STRANGER, post, receive, run

from pennypost.mail import path_keys, srs
from pennypost.mail.forwarding import Forwarder, ForwardingSettings
from pennypost.mail.post import Post
from pennypost.mail.receive import Receiver
from pennypost.mail.signing import Signer
from pennypost.model.address import Address
from pennypost.model.envelope import Envelope
from pennypost.model.errors import NoSuchRecipient
from pennypost.store import directory, queue_view
from pennypost.store.keys import MAX_LOCAL_PART_OCTETS

CARL = Address("carl", "example.org")
LONG = Address("0100018f2b3c4d5e-8b1f6a52-7c1d-4a6e-9d3b-2f6f5e4d3c2b-000000", "eu-west-1.ses.example")


async def rewrite(world: World, sender: Address = CARL) -> Address:
    return await world.store.write(lambda tx: srs.rewrite(tx, sender, "penny.test"))


async def back(world: World, address: Address) -> Address | None:
    return await world.store.read(lambda tx: srs.find_back(tx, address))


@pytest.mark.parametrize(
    "sender",
    [CARL, LONG, Address("a b=c@d", "example.org"), Address("jürgen", "bücher.example"), Address("x", "[192.0.2.1]")],
    ids=str,
)
async def test_there_and_back(world: World, sender: Address) -> None:
    made = await rewrite(world, sender)
    assert made.domain == "penny.test"
    assert len(made.local_part.encode()) <= MAX_LOCAL_PART_OCTETS
    assert made.local_part.startswith("SRS0=")
    assert await back(world, made) == sender
    assert await rewrite(world, sender) == made


async def test_it_may_come_back_in_another_case(world: World) -> None:
    made = await rewrite(world)
    for local in (made.local_part.lower(), made.local_part.upper()):
        found = await back(world, Address(local, "PENNY.test"))
        assert found is not None
        assert found.key == CARL.key


async def test_what_other_hosts_made_is_not_nested(world: World) -> None:
    """A second host names the first, a third one too: the address does not grow."""
    first = Address("SRS0=abcd=xy=example.org=carl", "first.example")
    made = await rewrite(world, first)
    assert made.local_part.startswith("SRS1=")
    assert made.local_part.endswith("=first.example==abcd=xy=example.org=carl")
    assert await back(world, made) == first
    third = await rewrite(world, replace(made, domain="second.example"))
    assert third.local_part == made.local_part
    assert await back(world, third) == first


@pytest.mark.parametrize("local", ["SRS0", "srs0x=a", "SRS1=x", "SRS1=h==r", "SRS0=", "SRS1=h=f="])
async def test_what_only_looks_like_it(world: World, local: str) -> None:
    sender = Address(local, "first.example")
    assert await back(world, await rewrite(world, sender)) == sender


async def test_our_own_senders_are_left_alone(world: World) -> None:
    anna = Address("anna", "penny.test")
    assert await rewrite(world, anna) == anna


async def test_nobody_else_can_make_one(world: World) -> None:
    made = await rewrite(world)
    head, hashed, stamp, rest = made.local_part.split("=", 3)
    letter = "a" if hashed[0] != "a" else "b"
    for local in (
        f"{head}={letter}{hashed[1:]}={stamp}={rest}",
        f"{head}=={stamp}={rest}",
        f"{head}={hashed[:-1]}={stamp}={rest}",
        f"{head}={hashed}={stamp}=victim.example=carl",
        f"{head}={hashed}=\u00fc\u00fc={rest}",
        f"{head}={hashed}=={rest}",
        f"{head}={hashed}={stamp}==1",
        f"{head}={hashed}={stamp}=={'9' * 30}",
        f"SRS1={hashed}=victim.example=={stamp}={rest}",
        "SRS1=a=b",
    ):
        assert await back(world, Address(local, "penny.test")) is None
    assert await back(world, replace(made, domain="other.example")) is None


async def test_it_runs_out(world: World) -> None:
    made = await rewrite(world, LONG), await rewrite(world)
    world.clock.forward(timedelta(days=path_keys.VALID_DAYS))
    assert [await back(world, one) for one in made] == [LONG, CARL]
    world.clock.forward(timedelta(days=1))
    assert [await back(world, one) for one in made] == [None, None]


async def test_keys_are_followed_by_others_and_stay_good_for_a_while(world: World) -> None:
    await rewrite(world)
    world.clock.forward(path_keys.KEY_LIFE - timedelta(days=1))
    made = await rewrite(world)
    world.clock.forward(timedelta(days=2))
    assert await world.store.read(lambda tx: srs.glance(tx, CARL, "penny.test")) is None
    other = await rewrite(world)
    assert other != made
    assert await world.store.read(lambda tx: srs.glance(tx, CARL, "penny.test")) == other
    assert [await back(world, one) for one in (made, other)] == [CARL, CARL]
    for _ in range(3):
        world.clock.forward(path_keys.KEY_LIFE)
        await rewrite(world)
    keys = await world.store.read(lambda tx: tx.fetch_all("SELECT 1 FROM srs_key"))
    assert len(keys) == 2


async def test_long_addresses_are_forgotten(world: World) -> None:
    await rewrite(world, LONG)
    world.clock.forward(timedelta(days=path_keys.VALID_DAYS + 2))
    await rewrite(world, replace(LONG, domain="eu-west-2.ses.example"))
    assert len(await world.store.read(lambda tx: tx.fetch_all("SELECT 1 FROM srs_address"))) == 1


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(local=st.text(max_size=70), domain=st.sampled_from(["penny.test", "other.example", ""]))
async def test_anything_may_be_asked(world: World, local: str, domain: str) -> None:
    for head in ("SRS0=", "SRS1=", "srs0="):
        assert await back(world, Address(head + local, domain)) is None


# -- In a transaction


def forwarding(world: World, **options: bool) -> Post:
    forwarder = Forwarder(world.store, ForwardingSettings(**options), Signer(world.store, SETTINGS))
    return replace(post(world), forwarder=forwarder)


async def forward(world: World, sender: Address | None = CARL, **options: bool) -> Address | None:
    """Send a message to an alias that leads elsewhere. Gives the reverse-path it goes on with."""
    await world.store.write(lambda tx: directory.add_alias(tx, "fwd@penny.test", ["dora@far.example"]))
    reception = Receiver(forwarding(world, **options)).begin(STRANGER)
    await run(reception, Envelope(sender), ["fwd@penny.test"], b"From: carl@example.org\r\n\r\nx\r\n")
    (waiting,) = await world.store.read(lambda tx: queue_view.deliveries(tx))
    return waiting.reverse_path


async def test_an_alias_sends_on_with_a_path_of_its_own_domain(world: World) -> None:
    path = await forward(world)
    assert path is not None
    assert path.domain == "penny.test"
    assert await back(world, path) == CARL


async def test_a_null_path_stays_null(world: World) -> None:
    assert await forward(world, None) is None


async def test_it_can_be_left_off(world: World) -> None:
    assert await forward(world, rewrite_sender=False) == CARL


async def test_a_bounce_finds_back(world: World) -> None:
    path = await forward(world)
    reception = Receiver(forwarding(world)).begin(STRANGER)
    await run(reception, Envelope(None), [str(path)], b"From: <>\r\nSubject: bounce\r\n\r\nx\r\n")
    waiting = await world.store.read(lambda tx: queue_view.deliveries(tx))
    assert [(str(one.recipient.address), one.reverse_path) for one in waiting if one.reverse_path is None] == [
        ("carl@example.org", None)
    ]


async def test_only_bounces_do(world: World) -> None:
    path = await forward(world)
    assert path is not None
    with pytest.raises(NoSuchRecipient):
        await receive(world, str(path), envelope=Envelope(Address("spammer", "evil.example")))
    with pytest.raises(NoSuchRecipient):
        await receive(world, "SRS0=aaaaaa=aa=victim.example=x@penny.test", envelope=Envelope(None))
