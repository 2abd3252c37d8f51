"""Making dictionaries for small bodies when there are enough of them: one worker does it, whichever.

As `housekeeping` does, the workers agree through a lease. Each looks, too, whether another has made one.
"""

import asyncio
import secrets
from datetime import timedelta

import structlog

from pennypost.model.errors import MailError
from pennypost.net.incident import log_incident
from pennypost.store import dictionaries, leases
from pennypost.store.store import Store

INTERVAL = timedelta(seconds=1)
"""How often it is looked how many bodies there are: who moves here brings thousands in a second."""

LEASE = "dictionary"
LEASE_TIME = timedelta(minutes=5)

_log = structlog.stdlib.get_logger("pennypost.dictionaries")


class DictionaryKeeper:
    """Keeps the dictionaries for one worker. `run` it as a task; cancel it to end."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._holder = f"{LEASE}-{store.worker}-{secrets.token_hex(8)}"

    async def run(self) -> None:
        """Do a round every INTERVAL, for ever. A round that fails is logged; the next one tries again."""
        while True:
            await asyncio.sleep(INTERVAL.total_seconds())
            try:
                await self.round()
            except MailError as error:
                _log.warning("no dictionary made", reason=str(error))
            except Exception as problem:
                log_incident("dictionaries", problem)

    async def round(self) -> bool:
        """Make a dictionary if one is due and no other worker does. Gives whether it did."""
        store, holder = self._store, self._holder
        await dictionaries.refresh(store.engine, store.blobs.coding)
        if not await store.glance(dictionaries.is_due):
            return False
        if not await store.write(lambda tx: leases.acquire(tx, LEASE, holder, LEASE_TIME)):
            return False
        try:
            if not await store.glance(dictionaries.is_due):  # another worker was quicker
                return False
            made = await dictionaries.make(store.engine, store.blobs)
        finally:
            await store.write(lambda tx: leases.release(tx, LEASE, holder))
        _log.info("dictionary made", number=made.number, used=made.ratio is not None, ratio=made.ratio)
        return True
