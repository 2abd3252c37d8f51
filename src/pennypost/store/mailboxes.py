"""Mailboxes: made, renamed, removed, found (RFC 9051 §6.3.4–6.3.9; RFC 6154 for their roles).

Names are given as clients write them and stored as `names.normalise` gives them. Every name has its ancestors as rows:
they are made with it. A mailbox that is removed while there are names below it leaves a name that cannot be selected
(`\\Noselect`, RFC 9051 §6.3.5) with an id of its own; it goes when the last name below it goes, and CREATE makes it a
mailbox again. An id is never given to another mailbox (RFC 8474 §4), a UidValidity is never used twice in an account.

`find`, `by_id` and `by_role` give None for what is not there; `require` raises NoSuchMailbox.
"""

from collections.abc import Sequence

from pennypost.model.errors import (
    MailboxExists,
    MailboxHasChildren,
    MailboxLimit,
    MailboxNotPermitted,
    NoSuchAccount,
    NoSuchMailbox,
    OverQuota,
)
from pennypost.model.ids import AccountId, MailboxId, ModSeq, Uid, UidValidity
from pennypost.model.mailbox import Mailbox, MailboxRole
from pennypost.store import acl, annotations, names, removal, transfer
from pennypost.store.changes import ChangeKind, advance, record
from pennypost.store.engine import Row, Transaction, to_microseconds

MAX_MAILBOXES = 10_000
"""Per account, names that cannot be selected included. `StoreSettings.mailbox_limit` is what callers give `create`."""

MAX_SUBSCRIPTIONS = 20_000
"""Per account: names of mailboxes that are gone, or never were, may be subscribed to, and every LIST looks at them."""

DEFAULTS = (
    (names.INBOX, MailboxRole.INBOX),
    ("Sent", MailboxRole.SENT),
    ("Drafts", MailboxRole.DRAFTS),
    ("Junk", MailboxRole.JUNK),
    ("Trash", MailboxRole.TRASH),
    ("Archive", MailboxRole.ARCHIVE),
)
"""What every account is made with (RFC 6154 §2)."""

_COLUMNS = (
    "m.id, m.name, m.role, CASE WHEN s.name IS NULL THEN 0 ELSE 1 END, m.selectable, m.uid_validity, m.uid_next, "
    "m.highest_modseq, m.total, m.unseen, m.deleted, m.octets, m.recent_floor, "
    "m.shared_seen"
)
_SELECT = (
    f"SELECT {_COLUMNS} FROM mailbox m "
    "LEFT JOIN subscription s ON s.account = m.account AND s.name = m.name WHERE m.account = ? AND m.removed = 0 "
)


# -- Finding


async def list_all(tx: Transaction, account: AccountId) -> list[Mailbox]:
    """Give all mailboxes of an account, sorted by name, those that cannot be selected included."""
    return [_mailbox(row) for row in await tx.fetch_all(_SELECT + "ORDER BY m.name", account)]


async def find(tx: Transaction, account: AccountId, name: str) -> Mailbox | None:
    """Find a mailbox by its name, also one that cannot be selected. Raises BadMailboxName for what can be no name."""
    row = await tx.fetch_one(_SELECT + "AND m.name = ?", account, names.normalise(name))
    return _mailbox(row) if row else None


async def require(tx: Transaction, account: AccountId, name: str) -> Mailbox:
    """Find a mailbox that can be selected. Raises NoSuchMailbox, MailboxNotPermitted, BadMailboxName."""
    found = await find(tx, account, name)
    if found is None:
        raise NoSuchMailbox
    if not found.selectable:
        raise MailboxNotPermitted("Mailbox name cannot be selected")
    return found


async def by_id(tx: Transaction, account: AccountId, mailbox: MailboxId) -> Mailbox | None:
    row = await tx.fetch_one(_SELECT + "AND m.id = ?", account, mailbox)
    return _mailbox(row) if row else None


async def by_role(tx: Transaction, account: AccountId, role: MailboxRole) -> Mailbox | None:
    """Find the mailbox with a role. An account has at most one of each."""
    row = await tx.fetch_one(_SELECT + "AND m.role = ?", account, role.value)
    return _mailbox(row) if row else None


def _mailbox(row: Row) -> Mailbox:
    identifier, name, role, subscribed, selectable, *figures = row
    return Mailbox(
        identifier,
        name,
        MailboxRole(role) if role else None,
        bool(subscribed),
        bool(selectable),
        *figures,
    )


# -- Making


