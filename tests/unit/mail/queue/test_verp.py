"""A reverse-path for each recipient."""

import pytest
from tests.unit.mail.conftest import World
from tests.unit.mail.queue.test_manager import sending

from pennypost.mail.queue import verp
from pennypost.mail.queue.settings import QueueSettings
from pennypost.model.address import Address
from pennypost.model.relaying import RelayState
from pennypost.store import queue_view
from pennypost.store.keys import canonical_domain

LISTS = Address("lists", "penny.test")


TRACE = -0x123456789ABCDEF


@pytest.mark.parametrize("sender", [LISTS, Address("a+b", "penny.test"), Address("A=b", "Penny.test")], ids=str)
@pytest.mark.parametrize(
    "recipient",
    [Address("user", "example.org"), Address("u+v=w", "Example.org"), Address("jürgen", "bücher.example")],
    ids=str,
)
async def test_there_and_back(world: World, sender: Address, recipient: Address) -> None:
    made = await verp.reverse_path(world.store, sender, recipient, TRACE)
    recipient = Address(recipient.local_part, canonical_domain(recipient.domain))
    assert made.local_part.startswith(f"{sender.local_part}+{recipient.local_part}={recipient.domain}=")
    assert made.is_ascii is recipient.is_ascii
    for path in (made, Address(made.local_part.upper(), made.domain.lower())):
        found = await world.store.read(lambda tx, path=path: verp.read(tx, path, "+"))
        assert found is not None
        assert (found.sender.key, found.recipient.key, found.trace) == (sender.key, recipient.key, TRACE)


async def test_a_domain_in_utf_8_needs_no_extension(world: World) -> None:
    """RFC 6531 §3.2: it would keep mail from hosts that take it under the domain's A-labels."""
    made = await verp.reverse_path(world.store, LISTS, Address("user", "bücher.example"), TRACE)
    assert made.is_ascii


async def test_what_is_too_long_has_no_tag(world: World) -> None:
    """RFC 5321 §4.5.3.1.1."""
    recipient = Address("u" * 30, "example.org")
    made = await verp.reverse_path(world.store, LISTS, recipient, TRACE)
    assert str(made) == f"lists+{'u' * 30}=example.org@penny.test"
    assert await world.store.read(lambda tx: verp.read(tx, made, "+")) is None
    assert await verp.reverse_path(world.store, LISTS, Address("u" * 60, "example.org"), TRACE) == LISTS


async def test_nobody_else_can_make_one(world: World) -> None:
    made = await verp.reverse_path(world.store, LISTS, Address("user", "example.org"), TRACE)
    local = made.local_part
    for other in (
        Address(local.replace("user", "users"), made.domain),
        Address(local.replace("lists", "list"), made.domain),
        Address(local, "other.test"),
        Address(local[:-1] + ("a" if local[-1] != "a" else "b"), made.domain),
        Address(local[:-1], made.domain),
        Address("lists+user=example.org", made.domain),
        Address("=" * 60, made.domain),
        Address("", made.domain),
    ):
        assert await world.store.read(lambda tx, other=other: verp.read(tx, other, "+")) is None


@pytest.mark.parametrize(
    ("sender", "separator", "expected"),
    [
        (LISTS, "+", True),
        (LISTS, "", False),
        (None, "+", False),
        (Address("x", "other.test"), "+", False),
        (Address("SRS0=abcdef=ab=x.test=u", "penny.test"), "+", False),  # what is forwarded has a path of its own
        (Address("srs1=abcdef=x.test==ab=y.test=u", "penny.test"), "+", False),
    ],
)
def test_whose_mail_goes_so(sender: Address | None, separator: str, expected: bool) -> None:
    assert verp.wanted(sender, ("penny.test",), separator) is expected


def test_domains_are_in_lower_case() -> None:
    with pytest.raises(ValueError, match="verp"):
        QueueSettings(verp=("Penny.test",))


async def test_each_recipient_is_sent_to_alone(world: World) -> None:
    async with sending(world, verp=("penny.test",)) as q:
        await q.submit("x@a.example", "y@a.example", "z@b.example")
        await q.until(lambda: len(q.relay.given) == 3)
        await q.settled()
        paths = sorted(str(message.envelope.reverse_path) for _, message, _ in q.relay.given)
    assert [path.rpartition("=")[0] for path in paths] == [
        "anna+x=a.example",
        "anna+y=a.example",
        "anna+z=b.example",
    ]


async def test_each_has_its_own_result(world: World) -> None:
    async with sending(world, verp=("penny.test",)) as q:
        q.relay.answers["x@a.example"] = (RelayState.DEFERRED, "450 4.2.1 later")
        await q.submit("x@a.example", "y@a.example")
        await q.until(lambda: len(q.relay.given) == 2)
        await q.settled()
        (left,) = await world.store.read(lambda tx: queue_view.deliveries(tx))
    assert str(left.recipient.address) == "x@a.example"
    assert q.relay.to == [["x@a.example"], ["y@a.example"]]


async def test_a_hop_that_does_not_work_is_not_tried_for_each(world: World) -> None:
    async with sending(world, verp=("penny.test",)) as q:
        q.relay.whole["a.example"] = "-nobody there"
        await q.submit("x@a.example", "y@a.example", "z@a.example")
        await q.until(lambda: q.relay.given)
        await q.settled()
        left = await world.store.read(lambda tx: queue_view.deliveries(tx))
    assert q.relay.to == [["x@a.example"]]
    assert len(left) == 3
    assert {one.attempts for one in left} == {1}


async def test_others_go_together(world: World) -> None:
    async with sending(world, verp=("other.test",)) as q:
        await q.submit("x@a.example", "y@a.example")
        await q.until(lambda: q.relay.given)
        await q.settled()
    assert q.relay.to == [["x@a.example", "y@a.example"]]
