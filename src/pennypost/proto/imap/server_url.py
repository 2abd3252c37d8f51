"""IMAP URLs that name a server, and who logs in there (RFC 5092 §3): what a referral holds (RFC 2221 §3)."""

import re
from urllib.parse import quote, unquote_to_bytes

from pennypost.proto.imap.url import BadUrl

MAX_SERVER_URL = 255
"""Octets: it stands in one line of a response, and DNS names are no longer."""

# iserver = [iuserinfo "@"] host [":" port]; the host is no IP literal in brackets
_SERVER = re.compile(
    r"imap://(?:([^@/;:]*)(?:;AUTH=([A-Za-z0-9_*-]+))?@)?([A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::([0-9]{1,5}))?/?",
    re.IGNORECASE,
)
_ACHAR = "&=!$'()*+,~"
"""What may stand in a user name unescaped, beside letters, digits and `-._` (RFC 5092 §3: achar)."""


def server_url(text: str, user: str) -> str:
    """Read the URL of a server, and write it in full: with `user`, where it names nobody, and with `;AUTH=`.

    Without the two a client would log in as anonymous, or might (RFC 2221 §3). Raises BadUrl: also for IPv6 literals,
    whose bracket would end the response code that holds the URL.
    """
    found = _SERVER.fullmatch(text)
    if found is None or not text.isascii():
        raise BadUrl('expected the URL of an IMAP server, as "imap://user@imap.example.net/", without a mailbox')
    name, mechanism, host, port = found.groups()
    if port is not None and not 0 < int(port) < 65_536:
        raise BadUrl("expected a port of 1 to 65535 in the URL")
    named = quote(unquote_to_bytes(name) if name else user.encode("utf-8"), safe=_ACHAR)
    url = f"imap://{named};AUTH={mechanism or '*'}@{host.lower()}{':' + str(int(port)) if port else ''}/"
    if len(url) > MAX_SERVER_URL:
        raise BadUrl(f"expected a URL of at most {MAX_SERVER_URL} octets")
    return url


def host_of(url: str) -> str:
    """Give the host of a URL that `server_url` wrote."""
    return url.rpartition("@")[2].rstrip("/").partition(":")[0]
