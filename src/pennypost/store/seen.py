r"""`\Seen` as each reader of another's mailbox sets it, beside the owner's, which readers neither see nor change.

A row says what a reader set last; a message without one the reader has not seen. The rows of messages that were
expunged mean nothing, since UIDs are never used twice, and are swept by housekeeping: expunging does not look for them.
What a reader sets is written into the owner's log as a change of its own kind, so that the reader's other sessions
follow. Modification sequences are the account's: as a reader sees it, that of a message is the greater of the
message's and the row's.
"""

from collections.abc import Sequence

from pennypost.model.flags import Flags
from pennypost.model.ids import AccountId, MailboxId, MessageId, ModSeq, Uid
from pennypost.model.rights import Rights
from pennypost.store import acl, flags, sets
from pennypost.store.changes import ChangeKind, advance, record
from pennypost.store.engine import Transaction
from pennypost.store.entry_columns import Stored
from pennypost.store.flag_change import StoreMode
from pennypost.store.flags import StoreResult

SWEEP = 1_000
"""Rows looked at in one transaction."""

Marks = dict[int, tuple[bool, int]]
"""By UID: whether the reader has seen it, and the modseq at which that was set."""


async def marks(
    tx: Transaction, account: AccountId, mailbox: MailboxId, reader: AccountId, uids: Sequence[int] | None = None
) -> Marks:
    """Give what a reader set, of some messages or of all."""
    sql = "SELECT uid, seen, modseq FROM seen WHERE account = ? AND mailbox = ? AND reader = ? "
    if uids is None:
        rows = await tx.fetch_all(sql, account, mailbox, reader)
    else:
        rows = []
        for piece in sets.pieces(sorted(set(uids))):
            rows += await tx.fetch_all(sql + f"AND uid {piece.clause}", account, mailbox, reader, *piece.values)
    return {uid: (bool(seen), modseq) for uid, seen, modseq in rows}


async def unseen(tx: Transaction, account: AccountId, mailbox: MailboxId, reader: AccountId) -> int:
    """Count the messages that a reader has not seen: over the reader's rows, so for `scan` where they are many."""
    row = await tx.fetch_one(
        "SELECT m.total - (SELECT COUNT(*) FROM seen s JOIN entry e "
        "ON e.account = s.account AND e.mailbox = s.mailbox AND e.uid = s.uid "
        "WHERE s.account = m.account AND s.mailbox = m.id AND s.reader = ? AND s.seen = 1) "
        "FROM mailbox m WHERE m.account = ? AND m.id = ?",
        reader,
        account,
        mailbox,
    )
    return int(row[0]) if row else 0


async def highest_modseq(tx: Transaction, account: AccountId, mailbox: MailboxId, reader: AccountId) -> ModSeq:
    """Give the modseq of the last thing that a reader set in a mailbox, or 0."""
    row = await tx.fetch_one(
        "SELECT MAX(modseq) FROM seen WHERE account = ? AND mailbox = ? AND reader = ?", account, mailbox, reader
    )
    return ModSeq(row[0] or 0) if row else ModSeq(0)


async def mark(
    tx: Transaction,
    account: AccountId,
    mailbox: MailboxId,
    reader: AccountId,
    uids: Sequence[Uid],
    seen: bool,
    modseq: ModSeq | None = None,
) -> ModSeq:
    """Set whether a reader has seen messages, ascending, all of which change by it. `modseq`: drawn already."""
    if modseq is None:
        modseq = await advance(tx, account)
    await tx.execute_many(
        "INSERT INTO seen (account, mailbox, reader, uid, seen, modseq) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (account, mailbox, reader, uid) DO UPDATE SET seen = excluded.seen, modseq = excluded.modseq",
        [(account, mailbox, reader, uid, int(seen), modseq) for uid in uids],
    )
    await record(tx, account, modseq, mailbox, ChangeKind.SEEN, uids, (MessageId(reader),))
    return modseq


