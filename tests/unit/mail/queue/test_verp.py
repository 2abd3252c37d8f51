"""A reverse-path for each recipient."""

import pytest
from tests.unit.mail.conftest import World
from tests.unit.mail.queue.test_manager import sending

from pennypost.mail.queue import verp
from pennypost.mail.queue.settings import QueueSettings
from pennypost.model.address import Address
from pennypost.model.relaying import RelayState
from pennypost.store import queue_view

LISTS = Address("lists", "penny.test")


def test_the_recipient_stands_in_it() -> None:
    made = verp.reverse_path(LISTS, Address("user", "example.org"), "+")
    assert str(made) == "lists+user=example.org@penny.test"
    assert verp.reverse_path(LISTS, Address("u" * 60, "example.org"), "+") == LISTS


@pytest.mark.parametrize(
    ("sender", "separator", "expected"),
    [(LISTS, "+", True), (LISTS, "", False), (None, "+", False), (Address("x", "other.test"), "+", False)],
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
    assert paths == [
        "anna+x=a.example@penny.test",
        "anna+y=a.example@penny.test",
        "anna+z=b.example@penny.test",
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
