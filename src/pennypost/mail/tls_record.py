"""What sessions with other hosts were like: remembered per domain, and counted for TLSRPT (RFC 8460 §4).

Theory of operation. Every new session tells of itself here, in memory; once a minute, and at the end, what came
together goes into the store in one transaction. What a killed worker had not yet written is lost: these are statistics,
and a memory that the next session makes anew.
"""

import asyncio
import json
from collections import Counter
from datetime import datetime, timedelta

import structlog

from pennypost.clients.smtp.answers import SessionFailed, Stage
from pennypost.mail.transport_security import PolicyIdentity
from pennypost.model.errors import MailError
from pennypost.net.incident import log_incident
from pennypost.store import tls_results, transport
from pennypost.store.engine import Transaction
from pennypost.store.store import Store
from pennypost.store.tls_results import SessionKey

FLUSH_SECONDS = 60.0
MAX_KEYS = 10_000
"""Counters and domains that are kept in memory; past it they are written at once, or not counted."""

_log = structlog.stdlib.get_logger("pennypost.relay")

# X509_V_ERR_… of OpenSSL
_HOST_MISMATCH = frozenset({62, 63, 64})
_EXPIRED = frozenset({9, 10})
_NOT_TRUSTED = frozenset({2, 18, 19, 20, 21, 27})


def result_type(failure: SessionFailed) -> str:
    """Name why a session failed (RFC 8460 §4.3)."""
    if failure.stage is Stage.STARTTLS:
        return "starttls-not-supported"
    if failure.tls_error in _HOST_MISMATCH:
        return "certificate-host-mismatch"
    if failure.tls_error in _EXPIRED:
        return "certificate-expired"
    if failure.tls_error in _NOT_TRUSTED:
        return "certificate-not-trusted"
    return "validation-failure"


class TlsRecord:
    """The record of one worker. `memory`, `patience`: see `RelaySettings.tls_memory` and `tls_patience`."""

    def __init__(self, store: Store, memory: timedelta, patience: timedelta) -> None:
        self._store = store
        self._memory = memory
        self._patience = patience
        self._counts: Counter[SessionKey] = Counter()
        self._seen: set[str] = set()
        self._missed: set[str] = set()
        self._noted: dict[str, datetime] = {}

    def succeeded(self, policy: PolicyIdentity) -> None:
        """Note a session under TLS that its policy was content with."""
        self._count(policy, "", "", "", "")
        domain, now = policy.domain, self._store.clock()
        noted = self._noted.get(domain)
        if noted is None or now - noted > self._memory / 10 or domain in self._missed:
            if len(self._noted) >= MAX_KEYS:
                self._noted.clear()
            self._noted[domain] = now
            self._seen.add(domain)
            self._missed.discard(domain)

    def failed(self, policy: PolicyIdentity, result: str, host: str = "", address: str = "", reason: str = "") -> None:
        """Note a session, or a host, that fell short. `result`: of RFC 8460 §4.3."""
        self._count(policy, result, host, address, reason)

    def missed(self, domain: str) -> None:
        """Note that a domain had no TLS to offer."""
        if len(self._missed) < MAX_KEYS:
            self._missed.add(domain)
            self._noted.pop(domain, None)

    async def demands_tls(self, domain: str) -> bool:
        """Whether mail for a domain has gone under TLS before, so that it must not go in clear now."""
        if not self._memory:
            return False
        memory = await self._store.glance(lambda tx: transport.tls_memory(tx, domain))
        if memory is None:
            return domain in self._seen
        now = self._store.clock()
        if now - memory.seen_at > self._memory:
            return False
        if memory.missed_since is not None and now - memory.missed_since > self._patience:
            _log.warning(
                "mail goes in clear where TLS was", domain=domain, missed_since=memory.missed_since.isoformat()
            )
            await self._store.write(lambda tx: transport.forget_tls(tx, domain))
            return False
        return True

    async def run(self) -> None:
        """Write what came together, every minute, for ever."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self.flush()
            except MailError as problem:
                _log.warning("the record of TLS sessions is put off", reason=str(problem))
            except Exception as problem:
                log_incident("the record of TLS sessions", problem)

    async def flush(self) -> None:
        """Write what came together. Raises MailError; it is kept then."""
        if not (self._counts or self._seen or self._missed):
            return
        counts, seen, missed = self._counts, self._seen, self._missed
        self._counts, self._seen, self._missed = Counter(), set(), set()

        async def write(tx: Transaction) -> None:
            await tls_results.add(tx, counts)
            await transport.tls_seen(tx, seen)
            for domain in missed:
                await transport.tls_missed(tx, domain)

        try:
            await self._store.write_rows(write, len(counts) + len(seen) + len(missed))
        except MailError:
            self._counts.update(counts)
            self._seen |= seen
            self._missed |= missed
            raise

    def _count(self, policy: PolicyIdentity, result: str, host: str, address: str, reason: str) -> None:
        day = self._store.clock().date().isoformat()
        description = json.dumps({"strings": policy.strings, "mx": policy.mx})
        key = SessionKey(day, policy.domain, policy.type, description, result, host, address, reason[:200])
        if key in self._counts or len(self._counts) < MAX_KEYS:
            self._counts[key] += 1
