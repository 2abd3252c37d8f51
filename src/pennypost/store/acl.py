"""Who may do what with whose mailboxes (RFC 4314).

Each mailbox belongs to an account, its owner, who has every right to it; nobody can take them away. Others have what
its access control list grants them: as themselves, as `authenticated`, or as `anyone`, less what the list denies them
under any of these names (RFC 4314 §2). `anyone` and `authenticated` mean the accounts of the owner's domain: users of
other domains that this server has too are strangers. `NEEDED` is the one table of what each right allows.

A mailbox is made with the list of the one above it. A list goes with the id of its mailbox: renaming keeps it.
"""

from collections import defaultdict
from dataclasses import dataclass
from enum import Enum, IntEnum

from pennypost.model.errors import BadAddress, NoSuchAccount, NotPermitted
from pennypost.model.flags import Flags
from pennypost.model.ids import AccountId, MailboxId
from pennypost.model.rights import ALL_RIGHTS, Rights
from pennypost.store.changes import ChangeKind, advance, record
from pennypost.store.engine import Row, Transaction
from pennypost.store.keys import parse_key

MAX_ENTRIES = 1_000
"""Identifiers on one list."""

SHARING = AccountId(-1)
"""Who hears of every change of rights: notices of it go to this account too, which is nobody's."""

ANYONE = "anyone"
AUTHENTICATED = "authenticated"


class GranteeKind(IntEnum):
    """What an identifier names. The numbers are stored: never change them."""

    ACCOUNT = 0
    ANYONE = 1
    AUTHENTICATED = 2


class Action(Enum):
    """What is done with a mailbox, and the rights it takes: the table of RFC 4314 §4."""

    SEE = "list, subscribe to"
    READ = "select, examine, status, fetch, search, copy from"
    INSERT = "append, copy or move into"
    POST = "deliver to"
    CREATE_BELOW = "create below, rename to below"
    DELETE = "delete, rename"
    EXPUNGE = "expunge, close"
    TAKE_OUT = "move out of"
    ADMINISTER = "setacl, deleteacl, getacl, listrights"
    ASK_OWN_RIGHTS = "myrights"


NEEDED: dict[Action, Rights] = {
    Action.SEE: Rights.LOOKUP,
    Action.READ: Rights.READ,
    Action.INSERT: Rights.INSERT,
    Action.POST: Rights.POST,
    Action.CREATE_BELOW: Rights.CREATE,
    Action.DELETE: Rights.DELETE_MAILBOX,
    Action.EXPUNGE: Rights.EXPUNGE,
    Action.TAKE_OUT: Rights.READ | Rights.DELETE_MESSAGES | Rights.EXPUNGE,
    Action.ADMINISTER: Rights.ADMINISTER,
    Action.ASK_OWN_RIGHTS: Rights.NONE,
}

TELLING = Rights.LOOKUP | Rights.READ | Rights.INSERT | Rights.CREATE | Rights.DELETE_MAILBOX | Rights.ADMINISTER
"""Who has one of these may know that the mailbox is there (RFC 4314 §4: MYRIGHTS)."""

CONCERNED = Rights.READ | Rights.SEEN | Rights.WRITE | Rights.INSERT | Rights.POST
"""With one of these, annotations of a mailbox may be read, and private ones set (RFC 5464 §3.3)."""

WRITABLE = Rights.SEEN | Rights.WRITE | Rights.INSERT | Rights.DELETE_MESSAGES | Rights.EXPUNGE
"""With one of these a mailbox opens for reading and writing (RFC 4314 §5.2)."""

_FLAG_RIGHTS = {
    Rights.SEEN: Flags.SEEN,
    Rights.DELETE_MESSAGES: Flags.DELETED,
    Rights.WRITE: Flags.ANSWERED | Flags.FLAGGED | Flags.DRAFT,
}


