"""Trace header fields (RFC 5321 §4.4, RFC 3848, RFC 8314 §4.3, RFC 6531 §4.3)."""

import re
import secrets
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address, ip_address

from pennypost.mail.reception import Language, SmtpClient
from pennypost.message.dates import format_date
from pennypost.model.address import Address

_TOKEN_OCTETS = 8
_PLAIN = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,255}")
_HIDDEN_CLIENT = "localhost (authenticated client)"
"""What stands for the client of a submission: where our users are is nobody's business."""


def new_id() -> str:
    """Make the id of a message on its way: 16 characters, 64 bits of chance."""
    return secrets.token_hex(_TOKEN_OCTETS)


def transmission_type(client: SmtpClient, smtputf8: bool) -> str:
    """Name the protocol as the WITH clause does: "ESMTPSA", "UTF8LMTPS", … (RFC 3848, RFC 6531 §4.3)."""
    if client.language is Language.SMTP:
        return "SMTP"
    base: str = client.language.value
    if smtputf8:
        base = "UTF8SMTP" if client.language is Language.ESMTP else "UTF8LMTP"
    return base + ("S" if client.tls else "") + ("A" if client.authenticated else "")


def _printable(text: str) -> str:
    """A HELO argument is the peer's: nothing of it may end the field or open a comment."""
    if _PLAIN.fullmatch(text):
        return text
    return "".join(c if c.isprintable() and c not in "()\\;" else "?" for c in text)[:255] or "unknown"


def _origin(client: SmtpClient) -> str:
    if client.authenticated is not None:
        return _HIDDEN_CLIENT
    peer = client.peer
    literal = "unix socket" if peer.ip is None else f"[IPv6:{peer}]" if peer.ip.version == 6 else f"[{peer}]"
    return f"{_printable(client.hello)} ({literal})"


def received(
    client: SmtpClient,
    hostname: str,
    trace_id: str,
    smtputf8: bool,
    recipient: Address | None,
    date: bytes,
    priority: int = 0,
) -> bytes:
    """Build the Received field, CRLF included (RFC 5321 §4.4).

    `recipient`: for the FOR clause, given only when the message has one recipient, so that no other is disclosed.
    `date`: an RFC 5322 date-time. `priority`: what the message came with (RFC 6710), told unless it is 0. The TLS
    clause is RFC 8314 §4.3's.
    """
    for_clause = ""
    if recipient is not None and (smtputf8 or recipient.is_ascii):
        for_clause = f"\r\n\tfor <{recipient}>"
    tls_clause = f"\r\n\ttls {client.tls.cipher} ({client.tls.version})" if client.tls is not None else ""
    priority_clause = f"\r\n\tPRIORITY {priority}" if priority else ""
    head = (
        f"Received: from {_origin(client)}\r\n\tby {hostname} (Pennypost)"
        f" with {transmission_type(client, smtputf8)} id {trace_id}{for_clause}{tls_clause}{priority_clause};"
        "\r\n\t"
    )
    return head.encode("utf-8") + date + b"\r\n"


_HANDED_OVER = re.compile(r"from [^()]{1,1000} \(\[(?:IPv6:)?([0-9a-fA-F:.]{2,45})\]\)\s+by \S{1,255} \(Pennypost\) ")


def handed_over_by(received: str) -> IPv4Address | IPv6Address | None:
    """Read who handed a message over from a Received field of ours, unfolded. None: it is not ours, or does not say."""
    found = _HANDED_OVER.match(received)
    try:
        return ip_address(found[1]) if found is not None else None
    except ValueError:
        return None


def return_path(reverse_path: Address | None) -> bytes:
    """Build the Return-Path field that final delivery adds (RFC 5321 §4.4)."""
    return f"Return-Path: <{reverse_path or ''}>\r\n".encode()


def delivered_to(address: Address) -> bytes:
    """Build the Delivered-To field, by which a message that comes back is known (RFC 9228)."""
    return f"Delivered-To: {address}\r\n".encode()


class DateStamp:
    """RFC 5322 dates of the present, made once a second."""

    def __init__(self) -> None:
        self._second = -1
        self._text = b""

    def at(self, instant: datetime) -> bytes:
        """Write `instant` (aware UTC) as "Mon, 23 Nov 2026 23:05:00 +0000"."""
        second = int(instant.timestamp())
        if second != self._second:
            self._text = format_date(instant)
            self._second = second
        return self._text
