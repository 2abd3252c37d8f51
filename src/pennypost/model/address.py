"""Addresses (RFC 5321 §4.1.2, RFC 6531 §3.3)."""

import re
from dataclasses import dataclass

_ATOM = r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\x80-\U0010ffff]+"
_DOT_STRING = re.compile(rf"{_ATOM}(?:\.{_ATOM})*+")
"""A local part that needs no quotes (RFC 5321 §4.1.2, RFC 6531 §3.3)."""


@dataclass(frozen=True, slots=True)
class Address:
    """A RFC 5321 Mailbox: where mail can be sent.

    `local_part`: unquoted, case kept. `domain`: a domain name as it was written, or an address literal with its
    brackets ("[192.0.2.1]"); empty only for the bare `<Postmaster>` of RFC 5321 §4.5.1. Compare addresses of ours
    through `key`.
    """

    local_part: str
    domain: str

    def __str__(self) -> str:
        """Give the form that goes on the wire, without angle brackets; quoted where the grammar needs it."""
        local = self.local_part
        if _DOT_STRING.fullmatch(local) is None:
            local = '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return f"{local}@{self.domain}" if self.domain else local

    @property
    def key(self) -> str:
        """The form in which our own addresses are compared: local part and domain without regard to case."""
        return f"{self.local_part.casefold()}@{self.domain.casefold()}"

    @property
    def is_ascii(self) -> bool:
        """Whether it can travel without SMTPUTF8 (RFC 6531 §3.2)."""
        return self.local_part.isascii() and self.domain.isascii()
