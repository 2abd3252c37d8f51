"""UNAUTHENTICATE (RFC 8437)."""

from dataclasses import dataclass

from pennypost.proto.imap.reader import Reader


@dataclass(frozen=True, slots=True)
class Unauthenticate:
    """Forget who logged in, and all that was enabled; TLS and compression stay."""


def parse_unauthenticate(reader: Reader) -> Unauthenticate:
    reader.end()
    return Unauthenticate()
