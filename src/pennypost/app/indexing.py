"""Keeping the full-text index up to date, behind the deliveries: one worker does it, whichever.

As `housekeeping` does, the workers agree through a lease. A worker that dies is followed by another one soon; what it
had begun is done again (`store.search`).
"""

import asyncio
import secrets
from contextlib import suppress
from datetime import timedelta

import structlog

from pennypost.model.errors import MailError
from pennypost.net.incident import log_incident
from pennypost.store import leases
from pennypost.store.store import Store

INTERVAL = timedelta(seconds=5)
"""How often it is looked for what has come."""

BUSY_RATE = 200
"""Changes a second in the whole store from which on indexing is put off: searches catch up by themselves."""

LOOK = timedelta(seconds=0.5)
"""How often it is looked how many they are: a batch of messages takes a fifth of this, and holds deliveries up."""

PATIENCE = timedelta(minutes=2)
"""How long it is put off. After that it goes on slowly."""

SWEEP_INTERVAL = timedelta(hours=1)
"""How often messages that are gone are taken out."""

LEASE = "search"
LEASE_TIME = timedelta(minutes=2)
LEASE_RENEWAL = timedelta(seconds=30)

_log = structlog.stdlib.get_logger("pennypost.search")


class Indexer:
    """Keeps the index for one worker. `run` it as a task; cancel it to end."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._holder = f"{LEASE}-{store.worker}-{secrets.token_hex(8)}"
        self._next_sweep = 0.0
        self._renew_at = 0.0
        self._load = _Load(store)

    async def run(self) -> None:
        """Do a round every INTERVAL, for ever. A round that fails is logged; the next one tries again."""
        with suppress(MailError):
            await self._load.is_high()  # the first round knows what came since
        while True:
            await asyncio.sleep(INTERVAL.total_seconds())
            try:
                await self.round()
            except MailError as error:
                _log.warning("indexing put off", reason=str(error))
            except Exception as problem:
                log_incident("search", problem)

    async def round(self) -> bool:
        """Index what has come, if no other worker does. Gives whether it was ours to do."""
        if not await self._hold():
            return False
        if await self._load.is_high():
            return True
        if not await self._index():
            return False
        loop = asyncio.get_running_loop()
        if loop.time() >= self._next_sweep:
            self._next_sweep = loop.time() + SWEEP_INTERVAL.total_seconds()
            await self._sweep()
        return True

    async def _index(self) -> bool:
        """Index until nothing is left or deliveries want the processor. False: the lease was lost."""
        search, loop = self._store.search, asyncio.get_running_loop()
        for account in await search.behind():
            more = True
            while more:
                began = loop.time()
                more = await search.step(account)
                if not await self._hold():
                    return False
                # Others come first: most of the time belongs to them.
                await asyncio.sleep((loop.time() - began) * self._load.rest if more else 0)
                if await self._load.is_high():
                    return True
        return True

    async def _sweep(self) -> None:
        for account in await self._store.search.indexed():
            swept = await self._store.search.sweep(account)
            if swept:
                _log.info("messages that are gone were taken out of the index", account=account, count=swept)

    async def _hold(self) -> bool:
        """Take the lease, or see that it is ours for a while."""
        now = asyncio.get_running_loop().time()
        if now < self._renew_at:
            return True
        if not await self._store.write(lambda tx: leases.acquire(tx, LEASE, self._holder, LEASE_TIME)):
            return False
        self._renew_at = now + LEASE_RENEWAL.total_seconds()
        return True

    async def resign(self) -> None:
        """Let another worker do it at once."""
        self._renew_at = 0.0
        await self._store.write(lambda tx: leases.release(tx, LEASE, self._holder))


class _Load:
    """Watches how much is written to the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._looked_at = -LOOK.total_seconds()
        self._changes: int | None = None
        self._high_since: float | None = None

    @property
    def rest(self) -> int:
        """How many times as long as was worked it is to be waited."""
        return 1 if self._high_since is None else 4

    async def is_high(self) -> bool:
        """Whether so much is written that indexing has to wait. Looks at the store every LOOK only."""
        now = asyncio.get_running_loop().time()
        elapsed = now - self._looked_at
        if elapsed >= LOOK.total_seconds():
            before, self._changes = self._changes, await self._store.search.changes()
            self._looked_at = now
            if before is None or self._changes - before <= BUSY_RATE * elapsed:
                self._high_since = None
            elif self._high_since is None:
                self._high_since = now
        return self._high_since is not None and now - self._high_since < PATIENCE.total_seconds()
