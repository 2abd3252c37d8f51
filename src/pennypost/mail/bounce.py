"""Reports to senders on what became of their mail: failures, delays, successes (RFC 3461, RFC 3464, RFC 6522,
RFC 6533).

A report goes to the reverse-path, with a null one of its own; a message that came with a null reverse-path is never
reported on, so that no two hosts can bounce to each other for ever (RFC 5321 §4.5.5, §6.1). It says in plain words what
happened and what can be done, beside what programs read.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from pennypost.mail import own_mail, srs
from pennypost.mail.route import route
from pennypost.mail.signing import Signer
from pennypost.mail.trace import delivered_to, new_id, return_path
from pennypost.message import headers
from pennypost.message.build import ReportFields, build_report
from pennypost.message.dates import format_date
from pennypost.message.digest import digest
from pennypost.model.envelope import BodyType, Envelope, Notify, Recipient, ReturnContent
from pennypost.model.errors import MailError
from pennypost.model.text import printable
from pennypost.store import blobs, messages, quota
from pennypost.store.engine import Transaction
from pennypost.store.messages import NewMessage
from pennypost.store.store import Store


class Action(Enum):
    """What a report says of a recipient (RFC 3464 §2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one recipient.

    `status`: enhanced status code. `reply`: what the remote host said, or why there was nothing to hear. `remote`: the
    host that said it, "" if it was we. `retry_until`: of a delay, when it will be given up.
    """

    recipient: Recipient
    action: Action
    status: str
    reply: str = ""
    remote: str = ""
    attempted_at: datetime | None = None
    retry_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Original:
    """The message that is reported on. `body`: None when it is not to be returned. `released_at`: its sender
    did not want it sent before (RFC 4865), or None."""

    envelope: Envelope
    header: bytes
    body: bytes | None
    arrived: datetime
    released_at: datetime | None = None


def wants(recipient: Recipient, action: Action) -> bool:
    """Whether a sender wants to hear of a recipient's fate (RFC 3461 §4.1, §5.2)."""
    notify = recipient.notify
    if Notify.NEVER in notify:
        return False
    match action:
        case Action.FAILED:
            return notify is Notify.UNSPECIFIED or Notify.FAILURE in notify
        case Action.DELAYED:
            return notify is Notify.UNSPECIFIED or Notify.DELAY in notify
        case Action.DELIVERED | Action.RELAYED:
            return Notify.SUCCESS in notify


# -- In plain words

_WHY: tuple[tuple[str, str], ...] = (
    ("1.10", "The domain takes no mail. See whether the address is spelled right."),
    ("1.1", "There is no such address there. See whether it is spelled right, or ask the recipient for the new one."),
    ("1.2", "There is no such domain. See whether the part behind the @ is spelled right."),
    ("1.3", "The address is not written as an address has to be. See whether it is spelled right."),
    ("1.6", "The recipient has moved and left no new address."),
    ("2.1", "The mailbox is closed. Reach the recipient in another way."),
    ("2.2", "The mailbox is full. Try again in some days, or reach the recipient in another way."),
    ("2.3", "The message is too large for this mailbox. Send it with smaller attachments, or share them by a link."),
    ("3.4", "The message is too large for that host. Send it with smaller attachments, or share them by a link."),
    ("4.1", "The other mail server did not answer. It may be down; try again later."),
    ("4.3", "The other domain's records could not be looked up. Try again later."),
    ("4.4", "No host was found that takes mail for this domain. See whether the part behind the @ is spelled right."),
    ("4.6", "The message went round in a circle: the other domain's mail is set up wrongly. Tell its administrator."),
    ("4.7", "It could not be delivered for too long, and was given up."),
    ("6.7", "The other mail server cannot handle addresses with letters such as those. Ask for another address."),
    ("7.10", "The message has to be sent encrypted, and the other mail server does not offer that."),
    (
        "7.",
        "The other mail server refused the message, perhaps because it took it for unwanted mail. What it said is"
        " below; if you think it is wrong, show it to the recipient's administrator.",
    ),
)
"""By the subject and detail of the enhanced status code (RFC 3463), the first that fits."""


def explain(status: str) -> str:
    """Say in plain words what a status code means and what can be done."""
    detail = status.partition(".")[2]
    for known, text in _WHY:
        if detail == known or (known.endswith(".") and detail.startswith(known)):
            return text
    return "What the other mail server said is below."


_SUBJECT = {
    Action.FAILED: "Your message could not be delivered",
    Action.DELAYED: "Your message is still on its way",
    Action.DELIVERED: "Your message has been delivered",
    Action.RELAYED: "Your message has been passed on",
}
_INTRODUCTION = {
    Action.FAILED: "Your message could not be delivered to:",
    Action.DELAYED: "Your message could not be delivered yet to:",
    Action.DELIVERED: "Your message has been delivered to:",
    Action.RELAYED: "Your message has been passed on to a mail server that will not report on it further, for:",
}
_CONCLUSION = {
    Action.FAILED: "It is not tried again.",
    Action.DELAYED: "You need not do anything: it is tried again until {until}. You will hear if that fails, too.",
    Action.DELIVERED: "It lies in the mailbox there. Whether somebody has read it is not known.\n"
    "You get this report because you asked to be told of the delivery.",
    Action.RELAYED: "You get this report because you asked to be told of the delivery.",
}


def _text(fates: Sequence[Fate], subject: str) -> str:
    action = fates[0].action
    blocks = [_INTRODUCTION[action]]
    for fate in fates:
        lines = [f"  {fate.recipient.address}"]
        if action in (Action.FAILED, Action.DELAYED):
            lines.append(f"    {explain(fate.status)}")
            if fate.reply:
                said = f"{fate.remote} said" if fate.remote else "The reason"
                lines.append(f"    {said}: {_one_line(fate.reply)}")
        blocks.append("\n".join(lines))
    until = next((fate.retry_until for fate in fates if fate.retry_until is not None), None)
    when = format_date(until).decode("ascii") if until is not None else ""
    blocks.append(_CONCLUSION[action].format(until=when))
    if subject:
        blocks.append(f"The message had the subject: {subject}")
    return "\n\n".join(blocks) + "\n"


# -- The report


def build(*, hostname: str, report_id: str, original: Original, fates: Sequence[Fate]) -> bytes:
    """Build a report for the sender: CRLF lines, no trace fields. All `fates` have the same action."""
    envelope, header = original.envelope, original.header
    sender, action = envelope.reverse_path, fates[0].action
    assert sender is not None, "nobody is told"
    arrived = format_date(original.arrived).decode("ascii")
    groups: list[list[tuple[str, str]]] = [[("Reporting-MTA", f"dns; {hostname}"), ("Arrival-Date", arrived)]]
    if original.released_at is not None:  # RFC 4865
        groups[0].append(("Future-Release-Request", f"until; {original.released_at:%Y-%m-%dT%H:%M:%SZ}"))
    if envelope.envelope_id is not None:
        groups[0].insert(0, ("Original-Envelope-Id", _one_line(envelope.envelope_id)))
    groups += [_recipient_fields(fate) for fate in fates]
    subject = headers.value(header, b"subject") or b""
    full = original.body is not None
    octets = header + original.body if original.body is not None else header
    return build_report(
        fields=[
            ("From", f"Mail delivery <postmaster@{hostname}>"),
            ("To", f"<{sender}>"),
            ("Subject", _SUBJECT[action]),
            ("Date", arrived if action is Action.DELIVERED else _date(fates, original)),
            ("Message-ID", f"<{report_id}@{hostname}>"),
            ("Auto-Submitted", "auto-replied"),
            *_reference(header),
        ],
        text=_text(fates, _one_line(subject.decode("utf-8", "replace")) if b"=?" not in subject else ""),
        report_type="delivery-status",
        status=ReportFields(groups),
        original=octets,
        headers_only=not full,
        boundary=f"=_{report_id}",
        internationalized=envelope.smtputf8,
    )


def _date(fates: Sequence[Fate], original: Original) -> str:
    at = max((fate.attempted_at for fate in fates if fate.attempted_at is not None), default=original.arrived)
    return format_date(at).decode("ascii")


def _reference(header: bytes) -> list[tuple[str, str]]:
    """Let mail programs show the report beside the message."""
    identifier = headers.value(header, b"message-id")
    if identifier is None or not identifier.isascii() or len(identifier) > 900:
        return []
    return [("References", _one_line(identifier.decode("ascii")))]


def _recipient_fields(fate: Fate) -> list[tuple[str, str]]:
    """Give the fields on one recipient (RFC 3464 §2.3)."""
    name = str(fate.recipient.address)
    fields = [
        ("Final-Recipient", f"{'rfc822' if name.isascii() else 'utf-8'}; {name}"),
        ("Action", fate.action.value),
        ("Status", fate.status),
    ]
    if fate.recipient.original_recipient is not None:
        address_type, _, original = fate.recipient.original_recipient.partition(";")
        fields.insert(0, ("Original-Recipient", _one_line(f"{address_type}; {original}")))
    if fate.remote:
        fields.append(("Remote-MTA", f"dns; {_one_line(fate.remote.partition(' ')[0])}"))
        if fate.reply:
            fields.append(("Diagnostic-Code", f"smtp; {_one_line(fate.reply)}"))
    elif fate.reply:
        fields.append(("Diagnostic-Code", f"x-pennypost; {_one_line(fate.reply)}"))
    if fate.attempted_at is not None:
        fields.append(("Last-Attempt-Date", format_date(fate.attempted_at).decode("ascii")))
    if fate.retry_until is not None:
        fields.append(("Will-Retry-Until", format_date(fate.retry_until).decode("ascii")))
    return fields


def returned_body(envelope: Envelope, action: Action, size: int, limit: int) -> bool:
    """Whether the whole message goes back: a failure, not too large, unless the sender wants the header only (RFC 3461
    §4.3), or it is of lines that no report can hold (RFC 3030 §3), or had to go under TLS all the way (RFC 8689 §5)."""
    return (
        action is Action.FAILED
        and not envelope.require_tls
        and size <= limit
        and envelope.return_content is not ReturnContent.HEADERS
        and envelope.body is not BodyType.BINARY_MIME
    )


# -- Sending it


@dataclass(frozen=True, slots=True)
class Posted:
    """Where a report went. `stored`: as `Acceptance.stored`. `problem`: why it went nowhere, or None."""

    stored: tuple[str, ...]
    problem: str | None = None


async def post(
    tx: Transaction,
    store: Store,
    hostname: str,
    original: Original,
    fates: Sequence[Fate],
    trace: int = 0,
    signer: Signer | None = None,
) -> Posted:
    """Report to the sender of `original`, in the transaction that settles what is reported.

    A sender here who is gone, or has no room left, is not told; nor can he be. `signer`: as for `own_mail.send`.
    """
    sender = original.envelope.reverse_path
    if sender is None or not fates:
        return Posted(())
    if (forwarded_for := await srs.find_back(tx, sender)) is not None:
        sender = forwarded_for
        original = replace(original, envelope=replace(original.envelope, reverse_path=sender))
    report = build(hostname=hostname, report_id=new_id(), original=original, fates=fates)
    try:
        home = await route(tx, sender, store.settings.subaddress_separator, relay=True, subaddress_mailboxes=False)
        for target in home.local:
            await quota.check(tx, target.account, len(home.local) * (len(report) + 1000))  # they may be of one domain
    except MailError as error:
        return Posted((), str(error))
    stored = []
    if home.local:
        header, body = headers.split(report)
        blob = await blobs.put(tx, store.blobs.draft(body))
        found = digest(header, body)
        top = return_path(None) + delivered_to(sender)
        for target in home.local:
            message = NewMessage(top + header, blob, len(body), found, tx.now)
            appended = await messages.append(tx, target.account, target.inbox, message)
            stored.append(f"{target.account}/{appended.message}")
    if home.remote:
        recipients = tuple(Recipient(address, Notify.NEVER) for address in home.remote)
        body_type = BodyType.SEVEN_BIT if report.isascii() else BodyType.EIGHT_BIT_MIME
        envelope = Envelope(None, recipients, body_type, original.envelope.smtputf8, original.envelope.require_tls)
        stored.append(f"q{await own_mail.send(tx, store, signer, report, envelope, trace)}")
    return Posted(tuple(stored))


def _one_line(text: str) -> str:
    """What others chose (ENVID, ORCPT, replies) may hold anything once it is decoded."""
    return printable(text)[:900]
