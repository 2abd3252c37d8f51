"""Threads (RFC 8621 §3, RFC 8474 §5.2): which messages belong together.

Two messages are of one thread when they share an id in Message-ID, In-Reply-To or References and their base subjects
agree. Both in one: a key is a hash of an id with the base subject. A message looks for its keys in its account. It
joins the thread that the latest of its keys leads to, where a message's own id is the latest and its references follow
from the parent upwards; if none is known it founds a thread, named by its own id. Threads are never merged, since a
message's thread must not change (RFC 8474 §5.2).
"""

from hashlib import blake2b

from pennypost.message.summary import Summary
from pennypost.model.ids import AccountId, MessageId, ThreadId
from pennypost.store.engine import Transaction

MAX_KEYS = 16
"""Ids of one message that are looked at: its own, and the last of its references."""

_KEY_OCTETS = 8
_INSERT = "INSERT INTO thread_key (account, key, thread) VALUES (?, ?, ?) "


def keys(summary: Summary) -> list[int]:
    """Give a message's keys, signed 64-bit numbers without doubles, the latest id first."""
    ids = [] if summary.own_id is None else [summary.own_id]
    ids += reversed(summary.thread_ids)
    if not ids:
        return []
    subject = summary.subject_key.encode("utf-8", "replace")
    return list(
        dict.fromkeys(
            int.from_bytes(blake2b(b"%b\0%b" % (one, subject), digest_size=_KEY_OCTETS).digest(), "big", signed=True)
            for one in ids[:MAX_KEYS]
        )
    )


async def assign(tx: Transaction, account: AccountId, message: MessageId, summary: Summary) -> ThreadId:
    """Give the thread of a new message, and remember its keys. One statement for a message that refers to none."""
    wanted = keys(summary)
    if not wanted:
        return ThreadId(message)
    if len(wanted) == 1:
        # The no-op update makes RETURNING speak of the row that is there already.
        row = await tx.fetch_one(
            _INSERT + "ON CONFLICT (account, key) DO UPDATE SET thread = thread_key.thread RETURNING thread",
            account,
            wanted[0],
            message,
        )
        assert row is not None
        return ThreadId(row[0])
    padded = wanted + [wanted[-1]] * (MAX_KEYS - len(wanted))
    rows = await tx.fetch_all(_KNOWN, account, *padded)
    known: dict[int, int] = {row[0]: row[1] for row in rows}
    thread = ThreadId(next((known[key] for key in wanted if key in known), message))
    for key in wanted:
        if key not in known:
            await tx.execute(_INSERT, account, key, thread)
    return thread


_KNOWN = f"SELECT key, thread FROM thread_key WHERE account = ? AND key IN ({', '.join('?' * MAX_KEYS)})"


async def prune(tx: Transaction, account: AccountId) -> int:
    """Forget the keys of threads that have no message left. Reads all of the account's messages. Gives how many."""
    return await tx.execute(
        "DELETE FROM thread_key WHERE account = ? AND thread NOT IN (SELECT thread FROM message WHERE account = ?)",
        account,
        account,
    )
