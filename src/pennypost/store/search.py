"""Full-text search: an index of words beside the store, and how it is kept (RFC 9051 §6.4.4: BODY, TEXT).

Theory of operation
-------------------
The index is no part of what is true: it can be thrown away and made again from the messages. An engine for it
implements `SearchIndex`; it lives outside the engine of the store, so that deliveries write nothing for it.

Ids of an account's messages ascend, since they are drawn from its modification sequence, and a message never changes.
So one number says how far an account is indexed: `upto`. Messages above it are put in later, in batches: by whichever
worker holds the lease (`app.indexing`), or by a search that needs them. A batch and the new number are one transaction
of the index, made only if the number is still what it was when the batch was read: two workers do no harm, and a
worker that is killed leaves nothing half done. A search treats what lies above the number as it would a message that
might match: it reads it. So it never misses a message that has just come, however far the index is.

Messages that are gone stay in the index until they are swept; a search asks for messages that are there. A number may
mean another account where the store was brought back from a copy, hence `created_at`: an index of another one is
dropped. So is one that is ahead of its account.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol

from pennypost.message import search_text, structure
from pennypost.message.search_text import Query, Words
from pennypost.model.errors import ServerBusy, StorageFull
from pennypost.model.ids import AccountId, BlobId, MessageId
from pennypost.store import messages
from pennypost.store.blobs import Blobs
from pennypost.store.engine import Engine, Row, Transaction

BATCH_MESSAGES = 256
BATCH_OCTETS = 4 * 1024 * 1024
"""What is read for one batch, unless one message alone has more."""

CATCH_UP_SECONDS = 10.0
"""How long a search waits for the index to catch up. What it lacks then is read."""

FEW = 64
"""Messages that are not indexed and that a search rather reads than waits for."""

SWEEP_STEP = 5_000


class IndexState(NamedTuple):
    """How far an account is indexed. `created_at`: of the account, microseconds; 0: nothing of it is there."""

    created_at: int
    upto: int


NOT_INDEXED = IndexState(0, 0)


class Document(NamedTuple):
    """What is put into an index of one message."""

    message: MessageId
    words: Words


class Hits(NamedTuple):
    """What an index knows. `messages`: those that have the words; `unsure`: those whose words it does not know;
    `upto`: it knows nothing of messages above."""

    messages: Sequence[int]
    unsure: Sequence[int]
    upto: int


NOTHING_KNOWN = Hits((), (), 0)


class SearchIndex(Protocol):
    """An engine for full-text search, shared by the workers. What it is given is durable at some time: it may forget
    the last batches, never a part of one."""

    async def state(self, account: AccountId) -> IndexState:
        """Tell how far an account is indexed."""
        ...

    async def add(self, account: AccountId, before: IndexState, after: IndexState, new: Sequence[Document]) -> bool:
        """Put messages in, if the account is where `before` says; otherwise give False.

        When `created_at` differs in the two, or `upto` goes back, everything of the account is removed first.
        """
        ...

    async def find(self, account: AccountId, query: Query, header: bool, body: bool, fuzzy: bool) -> Hits:
        """Find messages that have all the words, in any of the fields asked for. `fuzzy`: with or without accents."""
        ...

    async def messages(self, account: AccountId, after: int, limit: int) -> list[int]:
        """List ids of messages that are there, ascending from above `after`."""
        ...

    async def remove(self, account: AccountId, messages: Sequence[int]) -> None:
        """Remove messages."""
        ...

    async def accounts(self) -> dict[AccountId, IndexState]:
        """List the accounts that something is there of."""
        ...

    async def forget(self, account: AccountId) -> None:
        """Remove everything of an account."""
        ...

    async def clear(self) -> None:
        """Remove everything."""
        ...

    async def close(self) -> None:
        """Let go of everything. Idempotent."""
        ...


class AccountProgress(NamedTuple):
    """How far an account is indexed. `indexed`: messages that were there and are indexed; `pending`: those that are
    not yet."""

    account: AccountId
    name: str
    indexed: int
    pending: int


class Search:
    """Full-text search as one worker uses it."""

    def __init__(self, engine: Engine, blobs: Blobs, index: SearchIndex, *, enabled: bool = True) -> None:
        """`enabled`: whether an index is kept at all. Without it nothing is known of any message."""
        self.enabled = enabled
        self._engine = engine
        self._blobs = blobs
        self._index = index
        self._locks: dict[AccountId, asyncio.Lock] = {}
        self._looked_at: dict[AccountId, IndexState] = {}
        """Where accounts were found to be indexed in full."""

    # -- Looking for words

    async def find(
        self, account: AccountId, query: Query, *, header: bool, body: bool = True, fuzzy: bool = False
    ) -> Hits:
        """Find messages by words, after bringing the index up to date but for a few messages.

        An index that cannot be written to, or not be read, knows less, or nothing: that is no reason not to answer.
        """
        if not self.enabled:
            return NOTHING_KNOWN
        with suppress(StorageFull, ServerBusy):
            await self.catch_up(account, FEW)
        try:
            return await self._index.find(account, query, header, body, fuzzy)
        except (StorageFull, ServerBusy):
            return NOTHING_KNOWN

    async def catch_up(self, account: AccountId, leave: int = 0) -> None:
        """Index what is not indexed; `leave`: unless it is so few messages, and for `CATCH_UP_SECONDS` at most."""
        lock = self._locks.setdefault(account, asyncio.Lock())
        async with lock:
            if leave and await self._is_close(account, leave):
                return
            until = time.monotonic() + CATCH_UP_SECONDS
            while await self._step(account) and not (leave and time.monotonic() > until):
                pass

    async def _is_close(self, account: AccountId, few: int) -> bool:
        state = await self._index.state(account)

        async def operation(tx: Transaction) -> bool:
            row = await tx.fetch_one("SELECT created_at, modseq FROM account WHERE id = ?", account)
            if row is None:
                return True
            if state != NOT_INDEXED and not _continues(state, IndexState(*row)):
                return False
            return len(await tx.fetch_all(_PENDING, account, state.upto, few + 1)) <= few

        return await self._engine.read(operation)

    # -- Keeping the index

    async def step(self, account: AccountId) -> bool:
        """Index one batch of an account. Gives whether there may be more."""
        async with self._locks.setdefault(account, asyncio.Lock()):
            return await self._step(account)

    async def _step(self, account: AccountId) -> bool:
        before = await self._index.state(account)

        async def operation(tx: Transaction) -> tuple[IndexState, list[Document], bool] | None:
            return await self._next_batch(tx, account, before)

        batch = await self._engine.scan(operation)
        if batch is None:
            return False
        after, documents, more = batch
        has_to = bool(documents) or (before != NOT_INDEXED and not _continues(before, after))
        if has_to and not await self._index.add(account, before, after, documents):
            return True  # another worker was faster: what is left is to be seen
        self._looked_at[account] = after
        return more

    async def _next_batch(
        self, tx: Transaction, account: AccountId, before: IndexState
    ) -> tuple[IndexState, list[Document], bool] | None:
        row = await tx.fetch_one("SELECT created_at, modseq FROM account WHERE id = ? AND removed = 0", account)
        if row is None:
            return None
        created_at, modseq = row
        known = _continues(before, IndexState(created_at, modseq))
        pending = await tx.fetch_all(_PENDING, account, before.upto if known else 0, BATCH_MESSAGES)
        chosen: list[int] = []
        octets = 0
        for identifier, size in pending:
            octets += size
            if chosen and octets > BATCH_OCTETS:
                break
            chosen.append(identifier)
        more = len(chosen) < len(pending) or len(pending) == BATCH_MESSAGES
        documents = [await self._document(tx, account, MessageId(one)) for one in chosen]
        return IndexState(created_at, chosen[-1] if more else modseq), documents, more

    async def _document(self, tx: Transaction, account: AccountId, message: MessageId) -> Document:
        row = await tx.fetch_one(_TEXT, account, message)
        assert row is not None, "one snapshot"
        header, index, blob = row
        return Document(message, await self._words(tx, header, index, BlobId(blob)))

    async def _words(self, tx: Transaction, header: bytes, index: bytes, blob: BlobId) -> Words:
        parts = structure.decode(index)
        if search_text.is_too_long(parts):
            return search_text.UNKNOWN
        return search_text.message_words(header, parts, await self._blobs.read(tx, blob))

    async def behind(self) -> list[AccountId]:
        """List the accounts that something may have come to which is not indexed."""
        states = await self._index.accounts()
        rows = await self._engine.scan(_accounts)
        there = {row[0] for row in rows}
        for account in states.keys() | self._looked_at.keys():
            if account not in there:
                await self._index.forget(account)
                self._looked_at.pop(account, None)
                self._locks.pop(account, None)
        return [
            account
            for account, created_at, modseq, _ in rows
            if IndexState(created_at, modseq) not in (states.get(account), self._looked_at.get(account))
        ]

    async def changes(self) -> int:
        """Count the changes to all accounts so far: a measure of how busy the store is."""
        rows = await self._engine.scan(lambda tx: tx.fetch_all("SELECT COALESCE(SUM(modseq), 0) FROM account"))
        return int(rows[0][0])

    async def indexed(self) -> list[AccountId]:
        """List the accounts that something is indexed of."""
        return list(await self._index.accounts())

    async def sweep(self, account: AccountId) -> int:
        """Take messages out of the index that are gone. Gives how many."""
        swept, after = 0, 0
        while found := await self._index.messages(account, after, SWEEP_STEP):
            after = found[-1]

            async def operation(tx: Transaction, first: int = found[0], last: int = after) -> set[int]:
                return await messages.there(tx, account, first, last)

            there = await self._engine.scan(operation)
            gone = [message for message in found if message not in there]
            if gone:
                await self._index.remove(account, gone)
                swept += len(gone)
        return swept

    async def status(self) -> list[AccountProgress]:
        """Tell of each account how far it is indexed."""
        states = await self._index.accounts()

        async def operation(tx: Transaction) -> list[AccountProgress]:
            found = []
            for account, created_at, modseq, name in await _accounts(tx):
                state = states.get(account, NOT_INDEXED)
                upto = state.upto if _continues(state, IndexState(created_at, modseq)) else 0
                row = await tx.fetch_one(_COUNTS, upto, account)
                total, pending = row if row is not None else (0, 0)
                found.append(AccountProgress(account, name, total - pending, pending))
            return found

        return await self._engine.scan(operation)

    async def clear(self) -> None:
        """Throw the index away."""
        self._looked_at.clear()
        await self._index.clear()

    async def close(self) -> None:
        await self._index.close()


def _continues(before: IndexState, after: IndexState) -> bool:
    """Whether what was indexed is of the same account, and not of a time that was undone."""
    return before.created_at == after.created_at and before.upto <= after.upto


_PENDING = "SELECT DISTINCT message, size FROM entry WHERE account = ? AND message > ? ORDER BY message LIMIT ?"
_TEXT = (
    "SELECT m.header, m.mime_index, m.blob FROM entry e JOIN message m ON m.slot = e.slot "
    "WHERE e.account = ? AND e.message = ?"
)
_COUNTS = (
    "SELECT COUNT(*), COALESCE(SUM(message > ?), 0) FROM (SELECT DISTINCT message FROM entry WHERE account = ?) there"
)


async def _accounts(tx: Transaction) -> list[Row]:
    return await tx.fetch_all("SELECT id, created_at, modseq, name FROM account WHERE removed = 0 ORDER BY id")
