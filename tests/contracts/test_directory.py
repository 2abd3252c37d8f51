"""Domains, accounts, aliases, credentials, and where addresses lead (RFC 5321 §3.6.2, §3.9, §4.5.1; RFC 2142)."""

import pytest
from tests.contracts.world import World

from pennypost.model.account import CredentialKind
from pennypost.model.address import Address
from pennypost.model.authentication import ScramHash, ScramKeys
from pennypost.model.errors import (
    AlreadyExists,
    BadAddress,
    NoSuchAccount,
    NoSuchCredential,
    NoSuchDomain,
    NoSuchRecipient,
    RecipientDisabled,
    StillInUse,
)
from pennypost.model.ids import CredentialId
from pennypost.store import directory, mailboxes, removal, resolve
from pennypost.store.directory import Resolution

KEYS = ScramKeys(b"salt4", 4096, b"s" * 20, b"v" * 20)
KEYS_256 = ScramKeys(b"another salt", 600_000, b"S" * 32, b"V" * 32)


async def leads(world: World, local: str, domain: str = "example.org", separator: str = "+") -> Resolution | None:
    found: Resolution | None = await world.read(directory.resolve, Address(local, domain), separator)
    return found


async def local(world: World, name: str, domain: str = "example.org") -> list[tuple[int, str | None]]:
    found = await leads(world, name, domain)
    assert found is not None
    assert not found.remote
    return [(one.account, one.detail) for one in found.accounts]


# -- Domains


async def test_domains(world: World) -> None:
    made = await world.write(directory.add_domain, "Example.ORG.", 1000)
    assert (made.name, made.quota_octets, made.catch_all) == ("example.org", 1000, None)
    idn = await world.write(directory.add_domain, "b\u00fccher.example")
    assert idn.name == "xn--bcher-kva.example"
    with pytest.raises(AlreadyExists):
        await world.write(directory.add_domain, "EXAMPLE.org")
    for bad in ("", "two words", "[192.0.2.1]", "a@b"):
        with pytest.raises(BadAddress):
            await world.write(directory.add_domain, bad)
    assert [d.name for d in await world.read(directory.domains)] == ["example.org", "xn--bcher-kva.example"]
    assert (await world.read(directory.find_domain, "B\u00dcCHER.example")).id == idn.id
    assert await world.read(directory.find_domain, "example.net") is None
    assert await world.read(directory.find_domain, "..") is None
    await world.write(directory.set_domain_quota, "example.org", None)
    await world.write(directory.set_catch_all, "example.org", "All@Elsewhere.example")
    found = await world.read(directory.find_domain, "example.org")
    assert (found.quota_octets, found.catch_all) == (None, "All@elsewhere.example")
    with pytest.raises(NoSuchDomain):
        await world.write(directory.set_catch_all, "example.net", None)


async def test_a_domain_in_use_stays(world: World) -> None:
    account = await world.account()
    with pytest.raises(StillInUse):
        await world.write(directory.remove_domain, "example.org")
    await world.write(directory.remove_account, account)
    await world.write(directory.add_alias, "info@example.org", ["x@example.net"])
    with pytest.raises(StillInUse):
        await world.write(directory.remove_domain, "example.org")
    await world.write(directory.remove_alias, "info@example.org")
    await world.write(directory.remove_domain, "example.org")
    with pytest.raises(NoSuchDomain):
        await world.write(directory.remove_domain, "example.org")


# -- Accounts