async def create(
    tx: Transaction,
    account: AccountId,
    name: str,
    role: MailboxRole | None = None,
    limit: int = MAX_MAILBOXES,
) -> Mailbox:
    """Create a mailbox, and those above it that are missing (RFC 9051 §6.3.4), in one change of the account.

    One trailing delimiter, by which a client says that it means to create names below, is left out (ibid.).
    A name that is there but cannot be selected becomes a mailbox. Raises MailboxExists (also when another mailbox has
    the role), MailboxLimit, BadMailboxName, NoSuchAccount.
    """
    name = names.own(name.removesuffix("/"))
    if role is not None and await by_role(tx, account, role) is not None:
        raise MailboxExists("Another mailbox has this role")
    existing = await find(tx, account, name)
    if existing is not None:
        if existing.selectable:
            raise MailboxExists
        return await _revive(tx, account, existing, role)
    wanted = await _missing_ancestors(tx, account, name)
    await _make(tx, account, [*((ancestor, None) for ancestor in wanted), (name, role)], limit)
    made = await find(tx, account, name)
    assert made is not None
    return made


async def create_defaults(tx: Transaction, account: AccountId) -> None:
    """Create the mailboxes every account has, subscribed to."""
    await _make(tx, account, DEFAULTS, MAX_MAILBOXES)
    await tx.execute_many(
        "INSERT INTO subscription (account, name) VALUES (?, ?) ON CONFLICT DO NOTHING",
        [(account, name) for name, _ in DEFAULTS],
    )


async def _missing_ancestors(tx: Transaction, account: AccountId, name: str) -> list[str]:
    return [ancestor for ancestor in names.ancestors(name) if await find(tx, account, ancestor) is None]


async def _make(
    tx: Transaction,
    account: AccountId,
    wanted: Sequence[tuple[str, MailboxRole | None]],
    limit: int,
    *,
    selectable: bool = True,
) -> ModSeq:
    """Insert mailboxes with ids drawn in order. Gives the ModSeq of the last."""
    row = await tx.fetch_one(
        "SELECT COUNT(*), COALESCE(SUM(selectable), 0), (SELECT quota_mailboxes FROM account WHERE id = ?) "
        "FROM mailbox WHERE account = ?",
        account,
        account,
    )
    if row is not None and row[0] + len(wanted) > limit:
        raise MailboxLimit
    if row is not None and row[2] is not None and selectable and row[1] + len(wanted) > row[2]:
        raise OverQuota
    modseq = await advance(tx, account, len(wanted))
    validity = await _draw_uid_validity(tx, account, len(wanted))
    for behind, (name, role) in zip(range(len(wanted) - 1, -1, -1), wanted, strict=True):
        identifier = MailboxId(modseq - behind)
        await tx.execute(
            "INSERT INTO mailbox (account, id, name, role, selectable, removed, uid_validity, uid_next, "
            "highest_modseq, total, unseen, deleted, octets, recent_floor) "
            "VALUES (?, ?, ?, ?, ?, 0, ?, 1, ?, 0, 0, 0, 0, 1)",
            account,
            identifier,
            name,
            role.value if role else None,
            int(selectable),
            validity - behind,
            modseq,
        )
        await record(tx, account, modseq, identifier, ChangeKind.MAILBOX_CREATED)
        await _inherit(tx, account, name, identifier)
    return modseq


async def _inherit(tx: Transaction, account: AccountId, name: str, made: MailboxId) -> None:
    """Give a new mailbox the access control list of the one above it; in a shared account else that of INBOX."""
    row = await tx.fetch_one(
        "SELECT a.shared FROM account a WHERE a.id = ? AND EXISTS (SELECT 1 FROM acl l WHERE l.account = a.id)", account
    )
    if row is None:
        return
    above = names.ancestors(name)[-1:] or ([names.INBOX] if row[0] else [])
    found = await find(tx, account, above[0]) if above else None
    if found is not None:
        await acl.inherit(tx, account, found.id, made)


async def _draw_uid_validity(tx: Transaction, account: AccountId, count: int) -> UidValidity:
    """Draw the last of `count` values: seconds since the epoch, or one more than the last (RFC 9051 §2.3.1.1)."""
    seconds = to_microseconds(tx.now) // 1_000_000
    row = await tx.fetch_one(
        "UPDATE account SET last_uid_validity = CASE WHEN last_uid_validity < ? THEN ? ELSE last_uid_validity END + ? "
        "WHERE id = ? RETURNING last_uid_validity",
        seconds - 1,
        seconds - 1,
        count,
        account,
    )
    if row is None:
        raise NoSuchAccount
    return UidValidity(row[0])


