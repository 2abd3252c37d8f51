"""What one worker needs to take mail from strangers: limits, verification of senders, and the reports on it."""

import asyncio
import secrets
from contextlib import suppress
from datetime import timedelta
from functools import partial

import structlog

from pennypost.app.config.settings import Config
from pennypost.app.figures import Figures
from pennypost.app.measured import verification_observer
from pennypost.app.screening import make_screeners
from pennypost.mail.dmarc_feedback import Feedback
from pennypost.mail.judge import Judge
from pennypost.mail.learner import Learner
from pennypost.mail.limits import Defence
from pennypost.mail.signing import Signer
from pennypost.mail.verifier import Verifier
from pennypost.model.errors import MailError
from pennypost.net.incident import log_incident
from pennypost.net.resolver import Resolver
from pennypost.store import dmarc, greylist, junk, leases
from pennypost.store.store import Store

FLUSH_INTERVAL = timedelta(minutes=1)
"""How often what was seen of senders is handed to the store."""

REPORT_INTERVAL = timedelta(minutes=30)
"""How often reports that are due are looked for, by one worker."""

LEARNING = "learning"
LEARNING_INTERVAL = timedelta(minutes=1)
SENDER_MEMORY = timedelta(days=365)
LEARNING_LEASE = timedelta(minutes=10)
FORGETTING_INTERVAL = timedelta(hours=1)
FORGOTTEN_A_ROUND, FORGOTTEN_A_STEP = 100_000, 1000
"""Tokens of one account that are forgotten at most, all together and in one transaction."""
ROUTE_MEMORY = timedelta(days=60)
"""How long a sender who came again is known."""

LEASE = "dmarc-reports"
LEASE_TIME = timedelta(hours=1)

_log = structlog.stdlib.get_logger("pennypost.inbound")


class Inbound:
    """Make it on the worker's loop, `begin` before the doors open, `close` when they are shut."""

    def __init__(self, config: Config, store: Store, resolver: Resolver, figures: Figures, signer: Signer) -> None:
        hostname = config.server.own_hostname
        self.defence = Defence(store, config.defence)
        self.verifier = Verifier(resolver, config.verification, hostname, store.clock, verification_observer(figures))
        self.feedback = Feedback(store, config.verification, hostname, signer)
        self.judge = Judge(store, config.junk, hostname)
        self.screeners = make_screeners(config.screening, resolver, config.tls, store.clock, figures)
        self.learner = Learner(store)
        self._judges = config.junk.enabled
        self._learns = config.junk.learn
        self._settings = config.verification
        self._store = store
        self._resolver = resolver
        self._holder = f"{LEASE}-{store.worker}-{secrets.token_hex(8)}"
        self._next_forgetting = 0.0
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    async def begin(self) -> None:
        """Learn who is banned, and begin to work with the other workers."""
        await self.defence.exchange()
        self._tasks = (
            asyncio.create_task(self.defence.run()),
            asyncio.create_task(self._flush()),
            asyncio.create_task(self._report()),
            asyncio.create_task(self._learn()),
        )

    async def round(self) -> bool:
        """Send the reports that are due, if no other worker does. Gives whether it was ours to do."""
        store = self._store
        if not await store.write(lambda tx: leases.acquire(tx, LEASE, self._holder, LEASE_TIME)):
            return False
        await self.feedback.send_due(self._resolver)
        while await store.write_large(lambda tx: dmarc.sweep(tx, self._settings.report_memory)):
            pass
        return True

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_INTERVAL.total_seconds())
            try:
                await self.feedback.flush()
                if self._settings.report_failures and (contact := await self.feedback.sender()) is not None:
                    await self.feedback.failures.send(self._resolver, contact)
            except MailError as problem:
                _log.warning("counts of senders put off", reason=str(problem))
            except Exception as problem:
                log_incident("counts of senders", problem)

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(REPORT_INTERVAL.total_seconds())
            try:
                await self.round()
            except MailError as problem:
                _log.warning("DMARC reports put off", reason=str(problem))
            except Exception as problem:
                log_incident("DMARC reports", problem)

    async def learn(self) -> bool:
        """Learn what is wanted from what people did, where that is wanted, and forget what is old, if no other worker
        does. Gives whether it was ours to do."""
        store = self._store
        if not self._judges or not await store.write(
            lambda tx: leases.acquire(tx, LEARNING, self._holder, LEARNING_LEASE)
        ):
            return False
        await store.write_large(lambda tx: junk.forget(tx, SENDER_MEMORY))
        patience = self.judge.settings.greylist_patience
        while await store.write_large(lambda tx: greylist.sweep(tx, patience, ROUTE_MEMORY)):
            pass
        await self._forget_tokens()
        learnt = await self.learner.round() if self._learns else 0
        if learnt:
            _log.info("messages learnt", count=learnt)
        return True

    async def _forget_tokens(self) -> None:
        """Hold what is remembered of words to its bound. Once in a while: all of it is read."""
        now = asyncio.get_running_loop().time()
        if now < self._next_forgetting:
            return
        self._next_forgetting = now + FORGETTING_INTERVAL.total_seconds()
        store, most = self._store, self.judge.settings.max_tokens
        for account, tokens in await store.scan(lambda tx: junk.too_many(tx, most, FORGOTTEN_A_ROUND)):
            for start in range(0, len(tokens), FORGOTTEN_A_STEP):
                step = tokens[start : start + FORGOTTEN_A_STEP]
                await store.write_large(partial(junk.forget_tokens, account=account, tokens=step))

    async def _learn(self) -> None:
        while True:
            await asyncio.sleep(LEARNING_INTERVAL.total_seconds())
            try:
                await self.learn()
            except MailError as problem:
                _log.warning("learning put off", reason=str(problem))
            except Exception as problem:
                log_incident("learning", problem)

    async def close(self) -> None:
        """Write down what was seen. The store must still be open."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        with suppress(MailError):  # it is lost
            await self.feedback.flush()
        self.verifier.close()
        if self.screeners is not None:
            await self.screeners.close()
