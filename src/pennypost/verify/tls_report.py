"""TLSRPT: reports on the TLS of mail sessions, written and read (RFC 8460). JSON and records; nothing is sent here."""

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from pennypost.model.dns import Consultation, DnsQuestion, DnsStatus, RecordType
from pennypost.model.text import printable

MAX_REPORT_OCTETS = 16 * 1024 * 1024
"""Of the JSON of a report that came in, decompressed."""

MAX_POLICIES = 1000
MAX_DETAILS = 10_000
MAX_TEXT = 300
"""Characters of an organization's name or a report's id that are kept."""

MAX_LOCAL_PART = 64
MAX_DOMAIN = 255
"""RFC 5321 §4.5.3.1: of addresses that reports are sent to."""

MAX_URIS = 5
"""Addresses of one record that a report is sent to."""

POLICY_TYPES = frozenset({"tlsa", "sts", "no-policy-found"})


class BadReport(ValueError):
    """What came is no report."""


@dataclass(frozen=True, slots=True)
class FailureDetail:
    """Sessions that failed in one way (RFC 8460 §4.4). "" where something is not known."""

    result_type: str
    sessions: int
    sending_ip: str = ""
    receiving_host: str = ""
    receiving_ip: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PolicySummary:
    """How sessions under one policy went. `mx`: its patterns."""

    type: str
    domain: str
    strings: tuple[str, ...]
    mx: tuple[str, ...]
    successful: int
    failed: int
    details: tuple[FailureDetail, ...] = ()


@dataclass(frozen=True, slots=True)
class TlsReport:
    """One report. `begins`, `ends`: aware."""

    organization: str
    contact: str
    report_id: str
    begins: datetime
    ends: datetime
    policies: tuple[PolicySummary, ...] = field(default=())

    @property
    def successful(self) -> int:
        return sum(policy.successful for policy in self.policies)

    @property
    def failed(self) -> int:
        return sum(policy.failed for policy in self.policies)


def find_report_uris(domain: str) -> Consultation[tuple[str, ...] | None]:
    """Ask where a domain wants reports (RFC 8460 §3). Empty: nowhere. None: the DNS does not answer."""
    answer = yield DnsQuestion(f"_smtp._tls.{domain}", RecordType.TXT)
    if answer.status is DnsStatus.FAILED:
        return None
    return report_uris([record for record in answer.records if isinstance(record, bytes)])


def report_uris(records: Sequence[bytes]) -> tuple[str, ...]:
    """Read the records of `_smtp._tls`: there has to be one of version TLSRPTv1 (RFC 8460 §3)."""
    found = [record for record in records if record.startswith(b"v=TLSRPTv1;") or record == b"v=TLSRPTv1"]
    if len(found) != 1:
        return ()
    for part in found[0].decode("ascii", "replace").split(";")[1:]:
        name, equals, value = part.partition("=")
        if equals and name.strip() == "rua":
            uris = [uri.strip().replace("!", "%21") for uri in value.split(",")]
            return tuple(uri for uri in uris if mail_address(uri) or urlsplit(uri).scheme == "https")[:MAX_URIS]
    return ()


def mail_address(uri: str) -> str:
    """Give the address of a mailto URI (RFC 6068), "" where it is none that can be used."""
    if not uri.lower().startswith("mailto:"):
        return ""
    address = unquote(uri[7:].partition("?")[0])
    local, at, domain = address.rpartition("@")
    fits = local and at and domain and address.isascii() and address.isprintable()
    fits = fits and len(local) <= MAX_LOCAL_PART and len(domain) <= MAX_DOMAIN
    return address if fits and not set(address) & set(' ,<>"()') else ""


def write_report(report: TlsReport) -> bytes:
    """Write a report as JSON (RFC 8460 §4.4)."""
    policies = []
    for policy in report.policies:
        described: dict[str, Any] = {"policy-type": policy.type, "policy-domain": policy.domain}
        if policy.strings:
            described["policy-string"] = list(policy.strings)
        if policy.mx:
            described["mx-host"] = list(policy.mx)
        summary = {"total-successful-session-count": policy.successful, "total-failure-session-count": policy.failed}
        entry: dict[str, Any] = {"policy": described, "summary": summary}
        if policy.details:
            entry["failure-details"] = [_written(detail) for detail in policy.details]
        policies.append(entry)
    return json.dumps(
        {
            "organization-name": report.organization,
            "date-range": {"start-datetime": _instant(report.begins), "end-datetime": _instant(report.ends)},
            "contact-info": report.contact,
            "report-id": report.report_id,
            "policies": policies,
        },
        indent=1,
    ).encode()


