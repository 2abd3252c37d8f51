"""Reports of other hosts on what we have sent (RFC 3464, RFC 6533): what they say, and what in them tells of which
message. To whose story they belong, and what follows, is `ties`' to find out.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from pennypost.mail.queue.suppressing import has_signs_of_bulk
from pennypost.message import headers
from pennypost.message.dates import parse_date
from pennypost.message.decode import transfer_decode
from pennypost.message.digest import parse
from pennypost.message.structure import Part
from pennypost.message.threading import message_ids
from pennypost.model.text import printable
from pennypost.store.timeline import trace_number

MAX_REPORT_OCTETS = 256 * 1024
"""Octets of a body that are looked at: what a report says comes before the message that it returns."""
MAX_RECIPIENTS = 100
MAX_VALUE = 300
MAX_PARTS = 20
"""Parts of a report that are looked at. It has three (RFC 6522 §3)."""

ACTIONS = frozenset({"failed", "delayed", "delivered", "relayed", "expanded"})
"""What may have become of a recipient (RFC 3464 §2.3.3)."""

_STATUS_TYPES = frozenset({b"delivery-status", b"global-delivery-status"})
_RETURNED_TYPES = frozenset({b"rfc822", b"global", b"rfc822-headers", b"global-headers"})
_GROUPS = re.compile(rb"(?:\r?\n){2,}")
_UNICODE_CHAR = re.compile(r"\\x\{((?:10|0?[0-9A-F])?[0-9A-F]{2,4})\}")
_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}")


@dataclass(frozen=True, slots=True)
class Told:
    """What a report says of one recipient. `final`, `original`: addresses as they are written, "" where there is none.
    `action`: one of ACTIONS. `status`: an enhanced status code, or "". `diagnostic`: one line, or "".
    """

    final: str
    original: str
    action: str
    status: str
    diagnostic: str


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """A report, and what it knows of the message it is about.

    `trace`, `received_at`: what our Received field in the returned header says; only those know the trace who had the
    message: it is 64 bits of chance. `message_id`: normalized, as `threading.message_ids` gives it. `envelope_id`: its
    ENVID (RFC 3461 §4.4). `bulk`: it was mail to many.
    """

    reporter: str
    told: tuple[Told, ...]
    trace: int | None = None
    received_at: datetime | None = None
    message_id: bytes | None = None
    envelope_id: str | None = None
    bulk: bool = False

    @property
    def names_nothing(self) -> bool:
        """Whether it does not say which message it is about."""
        return self.trace is None and self.message_id is None and self.envelope_id is None


def read_report(header: bytes, body: bytes, hostname: str) -> DeliveryReport | None:
    """Read what a message reports, if it does. `body`: what is behind MAX_REPORT_OCTETS is not looked at. `hostname`:
    ours, as our Received fields give it. None: it is no report, or says nothing."""
    kind = headers.value(header, b"content-type") or b""
    if not kind.lower().startswith(b"multipart/report"):
        return None
    body = body[:MAX_REPORT_OCTETS]
    reporter, envelope_id = "", None
    told: list[Told] = []
    returned = b""
    for part in _parts(parse(header, body).index):
        if part.type == b"message" and part.subtype in _STATUS_TYPES and not told:
            groups = _groups(_content(part, body))
            told = [one for group in groups if (one := _told(group)) is not None]
            if told:
                reporter = _typed(groups[0].get(b"reporting-mta", b""))
                envelope_id = _text(groups[0].get(b"original-envelope-id", b"")).strip() or None
        elif part.type in (b"message", b"text") and part.subtype in _RETURNED_TYPES and not returned:
            content = _content(part, body)
            returned = headers.split(content)[0] if content else b""
    if not told:
        return None
    trace, received_at = _our_field(returned, hostname)
    own_id = next(iter(message_ids(headers.value(returned, b"message-id") or b"")), None)
    said = tuple(told[:MAX_RECIPIENTS])
    bulk = has_signs_of_bulk(returned)
    return DeliveryReport(reporter or "a host", said, trace, received_at, own_id, envelope_id, bulk)


def _parts(index: Part) -> list[Part]:
    """Give the leaves, and the messages, of a report; not what is inside the message that it returns."""
    found: list[Part] = []
    waiting = [index]
    for part in waiting:
        if len(waiting) > MAX_PARTS:
            break
        if part.is_multipart:
            waiting += part.children
        else:
            found.append(part)
    return found


def _content(part: Part, body: bytes) -> bytes:
    return transfer_decode(body[part.body_start : part.body_end], part.encoding) or b""


def _groups(content: bytes) -> list[Mapping[bytes, bytes]]:
    """Give the groups of fields of a delivery status: of the message first, then of each recipient (RFC 3464 §2.1)."""
    blocks = _GROUPS.split(content.strip(b"\r\n"), MAX_RECIPIENTS + 1)[: MAX_RECIPIENTS + 1]
    return [dict(headers.field_list(block + b"\r\n")) for block in blocks]


def _told(group: Mapping[bytes, bytes]) -> Told | None:
    if b"final-recipient" not in group and b"original-recipient" not in group:
        return None
    action = _text(group.get(b"action", b"")).strip().lower()
    if action not in ACTIONS:
        return None
    diagnostic = _text(group.get(b"diagnostic-code", b""))
    return Told(
        _address(group.get(b"final-recipient", b"")),
        _address(group.get(b"original-recipient", b"")),
        action,
        _status(_text(group.get(b"status", b"")), diagnostic),
        diagnostic,
    )


def _status(value: str, diagnostic: str) -> str:
    """Give the enhanced status code; where it says nothing but the class, what the last host said may know more."""
    found = _STATUS.search(value)
    if found is None or found[0] == "5.0.0":
        found = _STATUS.search(diagnostic) or found
    return found[0] if found is not None else ""


def _our_field(header: bytes, hostname: str) -> tuple[int | None, datetime | None]:
    """Read the trace id, and the instant, in the Received field that we put on top of a message."""
    ours = re.compile(rb"\bby " + re.escape(hostname.encode()) + rb" \(Pennypost\)[^;]{0,500}? id ([0-9a-f]{16})\b")
    for value in headers.values(header, b"received"):
        if (found := ours.search(value)) is not None:
            return trace_number(found[1].decode()), parse_date(value.rpartition(b";")[2].strip())
    return None, None


def addresses_of(told: Told) -> Iterator[str]:
    """Give the addresses by which a recipient may be known to us: the one we wrote first."""
    yield from (one for one in (told.original, told.final) if one)


def _typed(value: bytes) -> str:
    """Give the value of "dns; mx.example.org"."""
    return _text(value).partition(";")[2].strip()


def _address(value: bytes) -> str:
    """Give the address of "rfc822; user@example.org"; some hosts put it into brackets. One of type utf-8 may be written
    in ASCII (RFC 6533 §3)."""
    kind, _, address = _text(value).partition(";")
    if kind.strip().lower() == "utf-8":
        address = printable(_UNICODE_CHAR.sub(lambda match: chr(int(match[1], 16)), address))
    return address.strip().removeprefix("<").removesuffix(">")


def _text(value: bytes) -> str:
    return printable(value[:MAX_VALUE].decode("utf-8", "replace"))
