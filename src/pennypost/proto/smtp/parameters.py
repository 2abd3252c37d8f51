"""What follows a path: `SIZE=1000 BODY=8BITMIME` (RFC 5321 §4.1.2, esmtp-param), and the values of each extension."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TypeVar

from pennypost.model.address import Address
from pennypost.model.envelope import (
    BodyType,
    DeliverBy,
    DeliverByMode,
    Envelope,
    Notify,
    Recipient,
    ReturnContent,
)
from pennypost.proto.smtp.limits import MAX_ENVELOPE_ID, MAX_ORIGINAL_RECIPIENT, MAX_SIZE_DIGITS
from pennypost.proto.smtp.reply import Refused

T = TypeVar("T")

_KEYWORD = re.compile(rb"[A-Za-z0-9][A-Za-z0-9-]*")
# xtext = *( xchar / hexchar ) (RFC 3461 §4)
_XTEXT = re.compile(rb"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_HEXCHAR = re.compile(rb"\+([0-9A-F]{2})")
# EmbeddedUnicodeChar of utf-8-addr-xtext (RFC 6533 §3)
_UNICODE_CHAR = re.compile(r"\\x\{([0-9A-F]{2,6})\}")
# addr-type is an atom (RFC 3461 §4.2)
_ADDRESS_TYPE = re.compile(rb"[A-Za-z0-9-]+")

# by-value = by-time ";" by-mode [by-trace]; by-time = ["-" / "+"] 1*9digit (RFC 2852 §4)
_BY = re.compile(rb"([+-]?[0-9]{1,9});([RrNn])([Tt]?)")
# future-release-integer = 1*9digit, not beginning with 0 (RFC 4865 §4)
_INTERVAL = re.compile(rb"[1-9][0-9]{0,8}")
# date-time (RFC 3339 §5.6)
_DATE_TIME = re.compile(
    rb"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
# priority-value = (["-"] NZDIGIT) / "0" (RFC 6710 §3)
_PRIORITY = re.compile(rb"-?[1-9]|0")

_NOTIFY: Mapping[bytes, Notify] = MappingProxyType(
    {b"SUCCESS": Notify.SUCCESS, b"FAILURE": Notify.FAILURE, b"DELAY": Notify.DELAY}
)


def decode_xtext(octets: bytes) -> bytes:
    """Undo xtext (RFC 3461 §4). Raises ValueError."""
    if _XTEXT.fullmatch(octets) is None:
        raise ValueError("no xtext")
    if b"+" not in octets:
        return octets
    return _HEXCHAR.sub(lambda match: bytes((int(match[1], 16),)), octets)


@dataclass(slots=True)
class MailParameters:
    """What MAIL declared, while it is read."""

    size: int | None = None
    body: BodyType = BodyType.SEVEN_BIT
    smtputf8: bool = False
    require_tls: bool = False
    return_content: ReturnContent | None = None
    envelope_id: str | None = None
    hold: timedelta | datetime | None = None
    deliver_by: DeliverBy | None = None
    priority: int = 0


@dataclass(slots=True)
class RcptParameters:
    """What RCPT declared, while it is read."""

    notify: Notify = Notify.UNSPECIFIED
    original_recipient: str | None = None


def _printable(octets: bytes) -> str:
    text = str(octets, "ascii")
    if not text.isprintable():
        raise ValueError("not printable")
    return text


def _size(into: MailParameters, value: bytes) -> None:
    """RFC 1870 §4."""
    if not value.isdigit() or len(value) > MAX_SIZE_DIGITS:
        raise ValueError("no size")
    into.size = int(value)


def _body(into: MailParameters, value: bytes) -> None:
    """RFC 6152 §2, RFC 3030 §3."""
    into.body = BodyType(str(value.upper(), "ascii"))


def _smtputf8(into: MailParameters, value: bytes) -> None:
    """RFC 6531 §3.4: it has no value."""
    if value:
        raise ValueError("SMTPUTF8 has no value")
    into.smtputf8 = True


def _require_tls(into: MailParameters, value: bytes) -> None:
    """RFC 8689 §2: it has no value."""
    if value:
        raise ValueError("REQUIRETLS has no value")
    into.require_tls = True


def _auth(into: MailParameters, value: bytes) -> None:
    """RFC 4954 §5: who the message comes from, as another server saw it. We trust nobody to say so and read on."""
    decode_xtext(value)


def _ret(into: MailParameters, value: bytes) -> None:
    """RFC 3461 §4.3."""
    into.return_content = ReturnContent(str(value.upper(), "ascii"))


def _envid(into: MailParameters, value: bytes) -> None:
    """RFC 3461 §4.4."""
    if not value or len(value) > MAX_ENVELOPE_ID:
        raise ValueError("no envelope id")
    into.envelope_id = _printable(decode_xtext(value))


def _hold_for(into: MailParameters, value: bytes) -> None:
    """RFC 4865 §4: seconds."""
    if _INTERVAL.fullmatch(value) is None or into.hold is not None:
        raise ValueError("no interval, or a second one")
    into.hold = timedelta(seconds=int(value))


def _hold_until(into: MailParameters, value: bytes) -> None:
    """RFC 4865 §4: an instant."""
    if _DATE_TIME.fullmatch(value) is None or into.hold is not None:
        raise ValueError("no instant, or a second one")
    try:
        into.hold = datetime.fromisoformat(str(value.upper(), "ascii")).astimezone(UTC)
    except OverflowError:
        raise ValueError("an instant outside of all years") from None


def _by(into: MailParameters, value: bytes) -> None:
    """RFC 2852 §4: a message to be returned must have time left."""
    match = _BY.fullmatch(value)
    if match is None:
        raise ValueError("no by-value")
    within, mode = timedelta(seconds=int(match[1])), DeliverByMode(str(match[2].upper(), "ascii"))
    if mode is DeliverByMode.RETURN and within <= timedelta(0):
        raise ValueError("no time")
    into.deliver_by = DeliverBy(within, mode, bool(match[3]))


def _priority(into: MailParameters, value: bytes) -> None:
    """RFC 6710 §3: -9 to 9."""
    if _PRIORITY.fullmatch(value) is None:
        raise ValueError("no priority")
    into.priority = int(value)


def _notify(into: RcptParameters, value: bytes) -> None:
    """RFC 3461 §4.1: NEVER alone, or a list."""
    value = value.upper()
    if value == b"NEVER":
        into.notify = Notify.NEVER
        return
    for name in value.split(b","):
        if name not in _NOTIFY:
            raise ValueError("unknown NOTIFY")
        into.notify |= _NOTIFY[name]


def _orcpt(into: RcptParameters, value: bytes) -> None:
    """RFC 3461 §4.2; addresses of type utf-8: RFC 6533 §3."""
    kind, semicolon, address = value.partition(b";")
    if not semicolon or not address or len(value) > MAX_ORIGINAL_RECIPIENT or not _ADDRESS_TYPE.fullmatch(kind):
        raise ValueError("no original recipient")
    if kind.lower() == b"utf-8":
        text = _UNICODE_CHAR.sub(lambda match: chr(int(match[1], 16)), str(address, "utf-8"))
        text.encode("utf-8")  # no surrogates
        if not text.isprintable():
            raise ValueError("not printable")
    else:
        text = str(decode_xtext(address), "utf-8")
        if not text.isprintable():
            raise ValueError("not printable")
        if not text.isascii():
            kind = b"utf-8"  # Postfix says rfc822 of such an address, too, and bounces what is not taken
    into.original_recipient = f"{str(kind, 'ascii')};{text}"


_FOR_MAIL: Mapping[bytes, Callable[[MailParameters, bytes], None]] = MappingProxyType(
    {
        b"SIZE": _size,
        b"BODY": _body,
        b"SMTPUTF8": _smtputf8,
        b"REQUIRETLS": _require_tls,
        b"AUTH": _auth,
        b"RET": _ret,
        b"ENVID": _envid,
    }
)
_FOR_SUBMISSION: Mapping[bytes, Callable[[MailParameters, bytes], None]] = MappingProxyType(
    {
        **_FOR_MAIL,
        b"HOLDFOR": _hold_for,
        b"HOLDUNTIL": _hold_until,
        b"BY": _by,
        b"MT-PRIORITY": _priority,
    }
)
"""What our own users may ask for besides."""
_FOR_RCPT: Mapping[bytes, Callable[[RcptParameters, bytes], None]] = MappingProxyType(
    {b"NOTIFY": _notify, b"ORCPT": _orcpt}
)
_FORMS: Mapping[bytes, str] = MappingProxyType(
    {
        b"SIZE": f"SIZE=octets, of at most {MAX_SIZE_DIGITS} digits",
        b"BODY": "BODY=7BIT, BODY=8BITMIME or BODY=BINARYMIME",
        b"SMTPUTF8": "SMTPUTF8 without a value",
        b"REQUIRETLS": "REQUIRETLS without a value",
        b"AUTH": "AUTH=address, in xtext, or AUTH=<>",
        b"RET": "RET=FULL or RET=HDRS",
        b"ENVID": f"ENVID=id, in xtext, of at most {MAX_ENVELOPE_ID} octets",
        b"HOLDFOR": "HOLDFOR=seconds, without HOLDUNTIL",
        b"HOLDUNTIL": "HOLDUNTIL=time, as 2026-02-01T10:00:00Z, without HOLDFOR",
        b"BY": "BY=seconds;N or BY=seconds;R, more than 0 for R",
        b"MT-PRIORITY": "MT-PRIORITY=-9 to MT-PRIORITY=9",
        b"NOTIFY": "NOTIFY=NEVER, or some of SUCCESS, FAILURE and DELAY",
        b"ORCPT": "ORCPT=rfc822;address or ORCPT=utf-8;address, in xtext",
    }
)
"""What is expected of each parameter, in words."""
_VALUELESS = frozenset({b"SMTPUTF8", b"REQUIRETLS"})


def _read(octets: bytes, table: Mapping[bytes, Callable[[T, bytes], None]], into: T) -> T:
    """Read parameters into `into`. Raises Refused: 555 for one that we do not know (RFC 5321 §4.1.1.11), 501 for a
    bad value or one that comes twice."""
    seen = set()
    for parameter in octets.split():
        keyword, equals, value = parameter.partition(b"=")
        keyword = keyword.upper()
        reader = table.get(keyword)
        if reader is None:
            if _KEYWORD.fullmatch(keyword) is None:
                raise Refused(501, "5.5.4", "Bad parameter syntax: expected KEYWORD or KEYWORD=value")
            raise Refused(555, "5.5.4", f"Unsupported parameter {str(keyword, 'ascii')}")
        try:
            if keyword in seen or bool(equals) is (keyword in _VALUELESS):
                raise ValueError("twice, or without its value")
            reader(into, value)
        except ValueError:
            bad = f"Bad parameter {str(keyword, 'ascii')}"
            raise Refused(501, "5.5.4", f"{bad}: expected {_FORMS[keyword]}, once") from None
        seen.add(keyword)
    return into


def mail_envelope(reverse_path: Address | None, octets: bytes, *, submission: bool = False) -> Envelope:
    """Read the parameters of MAIL. `octets`: what follows the path. `submission`: it is one. Raises Refused."""
    if not octets:
        return Envelope(reverse_path)
    given = _read(octets, _FOR_SUBMISSION if submission else _FOR_MAIL, MailParameters())
    return Envelope(
        reverse_path,
        (),
        given.body,
        given.smtputf8,
        given.require_tls,
        given.return_content,
        given.envelope_id,
        given.size,
        given.hold,
        given.deliver_by,
        given.priority,
    )


def rcpt_recipient(address: Address, octets: bytes) -> Recipient:
    """Read the parameters of RCPT. `octets`: what follows the path. Raises Refused."""
    if not octets:
        return Recipient(address)
    given = _read(octets, _FOR_RCPT, RcptParameters())
    return Recipient(address, given.notify, given.original_recipient)