def _written(detail: FailureDetail) -> dict[str, Any]:
    known = {
        "sending-mta-ip": detail.sending_ip,
        "receiving-mx-hostname": detail.receiving_host,
        "receiving-ip": detail.receiving_ip,
        "failure-reason-code": detail.reason,
    }
    return {
        "result-type": detail.result_type,
        **{name: value for name, value in known.items() if value},
        "failed-session-count": detail.sessions,
    }


def _instant(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def decompress(octets: bytes) -> bytes:
    """Give the JSON of a report as it came, gzip or not (RFC 8460 §5.2). Raises BadReport, also past the bound."""
    if not octets.startswith(b"\x1f\x8b"):
        return octets
    inflate = zlib.decompressobj(wbits=31)
    try:
        content = inflate.decompress(octets, MAX_REPORT_OCTETS + 1)
    except zlib.error:
        raise BadReport("not gzip") from None
    if len(content) > MAX_REPORT_OCTETS or not inflate.eof:
        raise BadReport(f"too large (more than {MAX_REPORT_OCTETS} octets), or cut off")
    return content


def read_report(octets: bytes) -> TlsReport:
    """Read a report's JSON. Raises BadReport."""
    if len(octets) > MAX_REPORT_OCTETS:
        raise BadReport(f"too large: more than {MAX_REPORT_OCTETS} octets")
    try:
        found = json.loads(octets)
        dates = found["date-range"]
        policies = tuple(_policy(entry) for entry in list(found.get("policies") or [])[:MAX_POLICIES])
        return TlsReport(
            _text(found["organization-name"]),
            _text(found.get("contact-info") or ""),
            _text(found["report-id"]),
            _parsed(dates["start-datetime"]),
            _parsed(dates["end-datetime"]),
            policies,
        )
    except BadReport:
        raise
    except KeyError as missing:
        raise BadReport(f"it has no {missing.args[0]}") from None
    except ValueError as problem:
        raise BadReport("not JSON" if isinstance(problem, json.JSONDecodeError) else "bad dates") from None
    except (TypeError, AttributeError, RecursionError):
        raise BadReport("its parts are not as they have to be") from None


def _policy(entry: Mapping[str, Any]) -> PolicySummary:
    policy, summary = entry["policy"], entry.get("summary") or {}
    details = list(entry.get("failure-details") or [])[:MAX_DETAILS]
    return PolicySummary(
        _text(policy["policy-type"]),
        _text(policy.get("policy-domain") or "").lower(),
        tuple(_text(line) for line in _listed(policy.get("policy-string"))),
        tuple(_text(host) for host in _listed(policy.get("mx-host"))),
        _count(summary.get("total-successful-session-count") or 0),
        _count(summary.get("total-failure-session-count") or 0),
        tuple(_detail(detail) for detail in details),
    )


def _detail(entry: Mapping[str, Any]) -> FailureDetail:
    return FailureDetail(
        _text(entry["result-type"]),
        _count(entry.get("failed-session-count") or 0),
        _text(entry.get("sending-mta-ip") or ""),
        _text(entry.get("receiving-mx-hostname") or ""),
        _text(entry.get("receiving-ip") or ""),
        _text(entry.get("failure-reason-code") or ""),
    )


def _listed(value: object) -> Iterable[object]:
    """Some senders give a text where a list is due."""
    return value[:MAX_POLICIES] if isinstance(value, list) else [] if value is None else [value]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise BadReport("expected a text, not another value")
    return printable(value[:MAX_TEXT])


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise BadReport("expected a count, a whole number")
    return value


def _parsed(value: object) -> datetime:
    instant = datetime.fromisoformat(_text(value))
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)
