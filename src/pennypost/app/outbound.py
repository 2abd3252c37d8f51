"""What one worker needs to send mail to other hosts, put together and taken apart."""

import asyncio
import secrets
from contextlib import suppress
from datetime import timedelta

import idna
import structlog

from pennypost.app.config.settings import Config
from pennypost.app.figures import Figures
from pennypost.app.measured import delivery_observer
from pennypost.clients.http.https import Https
from pennypost.mail import key_watch
from pennypost.mail.forwarding import Forwarder
from pennypost.mail.queue.manager import QueueManager
from pennypost.mail.queue.outbox import Outbox
from pennypost.mail.queue.routing import Router
from pennypost.mail.refresh_tokens import KeptToken
from pennypost.mail.relay import Relayer
from pennypost.mail.routing import accepts_mail
from pennypost.mail.security_judge import PolicyJudge
from pennypost.mail.signing import Signer
from pennypost.mail.sts_policies import StsPolicies
from pennypost.mail.tls_record import TlsRecord
from pennypost.mail.tls_reports import TlsReporter
from pennypost.model.errors import MailError
from pennypost.net.client_tls import ClientTls
from pennypost.net.incident import log_incident
from pennypost.net.resolver import Resolver
from pennypost.store import leases, tls_results, transport
from pennypost.store.store import Store

LEASE = "outbound"
LEASE_TIME = timedelta(hours=1)
INTERVAL = timedelta(minutes=30)
"""How often policies are refreshed and reports sent, by one worker."""

_log = structlog.stdlib.get_logger("pennypost.outbound")

CHECK_SECONDS = 2.0
"""How long a submission waits for the DNS to say that a domain takes no mail."""


class Outbound:
    """Make it on the worker's loop. `outbox` takes new mail, and the queue manager sends it through `relayer`; it
    begins when it is told to. `close` ends what it does."""

    def __init__(
        self,
        config: Config,
        store: Store,
        resolver: Resolver,
        figures: Figures,
        signer: Signer,
        forwarder: Forwarder,
    ) -> None:
        self._resolver = resolver
        relay = config.relay
        tls = ClientTls(config.tls)
        if config.tls.ca_file is not None:
            tls.verified  # noqa: B018 - a file that cannot be read is found now, not by the first message
        self.https = Https(resolver, lambda: tls.verified, relay.refuse_networks, relay.https_port)
        self.policies = StsPolicies(store, resolver, self.https)
        self.record = TlsRecord(store, relay.tls_memory, relay.tls_patience)
        judge = PolicyJudge(relay, resolver, self.policies, self.record)
        self.relayer = Relayer(
            relay,
            config.server.own_hostname,
            resolver,
            tls,
            judge,
            self.record,
            store.clock,
            lambda login, client: KeptToken(store, login, client.refresh_token),
        )
        self.reporter = TlsReporter(config.tls_reports, config.server.own_hostname, store, resolver, self.https, signer)
        self._store = store
        self._config = config
        self._holder = f"{LEASE}-{store.worker}-{secrets.token_hex(8)}"
        self._tasks = (asyncio.create_task(self.record.run()), asyncio.create_task(self._keep_house()))
        router = Router(config.queue)
        self._manager = QueueManager(
            store,
            config.queue,
            self.relayer.relay,
            config.server.own_hostname,
            router,
            observe=delivery_observer(figures),
            signer=signer,
            forwarder=forwarder,
        )
        self.outbox = Outbox(router, self._manager)
        self._sending: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Begin to send what is in the queue."""
        self._sending = asyncio.create_task(self._manager.run())

    async def stop_sending(self, grace: timedelta) -> None:
        """Begin nothing more, and give what is under way the time to end. New mail is taken into the queue still."""
        await self._manager.stop(grace)
        if self._sending is not None:
            await asyncio.wait((self._sending,))

    async def finish_sending(self) -> None:
        """When no mail comes in any more: let be written down what was sent of it meanwhile."""
        await self._manager.finish()

    async def check_domain(self, domain: str) -> None:
        """Raise NullMx for a domain that takes no mail; a DNS that is slow says nothing (RFC 7505 §4.1)."""
        with suppress(TimeoutError, idna.IDNAError):
            name = domain.lower() if domain.isascii() else idna.encode(domain, uts46=True).decode("ascii")
            async with asyncio.timeout(CHECK_SECONDS):
                await self._resolver.consult(accepts_mail(name))

    async def round(self) -> bool:
        """Do what is due now and then, if no other worker does. Gives whether it was ours to do."""
        store = self._store
        if not await store.write(lambda tx: leases.acquire(tx, LEASE, self._holder, LEASE_TIME)):
            return False
        now = store.clock()
        await self.policies.refresh()
        await key_watch.watch(store, self._resolver)
        await self.reporter.send_due()
        await store.write_large(lambda tx: transport.sweep(tx, now - self._config.relay.tls_memory))
        await store.write_large(lambda tx: tls_results.sweep_reports(tx, now - self._config.tls_reports.keep))
        return True

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL.total_seconds())
            try:
                await self.round()
            except MailError as problem:
                _log.warning("policies and reports put off", reason=str(problem))
            except Exception as problem:
                log_incident("policies and reports", problem)

    async def close(self) -> None:
        """End idle sessions, and write what sessions were like. The store must still be open."""
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        await self.relayer.close()
        await self.policies.close()
        with suppress(MailError):  # it is lost
            await self.record.flush()
