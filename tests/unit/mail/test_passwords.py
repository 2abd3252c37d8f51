"""Passwords at rest: Argon2id (RFC 9106) for chosen ones, salted SHA-256 for generated ones, SCRAM keys (RFC 5802)."""

import asyncio
import re

from pennypost.mail.passwords import (
    PasswordChecker,
    account_credential,
    app_credential,
    generate_password,
    is_slow,
    matches_app,
    prepared,
)
from pennypost.mail.settings import AuthSettings
from pennypost.model.errors import AuthenticationUnavailable
from pennypost.model.units import KIB, Octets

QUICK = AuthSettings(hash_memory=Octets(8 * KIB), hash_passes=1, hash_threads=1, hash_queue=1)


async def test_a_chosen_password_is_argon2id_and_matches_only_itself() -> None:
    credential = account_credential("Grünkohl & Pinkel", QUICK)
    assert credential.password_hash.startswith("$argon2id$")
    assert is_slow(credential.password_hash)
    assert credential.scram_sha256 is not None
    assert credential.scram_sha256.iterations == QUICK.scram_iterations
    checker = PasswordChecker(QUICK)
    assert await checker.matches(credential.password_hash, "Grünkohl & Pinkel")
    assert not await checker.matches(credential.password_hash, "Grünkohl & pinkel")
    assert not await checker.matches(None, "Grünkohl & Pinkel")
    assert not await checker.matches("not a hash", "x")
    checker.close()


def test_an_app_password_may_be_typed_with_or_without_hyphens() -> None:
    password = generate_password()
    assert re.fullmatch(r"([a-z2-9]{5}-){3}[a-z2-9]{5}", password)
    hashed = app_credential(password).password_hash
    assert not is_slow(hashed)
    assert matches_app(hashed, password)
    assert matches_app(hashed, password.replace("-", "").upper())
    assert matches_app(hashed, f" {password}")
    assert not matches_app(hashed, generate_password())
    assert password not in hashed


def test_equal_passwords_have_different_hashes() -> None:
    assert account_credential("pw", QUICK) != account_credential("pw", QUICK)
    assert app_credential("pw") != app_credential("pw")


async def test_too_many_waiting_checks_are_told_to_come_again() -> None:
    checker = PasswordChecker(QUICK)
    hashed = account_credential("pw", QUICK).password_hash
    results = await asyncio.gather(*(checker.matches(hashed, "pw") for _ in range(5)), return_exceptions=True)
    assert results.count(True) == 2
    assert sum(isinstance(r, AuthenticationUnavailable) for r in results) == 3
    checker.close()


async def test_compatible_spellings_are_one_password() -> None:
    """RFC 4013 §2.2: NFKC; a soft hyphen is nothing."""
    checker = PasswordChecker(QUICK)
    hashed = account_credential("ﬁsch\u00ad", QUICK).password_hash
    assert await checker.matches(hashed, prepared("fisch"))
    checker.close()
