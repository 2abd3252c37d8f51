"""The report of a successful delivery that a sender asked for with NOTIFY=SUCCESS (RFC 3461 §5.2.2, §6; RFC 3464)."""

from collections.abc import Sequence
from datetime import datetime

from pennypost.message.build import ReportFields, build_report
from pennypost.message.dates import format_date
from pennypost.model.address import Address
from pennypost.model.envelope import Envelope, Recipient

_TEXT = """\
Your message has been delivered to:

{recipients}

It lies in the mailbox there. Whether somebody has read it is not known.
You get this report because you asked to be told of the delivery.
"""


def success_report(
    *,
    hostname: str,
    report_id: str,
    sender: Address,
    envelope: Envelope,
    recipients: Sequence[Recipient],
    arrived: datetime,
    header: bytes,
) -> bytes:
    """Build the report: CRLF lines, no trace fields. `sender`: the reverse-path it goes to. `header`: of the message.

    A success is reported with the header only (RFC 3461 §6.2 leaves RET out of it).
    """
    names = [str(recipient.address) for recipient in recipients]
    date = format_date(arrived).decode("ascii")
    per_message = [("Reporting-MTA", f"dns; {hostname}"), ("Arrival-Date", date)]
    if envelope.envelope_id is not None:
        per_message.insert(0, ("Original-Envelope-Id", _one_line(envelope.envelope_id)))
    groups: list[list[tuple[str, str]]] = [per_message]
    for recipient, name in zip(recipients, names, strict=True):
        kind = "rfc822" if name.isascii() else "utf-8"
        fields = [("Final-Recipient", f"{kind}; {name}"), ("Action", "delivered"), ("Status", "2.0.0")]
        if recipient.original_recipient is not None:
            address_type, _, original = recipient.original_recipient.partition(";")
            fields.insert(0, ("Original-Recipient", _one_line(f"{address_type}; {original}")))
        groups.append(fields)
    return build_report(
        fields=[
            ("From", f"Mail delivery <postmaster@{hostname}>"),
            ("To", f"<{sender}>"),
            ("Subject", "Your message has been delivered"),
            ("Date", date),
            ("Message-ID", f"<{report_id}@{hostname}>"),
            ("Auto-Submitted", "auto-replied"),
        ],
        text=_TEXT.format(recipients="\n".join(names)),
        report_type="delivery-status",
        status=ReportFields(groups),
        original=header,
        headers_only=True,
        boundary=f"=_{report_id}",
    )


def _one_line(text: str) -> str:
    """What a sender chose (ENVID, ORCPT) may hold anything once it is decoded."""
    return "".join(c if c.isprintable() else "?" for c in text)