async def test_accounts(world: World) -> None:
    account = await world.account("Ann@Example.ORG", display_name="Ann", quota_octets=5000)
    made = await world.read(directory.find_account, "ANN@example.org")
    assert (made.id, made.name, made.display_name, made.enabled) == (account, "ann@example.org", "Ann", True)
    assert (made.quota_octets, made.used_octets, made.message_count) == (5000, 0, 0)
    assert made.created_at == world.clock.now
    with pytest.raises(AlreadyExists):
        await world.write(directory.add_account, "ann@example.org")
    with pytest.raises(NoSuchDomain):
        await world.write(directory.add_account, "ann@example.net")
    for bad in ("ann", "@example.org", "a\r\nb@example.org", "x" * 65 + "@example.org"):
        with pytest.raises(BadAddress):
            await world.write(directory.add_account, bad)
    await world.account("bob@example.com")
    assert [a.name for a in await world.read(directory.accounts)] == ["ann@example.org", "bob@example.com"]
    assert [a.name for a in await world.read(directory.accounts, "example.com")] == ["bob@example.com"]
    await world.write(directory.set_quota, account, None)
    await world.write(directory.set_enabled, account, False)
    await world.write(directory.set_display_name, account, "Anna")
    changed = await world.read(directory.account, account)
    assert (changed.quota_octets, changed.enabled, changed.display_name) == (None, False, "Anna")
    with pytest.raises(NoSuchAccount):
        await world.write(directory.set_quota, 99, 1)
    with pytest.raises(NoSuchAccount):
        await world.read(directory.account, 99)
    assert await world.read(directory.find_account, "nobody") is None


async def test_an_account_goes_in_steps(world: World) -> None:
    account = await world.account(password_hash="h", quota_octets=10**6)
    other = await world.account("bob@example.org")
    await world.fill(account, await world.inbox(account), 7)
    await world.fill(other, await world.inbox(other), 2)
    await world.write(directory.remove_account, account)
    assert await world.read(directory.login_record, "ann@example.org") is None
    assert [a.id for a in await world.read(directory.accounts)] == [other]
    with pytest.raises(NoSuchRecipient):
        await leads(world, "ann")
    with pytest.raises(NoSuchAccount):
        await world.append(account, 1)
    with pytest.raises(NoSuchAccount):
        await world.write(directory.remove_account, account)
    again = await world.account()
    assert again not in (account, other)
    while await world.write(removal.step, 3):
        assert await world.problems() == []
    for table in ("entry", "message", "mailbox", "change", "thread_key", "subscription", "credential", "address"):
        assert await world.sql(f"SELECT 1 FROM {table} WHERE account = ?", account) == [], table
    assert await world.sql("SELECT id FROM account ORDER BY id") == [(other,), (again,)]
    assert len(await world.uids(other, await world.inbox(other))) == 2


async def test_the_number_of_an_account_is_never_given_again(world: World) -> None:
    account = await world.account()
    await world.write(directory.remove_account, account)
    while await world.write(removal.step):
        pass
    assert await world.sql("SELECT id FROM account") == []
    assert await world.account("bob@example.org") > account


# -- Aliases


async def test_aliases(world: World) -> None:
    await world.account()
    made = await world.write(directory.add_alias, "Info@example.org", ["ANN@example.org", "x@example.net"])
    assert (made.address, made.targets) == ("info@example.org", ("ann@example.org", "x@example.net"))
    with pytest.raises(AlreadyExists):
        await world.write(directory.add_alias, "info@example.org", ["x@example.net"])
    with pytest.raises(AlreadyExists):
        await world.write(directory.add_alias, "ann@example.org", ["x@example.net"])
    with pytest.raises(AlreadyExists):
        await world.write(directory.add_account, "info@example.org")
    with pytest.raises(NoSuchDomain):
        await world.write(directory.add_alias, "info@example.net", ["ann@example.org"])
    with pytest.raises(BadAddress):
        await world.write(directory.add_alias, "none@example.org", [])
    with pytest.raises(BadAddress):
        await world.write(directory.add_alias, "many@example.org", [f"u{n}@x.example" for n in range(1001)])
    assert await world.read(directory.aliases) == [made]
    assert await world.read(directory.aliases, "example.org") == [made]
    with pytest.raises(NoSuchDomain):
        await world.read(directory.aliases, "example.com")
    await world.write(directory.remove_alias, "info@example.org")
    with pytest.raises(NoSuchRecipient):
        await world.write(directory.remove_alias, "info@example.org")
    with pytest.raises(NoSuchRecipient):
        await world.write(directory.remove_alias, "ann@example.org")


# -- Where addresses lead


