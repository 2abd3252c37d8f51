"""The reports that a message carries, as octets: for those who take reports in (RFC 8460, RFC 9990)."""

from collections.abc import Collection, Iterator

from pennypost.message import headers
from pennypost.message.decode import transfer_decode
from pennypost.message.digest import parse

MAX_ATTEMPTS = 2
"""Parts of one message that are looked into: each may unpack to a great deal, and a message may have thousands."""


def attached(octets: bytes, types: Collection[tuple[bytes, bytes]]) -> Iterator[bytes]:
    """Give the content of the first parts that have one of these media types, transfer encodings undone."""
    header, body = headers.split(octets)
    waiting = [parse(header, body).index]
    given = 0
    for part in waiting:
        waiting += part.children
        if (part.type, part.subtype) in types:
            yield transfer_decode(body[part.body_start : part.body_end], part.encoding) or b""
            given += 1
            if given == MAX_ATTEMPTS:
                return
