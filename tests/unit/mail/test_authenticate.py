"""Who a peer is: passwords, SCRAM keys, delays and bans (RFC 4616, RFC 5802, RFC 4954 §6)."""

from datetime import timedelta
from ipaddress import ip_address

import pytest
from tests.unit.mail.conftest import QUICK, World

from pennypost.mail.authenticate import Authenticator
from pennypost.mail.guard import network_of
from pennypost.mail.passwords import account_credential, app_credential, generate_password
from pennypost.mail.settings import AuthSettings
from pennypost.model.account import CredentialKind
from pennypost.model.authentication import (
    Authenticated,
    PasswordQuestion,
    ScramHash,
    ScramKeys,
    ScramProof,
    ScramQuestion,
)
from pennypost.model.errors import AccountDisabled, AuthenticationFailed, TooManyFailures
from pennypost.model.peer import Peer
from pennypost.store import credentials, directory

HOME = Peer(ip_address("192.0.2.1"), 1)
STRANGER = Peer(ip_address("198.51.100.9"), 1)
SECRET = b"s" * 32


def authenticator(world: World, settings: AuthSettings = QUICK) -> Authenticator:
    return Authenticator(world.store, settings, SECRET)


def password(name: str, text: str, authorization: str = "") -> PasswordQuestion:
    return PasswordQuestion(name, authorization, text)


async def test_the_right_password_is_the_account(world: World) -> None:
    it = authenticator(world)
    assert await it.answer(HOME, password("Anna@Penny.Test", "anna's secret")) == Authenticated(
        world.anna, "anna@penny.test"
    )
    assert await it.answer(HOME, password("anna@penny.test", "anna's secret", "anna@penny.test"))


@pytest.mark.parametrize(
    "question",
    [
        password("anna@penny.test", "bert's secret"),
        password("anna@penny.test", ""),
        password("anna@penny.test", "x" * 100_000),
        password("anna@penny.test", "\u0007bell"),
        password("nobody@penny.test", "anna's secret"),
        password("anna", "anna's secret"),
        password("anna@penny.test", "anna's secret", "bert@penny.test"),
    ],
)
async def test_everything_else_fails_alike(world: World, question: PasswordQuestion) -> None:
    with pytest.raises(AuthenticationFailed) as caught:
        await authenticator(world).answer(HOME, question)
    assert str(caught.value) == "5.7.8 Authentication credentials invalid"


async def test_a_changed_password_is_not_remembered(world: World) -> None:
    it = authenticator(world)
    await it.answer(HOME, password("anna@penny.test", "anna's secret"))
    new = account_credential("fresh", QUICK)
    await world.store.write(lambda tx: credentials.set_password(tx, world.anna, new.password_hash))
    with pytest.raises(AuthenticationFailed):
        await it.answer(HOME, password("anna@penny.test", "anna's secret"))
    assert await it.answer(HOME, password("anna@penny.test", "fresh"))


async def test_app_passwords_work_until_they_are_revoked(world: World) -> None:
    it, generated = authenticator(world), generate_password()
    hashed = app_credential(generated).password_hash
    identifier = await world.store.write(
        lambda tx: credentials.add_credential(tx, world.anna, CredentialKind.APP_PASSWORD, "phone", hashed)
    )
    assert await it.answer(HOME, password("anna@penny.test", generated))
    listed = await world.store.read(lambda tx: credentials.credentials(tx, world.anna))
    assert [c.last_used_at for c in listed if c.id == identifier] == [world.clock.now]
    await world.store.write(lambda tx: credentials.revoke_credential(tx, world.anna, identifier))
    with pytest.raises(AuthenticationFailed):
        await it.answer(HOME, password("anna@penny.test", generated))


async def test_only_who_knows_the_password_hears_that_the_account_is_disabled(world: World) -> None:
    await world.store.write(lambda tx: directory.set_enabled(tx, world.anna, False))
    it = authenticator(world)
    with pytest.raises(AuthenticationFailed):
        await it.answer(HOME, password("anna@penny.test", "wrong"))
    with pytest.raises(AccountDisabled):
        await it.answer(HOME, password("anna@penny.test", "anna's secret"))
    with pytest.raises(AccountDisabled):
        await it.answer(HOME, ScramProof("anna@penny.test", "", True))


