"""IMAP URLs that name a message or a part of one (RFC 5092), with what authorizes who may read it (RFC 4467).

A URL is absolute (`imap://user@host/mailbox;UIDVALIDITY=1/;UID=2/;SECTION=1.2/;PARTIAL=0.100`), or begins at its path,
or at `;UID` where the mailbox is known. Names in it are UTF-8, percent-encoded.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import unquote_to_bytes

from pennypost.proto.imap.limits import MAX_NUMBER, MAX_NUMBER64, MAX_URL
from pennypost.proto.imap.mailbox_name import decode_name
from pennypost.proto.imap.reader import BadSyntax, Reader
from pennypost.proto.imap.section import WHOLE, Partial, Section, read_section

# iserver = [iuserinfo "@"] host [":" port]; a user's ;AUTH= says nothing about the message
_SERVER = re.compile(rb"imap://(?:([^@/;]*)(?:;AUTH=[^@/]*)?@)?([^@/;]+)(?=/)", re.IGNORECASE)
# imessagepart = imailbox-ref iuid [isection] [ipartial]; iurlauth = [expire] ";URLAUTH=" access ":" mech ":" token
_MESSAGE = re.compile(
    rb"(?:/?([^;?/\s][^;?\s]*?)(?:;UIDVALIDITY=([1-9][0-9]{0,9}))?/)?/?;UID=([1-9][0-9]{0,9})"
    rb"(?:/;SECTION=([^;\s]+?))?(?:/;PARTIAL=([0-9]{1,19})(?:\.([1-9][0-9]{0,18}))?)?"
    rb"(?:;EXPIRE=([0-9T:.Z+\-]{1,40}))?(?:;URLAUTH=([a-z]+(?:\+[^;:/\s]+)?)(?::(INTERNAL):([0-9a-f]{32,256}))?)?",
    re.IGNORECASE,
)
_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*:")
_ACCESS = re.compile(rb"(submit|user)\+(.+)|(anonymous|authuser)", re.IGNORECASE)


class BadUrl(ValueError):
    """It is not a URL of a message."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who may use a URL (RFC 4467 §2): `kind` is submit, user, authuser or anonymous; the first two name somebody."""

    kind: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class MessageUrl:
    """What a URL names. `user`, `host`: empty in a relative one; `mailbox` too, where it is relative to a mailbox.

    `access` without `token`: it is to be signed. `rump`: what is signed, the URL up to its mechanism.
    """

    user: str
    host: str
    mailbox: str
    uid_validity: int | None
    uid: int
    section: Section = WHOLE
    partial: Partial | None = None
    expires: datetime | None = None
    access: Access | None = None
    token: bytes = b""
    rump: bytes = b""

    @property
    def account(self) -> str:
        """The account it names: its user, together with the host where that has no domain."""
        return self.user if "@" in self.user else f"{self.user}@{self.host}"

    def is_of(self, account: str) -> bool:
        return account in (self.user, self.account)


def parse_url(octets: bytes) -> MessageUrl:
    """Read a URL of a message or of a part of one. Raises BadUrl."""
    if len(octets) > MAX_URL:
        raise BadUrl("URL is too long")
    server = _SERVER.match(octets)
    found = _MESSAGE.fullmatch(octets, server.end() if server else 0)
    if found is None or (found.group(1) is None if server else _SCHEME.match(octets)):
        raise BadUrl("expected the URL of a message, as imap://user@host/INBOX/;UID=1")
    mailbox, validity, uid, section, first, count, expires, access, mechanism, token = found.groups()
    numbers = [int(number) for number in (validity, uid) if number is not None]
    if max(numbers) > MAX_NUMBER:
        raise BadUrl("number is too large")
    return MessageUrl(
        _text(server.group(1) or b"") if server else "",
        _text(server.group(2)) if server else "",
        _mailbox(mailbox) if mailbox is not None else "",
        int(validity) if validity is not None else None,
        int(uid),
        _section(section),
        None if first is None else _partial(first, count),
        _instant(expires) if expires is not None else None,
        _access(access) if access is not None else None,
        bytes.fromhex(token.decode("ascii")) if token and len(token) % 2 == 0 else b"",
        octets[: found.start(9) - 1] if mechanism is not None else octets,
    )


def _text(octets: bytes) -> str:
    try:
        return unquote_to_bytes(octets).decode("utf-8")
    except UnicodeDecodeError:
        raise BadUrl("a name is not UTF-8") from None


def _mailbox(octets: bytes) -> str:
    try:
        return decode_name(unquote_to_bytes(octets), utf8=True)
    except ValueError:
        raise BadUrl("mailbox name is not UTF-8") from None


def _section(octets: bytes | None) -> Section:
    if octets is None:
        return WHOLE
    reader = Reader(b"[%b]" % unquote_to_bytes(octets))
    try:
        section = read_section(reader)
        reader.end()
    except BadSyntax:
        raise BadUrl("bad section") from None
    return section


def _partial(first: bytes, count: bytes | None) -> Partial:
    partial = int(first), int(count) if count is not None else MAX_NUMBER64
    if max(partial) > MAX_NUMBER64:
        raise BadUrl("partial range is too large")
    return partial


def _instant(octets: bytes) -> datetime:
    """Read a date-time of RFC 3339; one without a zone is UTC."""
    try:
        instant = datetime.fromisoformat(octets.decode("ascii"))
    except ValueError:
        raise BadUrl("bad date and time") from None
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)


def _access(octets: bytes) -> Access:
    found = _ACCESS.fullmatch(octets)
    if found is None:
        raise BadUrl("unknown access identifier")
    if found.group(3):
        return Access(found.group(3).decode("ascii").lower())
    return Access(found.group(1).decode("ascii").lower(), _text(found.group(2)))
