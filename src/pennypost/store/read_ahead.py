"""Reading ahead of a FETCH that is the first to walk through a mailbox since the start.

Rows of messages lie between bodies, so a disk has them in many small reads, one after the other, while the event loop
waits. Threads that run ahead of it have them in memory by the time it comes: they ask for a column of each row, which
reads the page it lies in. When a mailbox was walked through once, its pages are where the operating system keeps them,
or there is no room for them.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from pennypost.model.errors import MailError
from pennypost.model.ids import AccountId, MailboxId
from pennypost.store.engine import Engine, Transaction

MANY = 1_000
"""Of so many messages on it is worth it."""

STEP = 4_096
"""Messages that a thread reads in one go."""

THREADS = 3
"""How many read ahead at one time: a disk has more to do at once then."""

_MAX_KNOWN = 10_000
"""Mailboxes of which it is known that they were walked through."""

_TOUCH = (
    "SELECT SUM(m.size) FROM entry e JOIN message m ON m.slot = e.slot "
    "WHERE e.account = ? AND e.mailbox = ? AND e.uid BETWEEN ? AND ?"
)


class ReadAhead:
    """What one worker knows of it. Used from one event loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._walked: set[tuple[AccountId, MailboxId]] = set()

    def is_due(self, account: AccountId, mailbox: MailboxId, count: int) -> bool:
        """Whether so many messages of a mailbox are worth it."""
        return count >= MANY and (account, mailbox) not in self._walked

    @contextmanager
    def walking(self, account: AccountId, mailbox: MailboxId, uids: Sequence[int]) -> Iterator[None]:
        """Read ahead while the messages of a mailbox that have these ascending UIDs are gone through."""
        if len(self._walked) >= _MAX_KNOWN:
            self._walked.clear()
        self._walked.add((account, mailbox))
        steps = iter([(uids[at], uids[min(at + STEP, len(uids)) - 1]) for at in range(0, len(uids), STEP)])
        tasks = [asyncio.create_task(self._read(account, mailbox, steps)) for _ in range(THREADS)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()

    async def _read(self, account: AccountId, mailbox: MailboxId, steps: Iterator[tuple[int, int]]) -> None:
        for first, last in steps:

            async def operation(tx: Transaction, first: int = first, last: int = last) -> None:
                await tx.fetch_one(_TOUCH, account, mailbox, first, last)

            with suppress(MailError):
                await self._engine.scan(operation)
