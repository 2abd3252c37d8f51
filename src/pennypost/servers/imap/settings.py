"""What an administrator can set about the IMAP door."""

from dataclasses import dataclass
from datetime import timedelta

from pennypost.model.bounds import bounded, positive_times, sizes
from pennypost.model.units import KIB, Octets


@dataclass(frozen=True, slots=True)
class ImapSettings:
    """How long IMAP sessions may take and how much they may ask for."""

    login_timeout: timedelta = timedelta(seconds=60)
    """How long a client that has not logged in may stay silent."""

    idle_timeout: timedelta = timedelta(minutes=30)
    """How long a client that has logged in may stay silent (RFC 9051 §5.4 asks for at least 30 minutes)."""

    keepalive_interval: timedelta = timedelta(minutes=2)
    """How often a client in IDLE is told that we are still here, so that middle boxes keep the connection."""

    progress_interval: timedelta = timedelta(seconds=10)
    """How often a client is told that its SEARCH, COPY, MOVE or EXPUNGE is still being carried out (RFC 9585)."""

    clear_text_login_on_loopback: bool = False
    """Whether a client on a loopback address may log in with its password without TLS."""

    write_chunk: Octets = Octets(64 * KIB)
    """Octets of responses that are put together before they are written to the connection."""

    body_chunk: Octets = Octets(256 * KIB)
    """Octets of a large body that are held while it is being sent."""

    annotation_size: Octets = Octets(16 * KIB)
    """How large what SETMETADATA says of a mailbox or the server may be, each entry (RFC 5464)."""

    message_limit: int = 0
    """How many messages one command may act upon (MESSAGELIMIT, RFC 9738); 0: as many as there are."""

    save_limit: int = 0
    """How many messages one COPY or APPEND may make (SAVELIMIT, RFC 9738); 0: as many as there are. With
    `message_limit`, that one counts."""

    watched_mailboxes: int = 2_000
    """How many mailboxes a client may watch at once by NOTIFY (RFC 5465), the open one aside."""

    comment: str = ""
    """What the server says of itself to all who log in: its /shared/comment (RFC 5464 §6.2.1)."""

    admin_url: str = ""
    """Where its administrator is found, as `mailto:postmaster@example.org`: its /shared/admin (RFC 5464 §6.2.1)."""

    administrators: tuple[str, ...] = ()
    """Accounts that may set quotas of all accounts by SETQUOTA (RFC 9208 §4.1.3), and filters for all (RFC 5466)."""

    quota_visible: bool = True
    """Whether GETQUOTA and GETQUOTAROOT tell accounts how much they use and may use (RFC 9208)."""

    def __post_init__(self) -> None:
        bounded(self, "message_limit", "save_limit", "watched_mailboxes", least=0)
        positive_times(self, "login_timeout", "idle_timeout", "keepalive_interval", "progress_interval")
        sizes(self, "write_chunk", "body_chunk")
