"""See whether new signing keys are in the DNS: before that they must not sign (RFC 6376 §3.6.2.1, §5.2)."""

from functools import partial

import structlog

from pennypost.model.dns import DnsQuestion, DnsStatus, RecordType
from pennypost.net.resolver import Resolver
from pennypost.store import signing_keys
from pennypost.store.signing_keys import KeyState, StoredKey
from pennypost.store.store import Store
from pennypost.verify.dkim.record import BadRecord, parse_own_record

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
    keys = await store.scan(signing_keys.every)
    now = store.clock()
    for key in keys:
        states = signing_keys.states([other for other in keys if other.domain == key.domain], now)
        if states[key.selector][0] is not KeyState.WAITING or key.published_at is not None:
            continue
        problem = await is_published(resolver, key)
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
