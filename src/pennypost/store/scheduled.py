"""Copies of messages that are to be sent later, in a mailbox of their sender's. See `mail.queue.recall`."""

from typing import NamedTuple

from pennypost.model.flags import Flags
from pennypost.model.ids import AccountId, MailboxId, MessageId, QueuedId, Uid
from pennypost.store import flag_notes
from pennypost.store.engine import Transaction


class Copy(NamedTuple):
    """Where the copy of a queued message was put."""

    queued: QueuedId
    account: AccountId
    mailbox: MailboxId
    message: MessageId


async def put(tx: Transaction, copy: Copy) -> None:
    """Note where the copy of a message lies, in the transaction that queues it."""
    await tx.execute("INSERT INTO scheduled (queued, account, mailbox, message) VALUES (?, ?, ?, ?)", *copy)


async def find(tx: Transaction, queued: QueuedId) -> Copy | None:
    """Give where the copy of a message was put. None: it has none, or is on its way. One look; may run as a read."""
    row = await tx.fetch_one("SELECT queued, account, mailbox, message FROM scheduled WHERE queued = ?", queued)
    return None if row is None else Copy(*row)


async def place_of(tx: Transaction, copy: Copy) -> Uid | None:
    """Give the UID under which a copy still lies where it was put; None: its owner took it away, or marked it
    `\\Deleted`."""
    row = await tx.fetch_one(
        "SELECT e.uid, e.message, e.flags, e.keywords, e.modseq FROM entry e "
        "JOIN mailbox m ON m.account = e.account AND m.id = e.mailbox "
        "WHERE e.account = ? AND e.message = ? AND e.mailbox = ? AND m.removed = 0 LIMIT 1",
        copy.account,
        copy.message,
        copy.mailbox,
    )
    if row is None:
        return None
    (row,) = (await flag_notes.of(tx, copy.account, copy.mailbox)).over([row])
    return None if row[2] & Flags.DELETED else Uid(row[0])


async def has_owner(tx: Transaction, copy: Copy) -> bool:
    """Whether the account is there: what one that was removed has sent leaves all the same."""
    return await tx.fetch_one("SELECT 1 FROM account WHERE id = ? AND removed = 0", copy.account) is not None


async def orphans(tx: Transaction, limit: int) -> list[QueuedId]:
    """List messages that have a copy and are not in the queue."""
    rows = await tx.fetch_all(
        "SELECT queued FROM scheduled s WHERE NOT EXISTS (SELECT 1 FROM queued q WHERE q.id = s.queued) LIMIT ?", limit
    )
    return [QueuedId(queued) for (queued,) in rows]


async def forget(tx: Transaction, queued: QueuedId) -> None:
    """A message's copy says nothing of it any more."""
    await tx.execute("DELETE FROM scheduled WHERE queued = ?", queued)
