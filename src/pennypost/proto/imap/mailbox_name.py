"""Mailbox names on the wire: modified UTF-7 (RFC 3501 §5.1.3) and UTF-8 (RFC 9051 §5.1).

Inside, a name is text in NFC with "INBOX" in capitals. A client that has not said ENABLE IMAP4rev2 (or UTF8=ACCEPT)
reads and writes modified UTF-7 (RFC 9051 Appendix A), one that has, UTF-8 (RFC 9755 §3).
"""

import re
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from unicodedata import is_normalized, normalize

from pennypost.model.mailbox import DELIMITER

_SHIFTED = re.compile(rb"&([A-Za-z0-9+,]*)-")
_DIRECT = re.compile(rb"[\x20-\x25\x27-\x7e]*")
_TO_SHIFT = re.compile(r"[^\x20-\x7e]+|&")
_INBOX_PREFIX = "INBOX" + DELIMITER


def decode_utf7(octets: bytes) -> str:
    """Decode modified UTF-7 (RFC 3501 §5.1.3).

    Only the one canonical spelling of a name is taken, so that two spellings never mean one mailbox. Raises ValueError.
    """
    if b"&" not in octets and octets.isascii() and (name := octets.decode("ascii")).isprintable():
        return name
    pieces: list[str] = []
    at = 0
    while at < len(octets):
        direct = _DIRECT.match(octets, at)
        if direct is not None and direct.end() > at:
            pieces.append(direct.group().decode("ascii"))
            at = direct.end()
            continue
        shifted = _SHIFTED.match(octets, at)
        if shifted is None:
            raise ValueError("not modified UTF-7")
        pieces.append(_unshift(shifted.group(1)))
        at = shifted.end()
    name = "".join(pieces)
    if encode_utf7(name) != octets:
        raise ValueError("not canonical modified UTF-7")
    return name


def _unshift(digits: bytes) -> str:
    """Decode one run of modified base64; empty stands for the ampersand itself."""
    if not digits:
        return "&"
    try:
        utf16 = a2b_base64(digits.replace(b",", b"/") + b"=" * (-len(digits) % 4), strict_mode=True)
        return utf16.decode("utf-16-be")
    except (Base64Error, UnicodeDecodeError) as error:
        raise ValueError("not modified UTF-7") from error


def encode_utf7(name: str) -> bytes:
    """Encode a name as modified UTF-7 (RFC 3501 §5.1.3)."""
    if name.isascii() and name.isprintable() and "&" not in name:
        return name.encode("ascii")
    return _TO_SHIFT.sub(_shift, name).encode("ascii")


def _shift(run: re.Match[str]) -> str:
    text = run.group()
    if text == "&":
        return "&-"
    digits = b2a_base64(text.encode("utf-16-be"), newline=False).rstrip(b"=").replace(b"/", b",")
    return f"&{digits.decode('ascii')}-"


_INBOXES = frozenset({b"INBOX", b"Inbox", b"inbox"})


def decode_name(octets: bytes, utf8: bool) -> str:
    """Read a mailbox name as it came: NFC, "INBOX" in capitals also where it is the first level. Raises ValueError."""
    if octets in _INBOXES:
        return "INBOX"
    name = octets.decode("utf-8") if utf8 else decode_utf7(octets)
    if not name.isascii():
        name = normalize("NFC", name)
    if name[:5].upper() == "INBOX" and (len(name) == 5 or name[5] == DELIMITER):
        return _INBOX_PREFIX[: len(name)] + name[6:]
    return name


def denormalised(octets: bytes) -> str | None:
    """Give a name in UTF-8 as it came, where that is not NFC (RFC 9051 §5.1). In which case INBOX is written does not
    count. Raises ValueError."""
    if octets.isascii():
        return None
    given = octets.decode("utf-8")
    return None if is_normalized("NFC", given) else given


def decode_pattern(octets: bytes, utf8: bool) -> str:
    """Read a list-mailbox pattern, `%` and `*` kept (RFC 9051 §6.3.9): NFC, case as it came. Raises ValueError."""
    pattern = octets.decode("utf-8") if utf8 else decode_utf7(octets)
    return pattern if pattern.isascii() else normalize("NFC", pattern)


def encode_name(name: str, utf8: bool) -> bytes:
    """Write a mailbox name for the wire, not yet quoted."""
    return name.encode("utf-8") if utf8 else encode_utf7(name)
