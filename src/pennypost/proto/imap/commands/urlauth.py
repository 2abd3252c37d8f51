"""GENURLAUTH, URLFETCH and RESETKEY (RFC 4467 §7)."""

from dataclasses import dataclass

from pennypost.proto.imap.limits import MAX_URLS
from pennypost.proto.imap.reader import BadSyntax, Reader
from pennypost.proto.imap.url import BadUrl, MessageUrl, parse_url

INTERNAL = b"INTERNAL"


@dataclass(frozen=True, slots=True)
class GenUrlAuth:
    """Sign URLs. Each has an access identifier and no token yet; `known`: all mechanisms that are asked for are."""

    urls: tuple[MessageUrl, ...]
    known: bool


@dataclass(frozen=True, slots=True)
class UrlFetch:
    """Ask for what URLs name. What is no URL of a message, signed, is None beside its octets."""

    urls: tuple[tuple[bytes, MessageUrl | None], ...]


@dataclass(frozen=True, slots=True)
class ResetKey:
    """Revoke URLs to a mailbox; None: to all. `known`: all mechanisms named are."""

    mailbox: str | None
    known: bool = True


def parse_genurlauth(reader: Reader) -> GenUrlAuth:
    urls: list[MessageUrl] = []
    known = True
    while not reader.at_end():
        reader.space("a URL")
        try:
            url = parse_url(reader.astring("a URL"))
        except BadUrl as problem:
            raise BadSyntax(str(problem)) from None
        if url.access is None or url.token:
            raise BadSyntax("expected a URL that can be signed")
        reader.space("a mechanism")
        known &= reader.atom("a mechanism").upper() == INTERNAL
        urls.append(url)
        _bound(len(urls))
    if not urls:
        raise BadSyntax("expected a URL")
    return GenUrlAuth(tuple(urls), known)


def parse_urlfetch(reader: Reader) -> UrlFetch:
    urls: list[tuple[bytes, MessageUrl | None]] = []
    while not reader.at_end():
        reader.space("a URL")
        octets = reader.astring("a URL")
        try:
            url = parse_url(octets)
        except BadUrl:
            urls.append((octets, None))
        else:
            urls.append((octets, url if url.token else None))
        _bound(len(urls))
    if not urls:
        raise BadSyntax("expected a URL")
    return UrlFetch(tuple(urls))


def parse_resetkey(reader: Reader) -> ResetKey:
    if reader.at_end():
        return ResetKey(None)
    reader.space("a mailbox name")
    mailbox = reader.mailbox()
    known = True
    while not reader.at_end():
        reader.space("a mechanism")
        known &= reader.atom("a mechanism").upper() == INTERNAL
    return ResetKey(mailbox, known)


def _bound(count: int) -> None:
    if count > MAX_URLS:
        raise BadSyntax("too many URLs")
