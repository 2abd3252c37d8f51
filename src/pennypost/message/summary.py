"""The summary of a message: what IMAP calls ENVELOPE (RFC 9051 §7.5.2), with what sorts and threads it."""

from datetime import datetime

import msgspec

from pennypost.message.addresses import AddressList, HeaderAddress, parse_addresses
from pennypost.message.dates import parse_date
from pennypost.message.headers import FIELD, unfold
from pennypost.message.limits import MAX_HEADER_FIELDS, MAX_MESSAGE_IDS, MAX_SORT_KEY
from pennypost.message.threading import base_subject, message_ids

_ADDRESS_FIELDS = frozenset({b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc"})

_SUMMARY_FIELDS = (*_ADDRESS_FIELDS, b"date", b"subject", b"in-reply-to", b"message-id", b"references")
_MIME_FIELDS = (
    b"content-type",
    b"content-transfer-encoding",
    b"content-id",
    b"content-description",
    b"content-md5",
    b"content-disposition",
    b"content-language",
    b"content-location",
)
_OTHER_FIELDS = (b"received", b"return-path", b"delivered-to", b"mime-version", b"dkim-signature", b"x-mailer")
"""They come often and are not wanted: so it takes one look to know."""


def _spellings(names: tuple[bytes, ...], unwanted: tuple[bytes, ...]) -> dict[bytes, bytes]:
    """Map every usual spelling of a name to the name, so that most need no lower(); of an unwanted one to nothing."""
    table = {spelling: name for name in names for spelling in (name, name.title(), name.upper())}
    table |= {spelling: b"" for name in unwanted for spelling in (name, name.title(), name.upper())}
    for spelling in (b"Message-ID", b"Content-ID", b"Content-MD5", b"MIME-Version", b"DKIM-Signature"):
        if spelling.lower() in table:
            table[spelling] = table[spelling.lower()]
    return table


_WANTED = _spellings((*_SUMMARY_FIELDS, *_MIME_FIELDS), _OTHER_FIELDS)
_WANTED_OF_A_PART = _spellings(_MIME_FIELDS, ())

Fields = dict[bytes, bytes]
"""Lower-case name -> unfolded body, for the wanted fields. Of several with one name, which RFC 5322 §3.6 does not
allow, the last counts (as it does for DKIM, RFC 6376 §5.4.2), of MIME fields the first; address lists are joined."""


class FieldScan(msgspec.Struct):
    """`fields` of one header. `covered` is False when some line is no field; `duplicates`: names that came twice."""

    fields: Fields
    covered: bool
    duplicates: list[bytes]
    count: int


def scan_fields(header: bytes) -> FieldScan:
    """Collect what the summary and the index need, in one pass over a header. Bounded by the caller in size."""
    fields: Fields = {}
    duplicates: list[bytes] = []
    more: dict[bytes, list[bytes]] = {}
    found = FIELD.findall(header)
    octets = 0
    wanted = _WANTED
    for spelling, body in found:
        octets += len(spelling) + len(body)
        name = wanted.get(spelling)
        if name is None:
            name = wanted.get(spelling.lower(), b"")
        if not name:
            continue
        body = unfold(body) if b"\n" in body else body.strip()
        if name not in fields:
            fields[name] = body
        else:
            duplicates.append(name)
            # Two From fields name two authors to whoever checks them, whichever of the two a reader shows.
            if name in _ADDRESS_FIELDS:
                more.setdefault(name, []).append(body)
            elif not name.startswith(b"content-"):
                fields[name] = body
        if len(duplicates) > MAX_HEADER_FIELDS:
            break
    for name, bodies in more.items():
        fields[name] = b", ".join([fields[name], *bodies])
    count = len(found)
    return FieldScan(fields, octets + 2 * count + 2 >= len(header), duplicates, count)


def scan_part_fields(header: bytes) -> Fields:
    """Collect the MIME fields of a body part's header. Bounded by the caller in size."""
    fields: Fields = {}
    wanted = _WANTED_OF_A_PART
    for spelling, body in FIELD.findall(header):
        name = wanted.get(spelling) or wanted.get(spelling.lower())
        if name is not None and name not in fields:
            fields[name] = unfold(body) if b"\n" in body else body.strip()
    return fields


class Summary(msgspec.Struct, frozen=True, kw_only=False):
    """Who wrote what to whom, when. Octets are unfolded and otherwise as they were written.

    `sender` and `reply_to` are empty when the message has none, though ENVELOPE then repeats From. Message-IDs are
    normalized (RFC 5256 §3); `thread_ids` are references and in-reply-to, oldest first.
    """

    date: bytes | None
    sent_at: datetime | None
    """UTC; None if there is no date that can be read."""
    subject: bytes | None
    from_: AddressList
    sender: AddressList
    reply_to: AddressList
    to: AddressList
    cc: AddressList
    bcc: AddressList
    in_reply_to: bytes | None
    message_id: bytes | None
    base_subject: str
    is_reply: bool
    own_id: bytes | None
    """The Message-ID, normalized."""
    thread_ids: tuple[bytes, ...]
    references: tuple[bytes, ...] = ()
    """What it answers (RFC 5256 §3): the ids in References, else the first in In-Reply-To."""

    @property
    def from_key(self) -> str:
        """SORT FROM (RFC 5256 §3): the local part of the first address, casefolded."""
        return sort_key(self.from_)

    @property
    def to_key(self) -> str:
        """SORT TO (RFC 5256 §3)."""
        return sort_key(self.to)

    @property
    def cc_key(self) -> str:
        """SORT CC (RFC 5256 §3)."""
        return sort_key(self.cc)

    @property
    def from_display(self) -> str:
        """SORT DISPLAYFROM (RFC 5957 §3)."""
        return display_key(self.from_)

    @property
    def to_display(self) -> str:
        """SORT DISPLAYTO (RFC 5957 §3)."""
        return display_key(self.to)

    @property
    def subject_key(self) -> str:
        """SORT SUBJECT and the threads' second key (RFC 5256 §2.1): the base subject, casefolded; what is compared of a
        key, here and in the others, is `limits.MAX_SORT_KEY` at the most."""
        return self.base_subject[:MAX_SORT_KEY].casefold()


def sort_key(entries: AddressList) -> str:
    """Give the local part of the first entry, casefolded; of a group its name."""
    if not entries:
        return ""
    local = entries[0].local_part
    return local.decode("utf-8", "replace")[:MAX_SORT_KEY].casefold() if local else ""


def display_key(entries: AddressList) -> str:
    """Give what stands for the first entry in a list: its name, else its address (RFC 5957 §3). Case kept."""
    if not entries:
        return ""
    first = entries[0]
    name = first.display_name
    if name:
        return name[:MAX_SORT_KEY]
    if first.domain is None:
        return ""
    octets = (first.local_part or b"") + b"@" + first.domain
    return octets.decode("utf-8", "replace")[:MAX_SORT_KEY]


def summarize(fields: Fields) -> Summary:
    """Make the summary of the fields that `scan_fields` collected."""
    get = fields.get
    date = get(b"date")
    subject = get(b"subject")
    in_reply_to = get(b"in-reply-to")
    references = get(b"references")
    message_id = get(b"message-id")
    base, is_reply = base_subject(subject) if subject else ("", False)
    answered = message_ids(in_reply_to) if in_reply_to else ()
    referred = message_ids(references) if references else ()
    thread_ids = tuple(dict.fromkeys(referred + answered))[-MAX_MESSAGE_IDS:] if referred and answered else referred
    own = message_ids(message_id) if message_id else ()
    return Summary(
        date,
        parse_date(date) if date else None,
        subject,
        _list(get(b"from")),
        _list(get(b"sender")),
        _list(get(b"reply-to")),
        _list(get(b"to")),
        _list(get(b"cc")),
        _list(get(b"bcc")),
        in_reply_to,
        message_id,
        base,
        is_reply,
        own[0] if own else None,
        thread_ids or answered,
        referred or answered[:1],
    )


def _list(body: bytes | None) -> tuple[HeaderAddress, ...]:
    return parse_addresses(body) if body else ()
