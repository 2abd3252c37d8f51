"""Authentication-Results: what a receiver found out, written for those behind it (RFC 8601).

A field that claims to be ours and came from outside would be believed, so those are removed before ours is added
(RFC 8601 §5). What others say under their own names stays: nobody has a reason to believe it.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

import idna

from pennypost.message.headers import FIELD
from pennypost.model.text import printable
from pennypost.model.verification import (
    ArcVerdict,
    DkimResult,
    DkimVerdict,
    DmarcVerdict,
    IprevVerdict,
    SpfVerdict,
)

NAME = b"Authentication-Results"

MAX_OUTCOMES = 64
"""Outcomes of one foreign field that are read."""

_TOKEN_CHARACTERS = r"[A-Za-z0-9!#$%&'*+\-.^_`{|}~]+"
_PLAIN_VALUE = re.compile(rf"{_TOKEN_CHARACTERS}(?:@{_TOKEN_CHARACTERS})?|@{_TOKEN_CHARACTERS}")
_LINE = 78

# What a field consists of: a quoted string, a word, or one of the signs. Comments are taken out before.
_LEXEME = re.compile(r'"((?:[^"\\]|\\.)*)"|([^\s;="]+)|([;="])', re.DOTALL)
_SEMICOLON, _EQUALS, _ODD_QUOTE = "\0;", "\0=", '\0"'
"""The signs as lexemes: nothing that was quoted is one of them."""

_SIGNS = {";": _SEMICOLON, "=": _EQUALS, '"': _ODD_QUOTE}

_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One method's result (RFC 8601 §2.2). `properties`: pairs of "ptype.property" and value."""

    method: str
    result: str
    reason: str = ""
    properties: tuple[tuple[str, str], ...] = ()
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Results:
    """A field that was read. `authserv_id`: who says so, lower case."""

    authserv_id: str
    outcomes: tuple[Outcome, ...]


# -- Writing


def field(authserv_id: str, outcomes: Sequence[Outcome]) -> bytes:
    """Write the whole field, folded, with CRLF at its end (RFC 8601 §2.2)."""
    return NAME + b": " + payload(authserv_id, outcomes) + b"\r\n"


def payload(authserv_id: str, outcomes: Sequence[Outcome]) -> bytes:
    """Write the body of the field, folded, without a line end at its end: also that of ARC-Authentication-Results."""
    parts = [_fold(_words(outcome)) for outcome in outcomes] or ["none"]
    return f"{authserv_id}{''.join(f';{chr(13)}{chr(10)}{chr(9)}{part}' for part in parts)}".encode()


def _words(outcome: Outcome) -> Iterator[str]:
    yield f"{outcome.method}={outcome.result}"
    if outcome.comment:
        yield f"({_in_comment(outcome.comment)})"
    if outcome.reason:
        yield f"reason={_quoted(outcome.reason)}"
    for name, value in outcome.properties:
        yield f"{name}={value if _PLAIN_VALUE.fullmatch(value) else _quoted(value)}"


