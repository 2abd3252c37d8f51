"""What has to be done now and then by one worker, whichever: what is marked is removed, what has run out is swept.

The workers of a server, and servers that share a store, agree through a lease. A worker that dies holds it for a short
while only, and every step is a small transaction, so that nothing waits for long and nothing is lost half-way.
"""

import asyncio
import secrets
from datetime import timedelta
from functools import partial

import structlog

from pennypost.mail.queue import recall
from pennypost.mail.settings import AuthSettings
from pennypost.mail.signing import SigningSettings
from pennypost.model.errors import MailError
from pennypost.model.ids import AccountId
from pennypost.net.incident import log_incident
from pennypost.store import (
    bans,
    buckets,
    changes,
    directory,
    dispatch,
    flag_notes,
    leases,
    removal,
    seen,
    sending,
    signing_keys,
    threads,
    throttle,
    timeline,
)
from pennypost.store.collection import collect
from pennypost.store.store import Store
from pennypost.store.throttle import ThrottlePolicy

INTERVAL = timedelta(minutes=1)
COLLECTION_INTERVAL = timedelta(hours=1)
"""How often bodies that nothing refers to are looked for."""

COLLECTION_DELAY = timedelta(minutes=5)
"""How long after the start that is for the first time: it reads much, and clients come back then."""

DESTINATION_MEMORY = timedelta(days=1)
"""How long it is known how a next hop was to be treated that nothing waits for."""

LEASE = "housekeeping"
LEASE_TIME = timedelta(minutes=5)
STEPS_PER_ROUND = 1000
"""Steps of removal before the others have their turn, and the lease is renewed."""

_log = structlog.stdlib.get_logger("pennypost.housekeeping")


class Housekeeper:
    """Keeps house for one worker. `run` it as a task; cancel it to end."""

    def __init__(self, store: Store, settings: AuthSettings, signing: SigningSettings | None = None) -> None:
        self._store = store
        self._signing = signing or SigningSettings()
        self._policy = ThrottlePolicy(ban=settings.ban_time, forget=settings.failure_memory)
        self._holder = f"{LEASE}-{store.worker}-{secrets.token_hex(8)}"
        self._next_collection = 0.0

    async def run(self) -> None:
        """Do a round every INTERVAL, for ever. A round that fails is logged; the next one tries again."""
        self._next_collection = asyncio.get_running_loop().time() + COLLECTION_DELAY.total_seconds()
        while True:
            try:
                await self.round()
            except MailError as error:
                _log.warning("housekeeping put off", reason=str(error))
            except Exception as problem:
                log_incident("housekeeping", problem)
            await asyncio.sleep(INTERVAL.total_seconds())

    async def round(self) -> bool:
        """Do what is due, if no other worker does. Gives whether it was ours to do."""
        store, holder = self._store, self._holder
        if not await store.write(lambda tx: leases.acquire(tx, LEASE, holder, LEASE_TIME)):
            return False
        for _ in range(STEPS_PER_ROUND):
            if not await store.write_large(removal.step):
                break
        while await store.write_large(flag_notes.fold):
            pass
        await store.write_large(leases.sweep)
        await store.write_large(lambda tx: throttle.sweep(tx, self._policy))
        for swept in (bans.sweep, buckets.sweep, sending.sweep):
            await store.write_large(swept)
        await store.write_large(lambda tx: dispatch.forget_idle(tx, DESTINATION_MEMORY))
        await store.write_large(recall.sweep)
        await self._prune_timeline()
        now = asyncio.get_running_loop().time()
        if now >= self._next_collection:
            self._next_collection = now + COLLECTION_INTERVAL.total_seconds()
            found = await collect(store, store.settings.blob_grace, store.settings.blob_patience)
            if found.rows or found.files or found.leftovers:
                _log.info("bodies collected", rows=found.rows, files=found.files, leftovers=found.leftovers)
            await self._prune_changes()
            await self._sweep_seen()
            if pages := await store.derived.sweep():
                _log.info("derived values of messages that are gone were removed", pages=pages)
            for key in await store.write(lambda tx: signing_keys.remove_retired(tx, self._signing.retire_time)):
                _log.info(
                    "signing key removed: take its record out of the DNS", domain=key.domain, selector=key.selector
                )
        return True

    async def _sweep_seen(self) -> None:
        """Forget what readers have seen of messages that are gone."""
        position: seen.Position | None = seen.START
        while position is not None:
            position = await self._store.write_large(partial(seen.sweep, after=position))

    async def _prune_timeline(self) -> None:
        """Forget what happened to messages long ago."""
        settings = self._store.settings
        age, most = settings.timeline_memory, settings.timeline_limit
        while await self._store.write_large(lambda tx: timeline.prune(tx, age, most)):
            pass

    async def _prune_changes(self) -> None:
        """Forget changes that are older than clients are promised, and ids of threads that are gone."""
        for account in await self._store.scan(directory.accounts):
            more = True
            while more:
                more = await self._prune_account(account.id)
            await threads.prune(self._store.engine, account.id)

    async def _prune_account(self, account: AccountId) -> bool:
        """Forget some of an account's old changes. Gives whether there may be more."""
        age = self._store.settings.change_memory
        return await self._store.write_large(lambda tx: changes.prune(tx, account, age)) > 0

    async def resign(self) -> None:
        """Let another worker do it at once."""
        await self._store.write(lambda tx: leases.release(tx, LEASE, self._holder))
