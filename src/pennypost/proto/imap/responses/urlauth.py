"""GENURLAUTH and the beginning of URLFETCH (RFC 4467 §8)."""

from collections.abc import Sequence

from pennypost.proto.imap.responses.text import string


def genurlauth(urls: Sequence[bytes]) -> bytes:
    return b"* GENURLAUTH %b\r\n" % b" ".join(map(string, urls))


def urlfetch_url(url: bytes) -> bytes:
    """What stands before the value of each URL; the line begins with `* URLFETCH`."""
    return b" %b " % string(url)
