"""Reports on single messages that failed DMARC, for domains that ask for them (RFC 9991, RFC 6591). Off by default.

They tell a domain's owner of mail that people here got, so little is told: no body, and no field that names recipients.
What is to be sent waits in memory for a minute at most; a worker that is killed loses it.
"""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from pennypost.mail import own_mail
from pennypost.mail.signing import Signer
from pennypost.mail.trace import new_id
from pennypost.mail.verification import Handling, Verdicts
from pennypost.mail.verification_settings import VerificationSettings
from pennypost.message import headers
from pennypost.message.dates import format_date
from pennypost.model.address import Address
from pennypost.model.dns import Consultation, DnsQuestion, RecordType
from pennypost.model.envelope import Envelope, Notify, Recipient
from pennypost.model.peer import Peer
from pennypost.model.verification import DkimResult, DmarcResult, DmarcVerdict, SpfResult
from pennypost.net.resolver import Resolver
from pennypost.store.dmarc import day_of
from pennypost.store.engine import Transaction
from pennypost.store.store import Store
from pennypost.verify.dmarc import PolicyRecord, parse
from pennypost.verify.dmarc.destinations import destinations
from pennypost.verify.spf.record import is_spf

MAX_PENDING = 100
"""Failures one worker keeps until they are sent. What else fails meanwhile is not reported."""
MAX_REPORTS_OF_A_DAY = 100
"""Reports of one worker to one policy domain in a day, so that nobody can have it flooded (RFC 9991 §7)."""
MAX_HEADER_OCTETS = 32 * 1024
"""Octets of the message's header that are sent along."""

_SHOWN_FIELDS = (
    b"from", b"sender", b"reply-to", b"subject", b"date", b"message-id", b"dkim-signature",
    b"arc-seal", b"arc-message-signature", b"list-id", b"mime-version", b"content-type",
)  # fmt: skip

_log = structlog.stdlib.get_logger("pennypost.dmarc-reports")


@dataclass(frozen=True, slots=True)
class Failure:
    """A message that failed. `header`: the fields that may be shown."""

    peer: Peer
    sender: str
    header: bytes
    verdicts: Verdicts
    record: PolicyRecord
    at: datetime


class FailureReports:
    """Reports what one worker sees fail."""

    def __init__(
        self, store: Store, settings: VerificationSettings, hostname: str, signer: Signer | None = None
    ) -> None:
        self._store = store
        self._signer = signer
        self._settings = settings
        self._hostname = hostname
        self._pending: deque[Failure] = deque()
        self._sent: Counter[tuple[int, str]] = Counter()

    def note(self, peer: Peer, sender: Address | None, header: bytes, verdicts: Verdicts) -> None:
        """Remember a message whose author's domain wants to hear of it."""
        found = verdicts.dmarc
        if not self._settings.report_failures or found is None or not found.record:
            return
        if len(self._pending) >= MAX_PENDING:
            return
        record = parse(found.record.encode("latin-1", "replace"))
        if record is None or not record.failure_reports or not wanted(record, verdicts):
            return
        if record.psd == "y":  # MUST NOT be considered (RFC 9991 §2)
            return
        shown = headers.select_fields(header[:MAX_HEADER_OCTETS], _SHOWN_FIELDS)
        self._pending.append(Failure(peer, str(sender or ""), shown, verdicts, record, self._store.clock()))

    async def send(self, resolver: Resolver, contact: Address) -> int:
        """Send what is pending. Gives how many reports went out."""
        sent = 0
        today = day_of(self._store.clock())
        for key in [key for key in self._sent if key[0] != today]:
            del self._sent[key]
        while self._pending:
            failure = self._pending.popleft()
            assert failure.verdicts.dmarc is not None
            domain = failure.verdicts.dmarc.policy_domain
            if self._sent[today, domain] >= MAX_REPORTS_OF_A_DAY:
                continue
            found = await resolver.consult(destinations(domain, failure.record.failure_reports))
            if found.addresses:
                self._sent[today, domain] += 1
                policy = await resolver.consult(_spf_record(failure.verdicts))
                await self._enqueue(failure, contact, found.addresses, policy)
                sent += 1
        return sent

    async def _enqueue(self, failure: Failure, contact: Address, to: Sequence[str], policy: str) -> None:
        octets = build_mail(failure, self._hostname, contact, to, self._store.clock(), policy)

        async def put(tx: Transaction) -> None:
            recipients = []
            for address in to:
                local, _, domain = address.rpartition("@")
                recipients.append(Recipient(Address(local, domain), Notify.NEVER))
            # The null reverse-path: a report must not come back as another one.
            envelope = Envelope(None, tuple(recipients))
            await own_mail.send(tx, self._store, self._signer, octets, envelope)

        await self._store.write(put)
        _log.info("DMARC failure reported", domain=failure.record.text[:80], to=list(to))


