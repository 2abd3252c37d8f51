"""Taking entries and messages away, and removing what is large in steps, so that other work never waits for seconds.

A mailbox or an account that is removed is gone for everybody in the transaction that says so: it is marked, its name
is free again, and no operation finds it. Its rows follow in steps of bounded size (`step`), driven by housekeeping or
by the command that removed it (`finish`). Blobs are not touched, but noted: the collector looks whether others refer
to them.
"""

from collections.abc import Sequence

from pennypost.model.ids import AccountId, MailboxId, ModSeq
from pennypost.store import acl, annotations, blobs, flag_notes, quota, seen, sets, url_keys
from pennypost.store.engine import Engine, Row, Transaction

STEP = 1000
"""Rows of one kind removed in one transaction."""


async def drop_messages(
    tx: Transaction, account: AccountId, messages: Sequence[int], sizes: Sequence[int], slots: Sequence[int]
) -> ModSeq:
    """Settle the account after entries went: remove the messages that have none left, and count.

    Of each entry that was deleted: its message, with size and slot. Gives the operation's number of the modification
    sequence. Works for an account that is marked as removed, too.
    """
    entries = len(messages)
    row = await tx.fetch_one("SELECT entry_count - message_count FROM account WHERE id = ?", account)
    if row is not None and row[0]:  # some message lies in several mailboxes
        gone = dict(zip(messages, zip(sizes, slots, strict=True), strict=True))
        for piece in sets.pieces(sorted(gone)):
            rows = await tx.fetch_all(
                f"SELECT DISTINCT message FROM entry WHERE account = ? AND message {piece.clause}",
                account,
                *piece.values,
            )
            for (message,) in rows:
                gone.pop(message, None)
        sizes, slots = [size for size, _ in gone.values()], [slot for _, slot in gone.values()]
    for piece in sets.pieces(sets.ascending(slots)):
        await blobs.note_dropped(tx, f"message WHERE slot {piece.clause}", *piece.values)
        await tx.execute(f"DELETE FROM message WHERE slot {piece.clause}", *piece.values)
    return await quota.release(tx, account, octets=sum(sizes), messages=len(slots), entries=entries)


async def remove_mailbox(tx: Transaction, account: AccountId, mailbox: MailboxId, total: int) -> None:
    """Take a mailbox away from everybody. Its rows go at once when they are few, else in steps."""
    await tx.execute(
        "UPDATE mailbox SET removed = 1, selectable = 0, role = NULL, name = ? WHERE account = ? AND id = ?",
        hidden_name(mailbox),
        account,
        mailbox,
    )
    await acl.forget_mailbox(tx, account, mailbox)
    await annotations.forget_mailbox(tx, account, mailbox)
    await url_keys.forget_mailbox(tx, account, mailbox)
    if total <= STEP:
        await _empty(tx, account, mailbox, STEP)
        await _drop_mailbox(tx, account, mailbox)


async def _drop_mailbox(tx: Transaction, account: AccountId, mailbox: MailboxId) -> None:
    await seen.forget_mailbox(tx, account, mailbox)
    await flag_notes.forget_mailbox(tx, account, mailbox)
    await tx.execute("DELETE FROM mailbox WHERE account = ? AND id = ?", account, mailbox)


def hidden_name(number: int) -> str:
    """Give a name that no client can ask for: what waits to be removed must not hold its own any more."""
    return f"\x7f{number}"


async def step(tx: Transaction, limit: int = STEP) -> bool:
    """Remove at most about `limit` rows of what is marked. Gives whether there may be more to do."""
    row = await tx.fetch_one("SELECT account, id FROM mailbox WHERE removed = 1 LIMIT 1")
    if row is not None:
        account, mailbox = row
        if await _empty(tx, account, mailbox, limit) < limit:
            await _drop_mailbox(tx, account, mailbox)
        return True
    row = await tx.fetch_one("SELECT id FROM account WHERE removed = 1 LIMIT 1")
    if row is None:
        return False
    await _remove_rest(tx, row[0], limit)
    return True


