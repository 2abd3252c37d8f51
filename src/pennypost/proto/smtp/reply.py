"""Replies (RFC 5321 §4.2, RFC 2034), and which MailError becomes which."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from pennypost.model import errors
from pennypost.model.errors import MailError
from pennypost.model.text import printable
from pennypost.proto.smtp.limits import MAX_REPLY_LINE


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server says. `enhanced`: the enhanced status code that begins every line, or None where RFC 2034 §4
    exempts a reply: the greeting, EHLO's, 354, 334. `lines`: at least one, without CRLF."""

    code: int
    enhanced: str | None
    lines: tuple[str, ...]
    _octets: list[bytes] = field(default_factory=list, init=False, repr=False, compare=False)

    def encode(self) -> bytes:
        """Give the octets that go on the wire. What would break a line is shown as "?"; long lines are cut."""
        if not self._octets:
            self._octets.append(self._encode())  # kept: most replies are constants
        return self._octets[0]

    def _encode(self) -> bytes:
        head = f"{self.enhanced} " if self.enhanced is not None else ""
        if len(self.lines) == 1:
            text = self.lines[0]
            if text.isascii() and text.isprintable() and len(text) < 400:
                return f"{self.code} {head}{text}\r\n".encode("ascii")
        last = len(self.lines) - 1
        return b"".join(
            _line(f"{self.code}{' ' if i == last else '-'}{head}{line}") for i, line in enumerate(self.lines)
        )


def _line(text: str) -> bytes:
    safe = printable(text).encode("utf-8")
    if len(safe) > MAX_REPLY_LINE - 2:
        safe = safe[: MAX_REPLY_LINE - 2].decode("utf-8", "ignore").encode("utf-8")  # not within a character
    return safe + b"\r\n"


def challenge(base64: bytes) -> Reply:
    """Wrap a SASL challenge (RFC 4954 §4). It may be longer than other replies, so that it has no limit of its own."""
    return Reply(334, None, (str(base64, "ascii"),))


CODES: Mapping[type[MailError], int] = MappingProxyType(
    {
        errors.TransientFailure: 451,
        errors.PermanentFailure: 550,
        errors.BadAddress: 501,
        errors.RoutingLoop: 554,
        errors.NullMx: 556,
        errors.UnqualifiedDomain: 554,
        errors.TooManyRecipients: 452,
        errors.MessageTooLarge: 552,
        errors.OverQuota: 452,
        errors.StorageFull: 452,
        errors.BadMessage: 554,
        errors.NonAsciiAddress: 553,
        errors.AuthenticationFailed: 535,
        errors.MalformedAuthentication: 501,
        errors.AuthenticationRequired: 530,
        errors.EncryptionRequired: 538,
        errors.AccountDisabled: 525,
        errors.TooManyFailures: 454,
        errors.AuthenticationUnavailable: 454,
        errors.MailboxInUse: 450,
        errors.RateLimited: 450,
        errors.TooManyConnections: 421,
        errors.ShuttingDown: 421,
    }
)
"""Reply codes of the causes; a cause that is not listed has the code of its class (RFC 5321 §4.2.3, RFC 5248 §2.4)."""


def reply_for(error: MailError) -> Reply:
    """Turn an expected outcome into its reply. The first digits of code and enhanced status code agree."""
    if isinstance(error, errors.ScreenerRefused | errors.ScreenerDeferred) and error.code:
        return Reply(error.code, error.enhanced or error.status, (error.reason,))
    for kind in type(error).__mro__:
        if kind in CODES:
            return Reply(CODES[kind], error.status, (error.reason,))
    raise TypeError(f"{type(error).__name__} is neither transient nor permanent")


class Refused(Exception):
    """Raised by the grammar: a command that is answered with `reply` and has no other effect."""

    def __init__(self, code: int, enhanced: str, text: str) -> None:
        self.reply = Reply(code, enhanced, (text,))
        super().__init__(text)
