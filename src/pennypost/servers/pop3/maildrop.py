"""The maildrop: an account's INBOX as it was at login, its lock, and the UPDATE state (RFC 1939 §4–6).

The lock is a lease in the store, so that it holds for all workers, and ends by itself when its process dies. It keeps
out other POP3 sessions only: mail goes on arriving, and IMAP sessions may remove messages, which RETR then does not
find.
"""

import asyncio
import contextlib
import secrets
from array import array
from datetime import timedelta

from pennypost.model.errors import MailboxInUse, MailError
from pennypost.model.ids import MAX_UID, AccountId, MailboxId, Uid, UidValidity
from pennypost.servers.pop3.errors import Refused
from pennypost.store import leases, mailboxes, messages
from pennypost.store.blob_files import DamagedFile
from pennypost.store.blobs import BlobReader
from pennypost.store.engine import Row, Transaction
from pennypost.store.messages import Column
from pennypost.store.store import Store

_CONTENT = (Column.HEADER,)

_AHEAD = 32
"""Messages that are read at one time for a client that takes them one after the other."""
_AHEAD_OCTETS = 256 * 1024
"""What they may have together, and a session hold of them."""


class Maildrop:
    """Messages by number, 1-based (RFC 1939 §4). `count`, `octets`: of those that are not marked as deleted."""

    __slots__ = (
        "_account",
        "_ahead",
        "_deleted",
        "_holder",
        "_lock",
        "_lock_time",
        "_mailbox",
        "_messages",
        "_opened",
        "_sizes",
        "_store",
        "_uid_validity",
        "_uids",
        "count",
        "octets",
    )

    def __init__(self, store: Store, account: AccountId, lock_time: timedelta) -> None:
        self._store = store
        self._account = account
        self._lock = f"pop3:{account}"
        self._lock_time = lock_time
        self._holder = secrets.token_hex(8)
        self._mailbox = MailboxId(0)
        self._uid_validity = UidValidity(0)
        self._uids = array("L")
        self._messages = array("Q")
        self._sizes = array("Q")
        self._deleted: set[int] = set()
        self._ahead: dict[int, tuple[bytes, BlobReader]] = {}
        self._opened = 0
        self.count = 0
        self.octets = 0

    @classmethod
    async def open(cls, store: Store, account: AccountId, lock_time: timedelta) -> "Maildrop":
        """Lock the INBOX and look at what is in it. Raises MailboxInUse; nothing is locked then."""
        drop = cls(store, account, lock_time)
        if not await store.write(lambda tx: leases.acquire(tx, drop._lock, drop._holder, lock_time)):
            raise MailboxInUse
        try:
            await drop._look()
        except BaseException:
            await drop.close()
            raise
        return drop

    async def _look(self) -> None:
        async def inbox(tx: Transaction) -> tuple[MailboxId, UidValidity, list[messages.Entry]]:
            mailbox = await mailboxes.require(tx, self._account, "INBOX")
            found = await messages.entries(tx, self._account, mailbox.id, [(Uid(1), Uid(MAX_UID))])
            return mailbox.id, mailbox.uid_validity, found

        self._mailbox, self._uid_validity, found = await self._store.scan(inbox)
        self._uids.extend(entry.uid for entry in found)
        self._messages.extend(entry.message for entry in found)
        self._sizes.extend(entry.size for entry in found)
        self.reset()

    # -- What is in it

    @property
    def numbers(self) -> list[int]:
        """The numbers of the messages that are not marked, ascending."""
        everything = range(1, len(self._uids) + 1)
        return [number for number in everything if number not in self._deleted] if self._deleted else list(everything)

    def require(self, number: int) -> None:
        """See that there is such a message. Raises Refused."""
        if not 1 <= number <= len(self._uids):
            raise Refused("No such message")
        if number in self._deleted:
            raise Refused("The message is marked as deleted")

    def size(self, number: int) -> int:
        """Give the octets of a message as RETR sends them, without dot-stuffing."""
        return self._sizes[number - 1]

    def unique_id(self, number: int) -> str:
        """Give what UIDL lists (RFC 1939 §7): the same in every session, never used again."""
        return f"{self._uid_validity}.{self._uids[number - 1]}"

    async def open_message(self, number: int) -> tuple[bytes, BlobReader]:
        """Give a message's header block, with its empty line, and its body to be read and closed. Raises Refused."""
        self.require(number)
        opened = self._ahead.pop(number, None)
        if opened is None:
            opened = await self._read(number)
        self._opened = number
        return opened

    async def _read(self, number: int) -> tuple[bytes, BlobReader]:
        """Read a message, and when they are asked for one after the other those that come next, by one statement."""
        self._ahead = {}
        end, octets = number, self._sizes[number - 1]
        if number == self._opened + 1:
            while end < len(self._sizes) and end - number < _AHEAD and octets + self._sizes[end] <= _AHEAD_OCTETS:
                octets += self._sizes[end]
                end += 1
        wanted = self._messages[number - 1 : end]
        blobs = self._store.blobs

        async def operation(tx: Transaction) -> list[Row | None]:
            rows = await messages.fetch_in_order(tx, self._account, wanted, _CONTENT, bodies=True)
            await blobs.gather(tx, rows, 1)
            return rows

        rows = await self._store.read(operation)
        first = rows[0]
        if first is None:
            raise Refused("The message was removed meanwhile")
        # What lies in a file may be collected before its turn comes, if somebody removes the message meanwhile.
        ahead = {at: row for at, row in enumerate(rows[1:], number + 1) if row is not None and blobs.is_here(row, 1)}
        if ahead:
            with contextlib.suppress(DamagedFile):  # whose turn it is is told of it
                readers = blobs.readers(list(ahead.values()), 1)
                self._ahead = {at: (row[0], reader) for (at, row), reader in zip(ahead.items(), readers, strict=True)}
        return first[0], blobs.reader(first[1:5])

    # -- What is to be removed

    def mark(self, number: int) -> None:
        """Mark a message as deleted (RFC 1939 §5 DELE). Raises Refused."""
        self.require(number)
        self._deleted.add(number)
        self.count -= 1
        self.octets -= self._sizes[number - 1]

    def reset(self) -> None:
        """Unmark all (RFC 1939 §5 RSET)."""
        self._deleted.clear()
        self.count = len(self._sizes)
        self.octets = sum(self._sizes)

    async def update(self) -> int:
        """Remove what is marked (RFC 1939 §6): on return it is durable. Gives how many.

        Raises MailboxInUse when the lock was lost, and other MailErrors; nothing is removed then.
        """
        if not self._deleted:
            return 0
        uids = [Uid(self._uids[number - 1]) for number in sorted(self._deleted)]

        async def remove(tx: Transaction) -> int:
            if not await leases.renew(tx, self._lock, self._holder, self._lock_time):
                raise MailboxInUse
            removed, _ = await messages.remove(tx, self._account, self._mailbox, uids)
            return len(removed)

        return await self._store.write_rows(remove, len(uids))

    # -- The lock

    async def keep(self) -> bool:
        """Prolong the lock. False: it was lost, because we were late and somebody else took it.

        A store that cannot be written just now is no reason to end a session that only reads: `update` looks again.
        """
        try:
            return await self._store.write(lambda tx: leases.renew(tx, self._lock, self._holder, self._lock_time))
        except MailError:
            return True

    async def close(self) -> None:
        """Give the lock back. A store that cannot take it back lets it run out."""
        with contextlib.suppress(MailError):
            await asyncio.shield(self._store.write(lambda tx: leases.release(tx, self._lock, self._holder)))


async def delay_login(store: Store, account: AccountId, delay: timedelta) -> bool:
    """Begin the time in which `account` may not log in again (RFC 2449 §6.5). False: one is running."""
    if not delay:
        return True
    return await store.write(lambda tx: leases.acquire(tx, f"pop3-delay:{account}", secrets.token_hex(8), delay))
