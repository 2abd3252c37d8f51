"""LOGOUT (RFC 9051 §6.1.3)."""

from dataclasses import dataclass

from pennypost.proto.imap.reader import Reader


@dataclass(frozen=True, slots=True)
class Logout:
    """End the connection. Answered with an untagged BYE, then OK."""


def parse_logout(reader: Reader) -> Logout:
    reader.end()
    return Logout()
