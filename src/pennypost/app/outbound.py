"""What one worker needs to send mail to other hosts, put together and taken apart."""

import asyncio
from contextlib import suppress

import idna

from pennypost.app.config.settings import Config
from pennypost.clients.http.https import Https
from pennypost.mail.relay import Relayer
from pennypost.mail.routing import accepts_mail
from pennypost.mail.security_judge import PolicyJudge
from pennypost.mail.sts_policies import StsPolicies
from pennypost.mail.tls_record import TlsRecord
from pennypost.model.errors import MailError
from pennypost.net.client_tls import ClientTls
from pennypost.net.resolver import Resolver
from pennypost.store.store import Store

CHECK_SECONDS = 2.0
"""How long a submission waits for the DNS to say that a domain takes no mail."""


class Outbound:
    """Make it on the worker's loop; `relayer.relay` sends. `close` ends what it does."""

    def __init__(self, config: Config, store: Store, resolver: Resolver) -> None:
        self._resolver = resolver
        relay = config.relay
        tls = ClientTls(config.tls)
        self.https = Https(resolver, lambda: tls.verified, relay.refuse_networks, relay.https_port)
        self.policies = StsPolicies(store, resolver, self.https)
        self.record = TlsRecord(store, relay.tls_memory, relay.tls_patience)
        judge = PolicyJudge(relay, resolver, self.policies, self.record)
        self.relayer = Relayer(relay, config.server.own_hostname, resolver, tls, judge, self.record, store.clock)
        self._recording = asyncio.create_task(self.record.run())

    async def check_domain(self, domain: str) -> None:
        """Raise NullMx for a domain that takes no mail; a DNS that is slow says nothing (RFC 7505 §4.1)."""
        with suppress(TimeoutError, idna.IDNAError):
            name = domain.lower() if domain.isascii() else idna.encode(domain, uts46=True).decode("ascii")
            async with asyncio.timeout(CHECK_SECONDS):
                await self._resolver.consult(accepts_mail(name))

    async def close(self) -> None:
        """End idle sessions, and write what sessions were like. The store must still be open."""
        self._recording.cancel()
        await asyncio.wait((self._recording,))
        await self.relayer.close()
        await self.policies.close()
        with suppress(MailError):  # it is lost
            await self.record.flush()
