"""Reports on TLS: sent to those who want them, once a day, and taken from those who send them (RFC 8460).

A day's sessions with a domain become one report, after the day is over. To send it by mail and to forget what it was
made of is one transaction; over HTTPS it is forgotten when the other side has taken it, and after two days in any case.
"""

import gzip
import hashlib
import json
from base64 import encodebytes
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import structlog

from pennypost.clients.http.https import Https, HttpsFailed
from pennypost.mail import own_mail
from pennypost.mail.attached import attached
from pennypost.mail.signing import Signer
from pennypost.mail.trace import new_id
from pennypost.message.dates import format_date
from pennypost.model.address import Address
from pennypost.model.envelope import Envelope, Notify, Recipient
from pennypost.model.verification import DkimResult, DkimVerdict
from pennypost.net.resolver import Resolver
from pennypost.store import tls_results
from pennypost.store.engine import Transaction
from pennypost.store.store import Store
from pennypost.store.tls_results import ReceivedReport, SessionKey
from pennypost.verify.tls_report import (
    BadReport,
    FailureDetail,
    PolicySummary,
    TlsReport,
    decompress,
    find_report_uris,
    mail_address,
    read_report,
    write_report,
)

POST_TIME = timedelta(minutes=1)
GIVE_UP = timedelta(days=2)
"""A report that could not be posted is dropped after that (RFC 8460 §5.4)."""

REPORTS_AT_ONCE = 200
"""Reports that are sent in one round; the others wait for the next one."""

MAX_MESSAGE_OCTETS = 4 * 1024 * 1024
"""A larger message is not looked into for a report."""


_log = structlog.stdlib.get_logger("pennypost.tls-reports")

_MEDIA_TYPES = frozenset({(b"application", b"tlsrpt+gzip"), (b"application", b"tlsrpt+json")})


@dataclass(frozen=True, slots=True)
class TlsReportSettings:
    """Reports on the TLS of mail sessions (RFC 8460)."""

    send: bool = True
    """Send a daily report to each domain that publishes where it wants one."""

    organization: str = ""
    """Who we say we are. Empty: server.hostname."""

    contact: str = ""
    """An address for questions, and the sender of reports. Empty: postmaster at server.hostname."""

    keep: timedelta = timedelta(days=180)
    """How long reports that others sent us are kept."""


class TlsReporter:
    """Sends what is due. `hostname`: ours."""

    def __init__(
        self,
        settings: TlsReportSettings,
        hostname: str,
        store: Store,
        resolver: Resolver,
        https: Https,
        signer: Signer | None = None,
    ) -> None:
        self._signer = signer
        self._settings = settings
        self._organization = settings.organization or hostname
        self._contact = settings.contact or f"postmaster@{hostname}"
        self._store = store
        self._resolver = resolver
        self._https = https

    async def send_due(self) -> int:
        """Send the reports of days that are over. Gives how many went out. Only one worker may do this at a time."""
        today = self._store.clock().astimezone(UTC).date()
        sent = 0
        for day, domain in await self._store.scan(lambda tx: tls_results.days(tx, today.isoformat(), REPORTS_AT_ONCE)):
            sent += await self._send(date.fromisoformat(day), domain, today)
        return sent

    async def _send(self, day: date, domain: str, today: date) -> bool:
        uris = await self._resolver.consult(find_report_uris(domain)) if self._settings.send else ()
        late = today - day > GIVE_UP
        if not uris:
            if uris is not None or late:
                await self._store.write(lambda tx: tls_results.remove_day(tx, day.isoformat(), domain))
            return False
        rows = await self._store.read(lambda tx: tls_results.of_day(tx, day.isoformat(), domain))
        report = self._report(day, domain, rows)
        packed = gzip.compress(write_report(report), mtime=0)
        posted = [await self._post(uri, packed) for uri in uris if not mail_address(uri)]
        if posted and not any(posted) and not late and len(posted) == len(uris):
            return False  # again in the next round
        addresses = [mail_address(uri) for uri in uris if mail_address(uri)]

        async def settle(tx: Transaction) -> None:
            if addresses:
                await self._enqueue(tx, report, domain, addresses, packed)
            await tls_results.remove_day(tx, day.isoformat(), domain)

        await self._store.write(settle)
        _log.info("TLS report sent", domain=domain, day=day.isoformat(), to=list(uris), failed=report.failed)
        return True

    def _report(self, day: date, domain: str, rows: Iterable[tuple[SessionKey, int]]) -> TlsReport:
        begins = datetime(day.year, day.month, day.day, tzinfo=UTC)
        # The same sessions make the same report, whenever and however often it is tried.
        name = hashlib.sha256(f"{self._organization} {day} {domain}".encode()).hexdigest()[:16]
        report_id = f"{day.isoformat()}-{name}@{self._organization}"
        ends = begins + timedelta(days=1, seconds=-1)
        return TlsReport(self._organization, self._contact, report_id, begins, ends, summarize(rows))

    async def _post(self, uri: str, packed: bytes) -> bool:
        """RFC 8460 §5.4."""
        try:
            answer = await self._https.post(
                uri, packed, {"Content-Type": "application/tlsrpt+gzip"}, max_octets=64 * 1024, patience=POST_TIME
            )
        except HttpsFailed as failure:
            _log.warning("TLS report not taken", uri=uri, reason=str(failure))
            return False
        return 200 <= answer.status < 300

    async def _enqueue(
        self, tx: Transaction, report: TlsReport, domain: str, addresses: Iterable[str], packed: bytes
    ) -> None:
        octets = build_mail(report, domain, self._contact, addresses, packed, self._store.clock())
        local, _, own = self._contact.rpartition("@")
        recipients = tuple(Recipient(_address(address), Notify.NEVER) for address in addresses)
        envelope = Envelope(Address(local, own), recipients)
        await own_mail.send(tx, self._store, self._signer, octets, envelope)