async def _revive(tx: Transaction, account: AccountId, name: Mailbox, role: MailboxRole | None) -> Mailbox:
    """Make a name that cannot be selected a mailbox. It holds nothing and nobody has it open: its id is kept."""
    modseq = await advance(tx, account)
    validity = await _draw_uid_validity(tx, account, 1)
    await tx.execute(
        "UPDATE mailbox SET selectable = 1, role = ?, uid_validity = ?, highest_modseq = ? "
        "WHERE account = ? AND id = ?",
        role.value if role else None,
        validity,
        modseq,
        account,
        name.id,
    )
    await record(tx, account, modseq, name.id, ChangeKind.MAILBOX_UPDATED)
    revived = await by_id(tx, account, name.id)
    assert revived is not None
    return revived


async def set_role(tx: Transaction, account: AccountId, mailbox: MailboxId, role: MailboxRole | None) -> None:
    """Give a mailbox a role, or none. Raises MailboxExists when another has it; NoSuchMailbox; MailboxNotPermitted
    (INBOX, whose role is what it is)."""
    found = await by_id(tx, account, mailbox)
    if found is None:
        raise NoSuchMailbox
    if found.role is role:
        return
    if MailboxRole.INBOX in (role, found.role):
        raise MailboxNotPermitted("INBOX has no other use")
    if role is not None and await by_role(tx, account, role) is not None:
        raise MailboxExists("Another mailbox has this role")
    modseq = await advance(tx, account)
    value = role.value if role is not None else None
    await tx.execute("UPDATE mailbox SET role = ? WHERE account = ? AND id = ?", value, account, mailbox)
    await record(tx, account, modseq, mailbox, ChangeKind.MAILBOX_UPDATED)


# -- Renaming


async def rename(tx: Transaction, account: AccountId, old: str, new: str) -> None:
    """Rename a mailbox with all names below it (RFC 9051 §6.3.6). Ids, UIDs and roles are kept.

    Missing names above the new one are made. INBOX is special: its messages move to a new mailbox, it stays, and the
    names below it stay where they are. Subscriptions follow the names, since the client asked for the change.
    Raises NoSuchMailbox, MailboxExists, MailboxNotPermitted (into itself), MailboxLimit, BadMailboxName.
    """
    new = names.own(new.removesuffix("/"))
    source = await find(tx, account, old)
    if source is None:
        raise NoSuchMailbox
    if await find(tx, account, new) is not None:
        raise MailboxExists
    if source.name == names.INBOX:
        await _rename_inbox(tx, account, source, new)
        return
    first, end = names.below(source.name)
    if first <= new < end:
        raise MailboxNotPermitted("A mailbox cannot be moved below itself")
    wanted = await _missing_ancestors(tx, account, new)
    if wanted:
        await _make(tx, account, [(ancestor, None) for ancestor in wanted], MAX_MAILBOXES)
    rows = await tx.fetch_all(
        "SELECT id, name FROM mailbox WHERE account = ? AND (id = ? OR (name >= ? AND name < ?)) AND removed = 0",
        account,
        source.id,
        first,
        end,
    )
    renamed = [(identifier, names.normalise(new + name[len(source.name) :])) for identifier, name in rows]
    modseq = await advance(tx, account)
    for identifier, name in renamed:
        await tx.execute("UPDATE mailbox SET name = ? WHERE account = ? AND id = ?", name, account, identifier)
        await record(tx, account, modseq, identifier, ChangeKind.MAILBOX_UPDATED)
    await _move_subscriptions(tx, account, source.name, new)
    await _drop_empty_names(tx, account, source.name)


async def _rename_inbox(tx: Transaction, account: AccountId, inbox: Mailbox, new: str) -> None:
    """Move all messages of INBOX to a new mailbox and leave INBOX empty (RFC 9051 §6.3.6). What is said of it is said
    of both (RFC 5464 §4.1)."""
    target = await create(tx, account, new)
    await annotations.copy(tx, account, inbox.id, target.id)
    await transfer.move_all(tx, account, inbox.id, target.id)


async def _move_subscriptions(tx: Transaction, account: AccountId, old: str, new: str) -> None:
    first, end = names.below(old)
    rows = await tx.fetch_all(
        "DELETE FROM subscription WHERE account = ? AND (name = ? OR (name >= ? AND name < ?)) RETURNING name",
        account,
        old,
        first,
        end,
    )
    if rows:
        await tx.execute_many(
            "INSERT INTO subscription (account, name) VALUES (?, ?) ON CONFLICT DO NOTHING",
            [(account, new + name[len(old) :]) for (name,) in rows],
        )


# -- Removing


