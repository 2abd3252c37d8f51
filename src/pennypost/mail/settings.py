"""What an administrator can set about the decisions of this package."""

from dataclasses import dataclass
from datetime import timedelta

from pennypost.model.bounds import bounded, sizes
from pennypost.model.units import GIB, KIB, MIB, Octets


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """How passwords are kept and guessed at."""

    hash_memory: Octets = Octets(19 * MIB)
    """Memory one Argon2id hash takes (RFC 9106); the default is OWASP's. New passwords are hashed so."""

    hash_passes: int = 2
    """Passes one Argon2id hash makes over its memory."""

    hash_threads: int = 2
    """Passwords that are checked at the same time by one worker."""

    hash_queue: int = 200
    """Password checks that may wait for a thread; past it a login is told to try again later."""

    verified_cache_time: timedelta = timedelta(minutes=5)
    """How long a password that was right is known without hashing it again."""

    verified_cache_size: int = 10_000
    """Passwords one worker knows in this way."""

    scram_iterations: int = 4096
    """Iteration count of the SCRAM keys of new passwords (RFC 7677 §4 asks for at least 4096)."""

    network_failures_free: int = 3
    """Wrong passwords from one network (an IPv4 address, an IPv6 /64) before it has to wait between attempts."""

    network_failures_before_ban: int = 20
    """Wrong passwords from one network before it is banned from logging in."""

    account_failures_free: int = 10
    """Wrong passwords for one account, from everywhere, before networks it does not know have to wait."""

    account_failures_before_ban: int = 100
    """Wrong passwords for one account, from everywhere, before networks it does not know are banned from it."""

    ban_time: timedelta = timedelta(minutes=15)
    """How long a ban lasts."""

    failure_memory: timedelta = timedelta(hours=1)
    """Failures older than this are forgotten."""

    known_network_time: timedelta = timedelta(days=30)
    """A network from which an account logged in this recently is not shut out by a ban of the account."""

    def __post_init__(self) -> None:
        sizes(self, "hash_memory", least=8 * KIB, most=4 * GIB)
        bounded(self, "hash_passes", least=1, most=1000)
        bounded(self, "hash_threads", least=1, most=256)
        bounded(self, "hash_queue", "verified_cache_size", least=0)
        bounded(self, "scram_iterations", least=1, most=1_000_000)
        bounded(self, "network_failures_free", "account_failures_free", least=0)
        bounded(self, "network_failures_before_ban", "account_failures_before_ban", least=1)


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """How mail is accepted and filed."""

    max_message_size: Octets = Octets(50 * MIB)
    """The largest message that is taken in, over SMTP, LMTP and IMAP (RFC 1870)."""

    max_header_size: Octets = Octets(MIB)
    """The largest header block of a message. It is kept with each copy of the message, uncompressed."""

    max_hops: int = 100
    """Received header fields past which a message is taken to be looping (RFC 5321 §6.3)."""

    max_recipients: int = 1000
    """Recipients of one message. RFC 5321 §4.5.3.1.8 asks for at least 100."""

    offload_size: Octets = Octets(256 * 1024)
    """Messages above this size are parsed, hashed and compressed by threads, so that other sessions do not wait."""

    subaddress_mailboxes: bool = True
    """Mail for `user+tag` goes into the account's mailbox `tag` where there is one, else into the inbox (RFC 5233)."""

    scheduled_mailbox: str = "Scheduled"
    """Where a user finds what he has submitted to be sent later (RFC 4865): what he moves out of there, or deletes, is
    taken back. Empty: it is shown nowhere."""

    def __post_init__(self) -> None:
        sizes(self, "max_message_size", "max_header_size")
        bounded(self, "max_hops", "max_recipients", least=1)
