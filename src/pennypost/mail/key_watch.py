"""See whether new signing keys are in the DNS: before that they must not sign (RFC 6376 §3.6.2.1, §5.2)."""

import asyncio
from collections.abc import Iterable
from datetime import datetime
from functools import partial

import structlog

from pennypost.model.dns import DnsQuestion, DnsStatus, RecordType
from pennypost.net.resolver import Resolver
from pennypost.store import signing_keys
from pennypost.store.signing_keys import KeyState, StoredKey
from pennypost.store.store import Store
from pennypost.verify.dkim.record import BadRecord, parse_own_record

AT_ONCE = 20
"""Keys that are looked for side by side: name servers that do not answer take seconds each."""

_log = structlog.stdlib.get_logger("pennypost.signing")


async def is_published(resolver: Resolver, key: StoredKey) -> str:
    """Say why a key cannot be found in the DNS, "" if it can: there has to be one record, with this very key."""
    answer = await resolver.ask(DnsQuestion(f"{key.selector}._domainkey.{key.domain}", RecordType.TXT))
    if answer.status is DnsStatus.FAILED:
        return "the DNS does not answer"
    texts = [record for record in answer.records if isinstance(record, bytes)]
    if len(texts) != 1:
        return f"there are {len(texts)} records" if texts else "there is no record"
    try:
        parse_own_record(texts[0], key.record.encode("ascii"))
    except BadRecord as problem:
        return str(problem)
    return ""


async def watch(store: Store, resolver: Resolver) -> None:
    """Look for keys that wait for their time, and note those that are published. Of one that should sign by now, and is
    not published, the log says so: its predecessor signs on."""
    now = store.clock()
    waiting = _waiting(await store.scan(signing_keys.every), now)
    for start in range(0, len(waiting), AT_ONCE):
        some = waiting[start : start + AT_ONCE]
        problems = await asyncio.gather(*(is_published(resolver, key) for key in some))
        for key, problem in zip(some, problems, strict=True):
            if not problem:
                await store.write(partial(signing_keys.published, domain=key.domain, selector=key.selector))
            elif key.active_from <= now:
                _log.warning(
                    "signing key not published: the old one signs on",
                    domain=key.domain,
                    selector=key.selector,
                    reason=problem,
                    publish=f"{key.selector}._domainkey.{key.domain} TXT {key.record}",
                )


def _waiting(keys: Iterable[StoredKey], now: datetime) -> list[StoredKey]:
    """Give the keys that wait, and were not seen in the DNS yet."""
    by_domain: dict[str, list[StoredKey]] = {}
    for key in keys:
        by_domain.setdefault(key.domain, []).append(key)
    found = []
    for own in by_domain.values():
        states = signing_keys.states(own, now)
        found += [key for key in own if states[key.selector][0] is KeyState.WAITING and key.published_at is None]
    return found