async def finish(store: Engine) -> int:
    """Run steps, each a transaction of its own, until nothing is marked. Gives how many there were."""
    steps = 0
    while await store.write_large(step):
        steps += 1
    return steps


async def _empty(tx: Transaction, account: AccountId, mailbox: MailboxId, limit: int) -> int:
    """Remove the first entries of a marked mailbox. Gives how many there were."""
    rows: list[Row] = await tx.fetch_all(
        "SELECT uid, message, size, slot FROM entry WHERE account = ? AND mailbox = ? ORDER BY uid LIMIT ?",
        account,
        mailbox,
        limit,
    )
    if rows:
        await tx.execute(
            "DELETE FROM entry WHERE account = ? AND mailbox = ? AND uid <= ?", account, mailbox, rows[-1][0]
        )
        _, gone, sizes, slots = zip(*rows, strict=True)
        await drop_messages(tx, account, gone, sizes, slots)
    return len(rows)


_REST = (
    "DELETE FROM change WHERE account = ? AND modseq IN "
    "(SELECT modseq FROM change WHERE account = ? ORDER BY modseq LIMIT ?)",
    "DELETE FROM thread_key WHERE account = ? AND key IN "
    "(SELECT key FROM thread_key WHERE account = ? ORDER BY key LIMIT ?)",
    "DELETE FROM written_to WHERE account = ? AND address IN "
    "(SELECT address FROM written_to WHERE account = ? ORDER BY address LIMIT ?)",
    "DELETE FROM sending_network WHERE account = ? AND network IN "
    "(SELECT network FROM sending_network WHERE account = ? ORDER BY network LIMIT ?)",
    "DELETE FROM sent WHERE account = ? AND hour IN (SELECT hour FROM sent WHERE account = ? ORDER BY hour LIMIT ?)",
    "DELETE FROM frozen WHERE account = ? AND account = ? AND ? > 0",
    "DELETE FROM junk_token WHERE account = ? AND token IN "
    "(SELECT token FROM junk_token WHERE account = ? ORDER BY token LIMIT ?)",
    "DELETE FROM junk_message WHERE account = ? AND message IN "
    "(SELECT message FROM junk_message WHERE account = ? ORDER BY message LIMIT ?)",
    "DELETE FROM reputation WHERE account = ? AND subject IN "
    "(SELECT subject FROM reputation WHERE account = ? ORDER BY subject LIMIT ?)",
    "DELETE FROM sent_id WHERE account = ? AND id IN (SELECT id FROM sent_id WHERE account = ? ORDER BY id LIMIT ?)",
    "DELETE FROM greylist WHERE account = ? AND key IN "
    "(SELECT key FROM greylist WHERE account = ? ORDER BY key LIMIT ?)",
    "DELETE FROM scheduled WHERE account = ? AND queued IN "
    "(SELECT queued FROM scheduled WHERE account = ? ORDER BY queued LIMIT ?)",
    "DELETE FROM junk_learnt WHERE account = ? AND account = ? AND ? > 0",
    "DELETE FROM junk_followed WHERE account = ? AND account = ? AND ? > 0",
    "DELETE FROM junk_threshold WHERE kind = 1 AND owner = ? AND owner = ? AND ? > 0",
    "DELETE FROM subscription WHERE account = ? AND name IN "
    "(SELECT name FROM subscription WHERE account = ? ORDER BY name LIMIT ?)",
)


async def _remove_rest(tx: Transaction, account: AccountId, limit: int) -> None:
    """Remove what is left of an account without mailboxes: its log, its threads' keys, in the end itself.

    Mail of its that waits in the queue was accepted, so it is still sent, on nobody's behalf.
    """
    for statement in _REST:
        if await tx.execute(statement, account, account, limit):
            return
    await seen.forget_reader(tx, account)
    await tx.execute("UPDATE queued SET account = NULL WHERE account = ?", account)
    await tx.execute("DELETE FROM account WHERE id = ?", account)
