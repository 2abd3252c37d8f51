"""Building messages: text, HTML and attachments (stdlib `email`), delivery reports (RFC 3462, RFC 3464).

What is built has CRLF lines. Line ends inside field values are refused, so nothing that comes from outside can add
fields.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8

import msgspec

from pennypost.message.dates import format_date
from pennypost.message.words import encode_words
from pennypost.model.address import Address

_SEVEN_BIT = SMTP.clone(cte_type="7bit")  # it may have to pass hosts without 8BITMIME (RFC 6152)

_ID_TEXT = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+")
_DOMAIN_LITERAL = re.compile(r"\[[!-Z^-~]*\]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class NamedAddress(msgspec.Struct, frozen=True):
    """An address with the name to show. `name` may be empty."""

    address: Address
    name: str = ""


class NewAttachment(msgspec.Struct, frozen=True):
    """What to attach. `media_type`: "application/pdf". `content_id`: without brackets; then it is inline, for HTML that
    refers to it as `cid:`."""

    content: bytes
    media_type: str
    file_name: str
    content_id: str = ""


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A message to be built. `html` beside `text` makes multipart/alternative. `fields`: further ones, in order."""

    from_: NamedAddress
    date: datetime
    message_id: bytes
    to: Sequence[NamedAddress] = ()
    cc: Sequence[NamedAddress] = ()
    bcc: Sequence[NamedAddress] = ()
    reply_to: Sequence[NamedAddress] = ()
    subject: str = ""
    text: str = ""
    html: str | None = None
    attachments: Sequence[NewAttachment] = ()
    in_reply_to: bytes | None = None
    references: Sequence[bytes] = ()
    fields: Sequence[tuple[str, str]] = ()


def build_message_id(left: str, domain: str) -> bytes:
    """Put a Message-ID together, with its angle brackets (RFC 5322 §3.6.4). `left` must be unique for ever.

    Raises ValueError for what no msg-id can hold.
    """
    if not _ID_TEXT.fullmatch(left) or left.startswith(".") or left.endswith(".") or ".." in left:
        raise ValueError("not a dot-atom")
    if not _ID_TEXT.fullmatch(domain) and not _DOMAIN_LITERAL.fullmatch(domain):
        raise ValueError("not a domain")
    return f"<{left}@{domain}>".encode("ascii")


def build_message(draft: Draft) -> bytes:
    """Build a message in CRLF lines (RFC 5322, RFC 2046). Bcc is written: who submits it takes it out.

    Addresses outside ASCII make raw UTF-8 header fields (RFC 6532): such a message needs SMTPUTF8. Raises ValueError
    for line ends in field values.
    """
    named = [draft.from_, *draft.to, *draft.cc, *draft.bcc, *draft.reply_to]
    policy = _SEVEN_BIT if all(one.address.is_ascii for one in named) else SMTPUTF8
    message = EmailMessage(policy=policy)
    message["Date"] = format_date(draft.date).decode("ascii")
    message["From"] = _written([draft.from_])
    for field, addresses in (("Reply-To", draft.reply_to), ("To", draft.to), ("Cc", draft.cc), ("Bcc", draft.bcc)):
        if addresses:
            message[field] = _written(addresses)
    message["Subject"] = draft.subject
    message["Message-ID"] = draft.message_id.decode("ascii")
    if draft.in_reply_to is not None:
        message["In-Reply-To"] = draft.in_reply_to.decode("ascii")
    if draft.references:
        message["References"] = " ".join(one.decode("ascii") for one in draft.references)
    for name, value in draft.fields:
        message[name] = value
    message.set_content(draft.text)
    if draft.html is not None:
        message.add_alternative(draft.html, subtype="html")
    related = [one for one in draft.attachments if one.content_id]
    for one in related:
        _attach(_html_part(message), one, inline=True)
    for one in draft.attachments:
        if not one.content_id:
            _attach(message, one, inline=False)
    return message.as_bytes(policy=policy)


def _written(addresses: Sequence[NamedAddress]) -> str:
    """Write an address list; names outside ASCII are left to the policy."""
    for one in addresses:
        if _CONTROL.search(one.name) or _CONTROL.search(str(one.address)):
            raise ValueError("a control character in an address")
    return ", ".join(f'"{_quoted(one.name)}" <{one.address}>' if one.name else str(one.address) for one in addresses)


