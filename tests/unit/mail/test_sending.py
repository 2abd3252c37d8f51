"""What our users may send: limits that hold, and freezing what looks like somebody else."""

from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from tests.unit.mail.conftest import World

from pennypost.mail.limit_settings import SendingSettings
from pennypost.mail.post import Post
from pennypost.mail.prepare import Preparer
from pennypost.mail.reception import Acceptance, Language, SmtpClient
from pennypost.mail.sending import SendingGuard
from pennypost.mail.settings import DeliverySettings
from pennypost.mail.submit import Submitter
from pennypost.mail.trace import DateStamp
from pennypost.model.address import Address
from pennypost.model.authentication import Authenticated
from pennypost.model.envelope import Envelope, Recipient
from pennypost.model.errors import AccountDisabled, SendingFrozen, SendingLimit
from pennypost.model.peer import Peer
from pennypost.store import directory, mailboxes, queue_view, sending
from pennypost.store.engine import Transaction
from pennypost.store.queue import DeliveryState
from pennypost.store.sending import Counts


def post(world: World, **settings: Any) -> Post:
    delivery = DeliverySettings()
    guard = SendingGuard(world.store, SendingSettings(**settings), "mail.penny.test")
    return Post(world.store, Preparer(world.store, delivery), delivery, "mail.penny.test", DateStamp(), sending=guard)


async def submit(world: World, post: Post, *recipients: str, ip: str = "192.0.2.7") -> Acceptance:
    user = Authenticated(world.anna, "anna@penny.test")
    client = SmtpClient(Peer(ip_address(ip), 1), "laptop", Language.ESMTP, None, user)
    reception = Submitter(post).begin(client)
    try:
        await reception.sender(Envelope(Address("anna", "penny.test")))
        for recipient in recipients:
            local, _, domain = recipient.rpartition("@")
            await reception.recipient(Recipient(Address(local, domain)))
        reception.write(b"From: anna@penny.test\r\n\r\nhello\r\n")
        return await reception.accept()
    finally:
        reception.discard()


def many(count: int, start: int = 0) -> list[str]:
    return [f"r{n}@example.org" for n in range(start, start + count)]


async def inbox_total(world: World, account: Any) -> int:
    found = await world.store.read(lambda tx: mailboxes.find(tx, account, "INBOX"))
    assert found is not None
    return found.total


@pytest.mark.parametrize(
    ("setting", "sends"),
    [
        ("messages_per_hour", [["a@example.org"]] * 3),
        ("messages_per_day", [["a@example.org"]] * 3),
        ("recipients_per_hour", [["a@example.org"], ["b@example.org", "c@example.org"]]),
        ("recipients_per_day", [["a@example.org", "b@example.org"], ["c@example.org"]]),
        ("new_recipients_per_day", [["a@example.org"], ["a@example.org"], ["b@example.org", "c@example.org"]]),
    ],
)
async def test_a_limit_holds_and_what_is_over_it_leaves_nothing(
    world: World, setting: str, sends: list[list[str]]
) -> None:
    office = post(world, **{setting: 2})
    for recipients in sends[:-1]:
        await submit(world, office, *recipients)
    before = await world.store.read(queue_view.count)
    with pytest.raises(SendingLimit):
        await submit(world, office, *sends[-1])
    assert await world.store.read(queue_view.count) == before
    world.clock.forward(timedelta(hours=25))
    await submit(world, office, *sends[-1])
    assert await world.store.write(sending.sweep) == 1


async def test_mail_for_ourselves_is_not_counted(world: World) -> None:
    office = post(world, messages_per_hour=1)
    for _ in range(3):
        await submit(world, office, "bert@penny.test")


async def test_a_burst_of_strangers_freezes_the_account(world: World) -> None:
    office = post(world, freeze_new_recipients=5)
    await submit(world, office, *many(4))
    with pytest.raises(SendingFrozen):
        await submit(world, office, *many(2, start=10))
    # It stays so, for friends too; reading and mail from others go on; owner and postmaster are told once.
    with pytest.raises(SendingFrozen):
        await submit(world, office, "r1@example.org")
    with pytest.raises(SendingFrozen):
        await submit(world, office, "bert@penny.test")
    assert await inbox_total(world, world.anna) == 1
    held = await world.store.read(queue_view.deliveries)
    assert {delivery.state for delivery in held} == {DeliveryState.HELD}

    assert await world.store.write(lambda tx: sending.unfreeze(tx, world.anna))
    released = await world.store.read(queue_view.deliveries)
    assert {delivery.state for delivery in released} == {DeliveryState.DEFERRED}
    await submit(world, office, *many(2, start=10))


async def test_the_notice_says_why_and_what_to_do(world: World) -> None:
    office = post(world, freeze_new_recipients=1)
    with pytest.raises(SendingFrozen):
        await submit(world, office, *many(3))

    async def body(tx: Transaction) -> bytes:
        row = await tx.fetch_one("SELECT header, blob FROM message WHERE account = ?", world.anna)
        assert row is not None
        return bytes(row[0]) + await world.store.blobs.read(tx, row[1])

    octets = await world.store.read(body)
    assert b"Subject: Sending is stopped for anna@penny.test\r\n" in octets
    assert b"3 recipients within an hour" in octets
    assert b"pennypost account unfreeze anna@penny.test" in octets
    assert b"Auto-Submitted: auto-generated\r\n" in octets


async def test_a_network_that_is_new_is_watched_more_closely(world: World) -> None:
    office = post(world, freeze_new_recipients=100, freeze_new_recipients_elsewhere=3)
    await submit(world, office, "a@example.org")
    world.clock.forward(timedelta(days=2))
    await submit(world, office, *many(4))
    with pytest.raises(SendingFrozen):
        await submit(world, office, *many(4, start=50), ip="198.51.100.1")


async def test_many_networks_at_once_freeze_the_account(world: World) -> None:
    office = post(world, freeze_networks=3)
    for n in range(3):
        await submit(world, office, "a@example.org", ip=f"10.0.{n}.1")
    await submit(world, office, "a@example.org", ip="10.0.2.9")
    with pytest.raises(SendingFrozen):
        await submit(world, office, "a@example.org", ip="10.0.3.1")


async def test_many_bounces_freeze_the_account(world: World) -> None:
    office = post(world, freeze_bounces=3)
    await world.store.write(lambda tx: sending.count(tx, world.anna, Counts(bounces=4)))
    with pytest.raises(SendingFrozen):
        await submit(world, office, "a@example.org")


async def test_nothing_is_limited_without_settings(world: World) -> None:
    names = ("messages_per_hour", "messages_per_day", "recipients_per_hour", "recipients_per_day")
    names += ("new_recipients_per_day", "freeze_new_recipients", "freeze_new_recipients_elsewhere")
    office = post(world, **dict.fromkeys(names, 0), freeze_networks=0, freeze_bounces=0)
    await submit(world, office, *many(1000))


async def test_a_disabled_account_sends_no_more(world: World) -> None:
    office = post(world)
    await submit(world, office, "a@example.org")
    await world.store.write(lambda tx: directory.set_enabled(tx, world.anna, False))
    with pytest.raises(AccountDisabled):
        await submit(world, office, "a@example.org")
