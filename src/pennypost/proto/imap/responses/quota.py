"""QUOTA and QUOTAROOT (RFC 9208 §4.2)."""

from collections.abc import Sequence
from dataclasses import dataclass

from pennypost.proto.imap.responses.text import astring, mailbox


@dataclass(frozen=True, slots=True)
class Resource:
    """Usage and limit of one resource. `name`: STORAGE (in units of 1024 octets), MESSAGE, MAILBOX (RFC 9208 §5)."""

    name: bytes
    used: int
    limit: int


def quota(root: str, resources: Sequence[Resource]) -> bytes:
    """QUOTA (RFC 9208 §4.2.1); without resources the root has no limits."""
    inner = b" ".join([b"%b %d %d" % (r.name, r.used, r.limit) for r in resources])
    return b"* QUOTA %b (%b)\r\n" % (_root(root), inner)


def quotaroot(name: str, roots: Sequence[str], utf8: bool) -> bytes:
    """QUOTAROOT (RFC 9208 §4.2.2): the roots that bound a mailbox."""
    return b" ".join((b"* QUOTAROOT", mailbox(name, utf8), *[_root(root) for root in roots])) + b"\r\n"


def _root(root: str) -> bytes:
    return astring(root.encode("utf-8"))