def wanted(record: PolicyRecord, verdicts: Verdicts) -> bool:
    """Whether the options of a record ask for a report on a message (RFC 9989 §4.7: fo)."""
    found = verdicts.dmarc
    if found is None or found.result not in (DmarcResult.PASS, DmarcResult.FAIL):
        return False
    for option in record.failure_options:
        match option:
            case "0" if found.result is DmarcResult.FAIL:
                return True
            case "1" if not (found.spf_aligned and found.dkim_aligned):
                return True
            case "d" if any(verdict.result is DkimResult.FAIL for verdict in verdicts.dkim):
                return True
            case "s" if verdicts.spf is not None and verdicts.spf.result in (SpfResult.FAIL, SpfResult.SOFTFAIL):
                return True
    return False


_DELIVERY = {
    Handling.DELIVER: "delivered",
    Handling.QUARANTINE: "spam",
    Handling.DEFER: "other",
    Handling.REFUSE: "reject",
}


def _belongs(domain: str, found: DmarcVerdict) -> bool:
    """Whether a domain is of the same organization as the author's."""
    organization = found.organizational_domain or found.from_domain
    return domain == organization or domain.endswith("." + organization)


def _spf_record(verdicts: Verdicts) -> Consultation[str]:
    """Give the SPF record by which a sender of the author's organization failed; "" when that is not what happened."""
    found, checked = verdicts.dmarc, verdicts.spf
    if found is None or checked is None or checked.result is SpfResult.PASS or not _belongs(checked.domain, found):
        return ""
    answer = yield DnsQuestion(checked.domain, RecordType.TXT)
    records = [text for text in answer.records if isinstance(text, bytes) and is_spf(text)]
    return records[0].decode("latin-1") if len(records) == 1 else ""


def _fields(failure: Failure, policy: str) -> list[tuple[str, str]]:
    """Give the fields of the part that programs read (RFC 9991 §4, RFC 6591 §3, RFC 5965 §3).

    Identity-Alignment names what did *not* lead to the author's domain; RFC 7489 had it name what did.
    """
    verdicts = failure.verdicts
    found = verdicts.dmarc
    assert found is not None
    failed = [name for name, yes in (("dkim", found.dkim_aligned), ("spf", found.spf_aligned)) if not yes]
    fields = [
        ("Feedback-Type", "auth-failure"),
        ("User-Agent", "Pennypost/0.1"),
        ("Version", "1"),
        ("Original-Mail-From", f"<{failure.sender}>"),
        ("Arrival-Date", format_date(failure.at).decode("ascii")),
        ("Source-IP", str(failure.peer.ip)),
        ("Reported-Domain", found.from_domain),
        ("Auth-Failure", "dmarc"),
        ("Identity-Alignment", ", ".join(failed) or "none"),
        ("Delivery-Result", _DELIVERY[verdicts.handling]),
    ]
    blamed = [one for one in verdicts.dkim if one.result is not DkimResult.PASS and _belongs(one.domain, found)]
    for verdict in [*blamed, *verdicts.dkim][:1]:
        fields += [("DKIM-Domain", verdict.domain), ("DKIM-Selector", verdict.selector)]
        fields.append(("DKIM-Identity", verdict.identity))
    if policy and verdicts.spf is not None:
        quoted = policy.replace("\\", "\\\\").replace('"', '\\"')
        fields.append(("SPF-DNS", f'txt : {verdicts.spf.domain} : "{quoted[:700]}"'))
    return [(name, "".join(c if " " <= c <= "~" else "?" for c in value)[:900]) for name, value in fields if value]


def build_mail(
    failure: Failure, hostname: str, contact: Address, to: Sequence[str], now: datetime, policy: str = ""
) -> bytes:
    """Build the message that carries a report (RFC 6591 §3.1): CRLF lines, no trace fields. `policy`: the SPF record
    that failed."""
    assert failure.verdicts.dmarc is not None
    boundary = f"=_{new_id()}"
    domain = failure.verdicts.dmarc.from_domain
    lines = [
        f"From: <{contact}>",
        f"To: {', '.join(f'<{address}>' for address in to)}",
        f"Subject: DMARC failure: mail from {domain} that came to {hostname}",
        f"Date: {format_date(now).decode('ascii')}",
        f"Message-ID: <{new_id().lower()}@{contact.domain}>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type="feedback-report";\r\n boundary="{boundary}"',
        "",
        f"--{boundary}",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        f"A message in the name of {domain} that came to {hostname} failed DMARC.",
        f"--{boundary}",
        "Content-Type: message/feedback-report",
        "",
        *(f"{name}: {value}" for name, value in _fields(failure, policy)),
        "",
        f"--{boundary}",
        "Content-Type: text/rfc822-headers",
        "",
    ]
    shown = "".join(chr(octet) if octet in b"\r\n\t" or 32 <= octet < 127 else "?" for octet in failure.header)
    return ("\r\n".join(lines) + "\r\n" + shown + f"--{boundary}--\r\n").encode("ascii", "replace")
