"""Passwords: what proves who somebody is. Hashes only; the passwords themselves never come here.

An account has one password and any number of app passwords, told apart by label. SCRAM (RFC 5802) needs one salt for
an account, which the client is told before it proves anything, so it works with the password only.
"""

from dataclasses import dataclass
from typing import NamedTuple

from pennypost.model.account import Credential, CredentialKind
from pennypost.model.authentication import ScramHash, ScramKeys
from pennypost.model.errors import AlreadyExists, NoSuchAccount, NoSuchCredential
from pennypost.model.ids import AccountId, CredentialId
from pennypost.store.engine import Transaction, from_microseconds, to_microseconds


class LoginCredential(NamedTuple):
    """One of the things that a password is compared with. `password_hash`: Argon2id, encoded."""

    id: CredentialId
    kind: CredentialKind
    password_hash: str


@dataclass(frozen=True, slots=True)
class LoginRecord:
    """All that a login needs. `name`: the account's primary address. `referral`: as `Account.referral`."""

    account: AccountId
    name: str
    enabled: bool
    referral: str | None
    credentials: tuple[LoginCredential, ...]


async def login_record(tx: Transaction, name: str) -> LoginRecord | None:
    """Find what a login name is checked against, in one statement. `name`: the primary address, in any case.

    None: there is no such account; the caller takes the same time for it.
    """
    rows = await tx.fetch_all(
        "SELECT a.id, a.name, a.enabled, a.referral, c.id, c.kind, c.password_hash FROM account a "
        "LEFT JOIN credential c ON c.account = a.id WHERE a.name = ? AND a.removed = 0 ORDER BY c.kind DESC, c.id",
        name.casefold(),
    )
    if not rows:
        return None
    account, primary, enabled, referral = rows[0][:4]
    found = tuple(LoginCredential(row[4], CredentialKind(row[5]), row[6]) for row in rows if row[4] is not None)
    return LoginRecord(account, primary, bool(enabled), referral, found)


_SCRAM_COLUMNS = {ScramHash.SHA_1: "scram_sha1", ScramHash.SHA_256: "scram_sha256"}


async def scram_keys(tx: Transaction, name: str, scram_hash: ScramHash) -> ScramKeys | None:
    """Find the SCRAM keys of a login name. None: no such account, or its password was set without them."""
    row = await tx.fetch_one(
        f"SELECT c.{_SCRAM_COLUMNS[scram_hash]} FROM account a JOIN credential c ON c.account = a.id "
        "WHERE a.name = ? AND a.removed = 0 AND c.kind = ?",
        name.casefold(),
        CredentialKind.PASSWORD.value,
    )
    return unpack_scram_keys(row[0]) if row is not None and row[0] is not None else None


async def set_password(
    tx: Transaction,
    account: AccountId,
    password_hash: str,
    scram_sha1: ScramKeys | None = None,
    scram_sha256: ScramKeys | None = None,
) -> CredentialId:
    """Set an account's password in place of the one it has. App passwords stay. Raises NoSuchAccount."""
    await tx.execute("DELETE FROM credential WHERE account = ? AND kind = ?", account, CredentialKind.PASSWORD.value)
    return await add_credential(tx, account, CredentialKind.PASSWORD, "", password_hash, scram_sha1, scram_sha256)


async def add_credential(
    tx: Transaction,
    account: AccountId,
    kind: CredentialKind,
    label: str,
    password_hash: str,
    scram_sha1: ScramKeys | None = None,
    scram_sha256: ScramKeys | None = None,
) -> CredentialId:
    """Add a credential. Raises AlreadyExists when the account has one of this kind and label, NoSuchAccount."""
    if await tx.fetch_one("SELECT 1 FROM account WHERE id = ? AND removed = 0", account) is None:
        raise NoSuchAccount
    row = await tx.fetch_one(
        "INSERT INTO credential (account, kind, label, password_hash, scram_sha1, scram_sha256, created_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (account, kind, label) DO NOTHING RETURNING id",
        account,
        kind.value,
        label,
        password_hash,
        None if scram_sha1 is None else pack_scram_keys(scram_sha1),
        None if scram_sha256 is None else pack_scram_keys(scram_sha256),
        to_microseconds(tx.now),
    )
    if row is None:
        raise AlreadyExists("A password with this label exists already")
    return CredentialId(row[0])


async def credentials(tx: Transaction, account: AccountId) -> list[Credential]:
    """List an account's credentials, the password first."""
    rows = await tx.fetch_all(
        "SELECT id, kind, label, created_at, last_used_at FROM credential WHERE account = ? ORDER BY kind DESC, id",
        account,
    )
    return [
        Credential(
            identifier,
            CredentialKind(kind),
            label,
            from_microseconds(created_at),
            None if used_at is None else from_microseconds(used_at),
        )
        for identifier, kind, label, created_at, used_at in rows
    ]


async def revoke_credential(tx: Transaction, account: AccountId, credential: CredentialId) -> None:
    """Remove one of an account's credentials. Raises NoSuchCredential."""
    if not await tx.execute("DELETE FROM credential WHERE account = ? AND id = ?", account, credential):
        raise NoSuchCredential


async def touch_credential(tx: Transaction, credential: CredentialId) -> None:
    """Note that a credential was used now. One that was revoked meanwhile is no error."""
    await tx.execute("UPDATE credential SET last_used_at = ? WHERE id = ?", to_microseconds(tx.now), credential)


def pack_scram_keys(keys: ScramKeys) -> bytes:
    """Give the row's form: iterations in four octets, the salt's length in one, then salt, StoredKey, ServerKey."""
    head = keys.iterations.to_bytes(4, "big") + len(keys.salt).to_bytes(1, "big")
    return head + keys.salt + keys.stored_key + keys.server_key


def unpack_scram_keys(packed: bytes) -> ScramKeys:
    """Read the row's form: the two keys are of one length."""
    salt_end = 5 + packed[4]
    middle = (salt_end + len(packed)) // 2
    return ScramKeys(packed[5:salt_end], int.from_bytes(packed[:4], "big"), packed[salt_end:middle], packed[middle:])
