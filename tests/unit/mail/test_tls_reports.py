"""Reports on TLS, sent and taken (RFC 8460)."""

import gzip
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path

from tests.dns_server import FakeDns, Fault
from tests.unit.mail.conftest import World
from tests.unit.mail.test_transaction import receive
from tests.unit.mail.test_transport_security import AUTHORITY, Web, context

from pennypost.clients.http.https import Https
from pennypost.clients.smtp.answers import SessionFailed, Stage
from pennypost.mail.tls_record import result_type
from pennypost.mail.tls_reports import TlsReporter, TlsReportSettings, build_mail, report_in
from pennypost.net.client_tls import ClientTls
from pennypost.net.resolver import Resolver
from pennypost.net.settings import ResolverSettings, TlsSettings
from pennypost.store import queue_view, tls_results
from pennypost.store.settings import StoreSettings
from pennypost.store.store import Store
from pennypost.store.tls_results import SessionKey
from pennypost.verify.tls_report import FailureDetail, PolicySummary, TlsReport, decompress, read_report, write_report

NOW = datetime(2026, 2, 1, 9, tzinfo=UTC)
YESTERDAY = "2026-01-31"
RECORD = ("_smtp._tls.example.org", "TXT")
WEB, _ = context(AUTHORITY, "reports.example.org")


def key(result: str = "", day: str = YESTERDAY, domain: str = "example.org") -> SessionKey:
    described = json.dumps({"strings": ["mode: enforce"], "mx": ["*.example.org"]})
    host = ("mx.example.org", "192.0.2.1", "expired") if result else ("", "", "")
    return SessionKey(day, domain, "sts", described, result, *host)


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


@asynccontextmanager
async def reporting(
    folder: Path, dns: FakeDns, web: Web | None = None, settings: TlsReportSettings | None = None
) -> AsyncIterator[tuple[TlsReporter, Store, Clock]]:
    AUTHORITY.cert_pem.write_to_path(str(folder / "ca.pem"))
    clock = Clock()
    store = await Store.open(StoreSettings(folder / "data"), clock=clock)
    resolver = Resolver(ResolverSettings(timeout=timedelta(seconds=0.3), cache_entries=0), (dns.server,))
    tls = ClientTls(TlsSettings(ca_file=folder / "ca.pem"))
    https = Https(resolver, lambda: tls.verified, port=web.port if web else 9)
    yield TlsReporter(settings or TlsReportSettings(), "mx.me.example", store, resolver, https), store, clock
    await resolver.close()
    await store.close()


async def count(store: Store, *keys: SessionKey) -> None:
    await store.write(lambda tx: tls_results.add(tx, Counter(dict.fromkeys(keys, 3))))


async def left(store: Store) -> list[tuple[str, str]]:
    return await store.read(lambda tx: tls_results.days(tx, "9999"))


async def test_a_days_report_by_mail(tmp_path: Path) -> None:
    with FakeDns({RECORD: ['"v=TLSRPTv1; rua=mailto:tls@example.org"']}) as dns:
        async with reporting(tmp_path, dns) as (reporter, store, _):
            await count(store, key(), key(), key("certificate-expired"), key(day="2026-02-01"))
            assert await reporter.send_due() == 1
            assert await reporter.send_due() == 0
            assert await left(store) == [("2026-02-01", "example.org")]  # today is not over
            (waiting,) = await store.read(lambda tx: queue_view.deliveries(tx))
            assert str(waiting.recipient.address) == "tls@example.org"