async def test_an_address_of_ours(world: World) -> None:
    ann = await world.account()
    found = await leads(world, "Ann", "EXAMPLE.org")
    assert found is not None
    assert found.accounts == ((ann, None, "ann@example.org", await world.inbox(ann), False),)
    assert await leads(world, "ann", "example.net") is None
    assert await leads(world, "ann", "[192.0.2.1]") is None
    with pytest.raises(NoSuchRecipient):
        await leads(world, "bob")


async def test_it_says_whether_a_quota_has_to_be_looked_at(world: World) -> None:
    async def bounded(local_part: str) -> list[bool]:
        found = await leads(world, local_part)
        assert found is not None
        return [recipient.bounded for recipient in found.accounts]

    await world.account()
    await world.account("bob@example.org", quota_octets=1000)
    await world.write(directory.add_alias, "both@example.org", ["ann@example.org", "bob@example.org"])
    assert (await bounded("ann"), await bounded("bob"), await bounded("both")) == ([False], [True], [False, True])
    await world.write(directory.set_domain_quota, "example.org", 10**6)
    assert (await bounded("ann"), await bounded("both")) == ([True], [True, True])


async def test_local_parts_in_nfc_and_any_case(world: World) -> None:
    account = await world.account("J\u00fcrgen@example.org")
    assert await local(world, "JU\u0308RGEN") == [(account, None)]
    quoted = await world.account("two@parts@example.org")
    assert await local(world, "two@parts") == [(quoted, None)]


async def test_subaddresses(world: World) -> None:
    ann = await world.account()
    assert await local(world, "ann+Lists") == [(ann, "Lists")]
    assert await local(world, "ann+a+b") == [(ann, "a+b")]
    assert await local(world, "ann+") == [(ann, None)]
    exact = await world.account("ann+work@example.org")
    assert await local(world, "ann+work") == [(exact, None)]
    with pytest.raises(NoSuchRecipient):
        await leads(world, "+ann")
    with pytest.raises(NoSuchRecipient):
        await leads(world, "ann+x", separator="")
    with pytest.raises(NoSuchRecipient):
        await leads(world, "ann+x", separator="-")


async def test_aliases_lead_on(world: World) -> None:
    ann, bob = await world.account(), await world.account("bob@example.org")
    await world.write(directory.add_alias, "team@example.org", ["ann@example.org", "bob+t@example.org", "x@f.example"])
    await world.write(directory.add_alias, "all@example.org", ["team@example.org", "ann@example.org", "X@f.example"])
    found = await leads(world, "all")
    assert found is not None
    assert [(one.account, one.detail) for one in found.accounts] == [(ann, None), (bob, "t")]
    # Only its own host knows whether these are two (RFC 5321 §2.4).
    assert found.remote == (Address("X", "f.example"), Address("x", "f.example"))
    found = await leads(world, "team+tag")
    assert found is not None
    assert [(one.account, one.detail) for one in found.accounts] == [(ann, "tag"), (bob, "t")]


async def test_addresses_elsewhere_stay_as_they_are_written(world: World) -> None:
    """RFC 5321 §2.4: the case of a local part is its own host's business."""
    ann = await world.account()
    made = await world.write(
        directory.add_alias, "team@example.org", ["Gro\u00df@F.example", "GROSS@f.example", "ANN@Example.org"]
    )
    assert made.targets == ("Gro\u00df@f.example", "GROSS@f.example", "ann@example.org")
    found = await leads(world, "team")
    assert found is not None
    assert found.remote == (Address("Gro\u00df", "f.example"), Address("GROSS", "f.example"))
    assert [one.account for one in found.accounts] == [ann]
    await world.write(directory.set_catch_all, "example.org", "All@F.example")
    found = await leads(world, "nobody")
    assert found is not None
    assert found.remote == (Address("All", "f.example"),)
    # A domain that becomes ours later is looked up as ours are.
    await world.write(directory.add_domain, "f.example")
    gross = await world.write(directory.add_account, "gross@f.example")
    assert {account for account, _ in await local(world, "team")} == {ann, gross.id}


