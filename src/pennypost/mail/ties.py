"""Tie reports of other hosts to what we have sent, and find out what follows for their recipients (RFC 3464 §1.1).

Theory of operation
-------------------
A report is anybody's mail, and says whatever its author wants. It is heard only if it comes with the null reverse-path,
to an address from which the message went out, and shows something that only those know who had the message:

- the address it comes to has our tag (`queue.verp`): it is about this recipient of this message;
- the header that it returns has our Received field, whose id is 64 bits of chance. The instant beside it says where
  in the timeline to look;
- the header has the Message-ID, or the report the ENVID, of something that the account sent lately.

What it says of one of the message's recipients becomes that one's state in the message's story. When there is but one,
it is about him, whatever address he has further on. What it says of anybody else is told as that, and no more.

One who had the message could still lie about the others who did. So recipients are suppressed only by a report to an
address with our tag, or by one whose sender is vouched for: by the host that took the message from us, or by a domain
that passed SPF or DKIM and is the recipient's, or that of the host which took it.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from pennypost.mail import srs
from pennypost.mail.heard import DeliveryReport, Told, addresses_of, read_report
from pennypost.mail.queue import verp
from pennypost.mail.queue.settings import Suppress
from pennypost.mail.queue.settler import NOTE_SECONDS
from pennypost.mail.queue.suppressing import GONE_STATUSES
from pennypost.mail.verification import Verdicts
from pennypost.message import headers
from pennypost.model.address import Address
from pennypost.model.ids import AccountId
from pennypost.model.relaying import RelayState
from pennypost.model.text import printable
from pennypost.model.verification import DkimResult, IprevResult, SpfResult
from pennypost.store import junk, timeline
from pennypost.store.engine import Transaction
from pennypost.store.keys import split_key
from pennypost.store.store import Store
from pennypost.store.timeline import Event

MAX_ADDRESSES = 10
"""Addresses a report came to that are looked at. It has one (RFC 3464 §2)."""

TOLD_SECONDS = 5 * NOTE_SECONDS
"""How long after a message was passed on the timeline tells of it for sure, in whichever worker: a host that reports at
once can be quicker."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A report on a message of ours. `trace`: the message's; `facts`: for its timeline. `gone`: recipients that are not
    there, each with what was said of him: they are to be suppressed, if that is wanted."""

    trace: int
    facts: Mapping[str, object]
    gone: tuple[tuple[Address, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Reporter:
    """Who sent a report. `found`: None when he was not verified: `trusted` says whether he needs not be."""

    ip: IPv4Address | IPv6Address | None
    found: Verdicts | None
    trusted: bool


def envelope_key(envelope_id: str) -> bytes:
    """Give the name under which the ENVID of what an account sent is noted beside Message-IDs."""
    return b"ENVID " + envelope_id.encode("utf-8", "replace")


async def hear(
    store: Store,
    hostname: str,
    suppress: Suppress,
    recipients: Sequence[Address],
    accounts: Sequence[AccountId],
    header: bytes,
    body: bytes,
    reporter: Reporter,
) -> Heard | None:
    """Find what a message with a null reverse-path reports on one of ours. None: nothing.

    `hostname`: ours. `recipients`: whom it came to, `accounts`: in whose mailboxes it goes.
    """
    report = read_report(header, body, hostname)
    separator = store.settings.subaddress_separator

    async def look(tx: Transaction) -> _Message | None:
        senders: set[str] = set()
        for address in recipients[:MAX_ADDRESSES]:
            returned = await verp.read(tx, address, separator)
            if returned is not None:
                return _Message(returned.trace, {returned.recipient.key: ""}, {}, by_tag=True)
            sender = await srs.find_back(tx, address)
            for one in (address, sender) if sender is not None else (address,):
                senders |= {one.key, str(one).casefold()}
        if report is None:
            return None
        came = await _reception(tx, report, senders, accounts[:MAX_ADDRESSES])
        return None if came is None else _message(came, await timeline.first_attempts(tx, came))

    if report is None and not any("=" in address.local_part for address in recipients):
        return None
    message = await store.scan(look)
    if message is None and report is not None and not report.names_nothing:
        await asyncio.sleep(TOLD_SECONDS)
        message = await store.scan(look)
    if message is None:
        return None
    if report is None:  # no report that could be read: still, something has come back
        subject = (headers.value(header, b"subject") or b"").decode("utf-8", "replace")[:300]
        text = printable(subject)
        return Heard(message.trace, {"from": "", "results": [], "returned": [*message.recipients], "subject": text})
    return _heard(message, report, suppress, reporter)


@dataclass(frozen=True, slots=True)
class _Message:
    """`recipients`: by their keys, the hosts that took it for them, "" if that is not known. `written`: the addresses
    as they were written."""

    trace: int
    recipients: Mapping[str, str]
    written: Mapping[str, str]
    by_tag: bool = False


async def _reception(
    tx: Transaction, report: DeliveryReport, senders: set[str], accounts: Sequence[AccountId]
) -> Event | None:
    if report.trace is not None and report.received_at is not None:
        found = await timeline.reception(tx, report.trace, report.received_at)
        if found is not None:
            return found if found.facts.get("from", "").casefold() in senders else None
    names = [report.message_id] if report.message_id is not None else []
    names += [envelope_key(report.envelope_id)] if report.envelope_id is not None else []
    for name in names:
        message_id = name.decode("utf-8", "replace") if name is report.message_id else None
        for account in accounts:
            if (at := await junk.sent_at(tx, account, name)) is None:
                continue
            for sender in senders:
                if (found := await timeline.submission(tx, at, sender, message_id)) is not None:
                    return found
    return None


def _message(came: Event, attempts: Sequence[Event]) -> _Message:
    hosts: dict[str, str] = {}
    written: dict[str, str] = {}
    for event in attempts:
        for address, state, _, _, remote in event.facts["results"]:
            if state == RelayState.SENT.value:
                hosts[address.casefold()] = remote
                written[address.casefold()] = address
    for address in came.facts["to"]:
        if address.casefold() not in written and not any("/" in name for name in came.facts["stored"]):
            hosts[address.casefold()] = ""
            written[address.casefold()] = address
    return _Message(came.trace, hosts, written)


def _heard(message: _Message, report: DeliveryReport, suppress: Suppress, reporter: Reporter) -> Heard:
    results: list[list[str]] = []
    others: list[list[str]] = []
    gone: list[tuple[Address, str]] = []
    for told in report.told:
        key = _whom(message, told)
        if key is None:
            others.append([told.final or told.original, told.action, told.status, told.diagnostic])
            continue
        address = message.written.get(key, key)
        results.append([address, told.action, told.status, told.diagnostic])
        recipient = _unquoted(key)
        if (
            (suppress is Suppress.ON or (suppress is Suppress.BULK and (message.by_tag or report.bulk)))
            and told.action == "failed"
            and told.status in GONE_STATUSES
            and (message.by_tag or _vouches(reporter, recipient.domain, message.recipients[key]))
        ):
            gone.append((recipient, told.diagnostic or told.status))
    facts: dict[str, object] = {"from": report.reporter, "results": results}
    if others:
        facts["others"] = others
    return Heard(message.trace, facts, tuple(gone))


def _unquoted(written: str) -> Address:
    """Give the address that is written so: its local part may be quoted."""
    local, domain = split_key(written)
    if len(local) > 1 and local[0] == local[-1] == '"':
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    return Address(local, domain)


def _whom(message: _Message, told: Told) -> str | None:
    """Give the key of the recipient that is meant; None: somebody else."""
    for address in addresses_of(told):
        if address.casefold() in message.recipients:
            return address.casefold()
    return next(iter(message.recipients)) if len(message.recipients) == 1 else None


def _vouches(reporter: Reporter, domain: str, remote: str) -> bool:
    """Whether a report comes from where it should. `domain`: the recipient's. `remote`: the host that took the message,
    "mx1.example.org [192.0.2.1]"."""
    name, _, literal = remote.rstrip("]").rpartition(" [")
    if reporter.trusted or (reporter.ip is not None and literal.casefold() == str(reporter.ip)):
        return True
    found = reporter.found
    if found is None:
        return False
    passed = [one.domain for one in found.dkim if one.result is DkimResult.PASS]
    passed += [one.domain for one in (found.spf, found.spf_helo) if one is not None and one.result is SpfResult.PASS]
    if found.iprev is not None and found.iprev.result is IprevResult.PASS:
        passed.append(found.iprev.name)
    return any(_is_of(one.rstrip("."), domain) or _is_of(name, one.rstrip(".")) for one in passed if one)


def _is_of(name: str, domain: str) -> bool:
    """Whether a name is a domain, or below it."""
    return f".{name.casefold()}".endswith(f".{domain.casefold()}")