def summarize(rows: Iterable[tuple[SessionKey, int]]) -> tuple[PolicySummary, ...]:
    """Put counted sessions together, policy by policy."""
    policies: dict[tuple[str, str, str], list[tuple[SessionKey, int]]] = {}
    for key, count in rows:
        policies.setdefault((key.policy_type, key.domain, key.policy), []).append((key, count))
    summaries = []
    for (kind, domain, described), sessions in policies.items():
        policy = json.loads(described)
        details = tuple(
            FailureDetail(key.result, count, "", key.mx_host, key.mx_address, key.reason)
            for key, count in sessions
            if key.result
        )
        successful = sum(count for key, count in sessions if not key.result)
        failed = sum(detail.sessions for detail in details)
        summaries.append(
            PolicySummary(kind, domain, tuple(policy["strings"]), tuple(policy["mx"]), successful, failed, details)
        )
    return tuple(summaries)


def build_mail(report: TlsReport, domain: str, sender: str, to: Iterable[str], packed: bytes, now: datetime) -> bytes:
    """Build the message that carries a report (RFC 8460 §5.3): CRLF lines, no trace fields.

    It goes without regard to the recipient's TLS policies: a report on a broken policy must get through (RFC 8460 §3).
    """
    own = sender.rpartition("@")[2]
    begins, ends = int(report.begins.timestamp()), int(report.ends.timestamp())
    name = f"{own}!{domain}!{begins}!{ends}.json.gz"
    boundary = f"=_{new_id()}"
    lines = [
        f"From: <{sender}>",
        f"To: {', '.join(f'<{address}>' for address in to)}",
        f"Subject: Report Domain: {domain} Submitter: {own}\r\n Report-ID: <{report.report_id}>",
        f"Date: {format_date(now).decode('ascii')}",
        f"Message-ID: <{new_id().lower()}@{own}>",
        f"TLS-Report-Domain: {domain}",
        f"TLS-Report-Submitter: {own}",
        "TLS-Required: No",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type="tlsrpt";\r\n boundary="{boundary}"',
        "",
        f"--{boundary}",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        f"This is a report on the TLS of mail sessions of {own} with {domain}",
        f"on {report.begins.date().isoformat()}: {report.successful} succeeded, {report.failed} failed.",
        f"--{boundary}",
        "Content-Type: application/tlsrpt+gzip",
        "Content-Transfer-Encoding: base64",
        f'Content-Disposition: attachment;\r\n filename="{name}"',
        "",
        encodebytes(packed).decode("ascii").replace("\n", "\r\n").rstrip(),
        f"--{boundary}--",
        "",
    ]
    return "\r\n".join(lines).encode("ascii")


def _address(text: str) -> Address:
    local, _, domain = text.rpartition("@")
    return Address(local, domain)


# -- Taking reports


def may_hold_report(header: bytes, size: int) -> bool:
    """Whether a message that comes in may carry a report; cheap."""
    return size <= MAX_MESSAGE_OCTETS and b"tlsrpt" in header.lower()


def report_in(octets: bytes, now: datetime) -> ReceivedReport | None:
    """Find the report in a message (RFC 8460 §5.3), or None."""
    for content in attached(octets, _MEDIA_TYPES):
        try:
            return received(content, now)
        except BadReport as problem:
            _log.info("not a TLS report", reason=str(problem))
    return None


def is_signed(signatures: Iterable[DkimVerdict], author: str) -> bool:
    """Whether the domain that reports signed all of the message: else its report is ignored (RFC 8460 §3)."""
    return any(
        one.result is DkimResult.PASS and not one.body_length_limited and _is_of(one.domain, author)
        for one in signatures
    )


def _is_of(signer: str, author: str) -> bool:
    return signer == author or signer.endswith(f".{author}") or author.endswith(f".{signer}")


def received(octets: bytes, now: datetime) -> ReceivedReport:
    """Make what is stored of a report's octets, JSON or gzip. Raises BadReport."""
    report = read_report(decompress(octets))
    domain = report.policies[0].domain if report.policies else ""
    return ReceivedReport(
        report.organization,
        report.report_id,
        domain,
        report.begins,
        report.ends,
        report.successful,
        report.failed,
        octets,
        now,
    )
