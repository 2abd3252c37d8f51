"""What a server announces in its answer to EHLO (RFC 5321 §4.1.1.1), as a client reads it."""

from dataclasses import dataclass

from pennypost.proto.smtp.reply import Reply

MAX_MECHANISMS = 64
"""Names after AUTH that are looked at."""

_MAX_NUMBER_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Announced:
    """The extensions of the next host. Nothing is announced by one that was greeted with HELO.

    `max_size`: octets, None when there is no limit or it is not told (RFC 1870 §4). `size`: SIZE was announced, so that
    MAIL may declare it. `max_recipients`, `max_messages`: LIMITS (RFC 9422), None when not told. `mechanisms`: of AUTH,
    in capitals. `deliver_by`, `priority`: DELIVERBY (RFC 2852), and MT-PRIORITY (RFC 6710).
    """

    name: str = ""
    pipelining: bool = False
    size: bool = False
    max_size: int | None = None
    eight_bit_mime: bool = False
    binary_mime: bool = False
    chunking: bool = False
    smtputf8: bool = False
    enhanced_status_codes: bool = False
    dsn: bool = False
    starttls: bool = False
    require_tls: bool = False
    max_recipients: int | None = None
    max_messages: int | None = None
    mechanisms: tuple[str, ...] = ()
    deliver_by: bool = False
    priority: bool = False


NOTHING = Announced()


def read_announced(reply: Reply) -> Announced:
    """Read a positive answer to EHLO or LHLO. A keyword we do not know, or a value we cannot read, is passed over."""
    keywords: dict[str, str] = {}
    for line in reply.lines[1:]:
        keyword, _, value = line.strip().partition(" ")
        # "AUTH=PLAIN LOGIN": how servers wrote it before it was settled
        if keyword[:5].upper() == "AUTH=":
            keyword, value = "AUTH", f"{keyword[5:]} {value}"
        keywords.setdefault(keyword.upper(), value.strip())
    size = _number(keywords.get("SIZE", ""))
    limits = dict(item.upper().partition("=")[::2] for item in keywords.get("LIMITS", "").split())
    return Announced(
        name=reply.lines[0].partition(" ")[0],
        pipelining="PIPELINING" in keywords,
        size="SIZE" in keywords,
        max_size=size or None,  # 0: no fixed limit
        eight_bit_mime="8BITMIME" in keywords,
        binary_mime="BINARYMIME" in keywords,
        chunking="CHUNKING" in keywords,
        smtputf8="SMTPUTF8" in keywords,
        enhanced_status_codes="ENHANCEDSTATUSCODES" in keywords,
        dsn="DSN" in keywords,
        starttls="STARTTLS" in keywords,
        require_tls="REQUIRETLS" in keywords,
        max_recipients=_number(limits.get("RCPTMAX", "")) or None,
        max_messages=_number(limits.get("MAILMAX", "")) or None,
        deliver_by="DELIVERBY" in keywords,
        priority="MT-PRIORITY" in keywords,
        mechanisms=tuple(dict.fromkeys(keywords.get("AUTH", "").upper().split()[:MAX_MECHANISMS])),
    )


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_NUMBER_DIGITS else None
