"""The lines a client sends, verb by verb: each reader takes what follows the verb, and gives an event.

A reader raises Refused for what is answered and has no effect. Whether a command is allowed at all where the session
stands is the transition table's matter, not theirs.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from pennypost.model.envelope import BodyType
from pennypost.proto.sasl import decode_initial
from pennypost.proto.smtp.events import Answer, Authenticate, Hello, MailFrom, RcptTo
from pennypost.proto.smtp.limits import MAX_AUTH_LINE, MAX_COMMAND_LINE, MAX_DOMAIN, MAX_MAIL_LINE, MAX_RCPT_LINE
from pennypost.proto.smtp.offer import Flavour, Offer
from pennypost.proto.smtp.parameters import mail_envelope, rcpt_recipient
from pennypost.proto.smtp.path import parse_forward_path, parse_reverse_path
from pennypost.proto.smtp.reply import Refused, Reply
from pennypost.proto.smtp.states import Command

LINE_LIMITS: Mapping[Command, int] = MappingProxyType(
    {Command.MAIL: MAX_MAIL_LINE, Command.RCPT: MAX_RCPT_LINE, Command.AUTH: MAX_AUTH_LINE}
)
"""For the commands that extensions made longer than MAX_COMMAND_LINE."""

NOT_IMPLEMENTED = frozenset({b"ETRN", b"TURN", b"ATRN", b"SEND", b"SOML", b"SAML"})
"""Verbs we know of and do not do (RFC 1985, RFC 821, RFC 2645; RFC 5321 §4.2.4: 502)."""

FOREIGN = frozenset({b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"CONNECT", b"DELETE", b"PATCH"})
"""Verbs of HTTP: somebody makes a browser talk to us. Nothing good can follow."""

_HELLO_NAME = re.compile(rb"[\x21-\x7e]{1,%d}" % MAX_DOMAIN)
_CHUNK = re.compile(rb"([0-9]{1,20})(?: +(LAST))? *", re.IGNORECASE)


def command_is_too_long(command: Command, octets: int) -> bool:
    """Whether a line, its CRLF included, passes the limit of its command (RFC 5321 §4.5.3.1.4)."""
    return octets > MAX_COMMAND_LINE and octets > LINE_LIMITS.get(command, MAX_COMMAND_LINE)


def read_hello(command: Command, rest: bytes, offer: Offer) -> Hello:
    """Read HELO, EHLO, LHLO (RFC 5321 §4.1.1.1, RFC 2033 §4.1). The name need not be a name: many are not."""
    if (command is Command.LHLO) is not (offer.flavour is Flavour.LMTP):
        spoken = "LMTP, say LHLO" if offer.flavour is Flavour.LMTP else "SMTP, say EHLO"
        raise Refused(500, "5.5.1", f"This is {spoken}")
    name = rest.strip(b" \t")
    if _HELLO_NAME.fullmatch(name) is None:
        raise Refused(501, "5.5.4", f"Syntax: {str(command.value, 'ascii')} hostname")
    return Hello(str(name, "ascii"), command is not Command.HELO)


def read_mail(rest: bytes, offer: Offer, tls: bool) -> MailFrom:
    """Read MAIL (RFC 5321 §4.1.1.2). Blanks after the colon are let through (docs/quirks.md)."""
    if rest[:5].upper() != b"FROM:":
        raise Refused(501, "5.5.4", "Syntax: MAIL FROM:<address>")
    try:
        address, end = parse_reverse_path(rest, _skip_blanks(rest, 5))
    except ValueError:
        raise Refused(501, "5.1.7", "Bad sender address syntax: expected <local-part@domain> or <>") from None
    submission = offer.flavour is Flavour.SUBMISSION
    envelope = mail_envelope(address, _parameters(rest, end, "5.1.7", "sender"), submission=submission)
    if address is not None and not envelope.smtputf8 and not address.is_ascii:
        raise Refused(553, "5.6.7", "Non-ASCII addresses need SMTPUTF8")  # RFC 6531 §3.5
    if envelope.require_tls and not tls:
        raise Refused(555, "5.5.4", "Unsupported parameter REQUIRETLS")  # RFC 8689 §3: not offered in clear
    if envelope.declared_size is not None and envelope.declared_size > offer.max_message_size:
        raise Refused(552, "5.3.4", "Message too large")  # RFC 1870 §6.1
    if envelope.hold is not None:
        _refuse_too_late(envelope.hold, offer)
    return MailFrom(envelope)


def _refuse_too_late(hold: timedelta | datetime, offer: Offer) -> None:
    """Refuse what is to be held for longer than is offered, or is not offered at all (RFC 4865 §5)."""
    if not offer.hold_most or offer.hold_until is None:
        raise Refused(555, "5.5.4", "Unsupported parameter: messages are not held here")
    if (hold > offer.hold_most) if isinstance(hold, timedelta) else (hold > offer.hold_until):
        raise Refused(501, "5.5.4", "Messages are not held for so long: EHLO says for how long")


def read_rcpt(rest: bytes, smtputf8: bool) -> RcptTo:
    """Read RCPT (RFC 5321 §4.1.1.3). `smtputf8`: what MAIL declared."""
    if rest[:3].upper() != b"TO:":
        raise Refused(501, "5.5.4", "Syntax: RCPT TO:<address>")
    try:
        address, end = parse_forward_path(rest, _skip_blanks(rest, 3))
    except ValueError:
        raise Refused(501, "5.1.3", "Bad recipient address syntax: expected <local-part@domain>") from None
    recipient = rcpt_recipient(address, _parameters(rest, end, "5.1.3", "recipient"))
    if not smtputf8 and not address.is_ascii:
        raise Refused(553, "5.6.7", "Non-ASCII addresses need SMTPUTF8")  # RFC 6531 §3.5
    return RcptTo(recipient)


def _skip_blanks(rest: bytes, start: int) -> int:
    while rest.startswith(b" ", start):
        start += 1
    return start


def _parameters(rest: bytes, end: int, status: str, which: str) -> bytes:
    """Cut off what follows a path. Nothing may touch the path but a blank."""
    if end == len(rest):
        return b""
    if rest[end] != 0x20:
        raise Refused(501, status, f"Bad {which} address syntax: expected a space between address and parameters")
    return rest[end:].strip(b" \t")  # RFC 5321 §4.1.1: blanks at the end are tolerated


def read_auth(rest: bytes, offer: Offer, tls: bool, authenticated: bool) -> Authenticate:
    """Read AUTH (RFC 4954 §4)."""
    offered = offer.tls_mechanisms if tls else offer.mechanisms
    if authenticated:
        raise Refused(503, "5.5.1", "Already authenticated")
    if not offer.tls_mechanisms and not offered:
        raise Refused(502, "5.5.1", "AUTH is not offered here")
    words = rest.split()
    if not 1 <= len(words) <= 2:
        raise Refused(501, "5.5.4", "Syntax: AUTH mechanism [initial-response]")
    mechanism = str(words[0].upper(), "ascii", "replace")
    if mechanism not in offered:
        if mechanism in offer.tls_mechanisms:
            raise Refused(538, "5.7.11", "Encryption required for requested authentication mechanism")
        raise Refused(504, "5.5.4", f"Unrecognized authentication mechanism: expected {' or '.join(offered)}")
    if len(words) == 1:
        return Authenticate(mechanism, None)
    initial = decode_initial(words[1])
    if initial is None:
        raise Refused(501, "5.5.2", "Cannot decode base64")
    return Authenticate(mechanism, initial)


def read_bdat(rest: bytes) -> tuple[int, bool]:
    """Read BDAT (RFC 3030 §2): how many octets follow, and whether they are the last. Raises ValueError."""
    match = _CHUNK.fullmatch(rest)
    if match is None:
        raise ValueError("no chunk size")
    return int(match[1]), match[2] is not None


def check_body(command: Command, body: BodyType) -> None:
    """Refuse DATA for BODY=BINARYMIME, which has no lines to end (RFC 3030 §3)."""
    if command is Command.DATA and body is BodyType.BINARY_MIME:
        raise Refused(503, "5.5.1", "BINARYMIME needs BDAT")


def require_no_argument(command: Command, rest: bytes) -> None:
    """Refuse an argument where there is none (RFC 5321 §4.3.2: 501)."""
    if rest.strip(b" \t"):
        raise Refused(501, "5.5.4", f"{str(command.value, 'ascii')} takes no argument")


def answer_verify(command: Command, rest: bytes) -> Answer:
    """Answer VRFY and EXPN: we tell nobody whom we know (RFC 5321 §7.3, §3.5.3)."""
    if not rest.strip(b" \t"):
        raise Refused(501, "5.5.4", f"Syntax: {str(command.value, 'ascii')} address")
    if command is Command.EXPN:
        raise Refused(502, "5.5.1", "EXPN is not implemented")
    return Answer(Reply(252, "2.5.0", ("Cannot verify; send it and see",)))


def answer_help(offer: Offer) -> Answer:
    """Answer HELP (RFC 5321 §4.1.1.8)."""
    hello = "LHLO" if offer.flavour is Flavour.LMTP else "EHLO HELO"
    return Answer(
        Reply(214, "2.0.0", (f"{hello} STARTTLS AUTH MAIL RCPT DATA BDAT", "RSET NOOP VRFY HELP QUIT (RFC 5321)"))
    )
