"""CAPABILITY, ENABLED, LANGUAGE, ID and NAMESPACE (RFC 9051 §7.2, RFC 2971, RFC 2342)."""

from collections.abc import Iterable, Sequence

from pennypost.model.mailbox import DELIMITER
from pennypost.proto.imap.responses.text import NIL, mailbox, string


def capability(names: Iterable[bytes]) -> bytes:
    return b"* CAPABILITY %b\r\n" % b" ".join(names)


def enabled(names: Iterable[bytes]) -> bytes:
    """ENABLED (RFC 9051 §7.2.1): what was switched on now; may be nothing."""
    return b"%b\r\n" % b" ".join((b"* ENABLED", *names))


def language(tags: Iterable[bytes]) -> bytes:
    """LANGUAGE (RFC 5255 §3.3): the languages there are, or the one that was chosen."""
    return b"* LANGUAGE (%b)\r\n" % b" ".join(tags)


def server_id(fields: Sequence[tuple[str, str | None]]) -> bytes:
    """ID (RFC 2971 §3.2). Names and values in ASCII."""
    if not fields:
        return b"* ID NIL\r\n"
    parts = [
        b"%b %b" % (string(name.encode("ascii")), NIL if value is None else string(value.encode("ascii")))
        for name, value in fields
    ]
    return b"* ID (%b)\r\n" % b" ".join(parts)


def namespace(personal: Sequence[str], others: Sequence[str], shared: Sequence[str], utf8: bool) -> bytes:
    """NAMESPACE (RFC 9051 §7.3.6): prefixes of each class, all with our delimiter."""
    groups = [
        b"(%b)" % b"".join([b'(%b "%b")' % (_prefix(prefix, utf8), DELIMITER.encode("ascii")) for prefix in prefixes])
        if prefixes
        else NIL
        for prefixes in (personal, others, shared)
    ]
    return b"* NAMESPACE %b\r\n" % b" ".join(groups)


def _prefix(prefix: str, utf8: bool) -> bytes:
    return b'""' if not prefix else mailbox(prefix, utf8)
