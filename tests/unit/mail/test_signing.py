"""Mail of our domains is signed (RFC 6376), by keys that lie in the store."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from tests.dns_server import FakeDns, Fault
from tests.unit.mail.conftest import World
from tests.unit.mail.test_transaction import STRANGER, SUBMITTED, address, post, stored
from tests.unit.verify.dkim.keys import verdicts

from pennypost.mail import key_watch
from pennypost.mail.signing import Signer, SigningSettings, generate, make_key
from pennypost.mail.submit import Submitter
from pennypost.model.authentication import Authenticated
from pennypost.model.envelope import Envelope, Recipient
from pennypost.model.errors import AlreadyExists, NoSuchDomain, SigningKeyLocked
from pennypost.model.secret import Secret
from pennypost.model.verification import DkimResult
from pennypost.net.resolver import Resolver
from pennypost.net.settings import ResolverSettings
from pennypost.store import directory, signing_keys
from pennypost.store.engine import Transaction
from pennypost.store.signing_keys import KeyState, StoredKey
from pennypost.verify.dkim import SigningAlgorithm, public_record

SETTINGS = SigningSettings(rsa_bits=1024)
KEYS = {algorithm: make_key(algorithm, 1024) for algorithm in SigningAlgorithm}


async def make(world: World, settings: SigningSettings = SETTINGS, **options: bool) -> list[StoredKey]:
    return await world.store.write(lambda tx: generate(tx, settings, "penny.test", KEYS, **options))


async def submit(world: World, message: bytes, settings: SigningSettings = SETTINGS) -> bytes:
    """Submit as Anna to Bert. Gives what Bert has."""
    own = replace(post(world), signer=Signer(world.store, settings))
    client = replace(STRANGER, authenticated=Authenticated(world.anna, "anna@penny.test"))
    reception = Submitter(own).begin(client)
    await reception.sender(Envelope(address("anna@penny.test")))
    await reception.recipient(Recipient(address("bert@penny.test")))
    for start in range(0, len(message), 100_000):
        reception.write(message[start : start + 100_000])
    await reception.accept()
    return (await stored(world, world.bert))[-1]


def records(*keys: StoredKey) -> dict[str, list[bytes]]:
    return {f"{key.selector}._domainkey.{key.domain}": [key.record.encode()] for key in keys}


def name_of(key: StoredKey) -> str:
    return f"{key.selector}._domainkey.{key.domain}"


def txt(text: str) -> str:
    return " ".join(f'"{text[start : start + 255]}"' for start in range(0, len(text), 255))


def results(message: bytes, keys: list[StoredKey]) -> list[tuple[str, DkimResult]]:
    found = verdicts(message, records(*keys), now=2_000_000_000)
    return [(verdict.selector, verdict.result) for verdict in found]


async def test_a_submission_is_signed_with_both_keys(world: World) -> None:
    keys = await make(world)
    octets = await submit(world, SUBMITTED)
    assert dict(results(octets, keys)) == {key.selector: DkimResult.PASS for key in keys}
    assert [key.algorithm for key in keys] == ["rsa-sha256", "ed25519-sha256"]
    assert results(octets.replace(b"A body", b"Another"), keys)[0][1] is DkimResult.FAIL


async def test_a_large_one_too(world: World) -> None:
    keys = await make(world)
    octets = await submit(world, SUBMITTED + b"A line of a large body.\r\n" * 100_000)
    assert [result for _, result in results(octets, keys)] == [DkimResult.PASS] * 2


async def test_without_keys_or_when_told_so_nothing_is_signed(world: World) -> None:
    assert b"DKIM-Signature" not in await submit(world, SUBMITTED)
    await make(world)
    assert b"DKIM-Signature" not in await submit(world, SUBMITTED, replace(SETTINGS, sign=False))


async def test_a_domain_below_one_of_ours_is_signed_for(world: World) -> None:
    await make(world)
    signer = Signer(world.store, SETTINGS)
    assert [key.domain for key in await signer.keys("news.penny.test")] == ["penny.test"] * 2
    assert await signer.keys("test") == []
    assert await signer.keys("pennypenny.test") == []
    assert await signer.keys("[192.0.2.1]") == []


async def test_keys_are_sealed_by_a_secret(world: World) -> None:
    sealing = replace(SETTINGS, key_secret=Secret("long and random"))
    keys = await make(world, sealing)
    assert all(key.sealed for key in keys)
    octets = await submit(world, SUBMITTED, sealing)
    assert [result for _, result in results(octets, keys)] == [DkimResult.PASS] * 2
    for wrong in (None, Secret("another one")):
        with pytest.raises(SigningKeyLocked):
            await submit(world, SUBMITTED, replace(SETTINGS, key_secret=wrong))


async def test_new_keys_are_published_before_they_sign(world: World) -> None:
    first = await make(world)
    second = await make(world)
    assert {key.selector for key in first}.isdisjoint(key.selector for key in second)
    signer = Signer(world.store, SETTINGS)

    async def signing() -> list[str]:
        return [key.selector for key in await signer.keys("penny.test")]

    assert await signing() == sorted(key.selector for key in first)
    world.clock.forward(SETTINGS.publish_time + timedelta(seconds=1))
    with FakeDns() as dns:
        resolver = Resolver(ResolverSettings(cache_entries=0), (dns.server,))
        for text in (None, "v=DKIM1; p=", public_record(make_key(SigningAlgorithm.RSA_SHA256, 1024).public_key())):
            if text is not None:
                dns.records.update({(name_of(key), "TXT"): [txt(text)] for key in second})
            await key_watch.watch(world.store, resolver)
            assert await signing() == sorted(key.selector for key in first)
        dns.records.update({(name_of(key), "TXT"): [txt(key.record)] for key in second})
        dns.faults = dict.fromkeys(map(name_of, second), Fault.SERVFAIL)
        await key_watch.watch(world.store, resolver)
        assert await signing() == sorted(key.selector for key in first)
        dns.faults.clear()
        await key_watch.watch(world.store, resolver)
        await resolver.close()
    assert await signing() == sorted(key.selector for key in second)

    async def states(tx: Transaction) -> list[KeyState]:
        keys = await signing_keys.of_domain(tx, "penny.test")
        return [state for state, _ in signing_keys.states(keys, tx.now).values()]

    assert sorted(state.value for state in await world.store.read(states)) == ["active"] * 2 + ["retired"] * 2

    async def sweep(tx: Transaction) -> list[StoredKey]:
        return await signing_keys.remove_retired(tx, SETTINGS.retire_time)

    assert await world.store.write(sweep) == []
    world.clock.forward(SETTINGS.retire_time)
    assert {key.selector for key in await world.store.write(sweep)} == {key.selector for key in first}
    assert await signing() == sorted(key.selector for key in second)


async def test_keys_of_many_domains_are_looked_for_side_by_side(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name servers that do not answer take seconds each."""
    domains = [f"d{number}.test" for number in range(12)]
    for domain in domains:
        await world.store.write(lambda tx, domain=domain: directory.add_domain(tx, domain))
        for _ in range(2):
            await world.store.write(lambda tx, domain=domain: generate(tx, SETTINGS, domain, KEYS))
    asked: set[str] = set()
    everybody = asyncio.Event()

    async def look(_: object, key: StoredKey) -> str:
        asked.add(key.domain)
        if len(asked) * 2 > key_watch.AT_ONCE - 2:
            everybody.set()
        async with asyncio.timeout(10):
            await everybody.wait()
        return ""

    monkeypatch.setattr(key_watch, "is_published", look)
    await key_watch.watch(world.store, None)  # type: ignore[arg-type]
    assert asked == set(domains)
    keys = await world.store.read(signing_keys.every)
    assert sum(key.published_at is not None for key in keys) == 2 * len(domains)


