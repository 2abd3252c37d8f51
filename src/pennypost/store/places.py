"""Where the name of a mailbox leads for somebody: into their own account, or into another's (RFC 2342, RFC 4314).

A user's own mailboxes have plain names. Those of another account are `Other Users/ACCOUNT/NAME`, those of an account
that is nobody's own `Shared/ACCOUNT/NAME`, where ACCOUNT is its name, an address, and NAME what its owner calls the
mailbox. So each mailbox has one name, whoever asks, but for its owner. Accounts whose names hold what no level of a
mailbox name may hold cannot be named so.

A plain name takes no look at the store, and a user's own mailboxes no look at access control lists. To who lacks the
right to look a mailbox up it does not exist (RFC 4314 §6).
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

from pennypost.model.errors import MailboxNotPermitted, NoSuchMailbox, NotPermitted
from pennypost.model.ids import AccountId, MailboxId
from pennypost.model.mailbox import DELIMITER, Mailbox, MailboxRole
from pennypost.model.rights import ALL_RIGHTS, Rights
from pennypost.store import acl, mailboxes, names
from pennypost.store.acl import Action
from pennypost.store.engine import Transaction
from pennypost.store.names import OTHER_USERS, SHARED


class Place(NamedTuple):
    """A name within an account: what its owner calls the mailbox."""

    account: AccountId
    name: str


@dataclass(frozen=True, slots=True)
class Reached:
    """A mailbox as somebody reached it. `name`: what they call it. `rights`: what they may do with it.

    `reader`: whose `\\Seen` counts, when that is not the mailbox's own.
    """

    account: AccountId
    mailbox: Mailbox
    name: str
    rights: Rights
    reader: AccountId | None = None

    @property
    def id(self) -> MailboxId:
        return self.mailbox.id


def is_own(name: str) -> bool:
    """Whether a name is one of the user's own mailboxes, there or not."""
    return not name.startswith((OTHER_USERS, SHARED)) or name.partition(DELIMITER)[0] not in (OTHER_USERS, SHARED)


async def locate(tx: Transaction, user: AccountId, name: str) -> Place:
    """Find the account that a name leads into. Raises NoSuchMailbox, BadMailboxName."""
    if is_own(name):
        return Place(user, name)
    levels = names.normalise(name).split(DELIMITER, 2)
    if len(levels) < 3:
        raise NoSuchMailbox
    row = await tx.fetch_one(
        "SELECT id FROM account WHERE name = ? AND shared = ? AND removed = 0", levels[1], int(levels[0] == SHARED)
    )
    if row is None or row[0] == user:
        raise NoSuchMailbox
    return Place(AccountId(row[0]), names.normalise(levels[2]))


async def find(tx: Transaction, user: AccountId, name: str, action: Action = Action.SEE) -> Reached:
    """Find a mailbox, also one that cannot be selected. Raises NoSuchMailbox, NotPermitted, BadMailboxName."""
    place = await locate(tx, user, name)
    found = await mailboxes.find(tx, *place)
    if found is None:
        raise NoSuchMailbox
    if place.account == user:
        return Reached(user, found, found.name, ALL_RIGHTS)
    above, account, _ = name.split(DELIMITER, 2)
    rights = await acl.rights_of(tx, user, place.account, found.id)
    allowed(rights, action)
    called = DELIMITER.join((above, account, found.name))
    return Reached(place.account, found, called, rights, None if found.shared_seen else user)


async def reach(tx: Transaction, user: AccountId, name: str, action: Action) -> Reached:
    """Find a mailbox that can be selected. Raises NoSuchMailbox, MailboxNotPermitted, NotPermitted, BadMailboxName."""
    found = await find(tx, user, name, action)
    if not found.mailbox.selectable:
        raise MailboxNotPermitted("Mailbox name cannot be selected")
    return found


async def recheck(tx: Transaction, user: AccountId, owner: AccountId, mailbox: MailboxId, action: Action) -> None:
    """Raise as `allowed` unless a user may still do something with a mailbox, in the transaction in which it is done:
    rights may have been taken away since the mailbox was opened. No look at the store for the user's own."""
    if user != owner:
        allowed(await acl.rights_of(tx, user, owner, mailbox), action)


def allowed(rights: Rights, action: Action) -> None:
    """Raise NoSuchMailbox if somebody may not know of a mailbox, NotPermitted if they may not do this with it."""
    if not rights & acl.TELLING:
        raise NoSuchMailbox
    if acl.NEEDED[action] & ~rights:
        raise NotPermitted if rights & Rights.LOOKUP else NoSuchMailbox


