"""Who we are: domains, accounts, aliases. `resolve` and `credentials` are modules beside it and are named here too.

Addresses and domains are given as they are written and stored as `keys` says. One table answers for all addresses: an
account's own is a row with the account, an alias one row for each target. `find_domain` and `find_account` give None
for what is not there; what acts on it raises NoSuchDomain, NoSuchAccount or NoSuchRecipient.
"""

from collections.abc import Sequence

from pennypost.model.account import Account, Alias, Domain
from pennypost.model.authentication import ScramKeys
from pennypost.model.errors import AlreadyExists, BadAddress, NoSuchAccount, NoSuchDomain, NoSuchRecipient, StillInUse
from pennypost.model.ids import AccountId, DomainId
from pennypost.model.text import printable
from pennypost.store import acl, annotations, mailboxes, removal, url_keys
from pennypost.store.credentials import (
    LoginCredential,
    LoginRecord,
    add_credential,
    credentials,
    login_record,
    revoke_credential,
    scram_keys,
    set_password,
    touch_credential,
)
from pennypost.store.engine import Row, Transaction, from_microseconds, to_microseconds
from pennypost.store.keys import (
    MAX_ALIAS_TARGETS,
    canonical_domain,
    key_of,
    parse_key,
    parse_target,
    served_domain,
    split_key,
)
from pennypost.store.resolve import LocalRecipient, Resolution, identities, owns, resolve

__all__ = [
    "LocalRecipient",
    "LoginCredential",
    "LoginRecord",
    "Resolution",
    "account",
    "accounts",
    "add_account",
    "add_alias",
    "add_credential",
    "add_domain",
    "aliases",
    "credentials",
    "domains",
    "find_account",
    "find_domain",
    "identities",
    "is_enabled",
    "login_record",
    "owns",
    "remove_account",
    "remove_alias",
    "remove_domain",
    "require_domain",
    "resolve",
    "revoke_credential",
    "scram_keys",
    "set_catch_all",
    "set_display_name",
    "set_domain_quota",
    "set_enabled",
    "set_password",
    "set_quota",
    "set_referral",
    "touch_credential",
]


# -- Domains

_SELECT_DOMAIN = "SELECT id, name, quota_octets, catch_all FROM domain "


async def add_domain(
    tx: Transaction, name: str, quota_octets: int | None = None, catch_all: str | None = None
) -> Domain:
    """Serve a domain from now on. Raises AlreadyExists, BadAddress (for a name that is none, too)."""
    name = served_domain(name)
    target = None if catch_all is None else await _target(tx, catch_all)
    row = await tx.fetch_one(
        "INSERT INTO domain (name, quota_octets, catch_all, created_at) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (name) DO NOTHING RETURNING id",
        name,
        quota_octets,
        target,
        to_microseconds(tx.now),
    )
    if row is None:
        raise AlreadyExists(f"The domain exists already: {name}")
    tx.directory_changed()
    return Domain(DomainId(row[0]), name, quota_octets, target)


async def remove_domain(tx: Transaction, name: str) -> None:
    """Serve a domain no longer. Raises NoSuchDomain; StillInUse while it has accounts or aliases."""
    domain = await require_domain(tx, name)
    if await tx.fetch_one("SELECT 1 FROM account WHERE domain = ? AND removed = 0 LIMIT 1", domain.id) is not None:
        raise StillInUse(f"The domain still has accounts: pennypost account list --domain {domain.name}")
    if await aliases(tx, domain.name):
        raise StillInUse(f"The domain still has aliases: pennypost alias list --domain {domain.name}")
    await tx.execute("DELETE FROM signing_key WHERE domain = ?", domain.name)
    await tx.execute("DELETE FROM junk_threshold WHERE kind = 0 AND owner = ?", domain.id)
    tx.directory_changed()
    await tx.execute("DELETE FROM domain WHERE id = ?", domain.id)


async def domains(tx: Transaction) -> list[Domain]:
    """List the domains we serve, sorted by name."""
    return [Domain(*row) for row in await tx.fetch_all(_SELECT_DOMAIN + "ORDER BY name")]


async def find_domain(tx: Transaction, name: str) -> Domain | None:
    """Find a domain we serve. A name that can be none is not found. May run as a read."""
    try:
        name = canonical_domain(name)
    except BadAddress:
        return None
    row = await tx.fetch_one(_SELECT_DOMAIN + "WHERE name = ?", name)
    return Domain(*row) if row else None


async def set_catch_all(tx: Transaction, name: str, catch_all: str | None) -> None:
    """Set where mail for unknown local parts goes, or None to refuse it. Raises NoSuchDomain, BadAddress."""
    target = None if catch_all is None else await _target(tx, catch_all)
    domain = await require_domain(tx, name)
    tx.directory_changed()
    await tx.execute("UPDATE domain SET catch_all = ? WHERE id = ?", target, domain.id)