async def test_new_keys_can_sign_at_once(world: World) -> None:
    await make(world)
    second = await make(world, at_once=True)
    world.clock.forward(timedelta(seconds=1))
    found = await Signer(world.store, SETTINGS).keys("penny.test")
    assert [key.selector for key in found] == sorted(key.selector for key in second)


async def test_only_domains_of_ours_have_keys(world: World) -> None:
    with pytest.raises(NoSuchDomain):
        await world.store.write(lambda tx: generate(tx, SETTINGS, "other.example", KEYS))


async def test_a_selector_never_comes_again(world: World) -> None:
    """Others may remember the key that it had, also when the domain was gone meanwhile."""

    async def remove_all(tx: Transaction) -> None:
        for key in await signing_keys.every(tx):
            await signing_keys.remove(tx, key.domain, key.selector)

    first = await make(world)
    await world.store.write(remove_all)
    second = await make(world)
    assert {key.selector for key in second}.isdisjoint(key.selector for key in first)
    with pytest.raises(AlreadyExists):
        await world.store.write(lambda tx: signing_keys.add(tx, first[0]))


async def test_without_the_key_before_it_a_new_one_signs(world: World) -> None:
    """An unpublished key is no worse than none."""
    first = await make(world)
    second = await make(world)
    world.clock.forward(SETTINGS.publish_time)
    for key in first:
        await world.store.write(partial(signing_keys.remove, domain=key.domain, selector=key.selector))
    found = await Signer(world.store, SETTINGS).keys("penny.test")
    assert [key.selector for key in found] == sorted(key.selector for key in second)
