"""What the server itself sends to other hosts is signed and queued."""

from dataclasses import replace
from datetime import UTC, datetime

from tests.unit.mail.conftest import World
from tests.unit.mail.test_signing import SETTINGS, make, results

from pennypost.mail import bounce, own_mail
from pennypost.mail.bounce import Action, Fate, Original, Posted
from pennypost.mail.signing import Signer, SigningSettings
from pennypost.model.address import Address
from pennypost.model.envelope import Envelope, Recipient
from pennypost.model.secret import Secret
from pennypost.model.verification import DkimResult
from pennypost.store import queue_view
from pennypost.store.engine import Transaction

OCTETS = b"From: <postmaster@mx.penny.test>\r\nSubject: report\r\n\r\nA body.\r\n"
ELSEWHERE = Address("carl", "other.example")


async def queued(world: World) -> bytes:
    async def read(tx: Transaction) -> bytes:
        row = await tx.fetch_one("SELECT header, blob FROM queued")
        assert row is not None
        return bytes(row[0]) + await world.store.blobs.read(tx, row[1])

    return await world.store.read(read)


async def send(world: World, settings: SigningSettings | None, octets: bytes = OCTETS) -> bytes:
    signer = Signer(world.store, settings) if settings is not None else None
    envelope = Envelope(None, (Recipient(ELSEWHERE),))
    await world.store.write(lambda tx: own_mail.send(tx, world.store, signer, octets, envelope))
    return await queued(world)


async def test_it_is_signed_for_the_domain_above_the_host(world: World) -> None:
    keys = await make(world)
    octets = await send(world, SETTINGS)
    assert dict(results(octets, keys)) == {key.selector: DkimResult.PASS for key in keys}
    assert octets.endswith(OCTETS)


async def test_without_keys_or_a_signer_it_goes_as_it_is(world: World) -> None:
    assert await send(world, SETTINGS) == OCTETS


async def test_without_an_author_nobody_signs(world: World) -> None:
    await make(world)
    assert await send(world, SETTINGS, b"Subject: x\r\n\r\n") == b"Subject: x\r\n\r\n"


async def test_a_key_that_cannot_be_opened_loses_no_message(world: World) -> None:
    await make(world, replace(SETTINGS, key_secret=Secret("long and random")))
    assert await send(world, SETTINGS) == OCTETS


async def test_a_bounce_to_another_host_is_signed(world: World) -> None:
    keys = await make(world)
    original = Original(Envelope(ELSEWHERE), b"Subject: x\r\n\r\n", None, datetime(2026, 11, 23, tzinfo=UTC))
    fates = [Fate(Recipient(Address("nobody", "gone.example")), Action.FAILED, "5.1.1")]
    signer = Signer(world.store, SETTINGS)

    async def operation(tx: Transaction) -> Posted:
        return await bounce.post(tx, world.store, "mx.penny.test", original, fates, signer=signer)

    posted = await world.store.write(operation)
    assert len(posted.stored) == 1
    octets = await queued(world)
    assert dict(results(octets, keys)) == {key.selector: DkimResult.PASS for key in keys}
    (waiting,) = await world.store.read(lambda tx: queue_view.deliveries(tx))
    assert waiting.recipient.address == ELSEWHERE
