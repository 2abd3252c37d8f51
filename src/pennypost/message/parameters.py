"""Structured MIME fields: Content-Type, Content-Disposition, Content-Transfer-Encoding, Content-Language.

RFC 2045 §5.1 is the grammar, RFC 2183 §2 the disposition, RFC 3282 §2 the language, RFC 2231 §3–4 continuations and
character sets of parameters. What occurs beyond the grammar is read as it is meant: values with blanks or specials that
lack their quotes run to the next semicolon, empty parameters are skipped, of two with one name the first counts.
"""

import re
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from pennypost.message.charsets import decode_text
from pennypost.message.limits import MAX_LANGUAGES, MAX_PARAMETER_OCTETS, MAX_PARAMETERS
from pennypost.message.structure import Parameters
from pennypost.message.words import decode_words

# RFC 2045 §5.1: token is any CHAR except SPACE, CTLs and tspecials. Longer than 127 is no type of anybody's.
_TYPE = re.compile(
    rb'[ \t]*+([^\x00-\x20()<>@,;:\\"/\[\]?=\x7f-\xff]{1,127}+)[ \t]*+'
    rb'/[ \t]*+([^\x00-\x20()<>@,;:\\"/\[\]?=\x7f-\xff]{1,127}+)'
)
_ENCODINGS = frozenset({b"7bit", b"8bit", b"binary", b"base64", b"quoted-printable"})
_VALUE = re.compile(rb'[ \t]*+([^\x00-\x20;"()=]{1,64}+)')

# What is left before a semicolon, then one parameter: name = "quoted" | value up to the next semicolon. It matches
# everywhere, so that looking for the next one never goes back.
_PARAMETER = re.compile(
    rb'[^;]*+[;\s]*+(?:([^\x00-\x20;=":()]{1,100}+)\s*+=\s*+(?:"((?:[^"\\]++|\\.)*+)"?+[^;]*+|([^;]*+))|[^;]*+)',
    re.DOTALL,
)
# What most fields have: one parameter with a plain or simply quoted value.
_ONE_PARAMETER = re.compile(rb'\s*+;\s*+([A-Za-z-]{1,100}+)=(?:"([^"\\]*+)"|([^\s";()]++))\s*+')
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_COMMENT = re.compile(rb"\([^()]*+\)")
_SECTION = re.compile(rb"([^*]++)\*(0|[1-9][0-9]{0,2})(\*?)")


def parse_content_type(body: bytes) -> tuple[bytes, bytes, Parameters] | None:
    """Read an unfolded Content-Type: type and subtype in lower case, parameters. None if there is no type/subtype.

    The default charset of text/plain is filled in (RFC 2046 §4.1.2).
    """
    if len(body) > 100 or b"boundary" in body:  # no two messages share a boundary: it would only push others out
        return _content_type(body)
    return _cached_content_type(body)


def _content_type(body: bytes) -> tuple[bytes, bytes, Parameters] | None:
    found = _TYPE.match(body)
    if found is None:
        return None
    type_, subtype, end = found[1].lower(), found[2].lower(), found.end()
    parameters = parse_parameters(body[end:]) if end < len(body) else ()
    if type_ == b"text" and subtype == b"plain" and not any(name == b"charset" for name, _ in parameters):
        parameters = (*parameters, (b"charset", b"us-ascii"))
    return type_, subtype, parameters


_cached_content_type = lru_cache(maxsize=512)(_content_type)


def parse_encoding(body: bytes) -> bytes:
    """Read an unfolded Content-Transfer-Encoding in lower case (RFC 2045 §6.1); 7bit if nothing can be read."""
    if body in _ENCODINGS:
        return body
    found = _VALUE.match(_COMMENT.sub(b" ", body) if b"(" in body else body)
    return found[1].lower() if found else b"7bit"


