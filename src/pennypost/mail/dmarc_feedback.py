"""Tell domains how mail in their name fares here, once a day (RFC 9990), and take in what others tell us.

What is seen is counted in memory and handed to the store every minute, off the way of the mail: a worker that is killed
loses the counts of a minute, and no mail. When a day is over, one worker sends a report for each policy domain that
wants one; sending it and forgetting what it was made of is one transaction.
"""

from base64 import encodebytes
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

import structlog

from pennypost.mail import own_mail
from pennypost.mail.attached import attached
from pennypost.mail.dmarc_failures import FailureReports
from pennypost.mail.signing import Signer
from pennypost.mail.trace import new_id
from pennypost.mail.verification import Handling, Verdicts
from pennypost.mail.verification_settings import VerificationSettings
from pennypost.message.dates import format_date
from pennypost.model.address import Address
from pennypost.model.envelope import Envelope, Notify, Recipient
from pennypost.model.peer import Peer
from pennypost.model.verification import DkimResult, DmarcPolicy, DmarcResult
from pennypost.net.resolver import Resolver
from pennypost.store import directory, dmarc
from pennypost.store.dmarc import SECONDS_OF_A_DAY, Seen
from pennypost.store.engine import Transaction
from pennypost.store.store import Store
from pennypost.verify.dmarc import PolicyRecord, parse, report
from pennypost.verify.dmarc.destinations import destinations
from pennypost.verify.dmarc.report import DkimOutcome, Report, ReportError, ReportRow

MAX_PENDING = 10_000
"""Different rows one worker keeps in memory. What else comes is not reported."""
MAX_SIGNATURES = 100
"""Signatures of one row (RFC 9990 §3.3)."""
REPORTS_AT_ONCE = 200
"""Reports that are sent in one round; the others wait for the next one."""
MAX_MESSAGE_OCTETS = 4 * 1024 * 1024
"""A larger message is not looked into for a report."""
GIVE_UP_DAYS = 2
"""A report that could not be sent so many days later is dropped."""

_log = structlog.stdlib.get_logger("pennypost.dmarc-reports")


class Feedback:
    """Counts what one worker sees, and sends what is due."""

    def __init__(
        self, store: Store, settings: VerificationSettings, hostname: str, signer: Signer | None = None
    ) -> None:
        self._store = store
        self._signer = signer
        self._settings = settings
        self._hostname = hostname
        self.failures = FailureReports(store, settings, hostname, signer)
        self._pending: dict[tuple[int, str, str, ReportRow], int] = {}

    def note(self, peer: Peer, envelope_from: str, verdicts: Verdicts) -> None:
        """Count a message. Only what a domain wants to hear of is kept."""
        found = verdicts.dmarc
        if not self._settings.report or found is None or not found.record:
            return
        record = parse(found.record.encode("latin-1", "replace"))
        if record is None or not record.reports:
            return
        day = dmarc.day_of(self._store.clock())
        key = (day, found.policy_domain, found.record, row_of(peer, envelope_from, verdicts, record))
        if key in self._pending or len(self._pending) < MAX_PENDING:
            self._pending[key] = self._pending.get(key, 0) + 1

    async def flush(self) -> None:
        """Hand what was counted to the store. What could not be stored is kept for the next time."""
        pending, self._pending = self._pending, {}
        if not pending:
            return
        seen = [Seen(day, domain, record, replace(row, count=n)) for (day, domain, record, row), n in pending.items()]
        try:
            await self._store.write_large(lambda tx: dmarc.note(tx, seen))
        except BaseException:
            for key, count in pending.items():
                self._pending[key] = self._pending.get(key, 0) + count
            raise

    async def send_due(self, resolver: Resolver) -> int:
        """Send the reports of days that are over. Gives how many. Only one worker may do this at a time."""
        today = dmarc.day_of(self._store.clock())
        sent = 0
        for day, domain in await self._store.scan(lambda tx: dmarc.due(tx, today, REPORTS_AT_ONCE)):
            sent += await self._send(resolver, day, domain, today)
        return sent

    async def _send(self, resolver: Resolver, day: int, domain: str, today: int) -> bool:
        seen = await self._store.scan(lambda tx: dmarc.of_day(tx, day, domain))
        record = parse(seen[-1].record.encode("latin-1", "replace")) if seen else None
        uris = record.reports if record is not None and self._settings.report else ()
        found = await resolver.consult(destinations(domain, uris))
        late = today - day > GIVE_UP_DAYS
        if not found.addresses or record is None or late:
            if not found.undecided or late:
                await self._store.write_large(lambda tx: dmarc.forget_day(tx, day, domain))
            return False
        sender = await self.sender()
        if sender is None:
            return False
        made = self._report(day, domain, record, [each.row for each in seen], str(sender))
        octets = build_mail(made, self._hostname, sender, found.addresses, self._store.clock())

        async def settle(tx: Transaction) -> None:
            recipients = tuple(Recipient(_address(address), Notify.NEVER) for address in found.addresses)
            envelope = Envelope(sender, recipients)
            await own_mail.send(tx, self._store, self._signer, octets, envelope)
            await dmarc.forget_day(tx, day, domain)

        await self._store.write_large(settle)
        _log.info("DMARC report sent", domain=domain, day=day, to=list(found.addresses), rows=len(made.rows))
        return True

    async def sender(self) -> Address | None:
        """Give the address reports come from: it has to pass DMARC itself (RFC 9990 §3.5.2)."""
        if self._settings.report_sender:
            return _address(self._settings.report_sender)
        domains = await self._store.scan(directory.domains)
        return Address("postmaster", domains[0].name) if domains else None

    def _report(self, day: int, domain: str, record: PolicyRecord, rows: Sequence[ReportRow], contact: str) -> Report:
        begin = day * SECONDS_OF_A_DAY
        return Report(
            self._settings.report_organization or self._hostname,
            contact,
            f"{begin}-{domain}@{self._hostname}",
            begin,
            begin + SECONDS_OF_A_DAY - 1,
            domain,
            published(record),
            tuple(rows),
        )


