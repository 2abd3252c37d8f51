"""One SMTP, submission or LMTP transaction, as the door sees it.

The door makes a `Reception` for each transaction through an `Intake` (`receive.Receiver`, `submit.Submitter`), and
calls in this order:

    sender(envelope) → recipient(r) … → write(chunk) … → accept()

Each raises a MailError that becomes the reply; a refused recipient does not end the transaction. `discard` ends it from
any state and is safe to call twice; after `accept` it does nothing.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from pennypost.model.authentication import Authenticated
from pennypost.model.envelope import Envelope, Recipient
from pennypost.model.errors import MailError
from pennypost.model.peer import Peer, TlsInfo


class Language(Enum):
    """The first half of a RFC 3848 transmission type."""

    SMTP = "SMTP"
    ESMTP = "ESMTP"
    LMTP = "LMTP"


@dataclass(frozen=True, slots=True)
class SmtpClient:
    """Who hands us a message, and how. `hello`: the argument of HELO, EHLO or LHLO, as it was sent. `early`: it spoke
    before it was greeted."""

    peer: Peer
    hello: str
    language: Language
    tls: TlsInfo | None = None
    authenticated: Authenticated | None = None
    early: bool = False


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A message that is stored and synced, or was taken by its next host: `250` may be sent.

    `id`: what the Received header field, the reply and the log call it. `outcomes`: for each accepted recipient, in the
    order of RCPT, None or why it failed. Only LMTP has failures here (RFC 2033 §4.2); elsewhere it is all or nothing.
    `size`: octets as received. `stored`: what the store calls its parts, for the log: "1/204" is message 204 of
    account 1, "q17" a message in the queue; none if it was passed on.
    """

    id: str
    outcomes: tuple[MailError | None, ...]
    size: int
    stored: tuple[str, ...] = ()


class Reception(Protocol):
    """One mail transaction (RFC 5321 §3.3)."""

    async def sender(self, envelope: Envelope) -> None:
        """Judge MAIL FROM. `envelope.recipients` is empty. Raises MailError."""

    async def recipient(self, recipient: Recipient) -> None:
        """Judge RCPT TO and remember the recipient. Raises MailError: it is then no part of the transaction."""

    def write(self, chunk: bytes) -> None:
        """Take octets of the message: any cut, CRLF lines, dots unstuffed. Raises MessageTooLarge past the limit."""

    async def accept(self) -> Acceptance:
        """Store the message for all recipients in one transaction, or pass it on. On return it is safe, here or there.

        Raises MailError: nothing is stored then.
        """

    def discard(self) -> None:
        """Forget the transaction and free what it holds."""


class Intake(Protocol):
    """What a door hands messages to."""

    @property
    def max_message_size(self) -> int:
        """Octets of the largest message; what SIZE announces."""

    @property
    def max_recipients(self) -> int:
        """Recipients of one message; what LIMITS RCPTMAX announces."""

    def begin(self, client: SmtpClient) -> Reception:
        """Open a transaction."""