def parse_disposition(body: bytes) -> tuple[bytes, Parameters] | None:
    """Read an unfolded Content-Disposition (RFC 2183 §2): its type in lower case and its parameters."""
    found = _VALUE.match(body)
    if found is None:
        return None
    return found[1].lower(), parse_parameters(body[found.end() :])


def parse_languages(body: bytes) -> tuple[bytes, ...]:
    """List the tags of an unfolded Content-Language (RFC 3282 §2)."""
    tags = (tag.strip() for tag in _COMMENT.sub(b" ", body).split(b",", MAX_LANGUAGES)[:MAX_LANGUAGES])
    return tuple([tag for tag in tags if tag])


def parse_parameters(body: bytes) -> Parameters:
    """Read `; name=value; …` and join RFC 2231 continuations."""
    one = _ONE_PARAMETER.fullmatch(body, 0, MAX_PARAMETER_OCTETS)
    if one is not None:
        return ((one[1].lower(), one[3] if one[2] is None else one[2]),)
    found: list[tuple[bytes, bytes]] = []
    pieced = False
    for match in _PARAMETER.finditer(body[:MAX_PARAMETER_OCTETS]):
        if match[1] is None:
            continue
        name = match[1].lower()
        quoted = match[2]
        if quoted is not None:
            value = _QUOTED_PAIR.sub(rb"\1", quoted) if b"\\" in quoted else quoted
        else:
            value = match[3].strip()
            if b"(" in value:
                value = _COMMENT.sub(b"", value).strip()
        if b"*" in name:
            pieced = True
        found.append((name, value))
        if len(found) >= MAX_PARAMETERS:
            break
    if pieced:
        found = _join_continuations(found)
    if len(found) < 2:
        return tuple(found)
    first: dict[bytes, bytes] = {}
    for name, value in found:
        first.setdefault(name, value)
    return tuple(first.items())


def _join_continuations(found: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Join `name*0`, `name*1*`, … to `name`, or to `name*` if a piece is extended (RFC 2231 §3, §4.1).

    Pieces may come in any order; those behind a gap are left as they are written. Plain pieces among
    extended ones get their percent signs encoded, so that the whole is in extended form.
    """
    pieces: dict[bytes, dict[int, tuple[bytes, bool]]] = {}
    for name, value in found:
        match = _SECTION.fullmatch(name)
        if match:
            pieces.setdefault(match[1], {}).setdefault(int(match[2]), (value, bool(match[3])))
    joined: list[tuple[bytes, bytes]] = []
    done: set[bytes] = set()
    for name, value in found:
        match = _SECTION.fullmatch(name)
        if match is None:
            joined.append((name, value))
            continue
        base, of = match[1], pieces[match[1]]
        count = next(n for n in range(len(of) + 1) if n not in of)
        if int(match[2]) >= count:
            joined.append((name, value))
        elif base not in done:
            done.add(base)
            run = [of[n] for n in range(count)]
            if any(extended for _, extended in run):
                whole = b"".join([octets if extended else octets.replace(b"%", b"%25") for octets, extended in run])
                joined.append((base + b"*", whole if run[0][1] else b"''" + whole))
            else:
                joined.append((base, b"".join([octets for octets, _ in run])))
    return joined


def text_value(parameters: Parameters, name: bytes) -> str | None:
    """Give a parameter as text, decoded (RFC 2231 §4; RFC 2047 words inside quotes, which occur, too). None: not there.

    The extended form wins over the plain one when both are there (RFC 6266 §4.3 says so for HTTP). `name`: lower case.
    """
    plain: bytes | None = None
    for key, value in parameters:
        if key == name + b"*":
            charset, _, rest = value.partition(b"'")
            _, quote, encoded = rest.partition(b"'")
            if not quote:
                charset, encoded = b"utf-8", value
            return decode_text(unquote_to_bytes(encoded), charset or b"utf-8")
        if key == name and plain is None:
            plain = value
    if plain is None:
        return None
    return decode_words(plain)