def published(record: PolicyRecord) -> tuple[tuple[str, str], ...]:
    """Give the policy in the words and the order of policy_published (RFC 9990 §3.1.5)."""
    found = [("p", record.effective.value)]
    if record.subdomain_policy is not None:
        found.append(("sp", record.subdomain_policy.value))
    if record.missing_policy is not None:
        found.append(("np", record.missing_policy.value))
    found += [("fo", ":".join(record.failure_options)), ("adkim", "s" if record.strict_dkim else "r")]
    return (*found, ("aspf", "s" if record.strict_spf else "r"), ("testing", "y" if record.testing else "n"))


_DISPOSITIONS = {Handling.REFUSE: "reject", Handling.QUARANTINE: "quarantine"}


def row_of(peer: Peer, envelope_from: str, verdicts: Verdicts, record: PolicyRecord) -> ReportRow:
    """Make the row that a message counts in; its count is 0."""
    found = verdicts.dmarc
    assert found is not None
    failed = found.result is DmarcResult.FAIL
    disposition = _DISPOSITIONS.get(verdicts.handling, "none") if failed else "none"
    if found.result is DmarcResult.PASS and record.effective is not DmarcPolicy.NONE:
        disposition = "pass"
    reason, comment = (verdicts.override, verdicts.override_comment) if failed else ("", "")
    if failed and record.testing and not reason and record.effective is not DmarcPolicy.NONE:
        reason = "policy_test_mode"
    spf = verdicts.spf
    return ReportRow(
        source_ip=str(peer.ip),
        count=0,
        disposition=disposition,
        dkim_aligned=found.dkim_aligned,
        spf_aligned=found.spf_aligned,
        header_from=found.from_domain,
        envelope_from=envelope_from,
        reason=reason,
        comment=comment,
        dkim=tuple(_signatures(verdicts, found.from_domain)),
        spf_domain=spf.domain if spf is not None else "",
        spf_result=spf.result.value if spf is not None else "",
    )


def _signatures(verdicts: Verdicts, author: str) -> Iterable[DkimOutcome]:
    """Give the signatures, those that say most of the author first (RFC 9990 §3.3)."""
    readable = [v for v in verdicts.dkim if v.domain and v.selector]
    ordered = sorted(readable, key=lambda v: (v.result is not DkimResult.PASS, v.domain != author))
    return (DkimOutcome(v.domain, v.selector, v.result.value) for v in ordered[:MAX_SIGNATURES])


def build_mail(made: Report, hostname: str, sender: Address, to: Sequence[str], now: datetime) -> bytes:
    """Build the message that carries a report (RFC 9990 §3.5.2): CRLF lines, no trace fields."""
    packed = report.compress(report.write_xml(made, "Pennypost"))
    boundary = f"=_{new_id()}"
    lines = [
        f"From: <{sender}>",
        f"To: {', '.join(f'<{address}>' for address in to)}",
        f"Subject: {report.subject(hostname, made).replace(' Submitter:', f'{chr(13)}{chr(10)} Submitter:')}".replace(
            " Report-ID:", "\r\n Report-ID:"
        ),
        f"Date: {format_date(now).decode('ascii')}",
        f"Message-ID: <{new_id().lower()}@{sender.domain}>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/mixed;\r\n boundary="{boundary}"',
        "",
        f"--{boundary}",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        f"This is an aggregate report on mail from {made.domain} that came to {hostname}.",
        f"--{boundary}",
        "Content-Type: application/gzip",
        "Content-Transfer-Encoding: base64",
        f'Content-Disposition: attachment;\r\n filename="{report.file_name(hostname, made)}"',
        "",
        encodebytes(packed).decode("ascii").replace("\n", "\r\n").rstrip(),
        f"--{boundary}--",
        "",
    ]
    return "\r\n".join(lines).encode("ascii", "replace")


def _address(text: str) -> Address:
    local, _, domain = text.rpartition("@")
    return Address(local, domain)


# -- Taking reports


def may_hold_report(recipients: Iterable[Address], size: int, settings: VerificationSettings) -> bool:
    """Whether a message that comes in may carry a report; cheap."""
    return size <= MAX_MESSAGE_OCTETS and any(
        address.local_part.lower() in settings.report_addresses for address in recipients
    )


_MEDIA_TYPES = frozenset(
    {
        (b"application", b"gzip"),
        (b"application", b"x-gzip"),
        (b"application", b"zip"),
        (b"application", b"x-zip-compressed"),
        (b"application", b"octet-stream"),
        (b"application", b"xml"),
        (b"text", b"xml"),
    }
)


def report_in(octets: bytes) -> Report | None:
    """Find the report in a message, or None."""
    for content in attached(octets, _MEDIA_TYPES):
        try:
            return report.read_xml(report.uncompress(content))
        except ReportError as problem:
            _log.info("not a DMARC report", reason=str(problem))
    return None
