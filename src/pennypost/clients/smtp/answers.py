"""What the other side said, and how a session fails."""

from dataclasses import dataclass
from enum import Enum

from pennypost.proto.smtp.reply import Reply

MAX_TEXT = 500
"""Characters of a reply that are kept."""


class Stage(Enum):
    """Where in a session something happened."""

    CONNECT = "connecting"
    GREETING = "greeting"
    HELLO = "EHLO"
    STARTTLS = "STARTTLS"
    HANDSHAKE = "the TLS handshake"
    AUTH = "AUTH"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    TEXT = "the message"
    END = "the end of the message"


@dataclass(frozen=True, slots=True)
class Said:
    """A reply. `status`: its enhanced status code, or one made of its code (RFC 3463 §3.1). `text`: the whole of it in
    one printable line."""

    code: int
    status: str
    text: str

    @property
    def good(self) -> bool:
        return self.code < 400

    @property
    def permanent(self) -> bool:
        return self.code >= 500


def said(reply: Reply) -> Said:
    """Make one line of a reply."""
    head = f"{reply.code} {reply.enhanced}" if reply.enhanced is not None else str(reply.code)
    text = f"{head} {' '.join(line for line in reply.lines if line)}".rstrip()
    return Said(reply.code, reply.enhanced or f"{reply.code // 100}.0.0", text[:MAX_TEXT])


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said of one recipient. `stage`: RCPT when it was about the recipient, else about the message."""

    said: Said
    stage: Stage


class SessionFailed(Exception):
    """A session is of no more use. `said`: the reply that ended it, None when there was none. `reason`: in our words,
    one line. `tls_error`: why certificates were refused, as OpenSSL numbers it (X509_V_ERR_…), else None."""

    def __init__(self, stage: Stage, reason: str, reply: Said | None = None, tls_error: int | None = None) -> None:
        self.stage = stage
        self.reason = reason
        self.said = reply
        self.tls_error = tls_error
        super().__init__(f"{stage.value}: {reason}")


@dataclass(frozen=True, slots=True)
class Transaction:
    """What came of one message. `answers`: for each recipient, in order; None where the session failed before one came.

    `failure`: how it failed, or None. With a failure at Stage.END the message may have been taken all the same.
    """

    answers: tuple[Answer | None, ...]
    failure: SessionFailed | None = None
