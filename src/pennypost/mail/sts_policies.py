"""MTA-STS policies of other domains: fetched, kept, refreshed (RFC 8461 §3.3, §5.1).

A policy that was seen holds until it runs out, whatever becomes of its DNS record or of the host it came from: who can
hide those must not be able to undo it.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import structlog

from pennypost.clients.http.https import Https, HttpsFailed
from pennypost.net.resolver import Resolver
from pennypost.store import transport
from pennypost.store.store import Store
from pennypost.store.transport import StoredPolicy
from pennypost.verify.mta_sts import (
    MAX_POLICY_OCTETS,
    WELL_KNOWN,
    BadPolicy,
    StsMode,
    StsPolicy,
    find_record_id,
    parse_policy,
)

FETCH_TIME = timedelta(minutes=1)
"""RFC 8461 §3.3."""

AFTER_FAILURE_SECONDS = 300.0
"""A policy that could not be fetched is not asked for again within that time (RFC 8461 §3.3)."""

MAX_FAILURES = 10_000
"""Failures that are remembered."""

REFRESH_AFTER = timedelta(days=1)
"""A policy is fetched anew when it is that old (RFC 8461 §10.2: so that nobody can block it until it runs out)."""

_log = structlog.stdlib.get_logger("pennypost.mta-sts")


@dataclass(frozen=True, slots=True)
class PolicyFinding:
    """`policy`: what holds, or None. `problem`: why a new one could not be had: a result type of RFC 8460 §4.3.2.2, or
    "". `detail`: more of it, one line."""

    policy: StsPolicy | None
    problem: str = ""
    detail: str = ""


_NOTHING = PolicyFinding(None)


class StsPolicies:
    """The policies of other domains, for one worker."""

    def __init__(self, store: Store, resolver: Resolver, https: Https) -> None:
        self._store = store
        self._resolver = resolver
        self._https = https
        self._failed: dict[str, tuple[float, PolicyFinding]] = {}
        self._fetching: dict[str, asyncio.Task[PolicyFinding]] = {}

    async def of(self, domain: str) -> PolicyFinding:
        """Give the policy that holds for a domain. Fetches it where there is a new one."""
        stored = await self._store.glance(lambda tx: transport.policy_of(tx, domain))
        identifier = await self._resolver.consult(find_record_id(domain))
        if identifier is None or (stored is not None and stored.id == identifier):
            return PolicyFinding(_parsed(stored)) if stored is not None else _NOTHING
        found = await self._fetch(domain, identifier)
        if found.policy is None and stored is not None:
            return PolicyFinding(_parsed(stored), found.problem, found.detail)
        return found

    async def refresh(self) -> int:
        """Fetch anew what is old. Gives how many policies were."""
        before = self._store.clock() - REFRESH_AFTER
        old = await self._store.scan(lambda tx: transport.oldest_policies(tx, before))
        for stored in old:
            identifier = await self._resolver.consult(find_record_id(stored.domain))
            if identifier is not None:
                await self._fetch(stored.domain, identifier)
        return len(old)

    async def close(self) -> None:
        """Give up what is being fetched."""
        tasks = list(self._fetching.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _fetch(self, domain: str, identifier: str) -> PolicyFinding:
        """Fetch a policy, once for all who wait for it."""
        now = asyncio.get_running_loop().time()
        until, known = self._failed.get(domain, (0.0, _NOTHING))
        if now < until:
            return known
        task = self._fetching.get(domain)
        if task is None:
            task = asyncio.create_task(self._fetch_now(domain, identifier))
            self._fetching[domain] = task
            task.add_done_callback(lambda _: self._fetching.pop(domain, None))
        return await asyncio.shield(task)

    async def _fetch_now(self, domain: str, identifier: str) -> PolicyFinding:
        try:
            answer = await self._https.get(
                f"https://mta-sts.{domain}{WELL_KNOWN}", max_octets=MAX_POLICY_OCTETS, patience=FETCH_TIME
            )
        except HttpsFailed as failure:
            problem = "sts-webpki-invalid" if failure.tls else "sts-policy-fetch-error"
            return self._note_failure(domain, PolicyFinding(None, problem, str(failure)))
        if answer.status != 200:  # RFC 8461 §3.3: nothing else counts, redirects are not followed
            return self._note_failure(domain, PolicyFinding(None, "sts-policy-fetch-error", f"HTTP {answer.status}"))
        kind = answer.content_type.partition(";")[0].strip().lower()
        if kind != "text/plain":  # RFC 8461 §3.3: perhaps somebody may put files of his own there
            return self._note_failure(
                domain, PolicyFinding(None, "sts-policy-fetch-error", f"it is {kind or 'untyped'}")
            )
        try:
            policy = parse_policy(answer.content)
        except BadPolicy as problem:
            return self._note_failure(domain, PolicyFinding(None, "sts-policy-invalid", str(problem)))
        age = timedelta(seconds=policy.max_age_seconds)
        await self._store.write(lambda tx: transport.put_policy(tx, domain, identifier, policy.text, age))
        self._failed.pop(domain, None)
        return PolicyFinding(None if policy.mode is StsMode.NONE else policy)

    def _note_failure(self, domain: str, finding: PolicyFinding) -> PolicyFinding:
        _log.warning("no policy", domain=domain, problem=finding.problem, detail=finding.detail)
        if len(self._failed) >= MAX_FAILURES:
            self._failed.pop(next(iter(self._failed)))
        self._failed[domain] = (asyncio.get_running_loop().time() + AFTER_FAILURE_SECONDS, finding)
        return finding


def _parsed(stored: StoredPolicy) -> StsPolicy | None:
    policy = parse_policy(stored.policy)
    return None if policy.mode is StsMode.NONE else policy