async def remove(tx: Transaction, account: AccountId, name: str) -> None:
    """Delete a mailbox and the messages that lie only there (RFC 9051 §6.3.5). Its subscription stays (§6.3.7).

    With names below it, the name stays and cannot be selected; a name that cannot be selected and has names below it
    is refused. The mailbox is gone at once; its rows go at once when they are few, else by `removal.step`, and count
    against the quota until then. Raises NoSuchMailbox, MailboxNotPermitted (INBOX), MailboxHasChildren.
    """
    mailbox = await find(tx, account, name)
    if mailbox is None:
        raise NoSuchMailbox
    if mailbox.name == names.INBOX:
        raise MailboxNotPermitted("INBOX cannot be deleted")
    has_children = await _has_children(tx, account, mailbox.name)
    if not mailbox.selectable and has_children:
        raise MailboxHasChildren
    modseq = await advance(tx, account)
    await record(tx, account, modseq, mailbox.id, ChangeKind.MAILBOX_REMOVED)
    await removal.remove_mailbox(tx, account, mailbox.id, mailbox.total)
    if has_children:
        await _make(tx, account, [(mailbox.name, None)], MAX_MAILBOXES + 1, selectable=False)
    else:
        await _drop_empty_names(tx, account, mailbox.name)


async def _has_children(tx: Transaction, account: AccountId, name: str) -> bool:
    first, end = names.below(name)
    row = await tx.fetch_one(
        "SELECT 1 FROM mailbox WHERE account = ? AND name >= ? AND name < ? AND removed = 0 LIMIT 1",
        account,
        first,
        end,
    )
    return row is not None


async def _drop_empty_names(tx: Transaction, account: AccountId, name: str) -> None:
    """Remove the names above one that went, from below, that cannot be selected and have nothing below them now."""
    for ancestor in reversed(names.ancestors(name)):
        mailbox = await find(tx, account, ancestor)
        if mailbox is None or mailbox.selectable or await _has_children(tx, account, ancestor):
            return
        modseq = await advance(tx, account)
        await record(tx, account, modseq, mailbox.id, ChangeKind.MAILBOX_REMOVED)
        await removal.remove_mailbox(tx, account, mailbox.id, 0)


# -- Subscriptions and \Recent


async def subscribe(tx: Transaction, account: AccountId, name: str) -> None:
    """Add a name to the subscriptions (RFC 9051 §6.3.7). The mailbox need not exist. Raises BadMailboxName,
    MailboxLimit."""
    name = names.normalise(name)
    sql = "INSERT INTO subscription (account, name) VALUES (?, ?) ON CONFLICT DO NOTHING"
    if await tx.execute(sql, account, name):
        row = await tx.fetch_one("SELECT COUNT(*) FROM subscription WHERE account = ?", account)
        if row is not None and row[0] > MAX_SUBSCRIPTIONS:
            raise MailboxLimit
        await _record_subscription(tx, account, name)


async def unsubscribe(tx: Transaction, account: AccountId, name: str) -> None:
    """Take a name off the subscriptions (RFC 9051 §6.3.8); one that is not there is no error."""
    name = names.normalise(name)
    if await tx.execute("DELETE FROM subscription WHERE account = ? AND name = ?", account, name):
        await _record_subscription(tx, account, name)


async def _record_subscription(tx: Transaction, account: AccountId, name: str) -> None:
    modseq = await advance(tx, account)
    mailbox = await find(tx, account, name)
    if mailbox is not None:
        await record(tx, account, modseq, mailbox.id, ChangeKind.MAILBOX_UPDATED)
    else:
        tx.changed(account, modseq)


async def subscriptions(tx: Transaction, account: AccountId) -> list[str]:
    """Give all names subscribed to, sorted, also those of mailboxes that are gone (LSUB, RFC 3501 §6.3.9)."""
    rows = await tx.fetch_all("SELECT name FROM subscription WHERE account = ? ORDER BY name", account)
    return [name for (name,) in rows]


async def claim_recent(tx: Transaction, account: AccountId, mailbox: MailboxId) -> Uid:
    """Give the UID from which on messages are `\\Recent` for the session that asks, and for no later one.

    For a session that selects read-write (RFC 3501 §2.3.2, §6.3.1). It need not be asked, and nothing has to be
    written, when `Mailbox.recent_floor` is `uid_next` already. Raises NoSuchMailbox.
    """
    row = await tx.fetch_one("SELECT recent_floor FROM mailbox WHERE account = ? AND id = ?", account, mailbox)
    if row is None:
        raise NoSuchMailbox
    await tx.execute("UPDATE mailbox SET recent_floor = uid_next WHERE account = ? AND id = ?", account, mailbox)
    return Uid(row[0])
