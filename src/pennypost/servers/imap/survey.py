"""The mailboxes that a session watches (RFC 5465), as they were when it last looked.

A survey reads all names of the user. After that the logs of changes say which mailboxes were touched: as long as
nothing was made, renamed, removed or shared, only their counters are read again (`follow`).
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import NamedTuple

from pennypost.model.errors import NoSuchAccount
from pennypost.model.ids import AccountId, MailboxId, ModSeq
from pennypost.model.mailbox import Mailbox
from pennypost.model.rights import Rights
from pennypost.proto.imap.commands.notify import MESSAGE_EVENTS, NotifyEvent
from pennypost.servers.imap.interest import Interest
from pennypost.servers.imap.list import Name, every_name
from pennypost.store import acl, annotations, changes, mailboxes, seen
from pennypost.store.annotations import SERVER
from pennypost.store.engine import Transaction

MailboxKey = tuple[AccountId, MailboxId]
Marks = dict[tuple[bool, str], int]
"""A mark of each annotation's value, by whether it is private, and its name (`annotations.marks`)."""


class Figures(NamedTuple):
    """What STATUS may tell of a mailbox, as the session's user sees it."""

    uid_validity: int
    uid_next: int
    total: int
    unseen: int
    highest_modseq: int


@dataclass(slots=True)
class Watched:
    """A name, and the events wanted of it. `figures`: None where no events of messages are, or may not be, told."""

    name: Name
    events: NotifyEvent
    figures: Figures | None


@dataclass(slots=True)
class Survey:
    """All that is watched. `ids`: of all mailboxes there are, watched or not. `positions`: modseqs of the accounts,
    up to which it is true. `names`: all there are; they are dropped once they were compared (`settle`)."""

    watched: dict[str, Watched] = field(default_factory=dict)
    names: dict[str, Name] = field(default_factory=dict)
    ids: dict[MailboxKey, str] = field(default_factory=dict)
    positions: dict[AccountId, ModSeq] = field(default_factory=dict)
    subscriptions: frozenset[str] = frozenset()
    marks: dict[MailboxKey, Marks] = field(default_factory=dict)

    def settle(self) -> "Survey":
        """Keep what the next comparison takes."""
        self.names = {}
        return self

    def figures(self, key: MailboxKey, name: str) -> Figures | None:
        """Give what is known of a mailbox, whatever its name was; else of the one that had its name."""
        known = self.watched.get(self.ids.get(key, name))
        return known.figures if known is not None else None


def readable(name: Name) -> bool:
    """Whether events of a name may be told: all take the right to read (RFC 5465 §5)."""
    return name.reached is not None and bool(name.reached.rights & Rights.READ)


async def survey(tx: Transaction, user: AccountId, interest: Interest) -> Survey:
    """Look at everything. Unbounded: for `scan`."""
    found = Survey()
    names = await every_name(tx, user, others=interest.others)
    for name in names:
        found.names[name.name] = name
        if name.reached is not None:
            found.ids[name.reached.account, name.reached.id] = name.name
        events = interest.events(name.name, name.subscribed)
        if events:
            found.watched[name.name] = Watched(name, events, await _figures(tx, name, events))
    found.subscriptions = frozenset(name.name for name in names if name.subscribed)
    accounts = {each.name.reached.account for each in found.watched.values() if each.name.reached is not None}
    for account in accounts | {user}:
        found.positions[account], _ = await changes.state(tx, account)
        await _note_marks(tx, user, account, interest, found)
    return found


async def _note_marks(tx: Transaction, user: AccountId, account: AccountId, interest: Interest, found: Survey) -> None:
    """Take note of the annotations that are watched."""
    if not interest.asked & (NotifyEvent.MAILBOX_METADATA_CHANGE | NotifyEvent.SERVER_METADATA_CHANGE):
        return
    marks = await annotations.marks(tx, account, user)
    for name, watched in found.watched.items():
        reached = watched.name.reached
        if reached is None or reached.account != account:
            continue
        if watched.events & NotifyEvent.MAILBOX_METADATA_CHANGE and reached.rights & acl.CONCERNED:
            its = marks.get(reached.id, {})
            if account == user and reached.mailbox.role is not None and name != "INBOX":
                its = {**its, (True, "/specialuse"): hash(reached.mailbox.role.value)}  # RFC 6154 §5.4
            found.marks[account, reached.id] = its
    if account == user and interest.asked & NotifyEvent.SERVER_METADATA_CHANGE:
        found.marks[user, SERVER] = marks.get(SERVER, {})


async def _figures(tx: Transaction, name: Name, events: NotifyEvent) -> Figures | None:
    reached = name.reached
    if reached is None or not name.selectable or not readable(name) or not events & MESSAGE_EVENTS:
        return None
    return await _figures_of(tx, reached.account, reached.mailbox, reached.reader, events)


async def _figures_of(
    tx: Transaction, account: AccountId, mailbox: Mailbox, reader: AccountId | None, events: NotifyEvent
) -> Figures:
    unseen, highest = mailbox.unseen, mailbox.highest_modseq
    if reader is not None and events & NotifyEvent.FLAG_CHANGE:
        unseen = await seen.unseen(tx, account, mailbox.id, reader)
        highest = max(highest, await seen.highest_modseq(tx, account, mailbox.id, reader))
    return Figures(mailbox.uid_validity, mailbox.uid_next, mailbox.total, unseen, highest)


class Step(NamedTuple):
    """What is new since a survey, where the names are as they were."""

    positions: dict[AccountId, ModSeq]
    figures: dict[str, Figures]


async def follow(
    tx: Transaction, user: AccountId, interest: Interest, known: Survey, dirty: AbstractSet[AccountId]
) -> Step | None:
    """Look at what was touched in accounts that had commits. None: everything has to be looked at again."""
    if acl.SHARING in dirty:
        return None
    step = Step({}, {})
    for account in dirty & known.positions.keys():
        try:
            newest, touched = await changes.touched(tx, account, known.positions[account], user)
        except NoSuchAccount:
            if account == user:
                raise
            return None
        if touched is None:
            return None
        step.positions[account] = newest
        for mailbox in touched:
            watched = known.watched.get(known.ids.get((account, mailbox), ""))
            if watched is None or watched.figures is None or watched.name.reached is None:
                continue
            found = await mailboxes.by_id(tx, account, mailbox)
            if found is None:
                return None
            reader = watched.name.reached.reader
            step.figures[watched.name.name] = await _figures_of(tx, account, found, reader, watched.events)
    if user in dirty and await _others_changed(tx, user, interest, known):
        return None
    return step


async def _others_changed(tx: Transaction, user: AccountId, interest: Interest, known: Survey) -> bool:
    """Whether something of the user's own is new that no mailbox of theirs shows."""
    if interest.subscriptions and frozenset(await mailboxes.subscriptions(tx, user)) != known.subscriptions:
        return True
    before = known.marks.get((user, SERVER))
    return before is not None and (await annotations.marks(tx, user, user)).get(SERVER, {}) != before
