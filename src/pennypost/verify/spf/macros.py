"""Macros in domain names and explanations (RFC 7208 §7)."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import quote

MAX_NAME_OCTETS = 253
"""A domain name in text. A longer expansion loses labels on its left (RFC 7208 §7.3)."""

# macro-expand = ( "%{" macro-letter transformers *delimiter "}" ) / "%%" / "%_" / "%-"
_EXPAND = re.compile(r"%(?:\{([slodiphcrtv])([0-9]*)(r?)([.\-+,/_=]*)\}|([%_\-]))", re.IGNORECASE)
# macro-literal = %x21-24 / %x26-7E
_LITERAL = re.compile(r"[\x21-\x24\x26-\x7e]+")
_SPACES_TOO = re.compile(r"[\x20-\x24\x26-\x7e]+")
# toplabel = ( *alphanum ALPHA *alphanum ) / ( 1*alphanum "-" *( alphanum / "-" ) alphanum )
_TOP_LABEL = re.compile(r"[0-9]*+[A-Za-z][A-Za-z0-9]*|[A-Za-z0-9]++-[A-Za-z0-9\-]*[A-Za-z0-9]")

_ESCAPES = {"%": "%", "_": " ", "-": "%20"}
_EXPLANATION_ONLY = "crt"


@dataclass(frozen=True, slots=True)
class Values:
    """What the letters stand for (RFC 7208 §7.2). `p` is looked up only where `needs_p` says so.

    `receiver`: our name; `timestamp`: seconds since the epoch. Both are for explanations only.
    """

    ip: IPv4Address | IPv6Address
    local_part: str
    sender_domain: str
    helo: str
    domain: str
    receiver: str
    timestamp: int
    validated: str = "unknown"

    def of(self, letter: str) -> str:
        """Give the value of a letter, before it is transformed."""
        match letter:
            case "s":
                return f"{self.local_part}@{self.sender_domain}"
            case "l":
                return self.local_part
            case "o":
                return self.sender_domain
            case "d":
                return self.domain
            case "i":
                if isinstance(self.ip, IPv4Address):
                    return str(self.ip)
                return ".".join(self.ip.exploded.replace(":", ""))
            case "p":
                return self.validated
            case "h":
                return self.helo
            case "c":
                return str(self.ip)
            case "r":
                return self.receiver
            case "t":
                return str(self.timestamp)
            case _:
                return "in-addr" if isinstance(self.ip, IPv4Address) else "ip6"


def is_macro_string(text: str) -> bool:
    """Whether `text` is a macro-string in a record: without the letters that only explanations have."""
    return _well_formed(text, _LITERAL, _EXPLANATION_ONLY)


def is_explanation(text: str) -> bool:
    """Whether `text` is an explain-string: any macro, and spaces (RFC 7208 §6.2)."""
    return _well_formed(text, _SPACES_TOO, "")


def is_domain_spec(text: str) -> bool:
    """Whether `text` is a domain-spec: it ends with a top label or a macro (RFC 7208 §7.1)."""
    if not is_macro_string(text):
        return False
    bare = text.removesuffix(".")
    _, dot, last = bare.rpartition(".")
    if dot and _TOP_LABEL.fullmatch(last) is not None:
        return True
    return any(found.end() == len(text) for found in _EXPAND.finditer(text))


def _well_formed(text: str, literal: re.Pattern[str], refused: str) -> bool:
    at = 0
    while at < len(text):
        found = _EXPAND.match(text, at) if text[at] == "%" else literal.match(text, at)
        if found is None:
            return False
        letter, digits = (found[1], found[2]) if text[at] == "%" else (None, "")
        if letter is not None and (letter.lower() in refused or (digits and int(digits[:9]) == 0)):
            return False
        at = found.end()
    return True


def needs_p(text: str) -> bool:
    """Whether the expansion asks for the validated name of the client, which costs questions."""
    return any((found[1] or "").lower() == "p" for found in _EXPAND.finditer(text))


def expand(text: str, values: Values) -> str:
    """Replace every macro of a well-formed string (RFC 7208 §7.3)."""
    if "%" not in text:
        return text

    def replacement(found: re.Match[str]) -> str:
        letter, digits, reverse, delimiters, escape = found.groups()
        if escape:
            return _ESCAPES[escape]
        value = _transform(values.of(letter.lower()), digits, bool(reverse), delimiters)
        return quote(value, safe="-._~") if letter.isupper() else value

    return _EXPAND.sub(replacement, text)


def _transform(value: str, digits: str, reverse: bool, delimiters: str) -> str:
    if not digits and not reverse and not delimiters:
        return value
    parts = re.split(f"[{re.escape(delimiters or '.')}]", value)
    if reverse:
        parts.reverse()
    if digits:
        parts = parts[-int(digits[:9]) :]
    return ".".join(parts)


def shorten(name: str) -> str:
    """Cut labels off the left of a name that is too long (RFC 7208 §7.3)."""
    while len(name) > MAX_NAME_OCTETS:
        _, dot, name = name.partition(".")
        if not dot:
            return ""
    return name
