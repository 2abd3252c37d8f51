"""Reports of other hosts on what we have sent (RFC 3464): which message they are about, and what became of it.

A report that comes with the null reverse-path brings back the header of its message, and in it the Received field that
we have put there. The id in that field is 64 bits of chance, which only those know who had the message: so it ties the
report to the message, without anything that would have to be looked up or kept.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pennypost.message import headers
from pennypost.store.timeline import trace_number

MAX_REPORT_OCTETS = 256 * 1024
"""What is larger is not looked at."""
MAX_RECIPIENTS = 100
MAX_VALUE = 300

# message/delivery-status, or message/global-delivery-status (RFC 6533 §4), as the type of a part
_STATUS_PART = re.compile(rb"^content-type:[ \t]*message/(?:global-)?delivery-status\b", re.IGNORECASE | re.MULTILINE)
_GROUPS = re.compile(rb"(?:\r?\n){2,}")


@dataclass(frozen=True, slots=True)
class Heard:
    """A report on a message of ours. `trace`: the message's; `facts`: for its timeline."""

    trace: int
    facts: Mapping[str, object]


def hear(header: bytes, body: bytes, hostname: str) -> Heard | None:
    """Find what a message reports on one of ours. `hostname`: ours, as our Received fields give it. None: nothing."""
    kind = headers.value(header, b"content-type") or b""
    if not kind.lower().startswith(b"multipart/report") or len(body) > MAX_REPORT_OCTETS:
        return None
    part = _STATUS_PART.search(body)
    if part is None:
        return None
    ours = re.search(
        rb"\bby " + re.escape(hostname.encode()) + rb" \(Pennypost\)[^;]{0,500}\bid ([0-9a-f]{16})\b", body
    )
    start = headers.header_end(body, part.start(), len(body))
    if ours is None or start < 0:
        return None
    end = body.find(b"\n--", start)
    groups = [dict(headers.field_list(group + b"\r\n")) for group in _GROUPS.split(body[start : max(end, start)])]
    results = [
        [_address(group.get(b"final-recipient", b"")), *(_text(group.get(n, b"")) for n in _TOLD)]
        for group in groups
        if b"final-recipient" in group
    ]
    if not results:
        return None
    reporter = _text(groups[0].get(b"reporting-mta", b"")).partition(";")[2].strip()
    return Heard(trace_number(ours[1].decode()), {"from": reporter or "a host", "results": results[:MAX_RECIPIENTS]})


_TOLD = (b"action", b"status", b"diagnostic-code")


def _address(value: bytes) -> str:
    """Give the address of "rfc822; user@example.org"."""
    return _text(value).partition(";")[2].strip()


def _text(value: bytes) -> str:
    text = value[:MAX_VALUE].decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "?" for c in text)
