"""CAPABILITY (RFC 9051 §6.1.1)."""

from dataclasses import dataclass

from pennypost.proto.imap.reader import Reader


@dataclass(frozen=True, slots=True)
class Capability:
    """Ask what the server can do. Answered with `responses.server.capability`."""


def parse_capability(reader: Reader) -> Capability:
    reader.end()
    return Capability()
