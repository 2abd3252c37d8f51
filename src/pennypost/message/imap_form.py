"""ENVELOPE, BODYSTRUCTURE and BODY in the octets in which IMAP sends them (RFC 9051 §7.5.2, RFC 3501 §7.4.2).

They are stored like this, an ENVELOPE without what it repeats (`kept_envelope`). Strings are quoted where quoting can
carry them: ASCII without CR, LF and NUL. All else, raw 8-bit text above all, goes as a literal, which every client of
either protocol version reads. A NUL, which nothing but literal8 can carry, becomes "?".
"""

import re
from functools import lru_cache
from struct import Struct

from pennypost.message.addresses import AddressList
from pennypost.message.structure import Parameters, Part
from pennypost.message.summary import Summary

_UNSAFE = re.compile(rb'["\\\x00-\x08\x0a-\x1f\x7f-\xff]')
_NEEDS_LITERAL = re.compile(rb"[\x00\r\n\x80-\xff]")
_NO_ENVELOPE = b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
_MAX_KEPT = 0xFFFF
_SHORT = 100
"""Octets up to which an address is remembered as it is written."""

_QUOTED_SPECIALS = re.compile(rb'(["\\])')


def string(octets: bytes) -> bytes:
    """Write a string: quoted if it can be, else a literal (RFC 9051 §4.3)."""
    if not _UNSAFE.search(octets):
        return b'"' + octets + b'"'
    if not _NEEDS_LITERAL.search(octets):
        return b'"' + _QUOTED_SPECIALS.sub(rb"\\\1", octets) + b'"'
    octets = octets.replace(b"\0", b"?")
    return b"{%d}\r\n%b" % (len(octets), octets)


def nstring(octets: bytes | None) -> bytes:
    """Write a string, or NIL for None (RFC 9051 §4.5)."""
    return b"NIL" if octets is None else string(octets)


def imap_envelope(summary: Summary) -> bytes:
    """Write ENVELOPE. Sender and Reply-To repeat From where the message has none (RFC 9051 §7.5.2)."""
    author = _addresses(summary.from_)
    return b"(%b %b %b %b %b %b %b %b %b %b)" % (
        nstring(summary.date),
        nstring(summary.subject),
        author,
        _addresses(summary.sender) if summary.sender else author,
        _addresses(summary.reply_to) if summary.reply_to else author,
        _addresses(summary.to),
        _addresses(summary.cc),
        _addresses(summary.bcc),
        nstring(summary.in_reply_to),
        nstring(summary.message_id),
    )


_KEPT = Struct(">BHH")
"""What an ENVELOPE begins with that was kept without repetitions: 1, the octets before From, the octets of From."""


def kept_envelope(summary: Summary) -> bytes:
    """Write ENVELOPE as it is stored: where Sender and Reply-To repeat From it is there once, a third less in all."""
    if summary.sender or summary.reply_to or not summary.from_:
        return imap_envelope(summary)
    head = b"(%b %b " % (nstring(summary.date), nstring(summary.subject))
    author = _addresses(summary.from_)
    if max(len(head), len(author)) > _MAX_KEPT:
        return imap_envelope(summary)
    return b"%b%b%b %b %b %b %b %b)" % (
        _KEPT.pack(1, len(head), len(author)),
        head,
        author,
        _addresses(summary.to),
        _addresses(summary.cc),
        _addresses(summary.bcc),
        nstring(summary.in_reply_to),
        nstring(summary.message_id),
    )


def sent_envelope(kept: bytes) -> bytes:
    """Give ENVELOPE as IMAP sends it, of one that `kept_envelope` wrote."""
    if kept.startswith(b"("):
        return kept
    _, head, length = _KEPT.unpack_from(kept)
    start = _KEPT.size + head
    end = start + length
    author = kept[start:end]
    return b"%b %b %b%b" % (kept[_KEPT.size : end], author, author, kept[end:])


def _addresses(entries: AddressList) -> bytes:
    if not entries:
        return b"NIL"
    written = []
    for entry in entries:
        name, route, local_part, domain = entry.name, entry.route, entry.local_part, entry.domain
        octets = len(name or b"") + len(route or b"") + len(local_part or b"") + len(domain or b"")
        written.append((_remembered if octets <= _SHORT else _address)(name, route, local_part, domain))
    return b"(" + b"".join(written) + b")"


def _address(name: bytes | None, route: bytes | None, local_part: bytes | None, domain: bytes | None) -> bytes:
    return b"(%b %b %b %b)" % (nstring(name), nstring(route), nstring(local_part), nstring(domain))


_remembered = lru_cache(maxsize=1024)(_address)
"""For short addresses: they come again, if any do."""


def imap_bodystructure(index: Part) -> bytes:
    """Write BODYSTRUCTURE, extension data included."""
    return _structure(index, True)


def imap_body(index: Part) -> bytes:
    """Write BODY: BODYSTRUCTURE without extension data."""
    return _structure(index, False)


_known = lru_cache(maxsize=256)(string)
"""For what there are few of: types, encodings, parameter names."""


def _structure(part: Part, extended: bool) -> bytes:
    if part.type == b"multipart" and part.children:
        octets = b"".join([_structure(child, extended) for child in part.children])
        if not extended:
            return b"(%b %b)" % (octets, _known(part.subtype))
        return b"(%b %b %b %b)" % (octets, _known(part.subtype), _parameters(part.parameters), _extension(part))
    octets = b"(%b %b %b %b %b %b %d" % (
        _known(part.type),
        _known(part.subtype),
        _parameters(part.parameters),
        b"NIL" if part.content_id is None else string(part.content_id),
        b"NIL" if part.description is None else string(part.description),
        _known(part.encoding),
        part.body_end - part.body_start,
    )
    if part.is_message:
        inner = part.children[0]
        octets += b" %b %b" % (inner.envelope or _NO_ENVELOPE, _structure(inner, extended))
    if part.lines >= 0:
        octets += b" %d" % part.lines
    if not extended:
        return octets + b")"
    return b"%b %b %b)" % (octets, b"NIL" if part.md5 is None else string(part.md5), _extension(part))


def _extension(part: Part) -> bytes:
    """Write disposition, language and location."""
    if part.disposition is None and not part.language and part.location is None:
        return b"NIL NIL NIL"
    disposition = b"NIL"
    if part.disposition is not None:
        disposition = b"(%b %b)" % (_known(part.disposition), _parameters(part.disposition_parameters))
    language = b"NIL"
    if len(part.language) == 1:
        language = string(part.language[0])
    elif part.language:
        language = b"(" + b" ".join([string(tag) for tag in part.language]) + b")"
    return b"%b %b %b" % (disposition, language, nstring(part.location))


def _parameters(parameters: Parameters) -> bytes:
    if not parameters:
        return b"NIL"
    return b"(" + b" ".join([b"%b %b" % (_known(name), string(value)) for name, value in parameters]) + b")"
