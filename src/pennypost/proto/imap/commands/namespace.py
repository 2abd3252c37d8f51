"""NAMESPACE (RFC 9051 §6.3.10, RFC 2342)."""

from dataclasses import dataclass

from pennypost.proto.imap.reader import Reader


@dataclass(frozen=True, slots=True)
class Namespace:
    """Ask for the prefixes of personal, other users' and shared mailboxes."""


def parse_namespace(reader: Reader) -> Namespace:
    reader.end()
    return Namespace()