async def test_circles_end_and_depth_is_bounded(world: World) -> None:
    ann = await world.account()
    await world.write(directory.add_alias, "a@example.org", ["b@example.org"])
    await world.write(directory.add_alias, "b@example.org", ["a@example.org"])
    with pytest.raises(NoSuchRecipient):
        await leads(world, "a")
    for step in range(20):
        target = "ann@example.org" if step == 19 else f"c{step + 1}@example.org"
        await world.write(directory.add_alias, f"c{step}@example.org", [target])
    assert await local(world, f"c{20 - resolve.MAX_DEPTH}") == [(ann, None)]
    with pytest.raises(NoSuchRecipient):
        await leads(world, f"c{19 - resolve.MAX_DEPTH}")


async def test_an_alias_to_nobody_of_ours(world: World) -> None:
    ann = await world.account()
    await world.write(directory.add_alias, "old@example.org", ["gone@example.org"])
    with pytest.raises(NoSuchRecipient):
        await leads(world, "old")
    await world.write(directory.add_alias, "both@example.org", ["gone@example.org", "ann@example.org"])
    assert await local(world, "both") == [(ann, None)]


async def test_catch_all(world: World) -> None:
    ann = await world.account()
    await world.write(directory.set_catch_all, "example.org", "ann+any@example.org")
    assert await local(world, "whoever") == [(ann, "any")]
    assert await local(world, "who+ever") == [(ann, "any")]
    await world.write(directory.set_catch_all, "example.org", "x@far.example")
    found = await leads(world, "whoever")
    assert found == ((), (Address("x", "far.example"),))
    await world.write(directory.set_catch_all, "example.org", "nobody@example.org")
    with pytest.raises(NoSuchRecipient):
        await leads(world, "whoever")


async def test_postmaster_and_abuse_are_always_there(world: World) -> None:
    """RFC 5321 §4.5.1, RFC 2142 §2, §4."""
    ann = await world.account()
    bob = await world.account("bob@example.org")
    assert await local(world, "Postmaster") == [(ann, None)]
    assert await local(world, "ABUSE") == [(ann, None)]
    assert await local(world, "postmaster", "") == [(ann, None)]
    await world.write(directory.add_domain, "empty.example")
    assert await local(world, "postmaster", "empty.example") == [(ann, None)]
    await world.write(directory.set_enabled, ann, False)
    assert await local(world, "postmaster") == [(bob, None)]
    await world.write(directory.set_catch_all, "empty.example", "bob@example.org")
    assert await local(world, "abuse", "empty.example") == [(bob, None)]
    own = await world.account("postmaster@example.org")
    assert await local(world, "postmaster") == [(own, None)]
    assert await local(world, "postmaster", "") == [(own, None)]
    await world.write(directory.add_alias, "abuse@example.org", ["bob@example.org"])
    assert await local(world, "abuse") == [(bob, None)]
    assert await leads(world, "ann", "") is None
    assert await leads(world, "postmaster", "far.example") is None


async def test_a_server_without_accounts(world: World) -> None:
    assert await leads(world, "postmaster", "") is None
    await world.write(directory.add_domain, "example.org")
    with pytest.raises(NoSuchRecipient):
        await leads(world, "postmaster")


async def test_a_disabled_account_gets_no_mail(world: World) -> None:
    ann, bob = await world.account(), await world.account("bob@example.org")
    await world.write(directory.add_alias, "both@example.org", ["ann@example.org", "bob@example.org"])
    await world.write(directory.set_enabled, ann, False)
    with pytest.raises(RecipientDisabled):
        await leads(world, "ann")
    with pytest.raises(RecipientDisabled):
        await leads(world, "ann+tag")
    assert await local(world, "both") == [(bob, None)]


