"""What EHLO announces, and what commands are held against."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from pennypost.proto.smtp.reply import Reply


class Flavour(Enum):
    """Which of the three languages is spoken."""

    SMTP = "SMTP"
    SUBMISSION = "submission"
    LMTP = "LMTP"


@dataclass(frozen=True, slots=True)
class Offer:
    """What a session offers. `hostname`: ours, as the greeting and EHLO give it.

    `max_message_size`: octets (RFC 1870). `max_recipients`: of one message (RFC 9422 RCPTMAX). `max_messages`: of one
    session (RFC 9422 MAILMAX). `starttls`: whether a TLS layer can be had. `mechanisms`: for AUTH in clear,
    `tls_mechanisms`: under TLS; () offers none. `max_errors`: 4xx and 5xx replies before the session is ended.
    `max_idle_commands`: commands that bring no message nearer (NOOP, RSET, EHLO …), counted since the last message.
    `hold_most`, `hold_until`: how long, and until when, a submission may be held (RFC 4865); 0 does not offer it.
    `keep_bare_cr`: take a CR without LF in a text for an octet like others, which RFC 5321 §2.3.8 forbids.
    """

    hostname: str
    flavour: Flavour = Flavour.SMTP
    max_message_size: int = 50 * 1024 * 1024
    max_recipients: int = 1000
    max_messages: int = 1000
    starttls: bool = False
    mechanisms: tuple[str, ...] = ()
    tls_mechanisms: tuple[str, ...] = ()
    max_errors: int = 20
    max_idle_commands: int = 100
    keep_bare_cr: bool = False
    hold_most: timedelta = timedelta(0)
    hold_until: datetime | None = None


def greeting(offer: Offer) -> Reply:
    """Greet a client that connected (RFC 5321 §4.2); no enhanced status code (RFC 2034 §4)."""
    kind = "LMTP" if offer.flavour is Flavour.LMTP else "ESMTP"
    return Reply(220, None, (f"{offer.hostname} {kind} Pennypost",))


def hello_reply(offer: Offer, *, extended: bool, tls: bool, authenticated: bool) -> Reply:
    """Answer HELO, or EHLO and LHLO with what is offered now (RFC 5321 §4.1.1.1, RFC 2033 §4.1)."""
    if not extended:
        return Reply(250, None, (offer.hostname,))
    lines = [
        offer.hostname,
        "PIPELINING",  # RFC 2920
        f"SIZE {offer.max_message_size}",  # RFC 1870
        "8BITMIME",  # RFC 6152
        "BINARYMIME",  # RFC 3030
        "CHUNKING",  # RFC 3030
        "SMTPUTF8",  # RFC 6531
        "ENHANCEDSTATUSCODES",  # RFC 2034
        "DSN",  # RFC 3461
        f"LIMITS MAILMAX={offer.max_messages} RCPTMAX={offer.max_recipients}",  # RFC 9422
    ]
    if offer.flavour is Flavour.SUBMISSION:
        lines += ["DELIVERBY", "MT-PRIORITY"]  # RFC 2852, RFC 6710
        if offer.hold_most and offer.hold_until is not None:  # RFC 4865
            until = offer.hold_until.strftime("%Y-%m-%dT%H:%M:%SZ")
            lines.append(f"FUTURERELEASE {offer.hold_most // timedelta(seconds=1)} {until}")
    if offer.starttls and not tls:
        lines.append("STARTTLS")  # RFC 3207 §4: not once TLS is on
    if tls:
        lines.append("REQUIRETLS")  # RFC 8689 §3: only under TLS
    mechanisms = offer.tls_mechanisms if tls else offer.mechanisms
    if mechanisms and not authenticated:
        lines.append("AUTH " + " ".join(mechanisms))  # RFC 4954 §3
    lines.append("HELP")
    return Reply(250, None, tuple(lines))
