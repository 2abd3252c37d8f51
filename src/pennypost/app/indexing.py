"""Keeping the full-text index up to date, behind the deliveries: one worker does it, whichever.

As `housekeeping` does, the workers agree through a lease. A worker that dies is followed by another one soon; what it
had begun is done again (`store.search`).
"""

import asyncio
import secrets
from datetime import timedelta

import structlog

from pennypost.model.errors import MailError
from pennypost.net.incident import log_incident
from pennypost.store import leases
from pennypost.store.store import Store

INTERVAL = timedelta(seconds=5)
"""How often it is looked for what has come."""

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

    async def run(self) -> None:
        """Do a round every INTERVAL, for ever. A round that fails is logged; the next one tries again."""
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
        search, loop = self._store.search, asyncio.get_running_loop()
        for account in await search.behind():
            more = True
            while more:
                began = loop.time()
                more = await search.step(account)
                if not await self._hold():
                    return False
                # Deliveries come first: half of the time belongs to them.
                await asyncio.sleep(loop.time() - began if more else 0)
        if loop.time() >= self._next_sweep:
            self._next_sweep = loop.time() + SWEEP_INTERVAL.total_seconds()
            for account in await search.indexed():
                swept = await search.sweep(account)
                if swept:
                    _log.info("messages that are gone were taken out of the index", account=account, count=swept)
        return True

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
