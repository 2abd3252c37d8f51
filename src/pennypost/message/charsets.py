"""From octets to text: named character sets, what mail means by them, and a guess where the name fails.

Text in mail carries wrong labels often. The rule: the declared charset (in the wider form that mail programs mean by
it), then UTF-8 if the octets are valid in it, then a guess from the first 4 KB, then the declared one with U+FFFD for
what does not fit. Nothing is dropped silently, nothing is raised.
"""

import codecs
from functools import lru_cache

from charset_normalizer import from_bytes

from pennypost.message.limits import GUESS_OCTETS

# What mail means by a name when it says a narrower one; as WHATWG's Encoding standard has it for the web.
_MEANT: dict[str, str] = {
    "us-ascii": "ascii",
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "l1": "cp1252",
    "iso-8859-9": "cp1254",
    "iso-8859-8-i": "iso8859-8",
    "iso-8859-8-e": "iso8859-8",
    "iso-8859-6-i": "iso8859-6",
    "iso-8859-6-e": "iso8859-6",
    "iso-8859-11": "cp874",
    "tis-620": "cp874",
    "windows-874": "cp874",
    "gb2312": "gb18030",
    "gb_2312-80": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "cp936": "gb18030",
    "big5": "big5hkscs",
    "x-big5": "big5hkscs",
    "ks_c_5601-1987": "cp949",
    "ks_c_5601": "cp949",
    "ksc5601": "cp949",
    "euc-kr": "cp949",
    "windows-949": "cp949",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "iso-2022-jp": "iso2022_jp_ext",
    "unicode-1-1-utf-7": "utf-7",
    "unicode-1-1-utf-8": "utf-8",
    "utf8mb4": "utf-8",
    "x-unknown": "utf-8",
    "unknown-8bit": "utf-8",
    "8bit": "utf-8",
    "binary": "utf-8",
    "default": "utf-8",
    "_autodetect": "utf-8",
    "x-user-defined": "utf-8",
    "x-mac-roman": "mac_roman",
    "macintosh": "mac_roman",
}

_REFUSED = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"})
"""Codecs of Python that are no charsets: some take quadratic time."""

_MAX_NAME = 40
_ASCII = bytes(range(128))
_LEAST_TO_GUESS = 8


@lru_cache(maxsize=256)
def codec_name(charset: bytes) -> str | None:
    """Give the Python codec for a charset label, any case, or None if it is unknown or no charset."""
    name = charset[: 2 * _MAX_NAME].strip(b" \t\"'").decode("ascii", "replace").lower()
    if not name or len(name) > _MAX_NAME or "\0" in name:
        return None
    name = _MEANT.get(name, name)
    try:
        info = codecs.lookup(name)
        b"ab".decode(info.name)  # a LookupError if it does not make text, as base64 does not
    except UnicodeError:
        pass
    except (LookupError, ValueError):
        return None
    return None if info.name.replace("-", "_") in _REFUSED else info.name


def decode_text(octets: bytes, charset: bytes | None) -> str:
    """Decode by the rule of this module. `charset` None: not declared, which means US-ASCII (RFC 2045 §5.2)."""
    declared = codec_name(charset) if charset else "ascii"
    if declared is not None:
        text = _strict(octets, declared)
        if text is not None:
            return text
    text = _strict(octets, "utf-8")
    if text is not None:
        return text
    if declared is None or declared == "ascii":
        declared = _guess(octets)
    return octets.decode(declared, "replace")


def decode_header(octets: bytes) -> str:
    """Decode raw octets of a header field: UTF-8 (RFC 6532 §3.2), else windows-1252; too few to guess from."""
    text = _strict(octets, "utf-8")
    return octets.decode("cp1252", "replace") if text is None else text


def _strict(octets: bytes, codec: str) -> str | None:
    try:
        return octets.decode(codec)
    except (UnicodeError, ValueError):
        return None


def _guess(octets: bytes) -> str:
    """Guess a codec from the first octets; cp1252 when nothing speaks for another."""
    start = octets[:GUESS_OCTETS]
    if len(start.translate(None, _ASCII)) < _LEAST_TO_GUESS:
        return "cp1252"
    best = from_bytes(start).best()
    return best.encoding if best is not None else "cp1252"