async def test_scram_keys_of_the_unknown_look_like_any_and_stay(world: World) -> None:
    """RFC 5802 §9: no telling who is there."""
    it = authenticator(world)
    known = await it.answer(HOME, ScramQuestion("anna@penny.test", "", ScramHash.SHA_256))
    nobody = await it.answer(HOME, ScramQuestion("nobody@penny.test", "", ScramHash.SHA_256))
    again = await authenticator(world).answer(HOME, ScramQuestion("nobody@penny.test", "", ScramHash.SHA_256))
    assert isinstance(known, ScramKeys)
    assert isinstance(nobody, ScramKeys)
    assert isinstance(again, ScramKeys)
    assert (len(nobody.salt), nobody.iterations, len(nobody.stored_key)) == (
        len(known.salt),
        known.iterations,
        len(known.stored_key),
    )
    assert nobody.salt == again.salt
    assert nobody.salt != known.salt


async def test_a_scram_proof_counts_like_a_password(world: World) -> None:
    it = authenticator(world)
    assert await it.answer(HOME, ScramProof("anna@penny.test", "", True)) == Authenticated(
        world.anna, "anna@penny.test"
    )
    with pytest.raises(AuthenticationFailed):
        await it.answer(HOME, ScramProof("anna@penny.test", "", False))
    with pytest.raises(AuthenticationFailed):
        await it.answer(HOME, ScramProof("nobody@penny.test", "", True))


async def fail(it: Authenticator, peer: Peer, name: str = "anna@penny.test") -> type[Exception]:
    with pytest.raises((AuthenticationFailed, TooManyFailures)) as caught:
        await it.answer(peer, password(name, "wrong"))
    return caught.type


async def test_failures_hold_a_network_up_longer_and_longer_then_ban_it(world: World) -> None:
    it = authenticator(world)
    for _ in range(QUICK.network_failures_free + 1):
        assert await fail(it, STRANGER) is AuthenticationFailed
    assert await fail(it, STRANGER) is TooManyFailures
    world.clock.forward(timedelta(seconds=1.1))
    assert await fail(it, STRANGER) is AuthenticationFailed
    world.clock.forward(timedelta(seconds=1.1))
    assert await fail(it, STRANGER) is TooManyFailures
    for _ in range(QUICK.network_failures_before_ban):
        world.clock.forward(timedelta(minutes=15))
        await fail(it, STRANGER)
    world.clock.forward(timedelta(minutes=14))
    with pytest.raises(TooManyFailures):
        await it.answer(STRANGER, password("bert@penny.test", "bert's secret"))
    world.clock.forward(timedelta(minutes=2))
    assert await it.answer(STRANGER, password("bert@penny.test", "bert's secret"))


async def test_a_stranger_who_guesses_cannot_keep_the_owner_away(world: World) -> None:
    it = authenticator(world)
    assert await it.answer(HOME, password("anna@penny.test", "anna's secret"))
    for n in range(QUICK.account_failures_before_ban + 1):
        await fail(it, Peer(ip_address(f"203.0.113.{n % 250}"), 1))
    with pytest.raises(TooManyFailures):
        await it.answer(STRANGER, password("anna@penny.test", "anna's secret"))
    assert await it.answer(HOME, password("anna@penny.test", "anna's secret"))


async def test_who_owns_an_account_cannot_wash_away_guesses_at_others(world: World) -> None:
    it = authenticator(world)
    for _ in range(QUICK.network_failures_free):
        await fail(it, STRANGER)
        await it.answer(STRANGER, password("bert@penny.test", "bert's secret"))
    await fail(it, STRANGER)
    assert await fail(it, STRANGER) is TooManyFailures


def test_networks() -> None:
    assert network_of(Peer(None, 0)) == "unix"
    assert network_of(Peer(ip_address("192.0.2.7"), 1)) == "192.0.2.7"
    assert network_of(Peer(ip_address("2001:db8:1:2:3::4"), 1)) == "2001:db8:1:2::/64"
    assert network_of(Peer(ip_address("::ffff:192.0.2.7"), 1)) == "192.0.2.7"
