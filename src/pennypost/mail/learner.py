"""Learn what is wanted from what people do with their mail, over whichever protocol.

The log of changes says what was moved and flagged. A message that somebody put into the mailbox for junk, or marked
`$Junk`, is learnt as junk; one that was taken out of it, marked `$NotJunk`, put away for keeping or answered, as
wanted. What only lies where the server put it teaches nothing, and what a client brings from elsewhere no more than
`IMPORTED_ENOUGH` messages of a kind: somebody who moves in with all his mail is not to be learnt for hours. Each
message is learnt once, and anew when its owner thinks again; how far the log was followed is kept with what was
learnt, so a worker that dies loses nothing and repeats nothing.
"""

import asyncio
import time
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from pennypost.junk.tokens import tokens
from pennypost.mail.judge import author_of, look_at, subjects_of
from pennypost.message import structure
from pennypost.model.flags import Flags
from pennypost.model.ids import AccountId, MailboxId, MessageId, ModSeq, Uid
from pennypost.model.mailbox import MailboxRole
from pennypost.store import changes, greylist, junk, mailboxes, messages, sets
from pennypost.store.changes import Change, ChangeKind
from pennypost.store.engine import Transaction
from pennypost.store.junk import Lesson
from pennypost.store.messages import Column
from pennypost.store.store import Store

ACCOUNTS_A_ROUND = 100
MESSAGES_A_STEP = 4
"""Messages of one account that are learnt in one transaction: some 1,200 rows each, which mail that comes waits for.
After each step as much time is left to others as it took."""

IMPORTED_ENOUGH = 1000
"""Once an account has learnt so many messages of a kind, those that a client brings from elsewhere teach no more."""

ARRIVAL = timedelta(seconds=5)
"""How soon after it came a message is where the server put it."""

JUNK_WORDS = frozenset({"$junk", "junk"})
WANTED_WORDS = frozenset({"$notjunk", "nonjunk", "notjunk"})
_KEPT = frozenset({MailboxRole.ARCHIVE, MailboxRole.INBOX, None})
"""Roles of mailboxes into which somebody puts what he wants; None: one of his own making."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What somebody thinks of a message."""

    message: MessageId
    junk: bool


