"""Finding the messages of a mailbox by ids and by when they were saved: what no snapshot knows (RFC 8474, RFC 8514)."""

from pennypost.model.ids import AccountId, MailboxId, MessageId, ThreadId, Uid
from pennypost.store import sets
from pennypost.store.engine import Transaction

_JOINED = "SELECT e.uid FROM entry e JOIN message m ON m.slot = e.slot WHERE e.account = ? AND e.mailbox = ? "


async def by_origin(tx: Transaction, account: AccountId, mailbox: MailboxId, origin: MessageId) -> list[Uid]:
    """Find a message and what was copied from it, or from its copies (RFC 8474 §5.1)."""
    rows = await tx.fetch_all(
        _JOINED + "AND (m.id = ? OR m.origin = ?) ORDER BY e.uid", account, mailbox, origin, origin
    )
    return [uid for (uid,) in rows]


async def by_thread(tx: Transaction, account: AccountId, mailbox: MailboxId, thread: ThreadId) -> list[Uid]:
    """Find the messages of a thread (RFC 8474 §5.2). Reads a row of every message of the mailbox: for `scan`."""
    rows = await tx.fetch_all(_JOINED + "AND m.thread = ? ORDER BY e.uid", account, mailbox, thread)
    return [uid for (uid,) in rows]


async def saved_between(tx: Transaction, account: AccountId, mailbox: MailboxId, first: int, end: int) -> list[Uid]:
    """Find what came into a mailbox between two instants, the second exclusive, in microseconds (RFC 8514 §4.3).

    Reads every entry of the mailbox: for `scan`.
    """
    rows = await tx.fetch_all(
        "SELECT uid FROM entry WHERE account = ? AND mailbox = ? AND saved_at >= ? AND saved_at < ? ORDER BY uid",
        account,
        mailbox,
        first,
        end,
    )
    return [uid for (uid,) in rows]


async def saved_at(tx: Transaction, account: AccountId, mailbox: MailboxId, uids: list[Uid]) -> dict[Uid, int]:
    """Give when messages came into a mailbox, in microseconds since the epoch (RFC 8514 §4.2). `uids` ascend."""
    found: dict[Uid, int] = {}
    for piece in sets.pieces(uids):
        rows = await tx.fetch_all(
            f"SELECT uid, saved_at FROM entry WHERE account = ? AND mailbox = ? AND uid {piece.clause}",
            account,
            mailbox,
            *piece.values,
        )
        found.update(rows)
    return found