def _fold(words: Iterable[str]) -> str:
    lines = [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + 1 + len(word) > _LINE:
            lines.append(f"\t{word}")
        else:
            lines[-1] += f" {word}" if lines[-1] else word
    return "\r\n".join(lines)


def _quoted(text: str) -> str:
    escaped = printable(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _in_comment(text: str) -> str:
    return printable(text).translate({ord(c): None for c in "()\\"})


def spf_outcome(verdict: SpfVerdict, sender: str) -> Outcome:
    """Say what SPF found (RFC 8601 §2.7.2). `sender`: the reverse-path, or for `helo` the name that was given."""
    return Outcome(
        "spf", verdict.result.value, verdict.detail, ((f"smtp.{verdict.identity}", sender or verdict.domain),)
    )


def dkim_outcome(verdict: DkimVerdict) -> Outcome:
    """Say what became of one signature (RFC 8601 §2.7.1, RFC 6008)."""
    properties = [
        ("header.d", verdict.domain),
        ("header.s", verdict.selector),
        ("header.a", verdict.algorithm),
        ("header.i", verdict.identity),
        ("header.b", verdict.signature_start),
    ]
    comments = [
        *(["only a part of the body is signed"] if verdict.body_length_limited else []),
        *(["the key is in testing"] if verdict.testing else []),
    ]
    given = tuple((name, value) for name, value in properties if value)
    return Outcome("dkim", verdict.result.value, verdict.detail, given, "; ".join(comments))


NO_DKIM = Outcome("dkim", DkimResult.NONE.value)
"""The message is not signed."""


def dmarc_outcome(verdict: DmarcVerdict) -> Outcome:
    """Say what DMARC found (RFC 9989)."""
    properties = [("header.from", verdict.from_domain)]
    if verdict.policy_domain:
        properties.append(("policy.published-domain-policy", verdict.policy.value))
    return Outcome(
        "dmarc", verdict.result.value, verdict.detail, tuple((name, value) for name, value in properties if value)
    )


def arc_outcome(verdict: ArcVerdict) -> Outcome:
    """Say whether the chain holds (RFC 8617 §4.1.1)."""
    properties = [("header.oldest-pass", str(verdict.oldest_pass))] if verdict.oldest_pass is not None else []
    return Outcome("arc", verdict.result.value, verdict.detail, tuple(properties))


def iprev_outcome(verdict: IprevVerdict, ip: IPv4Address | IPv6Address) -> Outcome:
    """Say whether the name of the peer's address leads back to it (RFC 8601 §2.7.3)."""
    return Outcome("iprev", verdict.result.value, "", (("policy.iprev", str(ip)),), verdict.name)


# -- Reading


class BadResults(ValueError):
    """It is no Authentication-Results field."""


def parse(value: bytes) -> Results:
    """Read the body of a field. Comments are dropped. Raises BadResults."""
    lexemes = list(_lexemes(_without_comments(value.decode("utf-8", "replace"))))
    if _ODD_QUOTE in lexemes:
        raise BadResults("a quotation does not end")
    if not lexemes or lexemes[0] in (_SEMICOLON, _EQUALS):
        raise BadResults("nobody's name stands at its beginning")
    groups: list[list[str]] = [[]]
    for lexeme in lexemes:
        if lexeme is _SEMICOLON:
            groups.append([])
        else:
            groups[-1].append(lexeme)
    head = groups[0]
    if len(head) > 2 or (len(head) == 2 and head[1] != "1"):
        raise BadResults("a version that is not known")
    outcomes = [_outcome(group) for group in groups[1 : MAX_OUTCOMES + 1] if group and group != ["none"]]
    return Results(head[0].lower(), tuple(outcomes))


def _without_comments(text: str) -> str:
    """Take out comments, which may nest (RFC 5322 §3.2.2); not those within quotes."""
    if "(" not in text:
        return text
    kept: list[str] = []
    depth, quoted, escaped = 0, False, False
    for character in text:
        if escaped:
            escaped = False
        elif character == "\\" and (quoted or depth):
            escaped = True
        elif character == '"' and not depth:
            quoted = not quoted
        elif character == "(" and not quoted:
            depth += 1
            kept.append(" ")
        elif character == ")" and depth:
            depth -= 1
            continue
        if not depth:
            kept.append(character)
    return "".join(kept)


def _lexemes(text: str) -> Iterator[str]:
    for match in _LEXEME.finditer(text):
        quoted, word, sign = match.groups()
        if sign is not None:
            yield _SIGNS[sign]
        else:
            yield word if word is not None else _QUOTED_PAIR.sub(r"\1", quoted)


def _outcome(group: list[str]) -> Outcome:
    pairs: list[tuple[str, str]] = []
    position = 0
    while position < len(group):
        if position + 2 >= len(group) or group[position + 1] is not _EQUALS or group[position + 2] is _EQUALS:
            raise BadResults("a result without a value")
        pairs.append((group[position].lower(), group[position + 2]))
        position += 3
    method, result = pairs[0]
    reason = next((value for name, value in pairs[1:] if name == "reason"), "")
    properties = tuple((name, value) for name, value in pairs[1:] if name != "reason")
    return Outcome(method.partition("/")[0], result.lower(), reason, properties)


def _named(value: bytes) -> str | None:
    """Give the name at the beginning of a field; None if it has none, or quotes that do not end."""
    lexemes = list(_lexemes(_without_comments(value.decode("utf-8", "replace"))))
    if not lexemes or _ODD_QUOTE in lexemes or lexemes[0] in (_SEMICOLON, _EQUALS):
        return None
    return None if len(lexemes) > 1 and lexemes[1] is _EQUALS else lexemes[0]


def _canonical(authserv_id: str) -> str:
    """Give the form in which names are compared: what somebody might take for ours is ours."""
    name = authserv_id.lower().strip(".")
    if name.isascii():
        return name
    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return name


def without_ours(header_block: bytes, authserv_id: str) -> bytes:
    """Take out what claims to be ours, and what names nobody: that might be believed, too (RFC 8601 §5).

    A field that names another host stays, however it goes on.
    """
    if NAME.lower() not in header_block.lower():
        return header_block
    kept: list[bytes] = []
    start = 0
    for match in FIELD.finditer(header_block):
        if match[1].lower() != NAME.lower():
            continue
        named = _named(match[2])
        if named is None or _canonical(named) == _canonical(authserv_id):
            kept.append(header_block[start : match.start()])
            start = match.end() + 1 if header_block[match.end() : match.end() + 1] == b"\n" else match.end()
    return b"".join((*kept, header_block[start:])) if kept else header_block
