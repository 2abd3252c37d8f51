"""What an administrator can set about the doors for incoming mail."""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from pennypost.model.bounds import bounded, positive_times

_LEAST_WAIT = timedelta(minutes=5)


class EarlyTalker(Enum):
    """What becomes of a client that speaks before it was greeted."""

    REFUSE = "refuse"
    LOG = "log"


class BareCr(Enum):
    """What becomes of a message that holds a CR without LF."""

    REFUSE = "refuse"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """How long SMTP, submission and LMTP sessions may take, and what they may do."""

    command_timeout: timedelta = _LEAST_WAIT
    """How long a client may take for its next command (RFC 5321 §4.5.3.2.7: at least 5 minutes)."""

    text_timeout: timedelta = _LEAST_WAIT
    """How long a client may stay silent within the text of a message (RFC 5321 §4.5.3.2.5 gives it 3 minutes)."""

    text_time: timedelta = timedelta(hours=1)
    """How long the text of one message may take in all. What is slower is cut off."""

    session_time: timedelta = timedelta(hours=12)
    """How long a session may last. It is ended between two commands."""

    greeting_delay: timedelta = timedelta(milliseconds=20)
    """How long a client of the SMTP door has to wait for its greeting, so that one that does not wait is noticed
    (RFC 5321 §4.3.1). What is sent at once comes within the first milliseconds, however far away the client is; some
    programs wait a little and are noticed only by several seconds. 0 does not look."""

    early_talker: EarlyTalker = EarlyTalker.REFUSE
    """What becomes of a client that speaks before it was greeted: "refuse" it, or "log" it only."""

    bare_cr: BareCr = BareCr.REFUSE
    """What becomes of a message that holds a CR without LF: "refuse" it, as RFC 5321 §2.3.8 wants, or "keep" the CR as
    an octet like others. Leave it, but for measurements with messages that have such: relayed on, a bare CR ends a line
    in some servers, and so smuggles. A LF without CR is always refused."""

    max_messages: int = 100_000
    """Messages one session may bring (RFC 9422 MAILMAX)."""

    max_errors: int = 20
    """Commands that were refused, for whatever reason, before a session is ended."""

    max_idle_commands: int = 100
    """Commands that bring no message nearer (NOOP, RSET, EHLO …) before a session is ended; a message starts anew."""

    max_login_failures: int = 3
    """Failed logins on one connection before it is closed."""

    submission_requires_tls: bool = True
    """Whether submission takes neither login nor mail without TLS (RFC 8314 §3.3)."""

    receive_requires_tls: bool = False
    """Whether mail from other servers is refused without TLS. RFC 3207 §4 forbids it on a public server."""

    clear_text_login_on_loopback: bool = False
    """Whether a client on a loopback address may log in with its password, and submit, without TLS."""

    def __post_init__(self) -> None:
        if self.command_timeout < _LEAST_WAIT:
            raise ValueError("command_timeout: expected at least 5 min, as RFC 5321 §4.5.3.2.7 asks for")
        positive_times(self, "text_timeout", "text_time", "session_time")
        bounded(self, "greeting_delay", least=timedelta(0), most=timedelta(minutes=1))
        bounded(self, "max_messages", "max_errors", "max_idle_commands", "max_login_failures", least=1)
