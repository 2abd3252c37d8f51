"""What an administrator can set about the POP3 door."""

from dataclasses import dataclass
from datetime import timedelta

from pennypost.model.bounds import bounded, sizes
from pennypost.model.units import KIB, Octets

_LEAST_IDLE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Pop3Settings:
    """How long POP3 sessions may take, and what they may do."""

    idle_timeout: timedelta = _LEAST_IDLE
    """How long a client may stay silent (RFC 1939 §3: at least 10 minutes). Nothing is deleted when it runs out."""

    lock_time: timedelta = timedelta(minutes=3)
    """How long a maildrop stays locked when the process that locked it died. A session renews its lock in time."""

    clear_text_login_on_loopback: bool = False
    """Whether a client on a loopback address may log in with its password without TLS."""

    max_login_failures: int = 3
    """Failed logins on one connection before it is closed."""

    login_delay: timedelta = timedelta(0)
    """How long an account has to wait between two logins (RFC 2449 §6.5); 0 is not at all."""

    show_implementation: bool = True
    """Whether CAPA names this program to those who are logged in (RFC 2449 §6.9)."""

    write_chunk: Octets = Octets(64 * KIB)
    """Octets of answers that are put together before they are written to the connection."""

    def __post_init__(self) -> None:
        if self.idle_timeout < _LEAST_IDLE:
            raise ValueError("idle_timeout: expected at least 10 min, as RFC 1939 §3 asks for")
        bounded(self, "lock_time", least=timedelta(seconds=30))
        bounded(self, "max_login_failures", least=1)
        bounded(self, "login_delay", least=timedelta(0))
        sizes(self, "write_chunk")