async def set_domain_quota(tx: Transaction, name: str, quota_octets: int | None) -> None:
    """Bound what all accounts of a domain use together. Raises NoSuchDomain."""
    domain = await require_domain(tx, name)
    tx.directory_changed()
    await tx.execute("UPDATE domain SET quota_octets = ? WHERE id = ?", quota_octets, domain.id)


async def require_domain(tx: Transaction, name: str) -> Domain:
    found = await find_domain(tx, name)
    if found is None:
        raise NoSuchDomain(f"No such domain here: {printable(name)}")
    return found


# -- Accounts

_SELECT_ACCOUNT = (
    "SELECT id, name, display_name, domain, enabled, quota_octets, used_octets, message_count, created_at, shared, "
    "referral FROM account WHERE removed = 0 "
)


async def add_account(
    tx: Transaction,
    name: str,
    display_name: str = "",
    password_hash: str | None = None,
    scram_sha1: ScramKeys | None = None,
    scram_sha256: ScramKeys | None = None,
    quota_octets: int | None = None,
    *,
    shared: bool = False,
) -> Account:
    """Add an account with its address, its password and its default mailboxes (RFC 6154 §2).

    `name`: its primary address, whose domain must be ours. Without `password_hash` nobody can log in yet. `shared`: it
    is nobody's own; its mailboxes are shown below "Shared/" to who has rights to them. Raises AlreadyExists (also when
    an alias has the address), NoSuchDomain, BadAddress.
    """
    key = parse_key(name)
    domain = await require_domain(tx, split_key(key)[1])
    if await tx.fetch_one("SELECT 1 FROM address WHERE address = ? LIMIT 1", key) is not None:
        raise AlreadyExists(f"The address is taken already: {key}")
    row = await tx.fetch_one("UPDATE account_number SET last = last + 1 RETURNING last")
    assert row is not None
    identifier = AccountId(row[0])
    await tx.execute(
        "INSERT INTO account (id, name, display_name, domain, enabled, removed, quota_octets, created_at, modseq, "
        "changes_floor, last_uid_validity, used_octets, message_count, entry_count, shared) "
        "VALUES (?, ?, ?, ?, 1, 0, ?, ?, 0, 0, 0, 0, 0, 0, ?)",
        identifier,
        key,
        display_name,
        domain.id,
        quota_octets,
        to_microseconds(tx.now),
        int(shared),
    )
    tx.directory_changed()
    await tx.execute("INSERT INTO address (address, position, account) VALUES (?, 0, ?)", key, identifier)
    await mailboxes.create_defaults(tx, identifier)
    if password_hash is not None:
        await set_password(tx, identifier, password_hash, scram_sha1, scram_sha256)
    return await account(tx, identifier)


async def remove_account(tx: Transaction, account_id: AccountId) -> None:
    """Remove an account. It is gone at once: no login, no mail, its address free again.

    What it holds follows in bounded steps, by housekeeping or `removal.finish`; then its bodies can be collected.
    Aliases that name it stay, and lead nowhere. Raises NoSuchAccount.
    """
    found = await account(tx, account_id)
    await tx.execute(
        "UPDATE account SET removed = 1, enabled = 0, name = ? WHERE id = ?",
        removal.hidden_name(account_id),
        account_id,
    )
    tx.directory_changed()
    await tx.execute("DELETE FROM address WHERE address = ?", found.name)
    await tx.execute("DELETE FROM credential WHERE account = ?", account_id)
    await acl.forget_account(tx, account_id)
    await annotations.forget_account(tx, account_id)
    await url_keys.forget_account(tx, account_id)
    for mailbox in await mailboxes.list_all(tx, account_id):
        await tx.execute(
            "UPDATE mailbox SET removed = 1, selectable = 0, role = NULL, name = ? WHERE account = ? AND id = ?",
            removal.hidden_name(mailbox.id),
            account_id,
            mailbox.id,
        )


async def accounts(tx: Transaction, domain: str | None = None) -> list[Account]:
    """List accounts, sorted by name: all of them, or those of one domain (NoSuchDomain)."""
    if domain is None:
        rows = await tx.fetch_all(_SELECT_ACCOUNT + "ORDER BY name")
    else:
        rows = await tx.fetch_all(
            _SELECT_ACCOUNT + "AND domain = ? ORDER BY name", (await require_domain(tx, domain)).id
        )
    return [_account(row) for row in rows]


async def find_account(tx: Transaction, name: str) -> Account | None:
    """Find an account by its primary address. What can be no address is not found."""
    try:
        key = parse_key(name)
    except BadAddress:
        return None
    row = await tx.fetch_one(_SELECT_ACCOUNT + "AND name = ?", key)
    return _account(row) if row else None


