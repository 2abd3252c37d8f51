"""What one worker needs to send mail to other hosts, put together and taken apart."""

import asyncio
from contextlib import suppress

from pennypost.app.config.settings import Config
from pennypost.clients.http.https import Https
from pennypost.mail.relay import Relayer
from pennypost.mail.security_judge import PolicyJudge
from pennypost.mail.sts_policies import StsPolicies
from pennypost.mail.tls_record import TlsRecord
from pennypost.model.errors import MailError
from pennypost.net.client_tls import ClientTls
from pennypost.net.resolver import Resolver
from pennypost.store.store import Store


class Outbound:
    """Make it on the worker's loop; `relayer.relay` sends. `close` ends what it does."""

    def __init__(self, config: Config, store: Store, resolver: Resolver) -> None:
        relay = config.relay
        tls = ClientTls(config.tls)
        self.https = Https(resolver, lambda: tls.verified, relay.refuse_networks, relay.https_port)
        self.policies = StsPolicies(store, resolver, self.https)
        self.record = TlsRecord(store, relay.tls_memory, relay.tls_patience)
        judge = PolicyJudge(relay, resolver, self.policies, self.record)
        self.relayer = Relayer(relay, config.server.own_hostname, resolver, tls, judge, self.record, store.clock)
        self._recording = asyncio.create_task(self.record.run())

    async def close(self) -> None:
        """End idle sessions, and write what sessions were like. The store must still be open."""
        self._recording.cancel()
        await asyncio.wait((self._recording,))
        await self.relayer.close()
        await self.policies.close()
        with suppress(MailError):  # it is lost
            await self.record.flush()
