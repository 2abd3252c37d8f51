"""Encoded words: text in header fields (RFC 2047), and raw UTF-8 there (RFC 6532 §3.2)."""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from binascii import a2b_qp

from pennypost.message.charsets import codec_name, decode_header, decode_text
from pennypost.message.limits import MAX_ENCODED_WORDS

# RFC 2047 §2; the language tag is RFC 2231 §5. Blanks inside a word occur and are let through for Q.
_WORD = re.compile(rb"=\?([^?*\s]{1,40})(?:\*[^?\s]{0,40})?\?([bBqQ])\?([^?\r\n]*+)\?=")

_MAX_WORD = 75
"""RFC 2047 §2."""


def decode_words(raw: bytes) -> str:
    """Decode an unfolded field body or phrase to text. White space between encoded words is dropped (RFC 2047 §6.2).

    Octets of neighbours in one charset are joined before they are decoded, since many programs cut characters in two.
    What cannot be decoded stays as it is written.
    """
    if b"=?" not in raw:
        return raw.decode("ascii") if raw.isascii() else decode_header(raw)
    out: list[str] = []
    pending = bytearray()
    charset = b""
    at = 0
    words = 0
    for match in _WORD.finditer(raw):
        words += 1
        octets = _word_octets(match[2], match[3])
        if words > MAX_ENCODED_WORDS or octets is None or codec_name(match[1]) is None:
            continue
        between = raw[at : match.start()]
        follows = at > 0 and not between.strip()
        if not follows or charset.lower() != match[1].lower():
            if pending:
                out.append(decode_text(bytes(pending), charset))
                pending.clear()
            if not follows:
                out.append(decode_header(between))
        charset = match[1]
        pending += octets
        at = match.end()
    if pending:
        out.append(decode_text(bytes(pending), charset))
    out.append(decode_header(raw[at:]))
    return "".join(out)


def _word_octets(encoding: bytes, content: bytes) -> bytes | None:
    if encoding in b"qQ":
        return a2b_qp(content, header=True)
    content = content.rstrip(b"= \t")
    try:
        return b64decode(content + b"=" * (-len(content) % 4))
    except (Base64Error, ValueError):
        return None


def encode_words(text: str) -> bytes:
    """Encode text as B words in UTF-8, each at most 75 octets, none cutting a character, joined by folds (CRLF SP).

    Text that is printable ASCII and cannot be taken for an encoded word is given as it is.
    """
    if text.isascii() and text.isprintable() and "=?" not in text:
        return text.encode("ascii")
    room = (_MAX_WORD - len("=?utf-8?b??=")) // 4 * 3
    words: list[bytes] = []
    chunk = b""
    for character in text:
        octets = character.encode("utf-8", "replace")
        if len(chunk) + len(octets) > room:
            words.append(chunk)
            chunk = b""
        chunk += octets
    words.append(chunk)
    return b"\r\n ".join([b"=?utf-8?b?" + b64encode(word) + b"?=" for word in words])