async def account(tx: Transaction, account_id: AccountId) -> Account:
    """Give an account by its id. Raises NoSuchAccount."""
    row = await tx.fetch_one(_SELECT_ACCOUNT + "AND id = ?", account_id)
    if row is None:
        raise NoSuchAccount
    return _account(row)


def _account(row: Row) -> Account:
    identifier, name, display_name, domain, enabled, quota_octets, used, count, created_at, shared, referral = row
    return Account(
        identifier,
        name,
        display_name,
        domain,
        bool(enabled),
        quota_octets,
        used,
        count,
        from_microseconds(created_at),
        bool(shared),
        referral,
    )


async def is_enabled(tx: Transaction, account_id: AccountId) -> bool:
    """Whether an account is there and may be used: sessions that are open ask now and then."""
    row = await tx.fetch_one("SELECT enabled FROM account WHERE id = ? AND removed = 0", account_id)
    return row is not None and bool(row[0])


async def set_enabled(tx: Transaction, account_id: AccountId, enabled: bool) -> None:
    """Let an account log in, send and get mail, or not. Sessions that are open end when they next do something.

    Raises NoSuchAccount.
    """
    await _set(tx, "UPDATE account SET enabled = ? WHERE id = ? AND removed = 0", int(enabled), account_id)


async def set_quota(tx: Transaction, account_id: AccountId, quota_octets: int | None) -> None:
    """Bound what an account may hold; None: no bound. What it holds already stays. Raises NoSuchAccount."""
    await _set(tx, "UPDATE account SET quota_octets = ? WHERE id = ? AND removed = 0", quota_octets, account_id)


async def set_display_name(tx: Transaction, account_id: AccountId, display_name: str) -> None:
    """Set the name people see. Raises NoSuchAccount."""
    await _set(tx, "UPDATE account SET display_name = ? WHERE id = ? AND removed = 0", display_name, account_id)


async def set_referral(tx: Transaction, account_id: AccountId, url: str | None) -> None:
    """Send who logs in to another IMAP server (RFC 2221), or to none. `url`: of that server. Raises NoSuchAccount."""
    await _set(tx, "UPDATE account SET referral = ? WHERE id = ? AND removed = 0", url, account_id)


async def _set(tx: Transaction, sql: str, value: int | str | None, account_id: AccountId) -> None:
    tx.directory_changed()
    if not await tx.execute(sql, value, account_id):
        raise NoSuchAccount


# -- Aliases


async def add_alias(tx: Transaction, address: str, targets: Sequence[str]) -> Alias:
    """Let mail for an address of ours go to other addresses, ours or not, in order.

    Raises AlreadyExists (an account or alias has the address), NoSuchDomain, BadAddress (also for no targets, or
    more than `keys.MAX_ALIAS_TARGETS`).
    """
    key = parse_key(address)
    keys = tuple(dict.fromkeys([await _target(tx, target) for target in targets]))
    if not keys:
        raise BadAddress("An alias needs a target")
    if len(keys) > MAX_ALIAS_TARGETS:
        raise BadAddress(f"An alias has at most {MAX_ALIAS_TARGETS} targets, not {len(keys)}")
    await require_domain(tx, split_key(key)[1])
    if await tx.fetch_one("SELECT 1 FROM address WHERE address = ? LIMIT 1", key) is not None:
        raise AlreadyExists(f"The address is taken already: {key}")
    tx.directory_changed()
    await tx.execute_many(
        "INSERT INTO address (address, position, target) VALUES (?, ?, ?)",
        [(key, position, target) for position, target in enumerate(keys)],
    )
    return Alias(key, keys)


async def _target(tx: Transaction, text: str) -> str:
    """Read where mail is to go: one of ours as its key, another as it is written."""
    target = parse_target(text)
    ours = await find_domain(tx, split_key(target)[1]) is not None
    return key_of(target) if ours else target


async def remove_alias(tx: Transaction, address: str) -> None:
    """Remove an alias. Raises NoSuchRecipient when there is none of this address."""
    key = parse_key(address)
    tx.directory_changed()
    if not await tx.execute("DELETE FROM address WHERE address = ? AND target IS NOT NULL", key):
        raise NoSuchRecipient(f"No such alias: {key}")


async def aliases(tx: Transaction, domain: str | None = None) -> list[Alias]:
    """List aliases, sorted by address: all of them, or those of one domain (NoSuchDomain)."""
    rows = await tx.fetch_all("SELECT address, target FROM address WHERE target IS NOT NULL ORDER BY address, position")
    wanted = None if domain is None else (await require_domain(tx, domain)).name
    found: dict[str, list[str]] = {}
    for address, target in rows:
        if wanted is None or split_key(address)[1] == wanted:
            found.setdefault(address, []).append(target)
    return [Alias(address, tuple(targets)) for address, targets in found.items()]
