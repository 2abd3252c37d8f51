"""CHECK (RFC 3501 §6.4.1; not in RFC 9051)."""

from dataclasses import dataclass

from pennypost.proto.imap.reader import Reader


@dataclass(frozen=True, slots=True)
class Check:
    """Ask for a checkpoint. Everything answered is durable already: same as NOOP."""


def parse_check(reader: Reader) -> Check:
    reader.end()
    return Check()