def _quoted(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"')


def _html_part(message: EmailMessage) -> EmailMessage:
    """Find what inline images are related to."""
    body = message.get_body(("related", "html", "plain"))
    return body if isinstance(body, EmailMessage) else message


def _attach(to: EmailMessage, one: NewAttachment, inline: bool) -> None:
    main, _, sub = one.media_type.partition("/")
    name = _CONTROL.sub("_", one.file_name)
    if inline:
        to.add_related(
            one.content, maintype=main, subtype=sub, filename=name, disposition="inline", cid=f"<{one.content_id}>"
        )
    else:
        to.add_attachment(one.content, maintype=main, subtype=sub, filename=name)


class ReportFields(msgspec.Struct, frozen=True):
    """Groups of fields of a machine-readable part: the first per message, each other per recipient (RFC 3464 §2.1).

    Values are ASCII, or UTF-8 in an internationalized report (RFC 6533); they hold no line ends.
    """

    groups: Sequence[Sequence[tuple[str, str]]]


def build_report(
    fields: Sequence[tuple[str, str]],
    text: str,
    report_type: str,
    status: ReportFields,
    original: bytes,
    headers_only: bool,
    boundary: str,
    internationalized: bool = False,
) -> bytes:
    """Build a multipart/report (RFC 6522 §3) with text, machine-readable part and what it is about.

    `fields`: top header fields (From, To, Subject, Date, Message-ID, Auto-Submitted, …), values not yet encoded.
    `report_type`: "delivery-status" or "disposition-notification". `original`: the message's octets, or its header
    block when `headers_only`; they go in unchanged. `boundary`: must not occur in any part. `internationalized`: the
    message, or addresses in the report, may be UTF-8 (RFC 6533 §4–5). Raises ValueError for line ends in values.
    """
    delimiter = b"\r\n--" + boundary.encode("ascii")
    if delimiter in original or delimiter.decode("ascii") in text:
        raise ValueError("the boundary occurs in a part")
    head = [_field(name, encode_words(value)) for name, value in fields]
    head.append(b"MIME-Version: 1.0\r\n")
    head.append(
        f'Content-Type: multipart/report; report-type={report_type};\r\n boundary="{boundary}"\r\n\r\n'.encode("ascii")
    )
    lines = text.replace("\r\n", "\n").rstrip("\n").replace("\n", "\r\n").encode("utf-8")
    human = b"\r\nContent-Type: text/plain; charset=utf-8\r\n"
    human += b"" if lines.isascii() else b"Content-Transfer-Encoding: 8bit\r\n"
    machine = b"\r\n".join(
        [b"".join([_field(name, value.encode("utf-8")) for name, value in group]) for group in status.groups]
    )
    eight_bit = not original.isascii()
    if internationalized:
        kind, prefix = b"message/global-headers" if headers_only else b"message/global", b"message/global-"
    else:
        kind, prefix = b"text/rfc822-headers" if headers_only else b"message/rfc822", b"message/"
    machine_head = prefix + report_type.encode("ascii")
    if not machine.isascii():
        machine_head += b"\r\nContent-Transfer-Encoding: 8bit"
    if eight_bit or not (lines.isascii() and machine.isascii()):
        head.insert(-1, b"Content-Transfer-Encoding: 8bit\r\n")  # that of its parts (RFC 2045 §6.4)
    about = b"\r\nContent-Type: " + kind + (b"\r\nContent-Transfer-Encoding: 8bit" if eight_bit else b"") + b"\r\n\r\n"
    return b"".join(
        [
            *head,
            delimiter[2:] + human + b"\r\n" + lines + b"\r\n",
            delimiter + b"\r\nContent-Type: " + machine_head + b"\r\n\r\n" + machine,
            delimiter + about + original,
            delimiter + b"--\r\n",
        ]
    )


def _field(name: str, value: bytes) -> bytes:
    if re.search(rb"\n(?![ \t])|\r(?!\n)|(?<!\r)\n|\0", value) or not re.fullmatch(r"[!-9;-~]+", name):
        raise ValueError(f"not a field: {name}")
    return name.encode("ascii") + b": " + value + b"\r\n"
