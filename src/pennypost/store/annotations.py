"""What is said about mailboxes and about the server (RFC 5464): entries with values, each somebody's own or shared.

An entry's name is its path in lower case without the first component, which says whose it is: `reader` is the account
of a `/private` one, `EVERYBODY` stands for `/shared`. Entries go with the id of their mailbox: renaming keeps them.
They count against the quota of the mailbox's owner, whoever wrote them.
"""

from collections.abc import Sequence
from enum import Enum

from pennypost.model.errors import NoSuchMailbox, OverQuota, TooManyAnnotations
from pennypost.model.ids import AccountId, MailboxId
from pennypost.store.changes import ChangeKind, advance, record
from pennypost.store.engine import Transaction

EVERYBODY = AccountId(0)
"""The reader of a shared entry."""
SERVER = MailboxId(0)
"""What stands for the server in place of a mailbox."""

SHARED_SEEN = "/vendor/pennypost/shared-seen"
r"""Shared entry of a mailbox: `true` makes `\Seen` one for all who may see it, from the next time they open it."""

MAX_ENTRIES = 1_000
"""Of one account, on all its mailboxes."""

MAX_FOREIGN = 50
"""Of them, those that one other account may set for itself: who may read a mailbox is not to use up its owner's."""


class Depth(Enum):
    """Which entries below one are meant too (RFC 5464 §4.2.2)."""

    NONE = "0"
    ONE = "1"
    ALL = "infinity"


async def find(
    tx: Transaction, account: AccountId, mailbox: MailboxId, reader: AccountId, entry: str, depth: Depth = Depth.NONE
) -> list[tuple[str, bytes]]:
    """Give an entry, if it is there, and those below it, sorted. `entry` may be empty: all there are."""
    columns = "SELECT entry, value FROM annotation WHERE account = ? AND mailbox = ? AND reader = ? "
    if depth is Depth.NONE:
        return await tx.fetch_all(columns + "AND entry = ?", account, mailbox, reader, entry)
    rows: list[tuple[str, bytes]] = await tx.fetch_all(
        columns + "AND (entry = ? OR (entry >= ? AND entry < ?)) ORDER BY entry",
        account,
        mailbox,
        reader,
        entry,
        entry + "/",
        entry + "0",  # what follows "/"
    )
    if depth is Depth.ALL:
        return rows
    return [(name, value) for name, value in rows if "/" not in name[len(entry) + 1 :]]


async def change(
    tx: Transaction,
    account: AccountId,
    mailbox: MailboxId,
    changes: Sequence[tuple[AccountId, str, bytes | None]],
) -> None:
    """Set entries, as (reader, entry, value), or remove those whose value is None: all or none (RFC 5464 §4.3).

    Raises TooManyAnnotations, OverQuota; NoSuchMailbox when the mailbox is gone.
    """
    for reader, entry, value in changes:
        if value is None:
            await tx.execute(
                "DELETE FROM annotation WHERE account = ? AND mailbox = ? AND reader = ? AND entry = ?",
                account,
                mailbox,
                reader,
                entry,
            )
        else:
            await tx.execute(
                "INSERT INTO annotation (account, mailbox, reader, entry, value) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (account, mailbox, reader, entry) DO UPDATE SET value = excluded.value",
                account,
                mailbox,
                reader,
                entry,
                value,
            )
        if mailbox != SERVER and reader == EVERYBODY and entry == SHARED_SEEN:
            await tx.execute(
                "UPDATE mailbox SET shared_seen = ? WHERE account = ? AND id = ?",
                int(value is not None and value.lower() == b"true"),
                account,
                mailbox,
            )
    if any(value is not None for _, _, value in changes):
        await _require_room(tx, account)
        for reader in {reader for reader, _, _ in changes} - {account, EVERYBODY}:
            if await _set_by(tx, account, reader) > MAX_FOREIGN:
                raise TooManyAnnotations
    if mailbox != SERVER:
        modseq = await advance(tx, account)
        await tx.execute(  # RFC 7162 §3.2
            "UPDATE mailbox SET highest_modseq = ? WHERE account = ? AND id = ?", modseq, account, mailbox
        )
        await record(tx, account, modseq, mailbox, ChangeKind.MAILBOX_UPDATED)
    else:
        tx.changed(account, await advance(tx, account))


async def marks(tx: Transaction, account: AccountId, reader: AccountId) -> dict[MailboxId, dict[tuple[bool, str], int]]:
    """Give a mark of each entry's value, by mailbox, whether it is private, and its name: another mark, another value.

    Of the entries of an account that a reader sees: those that are shared, and the reader's own.
    """
    rows = await tx.fetch_all(
        "SELECT mailbox, reader, entry, value FROM annotation WHERE account = ? AND reader IN (?, ?)",
        account,
        EVERYBODY,
        reader,
    )
    found: dict[MailboxId, dict[tuple[bool, str], int]] = {}
    for mailbox, whose, entry, value in rows:
        found.setdefault(mailbox, {})[whose != EVERYBODY, entry] = hash(value)
    return found


async def _set_by(tx: Transaction, account: AccountId, reader: AccountId) -> int:
    """Count the entries that a reader has on an account's mailboxes."""
    row = await tx.fetch_one("SELECT COUNT(*) FROM annotation WHERE account = ? AND reader = ?", account, reader)
    return row[0] if row is not None else 0


async def usage(tx: Transaction, account: AccountId) -> tuple[int, int, int | None]:
    """Give how many entries an account's mailboxes have, their octets, and the bound of these (ANNOTATION-STORAGE)."""
    row = await tx.fetch_one(
        "SELECT COUNT(n.entry), COALESCE(SUM(LENGTH(n.entry) + LENGTH(n.value)), 0), a.quota_annotation_octets "
        "FROM account a LEFT JOIN annotation n ON n.account = a.id WHERE a.id = ? AND a.removed = 0 "
        "GROUP BY a.id, a.quota_annotation_octets",
        account,
    )
    if row is None:
        raise NoSuchMailbox
    return row[0], row[1], row[2]


async def copy(tx: Transaction, account: AccountId, source: MailboxId, target: MailboxId) -> None:
    """Say of a mailbox that was just made what is said of another. Raises TooManyAnnotations, OverQuota."""
    await tx.execute(
        "INSERT INTO annotation (account, mailbox, reader, entry, value) "
        "SELECT account, ?, reader, entry, value FROM annotation WHERE account = ? AND mailbox = ?",
        target,
        account,
        source,
    )
    await tx.execute(
        "UPDATE mailbox SET shared_seen = (SELECT m.shared_seen FROM mailbox m WHERE m.account = ? AND m.id = ?) "
        "WHERE account = ? AND id = ?",
        account,
        source,
        account,
        target,
    )
    await _require_room(tx, account)


async def _require_room(tx: Transaction, account: AccountId) -> None:
    count, octets, bound = await usage(tx, account)
    if count > MAX_ENTRIES:
        raise TooManyAnnotations
    if bound is not None and octets > bound:
        raise OverQuota


# -- Forgetting


async def forget_mailbox(tx: Transaction, account: AccountId, mailbox: MailboxId) -> None:
    """Remove what is said about a mailbox that goes."""
    await tx.execute("DELETE FROM annotation WHERE account = ? AND mailbox = ?", account, mailbox)


async def forget_account(tx: Transaction, account: AccountId) -> None:
    """Remove what is said about an account's mailboxes, and what it says of others' for itself: it is being removed."""
    await tx.execute("DELETE FROM annotation WHERE account = ?", account)
    await tx.execute("DELETE FROM annotation WHERE reader = ? AND reader <> 0", account)
