"""Threads (RFC 8621 §3, RFC 8474 §5.2): which messages belong together.

Two messages are of one thread when they share an id in Message-ID, In-Reply-To or References and their base subjects
agree. Both in one: a key is a hash of an id with the base subject. A message looks for its keys in its account. It
joins the thread that the latest of its keys leads to, where a message's own id is the latest and its references follow
from the parent upwards; if none is known it founds a thread, named by its own id. Threads are never merged, since a
message's thread must not change (RFC 8474 §5.2).
"""

from collections.abc import Sequence
from functools import partial
from hashlib import blake2b

from pennypost.message.summary import Summary
from pennypost.model.ids import AccountId, MessageId, ModSeq, ThreadId
from pennypost.store.engine import Engine, Transaction

MAX_KEYS = 16
"""Ids of one message that are looked at: its own, and the last of its references."""

_KEY_OCTETS = 8
_NO_ID = bytes(_KEY_OCTETS)
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


MAX_LINKS = 64
"""References of one message that THREAD knows of: the last ones."""


def links(summary: Summary) -> bytes | None:
    """Give what the column `links` holds of a message."""
    own, references = summary.own_id, summary.references
    if own is None and not references:
        return None
    hashes = [_NO_ID if own is None else blake2b(own, digest_size=_KEY_OCTETS).digest()]
    if references:
        hashes += [blake2b(one, digest_size=_KEY_OCTETS).digest() for one in references[-MAX_LINKS:]]
    return b"".join(hashes)


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


# -- Forgetting

KEYS_PER_MESSAGE = 3
SPARE_KEYS = 1000
"""Keys are looked through when an account has more than so many for each of its messages, and these on top."""
PRUNE_STEP = 1000


async def prune(engine: Engine, account: AccountId) -> int:
    """Forget the keys of threads that have no message left, if an account has too many keys. Gives how many went.

    What reads all of the account's messages runs off the loop, what deletes in small transactions; it stops when the
    account changes meanwhile, since a message may have come that needs such a key. For housekeeping.
    """
    modseq, unused = await engine.scan(partial(_unused, account=account))
    forgotten = 0
    for start in range(0, len(unused), PRUNE_STEP):
        step = unused[start : start + PRUNE_STEP]
        removed = await engine.write(partial(_forget, account=account, modseq=modseq, unused=step))
        if not removed:
            break
        forgotten += removed
    return forgotten


async def _unused(tx: Transaction, account: AccountId) -> tuple[ModSeq, list[int]]:
    row = await tx.fetch_one(
        "SELECT modseq, message_count, (SELECT COUNT(*) FROM thread_key k WHERE k.account = account.id) "
        "FROM account WHERE id = ?",
        account,
    )
    if row is None or row[2] <= KEYS_PER_MESSAGE * row[1] + SPARE_KEYS:
        return ModSeq(0), []
    rows = await tx.fetch_all(
        "SELECT key FROM thread_key WHERE account = ? AND thread NOT IN (SELECT m.thread "
        "FROM entry e JOIN message m ON m.slot = e.slot WHERE e.account = ?) "
        "ORDER BY key",
        account,
        account,
    )
    return ModSeq(row[0]), [key for (key,) in rows]


async def _forget(tx: Transaction, account: AccountId, modseq: ModSeq, unused: Sequence[int]) -> int:
    if await tx.fetch_one("SELECT 1 FROM account WHERE id = ? AND modseq = ?", account, modseq) is None:
        return 0
    await tx.execute_many("DELETE FROM thread_key WHERE account = ? AND key = ?", [(account, key) for key in unused])
    return len(unused)