async def others(tx: Transaction, user: AccountId) -> list[Reached]:
    """Give the mailboxes of others that a user may look up, as the user calls them. Roles are their owners'."""
    found: list[Reached] = []
    for owner, rights in (await acl.visible(tx, user)).items():
        row = await tx.fetch_one("SELECT name, shared FROM account WHERE id = ? AND removed = 0", owner)
        if row is None or not _can_be_named(row[0]):
            continue
        prefix = _prefix(*row)
        for mailbox in await mailboxes.list_all(tx, owner):
            if mailbox.id in rights:
                shown = replace(mailbox, name=prefix + mailbox.name, role=None, subscribed=False)
                reader = None if mailbox.shared_seen else user
                found.append(Reached(owner, shown, shown.name, rights[mailbox.id], reader))
    return found


async def name_of(tx: Transaction, user: AccountId, owner: AccountId, mailbox: MailboxId) -> str | None:
    """Give what a user calls a mailbox now, which may have been renamed since they opened it. None: it is gone."""
    found = await mailboxes.by_id(tx, owner, mailbox)
    if found is None:
        return None
    if owner == user:
        return found.name
    row = await tx.fetch_one("SELECT name, shared FROM account WHERE id = ?", owner)
    return _prefix(*row) + found.name if row is not None else None


def _prefix(account: str, shared: int) -> str:
    """Give what stands before the names of an account's mailboxes, as others call them."""
    return DELIMITER.join((SHARED if shared else OTHER_USERS, account, ""))


def _can_be_named(account: str) -> bool:
    return not any(char in account for char in (DELIMITER, "%", "*"))


# -- Making, renaming, removing


async def create(
    tx: Transaction, user: AccountId, name: str, role: MailboxRole | None = None, limit: int = mailboxes.MAX_MAILBOXES
) -> Mailbox:
    """Create a mailbox, where the user may create one. See `mailboxes.create`; raises NotPermitted too."""
    place = await locate(tx, user, name.removesuffix(DELIMITER))
    if place.account != user:
        await _require_above(tx, user, place)
        if role is not None:
            raise NotPermitted("Special uses are for the owner to give")
    return await mailboxes.create(tx, place.account, place.name, role, limit)


async def remove(tx: Transaction, user: AccountId, name: str) -> Reached:
    """Delete a mailbox, and give what it was. See `mailboxes.remove`; raises NotPermitted too."""
    found = await find(tx, user, name, Action.DELETE)
    await mailboxes.remove(tx, found.account, found.mailbox.name)
    return found


async def rename(tx: Transaction, user: AccountId, old: str, new: str) -> None:
    """Rename a mailbox within its account. See `mailboxes.rename`; raises NotPermitted too."""
    source = await find(tx, user, old, Action.DELETE)
    target = await locate(tx, user, new.removesuffix(DELIMITER))
    if target.account != source.account:
        raise MailboxNotPermitted("A mailbox cannot be renamed into another account")
    if source.account != user:
        if source.mailbox.name == names.INBOX:
            raise NotPermitted("INBOX is its owner's to rename")
        await _require_above(tx, user, target)
    await mailboxes.rename(tx, source.account, source.mailbox.name, target.name)


async def _require_above(tx: Transaction, user: AccountId, place: Place) -> None:
    """See that a user may create a name in another's account: in the mailbox above it, or INBOX if there is none."""
    name = names.normalise(place.name)
    for above in (*reversed(names.ancestors(name)), names.INBOX):
        found = await mailboxes.find(tx, place.account, above)
        if found is not None:
            rights = await acl.rights_of(tx, user, place.account, found.id)
            allowed(rights, Action.CREATE_BELOW)
            return
    raise NoSuchMailbox


# -- Subscriptions


async def subscribe(tx: Transaction, user: AccountId, name: str) -> None:
    """Subscribe to a name. One of another's must be there and seen (RFC 4314 §4). Raises as `find`, for those."""
    if not is_own(name):
        await find(tx, user, name, Action.SEE)
    await mailboxes.subscribe(tx, user, name)


__all__ = [
    "OTHER_USERS",
    "SHARED",
    "Place",
    "Reached",
    "create",
    "find",
    "is_own",
    "locate",
    "others",
    "reach",
    "recheck",
    "remove",
    "rename",
    "subscribe",
]
