"""Paths: `<user@example.org>`, `<>`, and how the older forms are read (RFC 5321 §4.1.2, RFC 6531 §3.3)."""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address

import idna

from pennypost.model.address import Address
from pennypost.proto.smtp.limits import MAX_DOMAIN, MAX_LABEL, MAX_LOCAL_PART, MAX_PATH

# Atom = 1*atext, with UTF8-non-ascii (RFC 6531 §3.3); Dot-string = Atom *("." Atom)
_ATOM = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\xff-]+"
_DOT_STRING = _ATOM + rb"(?:\." + _ATOM + rb")*"
# Quoted-string = DQUOTE *QcontentSMTP DQUOTE
_QUOTED_STRING = rb'"(?:[\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\x20-\x7e])*"'
# sub-domain = Let-dig [Ldh-str]; the underscore is let through, since names of hosts have it (docs/quirks.md)
_LABEL = rb"[A-Za-z0-9_\x80-\xff]+(?:-+[A-Za-z0-9_\x80-\xff]+)*"
_DOMAIN = _LABEL + rb"(?:\." + _LABEL + rb")*"
# address-literal = "[" … "]"; dcontent is everything printable but the brackets and the backslash
_LITERAL = rb"\[[\x21-\x5a\x5e-\x7e]+\]"
# A-d-l = At-domain *( "," At-domain ): parsed, and ignored (RFC 5321 appendix C)
_ROUTE = rb"@" + _DOMAIN + rb"(?:,@" + _DOMAIN + rb")*:"

_PATH = re.compile(
    rb"<(?:" + _ROUTE + rb")?"
    rb"(?:(?P<dots>" + _DOT_STRING + rb")|(?P<quoted>" + _QUOTED_STRING + rb"))"
    rb"@(?:(?P<domain>" + _DOMAIN + rb")|(?P<literal>" + _LITERAL + rb"))>"
)
"""Path = "<" [ A-d-l ":" ] Mailbox ">", as linear as its input: no two repetitions can take the same octets."""

_QUOTED_PAIR = re.compile(r"\\(.)")


def parse_path(octets: bytes, start: int = 0) -> tuple[Address, int]:
    """Read a path that is not null. Gives the address and where the path ends. Raises ValueError."""
    match = _PATH.match(octets, start)
    if match is None:
        raise ValueError("no path")
    dots, quoted, domain, literal = match.groups()
    local = dots if dots is not None else quoted
    host = domain if domain is not None else literal
    assert local is not None
    assert host is not None
    address = Address(_local_part(local), _domain(host) if literal is None else _literal(host))
    if len(local) + len(host) + 3 > MAX_PATH:
        raise ValueError("a path that is too long")
    return address, match.end()


def parse_reverse_path(octets: bytes, start: int) -> tuple[Address | None, int]:
    """Read the path of MAIL: None for the null one (RFC 5321 §4.5.5). Raises ValueError."""
    if octets.startswith(b"<>", start):
        return None, start + 2
    return parse_path(octets, start)


def parse_forward_path(octets: bytes, start: int) -> tuple[Address, int]:
    """Read the path of RCPT: also `<Postmaster>`, in any case, without a domain (RFC 5321 §4.1.1.3)."""
    bare = octets[start : start + 12]
    if bare.upper() == b"<POSTMASTER>":
        return Address(str(bare[1:-1], "ascii"), ""), start + 12
    return parse_path(octets, start)


def _text(octets: bytes) -> str:
    """Decode; of the C1 controls, which UTF-8 could bring in, there are none in an address."""
    if octets.isascii():
        return str(octets, "ascii")
    text = str(octets, "utf-8")
    if any("\x80" <= c < "\xa0" for c in text):
        raise ValueError("a control character")
    return text


def _local_part(octets: bytes) -> str:
    text = _text(octets)
    if text.startswith('"'):
        text = _QUOTED_PAIR.sub(r"\1", text[1:-1])
    if len(octets) > MAX_LOCAL_PART:
        raise ValueError("a local part that is too long")
    return text


def _domain(octets: bytes) -> str:
    if len(octets) > MAX_LABEL and (
        len(octets) > MAX_DOMAIN or any(len(label) > MAX_LABEL for label in octets.split(b"."))
    ):
        raise ValueError("a domain that is too long")
    text = _text(octets)
    if not text.isascii():
        idna.encode(text)  # RFC 6531 §3.3: U-labels; raises IDNAError, a ValueError
    return text


def _literal(octets: bytes) -> str:
    """Check an address literal (RFC 5321 §4.1.3). Of the tags only IPv6 is registered."""
    text = str(octets, "ascii")
    inner = text[1:-1]
    try:
        if inner[:5].upper() == "IPV6:":
            if "%" in inner:
                raise ValueError("a zone means nothing elsewhere")
            IPv6Address(inner[5:])
        else:
            IPv4Address(inner)
    except AddressValueError as error:
        raise ValueError("a bad address literal") from error
    return text