class Learner:
    """Follows what the accounts of a store do. One at a time, by whoever holds the lease for it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def round(self) -> int:
        """Follow all that is new. Gives how many messages were learnt."""
        store, count = self._store, 0
        for account, modseq in await store.scan(lambda tx: junk.behind(tx, ACCOUNTS_A_ROUND)):
            count += await self._follow(account, modseq)
        return count

    async def _follow(self, account: AccountId, modseq: ModSeq) -> int:
        store = self._store
        opinions, newest = await store.scan(lambda tx: opinions_since(tx, account, modseq))
        learnt = 0
        for start in range(0, len(opinions), MESSAGES_A_STEP):
            step = opinions[start : start + MESSAGES_A_STEP]
            lessons = await store.scan(partial(self._lessons, account=account, opinions=step))
            begun = time.monotonic()
            learnt += await store.write_large(partial(_learn, account=account, lessons=lessons))
            await asyncio.sleep(time.monotonic() - begun)
        await store.write(lambda tx: junk.follow(tx, account, newest))
        return learnt

    async def _lessons(
        self, tx: Transaction, account: AccountId, opinions: list[Opinion]
    ) -> list[tuple[Opinion, Lesson]]:
        """Read messages, and give what they teach. Those that are gone teach nothing."""
        columns = (Column.HEADER, Column.MIME_INDEX, Column.BLOB)
        rows = await messages.fetch(tx, account, [one.message for one in opinions], columns)
        lessons: list[tuple[Opinion, Lesson]] = []
        for one in opinions:
            if one.message in rows:
                header, index, blob = rows[one.message]
                body = await self._store.blobs.read(tx, blob)
                lessons.append((one, lesson_of(header, structure.decode(index), body)))
        return lessons


def lesson_of(header: bytes, index: structure.Part, body: bytes) -> Lesson:
    """Give what a message teaches."""
    content = look_at(header, index, body)
    return Lesson(tokens(content).all(), subjects_of(content, author_of(content)))


async def _learn(tx: Transaction, account: AccountId, lessons: list[tuple[Opinion, Lesson]]) -> int:
    return sum([await junk.learn(tx, account, one.message, lesson, junk=one.junk) for one, lesson in lessons])


async def opinions_since(tx: Transaction, account: AccountId, modseq: ModSeq) -> tuple[list[Opinion], ModSeq]:
    """Give what an account showed to think of messages since a state, the last opinion of each; and the state now."""
    newest, _ = await changes.state(tx, account)
    found = await changes.since(tx, account, modseq)
    if found is None:  # the log was pruned: what happened then is not known
        return [], newest
    roles = {one.id: one.role for one in await mailboxes.list_all(tx, account)}
    moved_from: dict[ModSeq, set[MailboxRole | None]] = {}
    for change in found:
        if change.kind is ChangeKind.EXPUNGED:
            moved_from.setdefault(change.modseq, set()).add(roles.get(change.mailbox))
    opinions: dict[MessageId, bool] = {}
    imported: dict[bool, list[MessageId]] = {False: [], True: []}
    for change in found:
        if change.kind is ChangeKind.APPENDED:
            left = moved_from.get(change.modseq, set())
            opinions |= await _of_moved(tx, account, change, roles, left, imported)
        elif change.kind is ChangeKind.UPDATED:
            opinions |= await _of_flagged(tx, account, change)
    seen = await junk.learnt(tx, account)
    for junk_, learnt in ((False, seen.wanted), (True, seen.junk)):
        room = max(0, IMPORTED_ENOUGH - learnt)
        newly = imported[junk_][-room:] if room else []
        opinions = dict.fromkeys(newly, junk_) | opinions
    return [Opinion(message, junk_) for message, junk_ in opinions.items()], newest


async def _of_moved(
    tx: Transaction,
    account: AccountId,
    change: Change,
    roles: dict[MailboxId, MailboxRole | None],
    left: set[MailboxRole | None],
    imported: dict[bool, list[MessageId]],
) -> dict[MessageId, bool]:
    """Give opinions shown by moving messages somewhere; add to `imported` those that were brought from elsewhere."""
    role = roles.get(change.mailbox)
    if change.mailbox not in roles:
        return {}
    is_junk = role is MailboxRole.JUNK
    taken_out = MailboxRole.JUNK in left and role is not MailboxRole.TRASH
    put_away = role in _KEPT and role is not MailboxRole.INBOX
    if not (is_junk or taken_out or put_away):
        return {}
    arrival = ARRIVAL // timedelta(microseconds=1)
    moved = {}
    for entry in await _entries(tx, account, change):
        if entry.message < change.modseq:
            moved[entry.message] = is_junk
        elif entry.saved_at - entry.received_at > arrival:  # else it is where the server put it
            imported[is_junk].append(entry.message)
    if len(moved) == 1 and taken_out:  # perhaps by us, who let in what was held, one at a time
        for ours in await greylist.released(tx, account, list(moved)):
            del moved[ours]
    return moved


async def _of_flagged(tx: Transaction, account: AccountId, change: Change) -> dict[MessageId, bool]:
    """Give opinions shown by keywords, and by answers."""
    opinions: dict[MessageId, bool] = {}
    for entry in await _entries(tx, account, change):
        words = {word.casefold() for word in (entry.keywords or "").split()}
        if words & WANTED_WORDS:
            opinions[entry.message] = False
        elif words & JUNK_WORDS:
            opinions[entry.message] = True
        elif entry.flags & Flags.ANSWERED:
            opinions[entry.message] = False
    return opinions


async def _entries(tx: Transaction, account: AccountId, change: Change) -> list[messages.Entry]:
    """Give the entries of a change that are still there."""
    ranges = [(Uid(first), Uid(last)) for first, last in sets.runs(sets.numbers(change.uids))]
    return await messages.entries(tx, account, change.mailbox, ranges)
