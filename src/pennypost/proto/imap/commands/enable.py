"""ENABLE (RFC 9051 §6.3.1, RFC 5161)."""

from dataclasses import dataclass

from pennypost.proto.imap.limits import MAX_LIST_ITEMS
from pennypost.proto.imap.reader import BadSyntax, Reader


@dataclass(frozen=True, slots=True)
class Enable:
    """Switch extensions on. `capabilities`: in capitals, also those we do not know, which are to be ignored."""

    capabilities: tuple[str, ...]


def parse_enable(reader: Reader) -> Enable:
    capabilities: list[str] = []
    while True:
        reader.space("a capability")
        capabilities.append(reader.atom("a capability").decode("ascii").upper())
        if len(capabilities) > MAX_LIST_ITEMS:
            raise BadSyntax("too many capabilities")
        if reader.at_end():
            return Enable(tuple(capabilities))
