"""One worker's server: store, doors and listeners, put together and taken apart."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

import structlog
from starlette.applications import Starlette

from pennypost.app.config.settings import Config
from pennypost.app.dictionaries import DictionaryKeeper
from pennypost.app.doors import Door, make_doors
from pennypost.app.figures import Figures, exposition, store_gauges
from pennypost.app.housekeeping import Housekeeper
from pennypost.app.inbound import Inbound
from pennypost.app.indexing import Indexer
from pennypost.app.measured import MeasuredAuthenticator, commit_observer, measured_handler
from pennypost.app.outbound import Outbound
from pennypost.app.services import client_settings
from pennypost.app.sockets import Sockets
from pennypost.app.state import lasting_secret
from pennypost.mail.client_settings import ClientSettings
from pennypost.mail.forwarding import Forwarder
from pennypost.mail.limits import Defence
from pennypost.mail.own_policy import own_policy
from pennypost.mail.post import Post
from pennypost.mail.prepare import Preparer
from pennypost.mail.sending import SendingGuard
from pennypost.mail.signing import Signer
from pennypost.mail.trace import DateStamp
from pennypost.model.errors import BadAddress, MailError
from pennypost.net.busy_poll import busy_poll
from pennypost.net.listener import Admission, Listener
from pennypost.net.resolver import Resolver
from pennypost.net.self_signed import ensure_self_signed
from pennypost.net.settings import CertificateFiles
from pennypost.net.spread import Spread, WorkerSpread
from pennypost.net.tls import ServerTls
from pennypost.servers.http.door import HttpDoor
from pennypost.servers.http.pages import make_pages
from pennypost.store.directory import find_domain
from pennypost.store.keys import canonical_domain
from pennypost.store.stats import stats
from pennypost.store.store import Store

READY_QUERY_SECONDS = 5.0
"""How long the store may take to answer when somebody asks whether we are ready."""

GAUGE_SECONDS = 15.0
"""How long the counts of the store are good for: counting reads whole tables."""

HTTP = "http"

_log = structlog.stdlib.get_logger("pennypost.server")


class Server:
    """Everything one worker runs. Make it, start it and stop it on one event loop, after any fork.

    `certificates`: those of the configuration, or the self-signed one. `spread`: what it shares with other workers.
    """

    def __init__(
        self,
        config: Config,
        certificates: tuple[CertificateFiles, ...],
        figures: Figures,
        worker: int = 0,
        spread: Spread | None = None,
    ) -> None:
        self._spread = WorkerSpread(spread, worker) if spread is not None else None
        self._config = config
        self._figures = figures
        self._worker = worker
        self._tls = ServerTls(config.tls, certificates)
        self._store: Store | None = None
        self._resolver = Resolver(config.dns, config.dns.servers)
        self._outbound: Outbound | None = None
        self._inbound: Inbound | None = None
        self._threads = ExitStack()
        self._listeners: list[Listener] = []
        self._http: HttpDoor | None = None
        self._housekeeper: Housekeeper | None = None
        self._housekeeping: asyncio.Task[None] | None = None
        self._keeping_dictionaries: asyncio.Task[None] | None = None
        self._indexer: Indexer | None = None
        self._indexing: asyncio.Task[None] | None = None
        self._gauges: tuple[tuple[str, str, float], ...] = ()
        self._gauges_until = 0.0
        self._serving = False

    async def start(self, sockets: Sockets) -> None:
        """Open the store, then every door on its bound sockets.

        Raises ConfigError, StoreUnusable, OSError; `stop` cleans up then, too.
        """
        config = self._config
        self._store = store = await Store.open(
            config.store_settings, worker=self._worker, observe=commit_observer(self._figures)
        )
        secret = lasting_secret(config.server.data_dir)
        authenticator = MeasuredAuthenticator(store, config.auth, secret, self._figures)
        self._threads.callback(authenticator.close)
        preparer = Preparer(store, config.delivery)
        self._threads.callback(preparer.close)
        signer = Signer(store, config.dkim)
        forwarder = Forwarder(store, config.forwarding, signer)
        self._outbound = outbound = Outbound(config, store, self._resolver, self._figures, signer, forwarder)
        hostname = config.server.own_hostname
        post = Post(
            store,
            preparer,
            config.delivery,
            hostname,
            DateStamp(),
            outbound.outbox,
            check_domain=outbound.check_domain,
            sending=SendingGuard(store, config.sending, hostname),
            signer=signer,
            forwarder=forwarder,
            authserv_id=config.verification.authserv_id or hostname,
        )
        self._inbound = inbound = Inbound(config, store, self._resolver, self._figures, signer)
        await inbound.begin()
        await store.derived.prepare()
        doors = make_doors(config, post, authenticator, self._figures, inbound)
        await self._open_listeners(doors, sockets, inbound.defence)
        if sockets.get(HTTP):
            self._http = HttpDoor(config.http, self._pages())
            await self._http.start(sockets[HTTP])
        self._housekeeper = Housekeeper(store, config.auth, config.dkim)
        self._housekeeping = asyncio.create_task(self._housekeeper.run())
        if store.settings.dictionary:
            self._keeping_dictionaries = asyncio.create_task(DictionaryKeeper(store).run())
        if store.search.enabled:
            self._indexer = Indexer(store)
            self._indexing = asyncio.create_task(self._indexer.run())
        self._outbound.begin()
        self._serving = True
        _log.info("serving", listeners={listener.name: listener.addresses for listener in self._listeners})

    async def _open_listeners(self, doors: Mapping[str, Door], sockets: Sockets, defence: Defence) -> None:
        limits = self._config.limits
        admission = Admission(limits)
        polling = busy_poll(self._config.server.busy_poll)
        for name, door in doors.items():
            if not sockets.get(name):
                continue
            listener = Listener(
                name,
                measured_handler(door.handler, self._figures, name),
                limits=limits,
                refusal=door.refusal,
                tls=self._tls,
                implicit_tls=door.implicit_tls,
                admission=admission,
                gate=defence.admits if door.for_strangers else defence.admits_user,
                share=self._spread.share(name) if self._spread is not None else None,
                busy_poll=polling,
            )
            self._listeners.append(listener)
            for sock in sockets[name]:
                await listener.open(sock)
        if self._spread is not None:
            adopting = {listener.name: listener.adopt for listener in self._listeners}
            self._spread.begin(lambda name, sock: adopting[name](sock))

    async def stop(self) -> None:
        """Take no more connections, let sessions finish for as long as the configuration grants, close the store."""
        self._serving = False
        if self._spread is not None:
            self._spread.stop()
        grace = self._config.server.stop_time
        ending = [listener.stop(grace) for listener in self._listeners]
        if self._outbound is not None:
            ending.append(self._outbound.stop_sending(grace))
        await asyncio.gather(*ending)
        if self._outbound is not None:
            await self._outbound.finish_sending()
        self._listeners.clear()
        if self._http is not None:
            await self._http.stop(grace)
        if self._housekeeper is not None and self._housekeeping is not None:
            self._housekeeping.cancel()
            await asyncio.wait((self._housekeeping,))
            with suppress(MailError):  # the lease runs out by itself
                await self._housekeeper.resign()
        if self._keeping_dictionaries is not None:
            self._keeping_dictionaries.cancel()
            await asyncio.wait((self._keeping_dictionaries,))
        if self._indexer is not None and self._indexing is not None:
            self._indexing.cancel()
            await asyncio.wait((self._indexing,))
            with suppress(MailError):
                await self._indexer.resign()
        if self._inbound is not None:
            await self._inbound.close()
        if self._outbound is not None:
            await self._outbound.close()
        await self._resolver.close()
        self._threads.close()
        if self._store is not None:
            await self._store.close()
        _log.info("stopped")

    def reload(self) -> None:
        """Read the certificates anew; what cannot be used is logged, and the old ones stay."""
        self._tls.reload()

    async def _measure(self) -> bytes:
        """Give the figures of all workers, and of the store."""
        if self._store is not None and time.monotonic() >= self._gauges_until:
            with suppress(MailError):  # a store that does not answer: the old counts, and the rest
                self._gauges = store_gauges(await self._store.scan(stats), self._store.clock())
                self._gauges_until = time.monotonic() + GAUGE_SECONDS
        return exposition(self._figures, self._gauges)

    def _pages(self) -> Starlette:
        return make_pages(self._config.http, self._measure, self._examine, self._sts_policy, self._client_settings)

    async def _client_settings(self, domain: str) -> ClientSettings | None:
        """Give what mail programs have to know of a domain of ours."""
        store = self._store
        try:
            name = canonical_domain(domain)
        except BadAddress:
            return None
        if store is None or await store.glance(lambda tx: find_domain(tx, name)) is None:
            return None
        return client_settings(self._config)

    async def _sts_policy(self, domain: str) -> bytes | None:
        """Give our MTA-STS policy for a domain of ours."""
        store = self._store
        if store is None or await store.glance(lambda tx: find_domain(tx, domain)) is None:
            return None
        return own_policy(self._config.sts, self._config.server.own_hostname)

    async def _examine(self) -> tuple[str, ...]:
        """Find what keeps us from serving mail."""
        if not self._serving or self._store is None:
            return ("not serving",)
        store = self._store
        with suppress(MailError, TimeoutError):
            await asyncio.wait_for(store.scan(lambda tx: tx.fetch_one("SELECT 1")), READY_QUERY_SECONDS)
            return ()
        return ("the store does not answer",)


def certificates_of(config: Config, folder: Path) -> tuple[CertificateFiles, ...]:
    """Give the certificates to serve with: the configured ones, else a self-signed one that is kept in `folder`."""
    if config.tls.certificates:
        return config.tls.certificates
    return (ensure_self_signed(folder, config.server.own_hostname),)