async def test_what_a_mail_looks_like() -> None:
    """RFC 8460 §5.3."""
    day = datetime(2026, 1, 31, tzinfo=UTC)
    detail = FailureDetail("certificate-expired", 1)
    report = TlsReport(
        "me", "p@me.example", "1@me", day, day, (PolicySummary("sts", "example.org", (), (), 2, 1, (detail,)),)
    )
    octets = build_mail(report, "example.org", "p@me.example", ["a@b"], gzip.compress(b"{}"), NOW)
    message = message_from_bytes(octets, policy=policy.default)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "tlsrpt"
    assert message["TLS-Report-Domain"] == "example.org"
    assert message["TLS-Required"] == "No"
    _, attached = message.iter_parts()
    assert attached.get_content_type() == "application/tlsrpt+gzip"
    assert attached.get_filename() == "me.example!example.org!1769817600!1769817600.json.gz"
    assert gzip.decompress(attached.get_content()) == b"{}"


async def test_a_days_report_over_https(tmp_path: Path) -> None:
    """RFC 8460 §5.4: 2xx is what counts; else again later, for two days."""
    records = {
        RECORD: ['"v=TLSRPTv1; rua=https://reports.example.org/tls"'],
        ("reports.example.org", "A"): ["127.0.0.1"],
    }
    with FakeDns(records) as dns:
        async with Web(WEB) as web, reporting(tmp_path, dns, web) as (reporter, store, clock):
            await count(store, key("certificate-expired"))
            web.answer = b"HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n"
            assert await reporter.send_due() == 0
            web.answer = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
            assert await reporter.send_due() == 1
            assert b"POST /tls HTTP/1.1" in web.asked[1]
            assert b"content-type: application/tlsrpt+gzip" in web.asked[1].lower()
            assert await left(store) == []
            await count(store, key("certificate-expired"))
            web.answer = b"HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n"
            clock.now += timedelta(days=3)
            await reporter.send_due()
            assert await left(store) == []


async def test_who_wants_no_report_gets_none(tmp_path: Path) -> None:
    with FakeDns({RECORD: ['"v=TLSRPTv1; rua=mailto:tls@example.org"']}) as dns:
        async with reporting(tmp_path, dns) as (reporter, store, _):
            dns.faults["_smtp._tls.example.org"] = Fault.SERVFAIL
            await count(store, key(), key(domain="other.example"))
            assert await reporter.send_due() == 0
            assert await left(store) == [(YESTERDAY, "example.org")]  # the DNS may answer later
        async with reporting(tmp_path, dns, settings=TlsReportSettings(send=False)) as (reporter, store, _):
            assert await reporter.send_due() == 0
            assert await left(store) == []


async def test_reports_that_come_in_are_kept(world: World) -> None:
    day = datetime(2026, 1, 31, tzinfo=UTC)
    summary = PolicySummary("sts", "penny.test", (), (), 7, 2, (FailureDetail("certificate-expired", 2),))
    report = TlsReport("Other", "p@other.example", "id-1", day, day, (summary,))
    octets = build_mail(
        report, "penny.test", "p@other.example", ["anna@penny.test"], gzip.compress(write_report(report)), NOW
    )
    for _ in range(2):
        await receive(world, "anna@penny.test", message=octets)
    (kept,) = await world.store.read(lambda tx: tls_results.reports(tx, "penny.test"))
    assert (kept.organization, kept.successful, kept.failed) == ("Other", 7, 2)
    assert read_report(decompress(kept.content)) == report
    broken = octets.replace(b"base64", b"7bit")
    assert report_in(broken, NOW) is None
    await receive(world, "anna@penny.test", message=broken)
    await world.store.write(lambda tx: tls_results.sweep_reports(tx, NOW + timedelta(days=9999)))
    assert await world.store.read(lambda tx: tls_results.reports(tx)) == []


def test_why_sessions_fail() -> None:
    """RFC 8460 §4.3."""
    for number, expected in (
        (62, "certificate-host-mismatch"),
        (10, "certificate-expired"),
        (18, "certificate-not-trusted"),
        (1, "validation-failure"),
        (None, "validation-failure"),
    ):
        assert result_type(SessionFailed(Stage.HANDSHAKE, "x", None, number)) == expected
    assert result_type(SessionFailed(Stage.STARTTLS, "x")) == "starttls-not-supported"