async def store(
    tx: Transaction,
    account: AccountId,
    mailbox: MailboxId,
    reader: AccountId | None,
    rights: Rights,
    uids: Sequence[Uid],
    mode: StoreMode,
    given: Flags,
    keywords: Sequence[str] = (),
    unchanged_since: ModSeq | None = None,
) -> StoreResult:
    r"""Change flags in another's mailbox, those that rights allow (RFC 4314 §4); others stay as they are.

    See `flags.store`. `reader`: whose `\Seen` is meant; None: the mailbox's own. What is given back is as the reader
    sees it.
    """
    changeable = acl.changeable_flags(rights)
    may_keywords = bool(rights & Rights.WRITE)
    if reader is None:
        return await flags.store(
            tx, account, mailbox, uids, mode, given, keywords, unchanged_since, changeable, may_keywords
        )
    had = await marks(tx, account, mailbox, reader, uids)
    stale = {uid for uid, (_, modseq) in had.items() if unchanged_since is not None and modseq > unchanged_since}
    result = await flags.store(
        tx,
        account,
        mailbox,
        [uid for uid in uids if uid not in stale],
        mode,
        given,
        keywords,
        unchanged_since,
        changeable & ~Flags.SEEN,
        may_keywords,
    )
    there = sorted(stored.uid for stored in (*result.changed, *result.unchanged))
    target = _target(mode, given) if changeable & Flags.SEEN else None
    turned = [] if target is None else [uid for uid in there if had.get(uid, (False, 0))[0] is not target]
    modseq = result.modseq
    if turned and target is not None:
        modseq = await mark(tx, account, mailbox, reader, turned, target, modseq if result.changed else None)
    changed = {stored.uid for stored in result.changed} | set(turned)

    def shown(stored: Stored) -> Stored:
        seen = target if target is not None else had.get(stored.uid, (False, 0))[0]
        bits = stored.flags & ~Flags.SEEN | (Flags.SEEN if seen else Flags.NONE)
        return Stored(stored.uid, bits, stored.keywords)

    every = sorted(map(shown, (*result.changed, *result.unchanged)))
    return StoreResult(
        modseq,
        [stored for stored in every if stored.uid in changed],
        [stored for stored in every if stored.uid not in changed],
        sorted({*result.refused, *(Uid(uid) for uid in stale)}),
    )


def _target(mode: StoreMode, given: Flags) -> bool | None:
    r"""Say what a STORE makes of `\Seen`; None: it is not touched."""
    match mode:
        case StoreMode.SET:
            return bool(given & Flags.SEEN)
        case StoreMode.ADD:
            return True if given & Flags.SEEN else None
        case StoreMode.REMOVE:
            return False if given & Flags.SEEN else None


# -- Forgetting


async def forget_mailbox(tx: Transaction, account: AccountId, mailbox: MailboxId) -> None:
    """Remove what readers set in a mailbox that is gone."""
    await tx.execute("DELETE FROM seen WHERE account = ? AND mailbox = ?", account, mailbox)


async def forget_reader(tx: Transaction, reader: AccountId) -> None:
    """Remove what a reader set who is gone, in all mailboxes."""
    await tx.execute("DELETE FROM seen WHERE reader = ?", reader)


Position = tuple[int, int, int, int]
START: Position = (0, 0, 0, 0)


async def sweep(tx: Transaction, after: Position) -> Position | None:
    """Remove rows of messages that are gone, among the next `SWEEP`. Gives where to go on, None at the end."""
    rows = await tx.fetch_all(
        "SELECT s.account, s.mailbox, s.reader, s.uid, e.uid FROM seen s LEFT JOIN entry e "
        "ON e.account = s.account AND e.mailbox = s.mailbox AND e.uid = s.uid "
        "WHERE (s.account, s.mailbox, s.reader, s.uid) > (?, ?, ?, ?) "
        "ORDER BY s.account, s.mailbox, s.reader, s.uid LIMIT ?",
        *after,
        SWEEP,
    )
    gone = [row[:4] for row in rows if row[4] is None]
    if gone:
        await tx.execute_many("DELETE FROM seen WHERE account = ? AND mailbox = ? AND reader = ? AND uid = ?", gone)
    return rows[-1][:4] if len(rows) == SWEEP else None
