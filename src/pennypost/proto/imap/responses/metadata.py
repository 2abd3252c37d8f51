"""METADATA (RFC 5464 §4.4)."""

from collections.abc import Sequence

from pennypost.proto.imap.responses.text import NIL, astring, literal8, mailbox, string


def metadata(name: str, values: Sequence[tuple[bytes, bytes | None]], utf8: bool) -> bytes:
    """METADATA with values; None is NIL. An empty name is the server."""
    inner = b" ".join([b"%b %b" % (astring(entry), _value(value)) for entry, value in values])
    return b"* METADATA %b (%b)\r\n" % (mailbox(name, utf8), inner)


def metadata_changed(name: str, entries: Sequence[bytes], utf8: bool) -> bytes:
    """METADATA without values: entries that changed (RFC 5464 §4.4.2)."""
    return b"* METADATA %b %b\r\n" % (mailbox(name, utf8), b" ".join([astring(entry) for entry in entries]))


def _value(value: bytes | None) -> bytes:
    if value is None:
        return NIL
    return literal8(value) if b"\x00" in value else string(value)
