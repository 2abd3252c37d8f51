"""Refresh tokens of logins at smarthosts: their rows. What is in them is `mail.refresh_tokens`'."""

from pennypost.store.engine import Transaction, to_microseconds


async def find(tx: Transaction, login: str) -> bytes | None:
    """Give the sealed token that was kept last for a login."""
    row = await tx.fetch_one("SELECT sealed FROM refresh_token WHERE login = ?", login)
    return bytes(row[0]) if row else None


async def keep(tx: Transaction, login: str, sealed: bytes) -> None:
    """Keep a sealed token in the place of the one before."""
    await tx.execute(
        "INSERT INTO refresh_token (login, sealed, changed_at) VALUES (?, ?, ?) "
        "ON CONFLICT (login) DO UPDATE SET sealed = excluded.sealed, changed_at = excluded.changed_at",
        login,
        sealed,
        to_microseconds(tx.now),
    )
