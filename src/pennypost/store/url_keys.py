"""Keys that URLs to messages are signed with (RFC 4467 §3): one for each mailbox and who hands out URLs to it.

A key is random and never leaves the server. Without it the URLs it signed are worth nothing: so they are revoked.
"""

from pennypost.model.ids import AccountId, MailboxId
from pennypost.store.engine import Transaction


async def find(tx: Transaction, maker: AccountId, account: AccountId, mailbox: MailboxId) -> bytes | None:
    """Give a key, if there is one."""
    row = await tx.fetch_one(
        "SELECT key FROM url_key WHERE maker = ? AND account = ? AND mailbox = ?", maker, account, mailbox
    )
    return bytes(row[0]) if row else None


async def keep(tx: Transaction, maker: AccountId, account: AccountId, mailbox: MailboxId, fresh: bytes) -> bytes:
    """Give the key there is, or let `fresh` be it from now on."""
    row = await tx.fetch_one(
        "INSERT INTO url_key (maker, account, mailbox, key) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (maker, account, mailbox) DO UPDATE SET key = url_key.key RETURNING key",
        maker,
        account,
        mailbox,
        fresh,
    )
    assert row is not None
    return bytes(row[0])


async def reset(tx: Transaction, maker: AccountId, mailbox: tuple[AccountId, MailboxId] | None = None) -> None:
    """Revoke the URLs that somebody handed out to one mailbox, or to all (RFC 4467 §6 RESETKEY)."""
    if mailbox is None:
        await tx.execute("DELETE FROM url_key WHERE maker = ?", maker)
    else:
        await tx.execute("DELETE FROM url_key WHERE maker = ? AND account = ? AND mailbox = ?", maker, *mailbox)


async def forget_mailbox(tx: Transaction, account: AccountId, mailbox: MailboxId) -> None:
    """Remove the keys of a mailbox that goes."""
    await tx.execute("DELETE FROM url_key WHERE account = ? AND mailbox = ?", account, mailbox)


async def forget_account(tx: Transaction, account: AccountId) -> None:
    """Remove the keys of an account, and to its mailboxes: it is being removed."""
    await tx.execute("DELETE FROM url_key WHERE maker = ?", account)
    await tx.execute("DELETE FROM url_key WHERE account = ?", account)
