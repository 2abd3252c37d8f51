"""COMPRESS (RFC 4978)."""

from dataclasses import dataclass

from pennypost.proto.imap.reader import BadSyntax, Reader


@dataclass(frozen=True, slots=True)
class Compress:
    """Compress both directions with DEFLATE, from right behind the tagged OK on."""


def parse_compress(reader: Reader) -> Compress:
    reader.space("a compression algorithm")
    if reader.atom("a compression algorithm").upper() != b"DEFLATE":
        raise BadSyntax("expected a compression algorithm: DEFLATE")
    reader.end()
    return Compress()
