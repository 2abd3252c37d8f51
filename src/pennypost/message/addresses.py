"""Address lists of header fields (RFC 5322 §3.4, §4.4; RFC 6532 §3.2), read the way they occur.

Theory of operation. Nearly all addresses are `Name <local@domain>` or `local@domain`: a regular expression takes them
one by one. At the first that is anything else, a small hand-written reader takes over for the rest of the list:
comments, quoted local parts, groups, routes, domain literals, missing commas and brackets. Both are linear, neither
fails.

The result is flat, with groups as IMAP's ENVELOPE has them (RFC 9051 §7.5.2): an entry with a local part and no domain
opens a group of that name, one with neither closes it. An address that has no domain has an empty one.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

import msgspec

from pennypost.message.limits import MAX_ADDRESSES, MAX_COMMENT_DEPTH
from pennypost.message.words import decode_words
from pennypost.model.address import Address


class HeaderAddress(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One entry of an address list, in octets as they were written: unquoted, encoded words not decoded.

    `route`: the obsolete source route without its colon (RFC 5322 §4.4). `domain` keeps the brackets of a literal.
    """

    name: bytes | None
    route: bytes | None
    local_part: bytes | None
    domain: bytes | None

    @property
    def is_group_start(self) -> bool:
        return self.domain is None and self.local_part is not None

    @property
    def is_group_end(self) -> bool:
        return self.domain is None and self.local_part is None

    @property
    def display_name(self) -> str:
        """The name, or the group's name, decoded; empty if there is none."""
        name = self.local_part if self.is_group_start else self.name
        return decode_words(name) if name else ""

    @property
    def address(self) -> Address | None:
        """The address, or None for a group marker or where local part or domain is missing."""
        if not self.local_part or not self.domain:
            return None
        return Address(self.local_part.decode("utf-8", "replace"), self.domain.decode("utf-8", "replace"))


AddressList = tuple[HeaderAddress, ...]

_GROUP_END = HeaderAddress(None, None, None, None)

# RFC 5322 §3.4: name-addr or addr-spec, up to a comma or the end. The phrase is atoms (dots let through, §4.1) or one
# quoted string without escapes.
_USUAL = re.compile(
    rb"[ \t,]*+(?:"
    rb'(?:"([^"\\\r\n]*+)"[ \t]*+|([A-Za-z0-9!#$%&\'*+\-/=?^_`{|}~. \t]*+))'
    rb"<([A-Za-z0-9!#$%&'*+\-/=?^_`{|}~.]++)@([A-Za-z0-9.\-]++)>"
    rb"|([A-Za-z0-9!#$%&'*+\-/=?^_`{|}~.]++)@([A-Za-z0-9.\-]++)"
    rb")[ \t]*+(?:,|\Z)"
)


_SHORT = 100
"""Octets up to which an address list is remembered: it comes again, if any does."""


def parse_addresses(body: bytes) -> AddressList:
    """Read an unfolded address list. At most `limits.MAX_ADDRESSES` entries; what stands behind is left out."""
    return _parse(body) if len(body) > _SHORT else _remembered(body)


def _parse(body: bytes) -> AddressList:
    found: list[HeaderAddress] = []
    at, end = 0, len(body)
    usual = _USUAL.match
    while at < end:
        match = usual(body, at)
        if match is None:
            _Reader(body, at, found).read()
            break
        quoted, phrase, local, domain, bare, bare_domain = match.groups()
        if bare is not None:
            found.append(HeaderAddress(None, None, bare, bare_domain))
        else:
            if quoted is None:
                name = phrase.strip()
                if b"  " in name or b"\t" in name:
                    name = b" ".join(name.split())
            else:
                name = quoted
            found.append(HeaderAddress(name or None, None, local, domain))
        if len(found) >= MAX_ADDRESSES:
            break
        at = match.end()
    return tuple(found)


_remembered = lru_cache(maxsize=1024)(_parse)


def addresses(entries: AddressList) -> Iterator[Address]:
    """Give the addresses that can be mailed to, those inside groups too."""
    for entry in entries:
        address = entry.address
        if address is not None:
            yield address


_SPACE = re.compile(rb"[\s\0]*+")
# Dots, which the grammar has between atoms only, and stray backslashes count as text (RFC 5322 §4.1).
_ATOM = re.compile(rb'[^\s\0()<>\[\]:;@,"]++')
_DOMAIN_ATOM = re.compile(rb'[^\s\0()<>\[\]:;@\\,."]++')
_QUOTED = re.compile(rb'"((?:[^"\\]++|\\.)*+)("?+)', re.DOTALL)
_LITERAL = re.compile(rb"\[[^\[\]\\]*+\]?+")
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_COMMENT_STEP = re.compile(rb"[^()\\]*+(?:\\.[^()\\]*+)*+([()]|\Z|\\)", re.DOTALL)