def changeable_flags(rights: Rights) -> Flags:
    """Give the flags that rights let one set and clear (RFC 4314 §4: STORE). Keywords go with WRITE."""
    flags = Flags.NONE
    for right, allowed in _FLAG_RIGHTS.items():
        if rights & right:
            flags |= allowed
    return flags


# -- Asking


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a list. `identifier`: an account's name, ANYONE or AUTHENTICATED."""

    identifier: str
    granted: Rights
    denied: Rights


_APPLIES = "((kind = 0 AND grantee = ?) OR (kind IN (1, 2) AND grantee = (SELECT domain FROM account WHERE id = ?)))"


async def rights_of(tx: Transaction, user: AccountId, owner: AccountId, mailbox: MailboxId) -> Rights:
    """Give what an account may do with a mailbox. No look at the store for its own."""
    if user == owner:
        return ALL_RIGHTS
    rows = await tx.fetch_all(
        f"SELECT granted, denied FROM acl WHERE account = ? AND mailbox = ? AND {_APPLIES}",
        owner,
        mailbox,
        user,
        user,
    )
    return _together(rows)


def _together(rows: list[Row]) -> Rights:
    granted = denied = 0
    for more, less in rows:
        granted |= more
        denied |= less
    return Rights(granted & ~denied)


async def visible(tx: Transaction, user: AccountId) -> dict[AccountId, dict[MailboxId, Rights]]:
    """Give the mailboxes of others that an account may look up, by their owner, each with its rights."""
    rows = await tx.fetch_all(
        "SELECT account, mailbox, granted, denied FROM acl WHERE kind = 0 AND grantee = ? UNION ALL "
        "SELECT account, mailbox, granted, denied FROM acl WHERE kind IN (1, 2) AND grantee = "
        "(SELECT domain FROM account WHERE id = ?)",
        user,
        user,
    )
    lines: dict[tuple[AccountId, MailboxId], list[Row]] = defaultdict(list)
    for owner, mailbox, granted, denied in rows:
        if owner != user:
            lines[owner, mailbox].append((granted, denied))
    found: dict[AccountId, dict[MailboxId, Rights]] = defaultdict(dict)
    for (owner, mailbox), given in lines.items():
        rights = _together(given)
        if rights & Rights.LOOKUP:
            found[owner][mailbox] = rights
    return found


async def entries(tx: Transaction, account: AccountId, mailbox: MailboxId) -> list[Entry]:
    """Give a mailbox's list, sorted by identifier, without its owner."""
    rows = await tx.fetch_all(
        "SELECT l.kind, a.name, l.granted, l.denied FROM acl l LEFT JOIN account a ON l.kind = 0 AND a.id = l.grantee "
        "WHERE l.account = ? AND l.mailbox = ?",
        account,
        mailbox,
    )
    named = {GranteeKind.ANYONE: ANYONE, GranteeKind.AUTHENTICATED: AUTHENTICATED}
    found = [
        Entry(named.get(GranteeKind(kind)) or str(name), Rights(granted), Rights(denied))
        for kind, name, granted, denied in rows
    ]
    return sorted(found, key=lambda entry: entry.identifier)


# -- Changing


class AclMode(Enum):
    """What SETACL does with the rights it is given (RFC 4314 §3.1)."""

    SET = ""
    ADD = "+"
    REMOVE = "-"


async def grantee(tx: Transaction, owner: AccountId, identifier: str) -> tuple[GranteeKind, int]:
    """Find whom an identifier names. Raises NoSuchAccount for nobody."""
    if identifier in (ANYONE, AUTHENTICATED):
        row = await tx.fetch_one("SELECT domain FROM account WHERE id = ?", owner)
        kind = GranteeKind.ANYONE if identifier == ANYONE else GranteeKind.AUTHENTICATED
    else:
        try:
            key = parse_key(identifier)
        except BadAddress:
            raise NoSuchAccount("No such identifier") from None
        row = await tx.fetch_one("SELECT id FROM account WHERE name = ? AND removed = 0", key)
        kind = GranteeKind.ACCOUNT
    if row is None:
        raise NoSuchAccount("No such identifier")
    return kind, row[0]


