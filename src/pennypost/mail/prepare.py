"""Make a message ready to be stored: digest it once, and make a blob draft of its body.

Deliveries, submissions and IMAP APPEND come through here. What is small is done on the spot, in some tens of
microseconds; what is large on threads, a few at a time, so that other sessions do not wait for it.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

from pennypost.mail.settings import DeliverySettings
from pennypost.message.digest import MessageDigest, digest
from pennypost.model.errors import BadMessage
from pennypost.store.blob_drafts import BlobDraft
from pennypost.store.spool import Spool
from pennypost.store.store import Store

T = TypeVar("T")

_NUL = re.compile(rb"\0")

Amendment = Callable[[bytes], Awaitable[bytes]]
"""Takes a header block and gives the one to store; raises a MailError to refuse the message."""


class Prepared(NamedTuple):
    """A message but for its trace fields. `header`: the header block that `found` was made from. `found`: None where it
    was not asked for."""

    header: bytes
    found: MessageDigest | None
    draft: BlobDraft

    @property
    def digest(self) -> MessageDigest:
        """What was found in the message. It must have been asked for."""
        assert self.found is not None, "it was not asked for"
        return self.found


class Preparer:
    """Prepares the messages of one worker."""

    def __init__(self, store: Store, settings: DeliverySettings) -> None:
        self._store = store
        self._offload_size = settings.offload_size
        self._max_header_size = settings.max_header_size
        self._inline_limit = store.settings.inline_limit
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="digest")

    async def prepare(
        self, spool: Spool, amend: Amendment | None = None, digested: Callable[[], bool] = lambda: True
    ) -> Prepared:
        """Prepare a spooled message; the spool stays the caller's. `amend` may give it another body. `digested`, asked
        after that: whether its digest is wanted. Of what only passes through nobody reads it.

        On return a large body is on disk and synced. Raises BadMessage when the header is larger than
        `max_header_size`, StorageFull, and what `amend` raises.
        """
        end = spool.header_size()
        if end > self._max_header_size:
            raise BadMessage(f"The header is larger than {self._max_header_size} octets")
        octets = spool.octets()
        header = octets[:end]
        if amend is not None:
            header = await amend(header)
            octets = spool.octets()
        found = None
        if not digested():
            pass
        elif spool.size > self._offload_size:
            found = await self._on_thread(header, spool, end)
        else:
            found = digest(header, octets[end:])
        if spool.size - end <= self._inline_limit:
            return Prepared(header, found, self._store.blobs.draft(octets[end:]))
        return Prepared(header, found, await self._store.blobs.draft_any(spool, end))

    async def has_nul(self, spool: Spool) -> bool:
        """Whether a spooled message holds octets of 0."""
        if spool.in_memory and spool.size <= self._offload_size:
            return spool.octets().find(b"\0") >= 0
        return await self.on_spool(spool, 0, lambda octets: _NUL.search(octets) is not None)

    async def on_spool(self, spool: Spool, start: int, work: Callable[[memoryview], T]) -> T:
        """Do something with what a spool holds from `start` on: a large message's on a thread, a small one's here.

        What `work` gets is valid until it returns.
        """

        def run() -> T:
            with memoryview(spool.octets()) as octets, octets[start:] as wanted:
                return work(wanted)

        return await self._run(run) if spool.size > self._offload_size else run()

    async def _on_thread(self, header: bytes, spool: Spool, start: int) -> MessageDigest:
        """Digest a large message."""
        octets = spool.octets()
        return await self._run(lambda: digest(header, octets[start:]))

    async def _run(self, work: Callable[[], T]) -> T:
        """Do something on the thread. It outlives a caller that is cancelled, who therefore waits for it."""
        job = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            return await asyncio.shield(job)
        except asyncio.CancelledError as problem:
            cancelled = problem
        await asyncio.wait([job])
        raise cancelled

    def close(self) -> None:
        """End the thread when it has done what it was given."""
        self._threads.shutdown(wait=False, cancel_futures=True)