class _Reader:
    """Reads the rest of one list into `found`. `at` is where it stands; every step moves it on."""

    def __init__(self, body: bytes, at: int, found: list[HeaderAddress]) -> None:
        self.body = body
        self.at = at
        self.found = found
        self.in_group = False
        self.comment: bytes | None = None
        self.unclosed = False

    def read(self) -> None:
        """Read entries to the end of the list."""
        body, found = self.body, self.found
        while len(found) < MAX_ADDRESSES:
            self.comment = None
            self.skip_space()
            if self.at >= len(body):
                break
            octet = body[self.at]
            if octet == 44:  # ","
                self.at += 1
            elif octet == 59:  # ";"
                self.at += 1
                self.close_group()
            else:
                self.entry()
        self.close_group()

    def close_group(self) -> None:
        if self.in_group:
            self.in_group = False
            self.found.append(_GROUP_END)

    def entry(self) -> None:
        """Read one mailbox, or the opening of a group."""
        words, dotted = self.phrase()
        body = self.body
        octet = body[self.at] if self.at < len(body) else -1
        if octet == 60:  # "<"
            self.at += 1
            name = b" ".join(words).strip()
            entry = self.angle()
            self.skip_space()
            self.add(name or self.comment or None, *entry)
        elif octet == 64:  # "@"
            self.at += 1
            domain = self.domain()
            self.skip_space()
            self.add(self.comment, None, dotted, domain)
        elif octet == 58:  # ":"
            self.at += 1
            self.close_group()
            self.in_group = True
            self.found.append(HeaderAddress(None, None, b" ".join(words), None))
        else:
            if octet not in (-1, 44, 59):  # a stray special: step over it
                self.at += 1
            if words:
                self.add(self.comment, None, b" ".join(words), b"")

    def add(self, name: bytes | None, route: bytes | None, local: bytes, domain: bytes) -> None:
        if local or domain or name:
            self.found.append(HeaderAddress(name, route, local, domain))

    def phrase(self) -> tuple[list[bytes], bytes]:
        """Read words up to a special. Gives them as words of a phrase, and run together as a local part."""
        words: list[list[bytes]] = []
        local: list[bytes] = []
        body = self.body
        glued = False
        while self.at < len(body):
            before = self.at
            self.skip_space()
            if self.at > before:
                glued = False
            if self.at >= len(body):
                break
            octet = body[self.at]
            if octet == 34:  # '"'
                word = self.quoted()
            else:
                match = _ATOM.match(body, self.at)
                if match is None:
                    break
                word = match.group()
                self.at = match.end()
            local.append(word)
            if glued and words:
                words[-1].append(word)
            else:
                words.append([word])
            glued = True
        return [b"".join(pieces) for pieces in words], b"".join(local)

    def angle(self) -> tuple[bytes | None, bytes, bytes]:
        """Read what stands between angle brackets: route, local part, domain (RFC 5322 §3.4.1, §4.4)."""
        body = self.body
        route: bytes | None = None
        self.skip_space()
        if body.startswith(b"@", self.at):
            colon = body.find(b":", self.at)
            stop = body.find(b">", self.at)
            if colon >= 0 and (stop < 0 or colon < stop):
                route = b"".join(body[self.at : colon].split())
                self.at = colon + 1
        _, local = self.phrase()
        domain = b""
        if body.startswith(b"@", self.at):
            self.at += 1
            domain = self.domain()
            while body.startswith(b"@", self.at):  # user@host@domain: all but the last belongs to the local part
                local += b"@" + domain
                self.at += 1
                domain = self.domain()
        self.skip_space()
        if body.startswith(b">", self.at):
            self.at += 1
        else:
            self.recover()
        return route, local, domain

    def recover(self) -> None:
        """Go behind the bracket that closes here, unless a comma comes first."""
        comma = self.body.find(b",", self.at)
        stop = self.body.find(b">", self.at, len(self.body) if comma < 0 else comma)
        if stop >= 0:
            self.at = stop + 1
        elif comma >= 0:
            self.at = comma
        else:
            self.at = len(self.body)

    def domain(self) -> bytes:
        """Read a domain or a domain literal; white space around its dots is dropped (RFC 5322 §4.4)."""
        parts: list[bytes] = []
        body = self.body
        expects = True
        while True:
            self.skip_space()
            if self.at >= len(body):
                break
            octet = body[self.at]
            if octet == 46:
                parts.append(b".")
                self.at += 1
                expects = True
                continue
            if not expects:
                break
            match = _LITERAL.match(body, self.at) if octet == 91 else _DOMAIN_ATOM.match(body, self.at)
            if match is None:
                break
            parts.append(match.group())
            self.at = match.end()
            expects = False
        return b"".join(parts)

    def quoted(self) -> bytes:
        match = None if self.unclosed else _QUOTED.match(self.body, self.at)
        if match is None or not match[2]:  # never closed: it and all quotes behind it are stray octets
            self.unclosed = True
            self.at += 1
            return b""
        self.at = match.end()
        return _QUOTED_PAIR.sub(rb"\1", match[1]) if b"\\" in match[1] else match[1]

    def skip_space(self) -> None:
        """Step over white space and comments; the last comment is kept, it may be the name (RFC 5322 §3.4, note)."""
        body = self.body
        while True:
            match = _SPACE.match(body, self.at)
            if match is not None:
                self.at = match.end()
            if not body.startswith(b"(", self.at):
                return
            start = self.at
            self.at += 1
            depth = 1
            while depth and self.at < len(body):
                step = _COMMENT_STEP.match(body, self.at)
                if step is None:
                    self.at = len(body)
                    break
                self.at = step.end()
                if step[1] == b"(" and depth < MAX_COMMENT_DEPTH:
                    depth += 1
                elif step[1] == b")":
                    depth -= 1
            inside = body[start + 1 : self.at - 1 if depth == 0 else self.at]
            if b"\\" in inside:
                inside = _QUOTED_PAIR.sub(rb"\1", inside)
            self.comment = inside.strip() or self.comment
