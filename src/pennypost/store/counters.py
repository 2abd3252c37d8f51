"""A mailbox's counters, kept up to date by every operation in the one statement that also marks it as changed."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pennypost.model.errors import MailboxNotPermitted, NoSuchMailbox
from pennypost.model.flags import Flags
from pennypost.model.ids import MAX_UID, AccountId, MailboxId, ModSeq, Uid, UidValidity
from pennypost.store.engine import Transaction

_SEEN = int(Flags.SEEN)
_DELETED = int(Flags.DELETED)
_ARE_SEEN = bytes([flags for flags in range(256) if flags & _SEEN])
_ARE_DELETED = bytes([flags for flags in range(256) if flags & _DELETED])


class Figures(NamedTuple):
    """What some entries add to a mailbox's counters, or, negated, take from them."""

    total: int
    unseen: int
    deleted: int
    octets: int

    def negated(self) -> "Figures":
        return Figures(-self.total, -self.unseen, -self.deleted, -self.octets)


def of_entry(flags: int, size: int) -> Figures:
    """Give what one entry counts for."""
    return Figures(1, 0 if flags & _SEEN else 1, 1 if flags & _DELETED else 0, size)


def flags_changed(old: int, new: int) -> tuple[int, int]:
    """Give by how much `unseen` and `deleted` change when an entry's flags do."""
    return (old & _SEEN) - (new & _SEEN), ((new & _DELETED) - (old & _DELETED)) // _DELETED


def all_flags_changed(old: bytes, new: bytes) -> tuple[int, int]:
    """As `flags_changed`, of many entries, an octet each."""
    unseen = len(new.translate(None, _ARE_SEEN)) - len(old.translate(None, _ARE_SEEN))
    return unseen, len(old.translate(None, _ARE_DELETED)) - len(new.translate(None, _ARE_DELETED))


class Reserved(NamedTuple):
    """UIDs that are now given out, the first of them, and what they are valid under."""

    first: Uid
    uid_validity: UidValidity


async def reserve(tx: Transaction, account: AccountId, mailbox: MailboxId, modseq: ModSeq, added: Figures) -> Reserved:
    """Give out `added.total` UIDs of a mailbox and count what they are for, in one statement.

    Raises NoSuchMailbox; MailboxNotPermitted when it cannot be selected or its UIDs are used up.
    """
    row = await tx.fetch_one(
        "UPDATE mailbox SET uid_next = uid_next + ?, highest_modseq = ?, total = total + ?, unseen = unseen + ?, "
        "deleted = deleted + ?, octets = octets + ? WHERE account = ? AND id = ? AND selectable = 1 AND removed = 0 "
        "RETURNING uid_next, uid_validity",
        added.total,
        modseq,
        *added,
        account,
        mailbox,
    )
    if row is None:
        await refuse(tx, account, mailbox)
        raise AssertionError("refuse raises")
    if row[0] - 1 > MAX_UID:
        raise MailboxNotPermitted("The UIDs of this mailbox are used up")
    return Reserved(Uid(row[0] - added.total), UidValidity(row[1]))


class Named(NamedTuple):
    """The mailbox that has a name, and the UIDs in it that are now given out."""

    mailbox: MailboxId
    reserved: Reserved


async def reserve_named(tx: Transaction, account: AccountId, name: str, added: Figures) -> Named | None:
    """Do what `reserve` does in the mailbox of a name, before the next number of the account's modification sequence is
    drawn, with which it is marked: `quota.charge` has to draw that one next.

    `name`: as it is stored. None, and nothing was changed: no mailbox that can be selected has it, or its UIDs are used
    up.
    """
    row = await tx.fetch_one(_RESERVE_NAMED, added.total, *added, account, name, MAX_UID - added.total + 1)
    return None if row is None else Named(MailboxId(row[0]), Reserved(Uid(row[1] - added.total), UidValidity(row[2])))


_RESERVE_NAMED = (
    "UPDATE mailbox SET uid_next = uid_next + ?, total = total + ?, unseen = unseen + ?, deleted = deleted + ?, "
    "octets = octets + ?, highest_modseq = (SELECT a.modseq + 1 FROM account a WHERE a.id = mailbox.account) "
    "WHERE account = ? AND name = ? AND selectable = 1 AND removed = 0 AND uid_next <= ? "
    "RETURNING id, uid_next, uid_validity"
)


async def add(tx: Transaction, account: AccountId, mailbox: MailboxId, modseq: ModSeq, change: Figures) -> None:
    """Add to a mailbox's counters and mark it as changed."""
    await tx.execute(
        "UPDATE mailbox SET highest_modseq = ?, total = total + ?, unseen = unseen + ?, deleted = deleted + ?, "
        "octets = octets + ? WHERE account = ? AND id = ?",
        modseq,
        *change,
        account,
        mailbox,
    )


async def refuse(tx: Transaction, account: AccountId, mailbox: MailboxId) -> None:
    """Raise NoSuchMailbox or MailboxNotPermitted unless a mailbox is there and can be selected."""
    row = await tx.fetch_one(
        "SELECT selectable FROM mailbox WHERE account = ? AND id = ? AND removed = 0", account, mailbox
    )
    if row is None:
        raise NoSuchMailbox
    if not row[0]:
        raise MailboxNotPermitted("Mailbox name cannot be selected")


def total(entries: Iterable[tuple[int, int]]) -> Figures:
    """Give what entries, as pairs of flags and size, count for together."""
    pairs = list(entries)
    return of_columns(bytes([flags for flags, _ in pairs]), [size for _, size in pairs])


def of_columns(flags: bytes, sizes: Sequence[int]) -> Figures:
    """Give what entries count for together: their flags, an octet each, and their sizes."""
    count = len(flags)
    deleted = count - len(flags.translate(None, _ARE_DELETED))
    return Figures(count, len(flags.translate(None, _ARE_SEEN)), deleted, sum(sizes))
