"""How long each step of a session may take (RFC 5321 §4.5.3.2)."""

from dataclasses import dataclass, fields
from datetime import timedelta

from pennypost.model.bounds import positive_times


@dataclass(frozen=True, slots=True)
class SmtpTimeouts:
    """The least that RFC 5321 §4.5.3.2 wants are the defaults."""

    connect: timedelta = timedelta(seconds=30)
    """Until a connection is there, for each address."""

    greeting: timedelta = timedelta(minutes=5)
    """For the greeting, and the answer to EHLO."""

    handshake: timedelta = timedelta(minutes=1)
    """For TLS."""

    command: timedelta = timedelta(minutes=5)
    """For the answer to MAIL, to RCPT, and to steps of AUTH."""

    data: timedelta = timedelta(minutes=2)
    """For the answer to DATA."""

    text: timedelta = timedelta(minutes=3)
    """Until the next host takes more of the message."""

    end: timedelta = timedelta(minutes=10)
    """For the answer to the end of the message: giving up early makes duplicates (RFC 1047)."""

    quit: timedelta = timedelta(seconds=5)
    """For the answer to QUIT, for which nobody waits."""

    whole_text: timedelta = timedelta(hours=1)
    """Until the next host has taken all of a message, however steadily it does: who takes it octet by octet would hold
    a connection, and memory, for days."""

    def __post_init__(self) -> None:
        positive_times(self, *(field.name for field in fields(self)))