async def change(
    tx: Transaction,
    owner: AccountId,
    mailbox: MailboxId,
    identifier: str,
    mode: AclMode,
    rights: Rights,
    *,
    negative: bool = False,
) -> None:
    """Grant rights to an identifier, or deny them with `negative`: what it has is set, added to, or taken from.

    A line that says nothing any more is removed. Raises NoSuchAccount; NotPermitted for the owner, whose rights
    are not on the list, and when the list is full.
    """
    kind, who = await grantee(tx, owner, identifier)
    if kind is GranteeKind.ACCOUNT and who == owner:
        if not negative and mode is not AclMode.REMOVE and (mode is AclMode.ADD or rights == ALL_RIGHTS):
            return  # that is so
        raise NotPermitted("The owner of a mailbox has all rights to it")
    where = (owner, mailbox, int(kind), who)
    row = await tx.fetch_one(
        "SELECT granted, denied FROM acl WHERE account = ? AND mailbox = ? AND kind = ? AND grantee = ?", *where
    )
    had = (0, 0) if row is None else (row[0], row[1])
    now = list(had)
    side = 1 if negative else 0
    match mode:
        case AclMode.SET:
            now[side] = int(rights)
        case AclMode.ADD:
            now[side] |= int(rights)
        case AclMode.REMOVE:
            now[side] &= ~int(rights)
    if had == tuple(now):
        return
    if not any(now):
        await tx.execute("DELETE FROM acl WHERE account = ? AND mailbox = ? AND kind = ? AND grantee = ?", *where)
    else:
        if row is None:
            await _require_room(tx, owner, mailbox)
        await tx.execute(
            "INSERT INTO acl (account, mailbox, kind, grantee, granted, denied) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (account, mailbox, kind, grantee) "
            "DO UPDATE SET granted = excluded.granted, denied = excluded.denied",
            *where,
            *now,
        )
    await _tell(tx, owner, mailbox)


async def _require_room(tx: Transaction, owner: AccountId, mailbox: MailboxId) -> None:
    row = await tx.fetch_one("SELECT COUNT(*) FROM acl WHERE account = ? AND mailbox = ?", owner, mailbox)
    if row is not None and row[0] >= MAX_ENTRIES:
        raise NotPermitted("Too many identifiers have rights to this mailbox")


async def _tell(tx: Transaction, owner: AccountId, mailbox: MailboxId) -> None:
    """Let sessions that have the mailbox open look at their rights again."""
    modseq = await advance(tx, owner)
    await record(tx, owner, modseq, mailbox, ChangeKind.MAILBOX_UPDATED)
    tx.changed(SHARING, modseq)


async def inherit(tx: Transaction, account: AccountId, above: MailboxId, made: MailboxId) -> None:
    """Give a mailbox that was made the list of another."""
    await tx.execute(
        "INSERT INTO acl (account, mailbox, kind, grantee, granted, denied) "
        "SELECT account, ?, kind, grantee, granted, denied FROM acl WHERE account = ? AND mailbox = ?",
        made,
        account,
        above,
    )


# -- Forgetting


async def forget_mailbox(tx: Transaction, account: AccountId, mailbox: MailboxId) -> None:
    """Remove a mailbox's list: nobody but its owner can see it from now on."""
    await tx.execute("DELETE FROM acl WHERE account = ? AND mailbox = ?", account, mailbox)


async def forget_account(tx: Transaction, account: AccountId) -> None:
    """Remove an account from all lists, and its own lists: it is being removed."""
    await tx.execute("DELETE FROM acl WHERE kind = 0 AND grantee = ?", account)
    await tx.execute("DELETE FROM acl WHERE account = ?", account)