async def test_whose_address_it_is(world: World) -> None:
    ann, bob = await world.account(), await world.account("bob@example.org")
    await world.write(directory.add_alias, "team@example.org", ["ann@example.org"])
    await world.write(directory.add_alias, "all@example.org", ["team@example.org", "bob@example.org"])
    await world.write(directory.set_catch_all, "example.org", "bob@example.org")

    async def owners(local_part: str, domain: str = "example.org") -> list[bool]:
        address = Address(local_part, domain)
        return [await world.read(directory.owns, account, address) for account in (ann, bob)]

    assert await owners("Ann") == [True, False]
    assert await owners("ann+tag") == [True, False]
    assert await owners("team") == [True, False]
    assert await owners("all") == [True, True]
    assert await owners("unknown") == [False, False]
    assert await owners("postmaster") == [False, False]
    assert await owners("ann", "far.example") == [False, False]
    assert await owners("ann", "") == [False, False]
    assert await world.read(directory.identities, ann) == ["ann@example.org", "all@example.org", "team@example.org"]
    assert await world.read(directory.identities, bob) == ["bob@example.org", "all@example.org"]


# -- Credentials


async def test_login(world: World) -> None:
    account = await world.account(password_hash="argon", scram_sha1=KEYS)
    await world.write(directory.add_credential, account, CredentialKind.APP_PASSWORD, "phone", "other")
    record = await world.read(directory.login_record, "ANN@example.org")
    assert (record.account, record.name, record.enabled) == (account, "ann@example.org", True)
    assert [(c.kind, c.password_hash) for c in record.credentials] == [
        (CredentialKind.PASSWORD, "argon"),
        (CredentialKind.APP_PASSWORD, "other"),
    ]
    assert await world.read(directory.scram_keys, "ann@example.org", ScramHash.SHA_1) == KEYS
    assert await world.read(directory.scram_keys, "ann@example.org", ScramHash.SHA_256) is None
    assert await world.read(directory.scram_keys, "bob@example.org", ScramHash.SHA_1) is None
    assert await world.read(directory.login_record, "bob@example.org") is None
    await world.write(directory.set_enabled, account, False)
    assert not (await world.read(directory.login_record, "ann@example.org")).enabled
    nobody = await world.account("bob@example.org")
    assert (await world.read(directory.login_record, "bob@example.org")).credentials == ()
    assert await world.read(directory.credentials, nobody) == []


async def test_credentials(world: World) -> None:
    account = await world.account(password_hash="one")
    first = (await world.read(directory.credentials, account))[0]
    await world.write(directory.set_password, account, "two", KEYS, KEYS_256)
    phone = await world.write(directory.add_credential, account, CredentialKind.APP_PASSWORD, "phone", "x")
    with pytest.raises(AlreadyExists):
        await world.write(directory.add_credential, account, CredentialKind.APP_PASSWORD, "phone", "y")
    with pytest.raises(NoSuchAccount):
        await world.write(directory.add_credential, 99, CredentialKind.APP_PASSWORD, "phone", "y")
    listed = await world.read(directory.credentials, account)
    assert [(c.kind, c.label, c.last_used_at) for c in listed] == [
        (CredentialKind.PASSWORD, "", None),
        (CredentialKind.APP_PASSWORD, "phone", None),
    ]
    assert first.created_at == world.clock.now
    assert await world.read(directory.scram_keys, "ann@example.org", ScramHash.SHA_256) == KEYS_256
    await world.write(directory.touch_credential, phone)
    assert (await world.read(directory.credentials, account))[1].last_used_at == world.clock.now
    with pytest.raises(NoSuchCredential):
        await world.write(directory.revoke_credential, account + 1, phone)
    await world.write(directory.revoke_credential, account, phone)
    with pytest.raises(NoSuchCredential):
        await world.write(directory.revoke_credential, account, CredentialId(phone))
    assert len((await world.read(directory.login_record, "ann@example.org")).credentials) == 1


async def test_a_new_account_is_made_whole_or_not_at_all(world: World) -> None:
    await world.account()
    with pytest.raises(AlreadyExists):
        await world.write(directory.add_account, "ann@example.org", password_hash="x")
    assert await world.sql("SELECT COUNT(*) FROM account") == [(1,)]
    assert len(await world.read(mailboxes.list_all, 1)) == 6
