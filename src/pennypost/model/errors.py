"""The errors everything turns on.

    MailError                an outcome we expect: an enhanced status code (RFC 3463) and a text that is safe to send
      TransientFailure       try again later (4.x.x)
      PermanentFailure       never again in this form (5.x.x)
    ProtocolError
      PeerError              the peer broke the protocol
      UsageError             we misused a machine: a bug of ours
    ConfigError              every problem of a configuration at once

A subclass exists for each cause; each protocol has one table from subclasses to its replies. Anything else that is
raised is a bug, and is told to the peer as a transient failure without its text.
"""

from dataclasses import dataclass
from typing import ClassVar


class MailError(Exception):
    """An expected outcome. `status`: the enhanced status code; `text`: one line of ASCII, safe to send to a stranger.

    Never raised itself, nor are its two heads.
    """

    status: ClassVar[str]
    text: ClassVar[str]

    def __init__(self, text: str | None = None) -> None:
        self.reason = text if text is not None else self.text
        super().__init__(self.reason)

    def __str__(self) -> str:
        return f"{self.status} {self.reason}"


class TransientFailure(MailError):
    """It failed now and may succeed later."""


class PermanentFailure(MailError):
    """It will fail again if it is tried again unchanged."""


# -- Addresses and routing


class NoSuchRecipient(PermanentFailure):
    status, text = "5.1.1", "No such recipient here"


class BadAddress(PermanentFailure):
    status, text = "5.1.3", "Bad address syntax: local-part@domain is expected"


class RelayDenied(PermanentFailure):
    status, text = "5.7.1", "Relaying denied"


class RecipientDisabled(PermanentFailure):
    status, text = "5.2.1", "Mailbox disabled"


class RecipientSuppressed(PermanentFailure):
    """It bounced for good before."""

    status, text = "5.1.1", "Mail to this recipient bounced before: it is suppressed"


class RoutingLoop(PermanentFailure):
    status, text = "5.4.6", "Routing loop detected"


class NullMx(PermanentFailure):
    """The domain says that it takes no mail (RFC 7505 §4.1)."""

    status, text = "5.1.10", "The domain does not accept mail"


class NoSuchMailDomain(PermanentFailure):
    """The DNS knows no such domain (RFC 3463 §3.2)."""

    status, text = "5.1.2", "No such domain"


class UnqualifiedDomain(NoSuchMailDomain):
    """A name that means something on somebody's own network only (RFC 6409 §4.2)."""

    text = "The domain has to be fully qualified"


class Unroutable(PermanentFailure):
    """No host that takes the domain's mail has an address (RFC 3463 §3.5)."""

    status, text = "5.4.4", "No mail host of the domain has an address"


class Unreachable(TransientFailure):
    """There is no way to the host from here (RFC 3463 §3.5)."""

    status, text = "4.4.1", "The host cannot be reached"


class DirectoryFailure(TransientFailure):
    """The DNS did not answer (RFC 3463 §3.5)."""

    status, text = "4.4.3", "The DNS does not answer"


class TooManyRecipients(TransientFailure):
    status, text = "4.5.3", "Too many recipients"


# -- Messages and space


class MessageTooLarge(PermanentFailure):
    status, text = "5.3.4", "Message too large"


class OverQuota(TransientFailure):
    status, text = "4.2.2", "Mailbox is over its quota"


class StorageFull(TransientFailure):
    status, text = "4.3.1", "Insufficient system storage"


class BareLineEnding(PermanentFailure):
    """A CR or LF that is not part of a CRLF: the smuggling class (RFC 5321 §2.3.8)."""

    status, text = "5.6.11", "Bare CR or LF not allowed"


class BadMessage(PermanentFailure):
    status, text = "5.6.0", "Message content not acceptable"


class ConversionImpossible(PermanentFailure):
    """The next host takes seven bits only, and a signature forbids to change the message (RFC 3463 §3.7)."""

    status, text = "5.6.3", "The next host takes seven-bit mail only, and the message must not be changed"


class NonAsciiAddress(PermanentFailure):
    status, text = "5.6.7", "Non-ASCII addresses need SMTPUTF8"


class TlsPolicyFailure(TransientFailure):
    """A policy of the recipient's domain forbids to use the host now (RFC 7672 §2.1, RFC 8461 §5)."""

    status, text = "4.7.5", "The recipient's domain demands TLS that is not to be had"


class RequireTlsUnsupported(PermanentFailure):
    """The sender asked for TLS all the way (RFC 8689 §4.1)."""

    status, text = "5.7.30", "REQUIRETLS support required"


class DeliverByUnsupported(PermanentFailure):
    """The sender asked for delivery in time or none, which the next host does not know (RFC 2852 §4.1.4)."""

    status, text = "5.3.3", "The next host cannot return mail that is late, as the sender asked for"


# -- Identity


class AuthenticationFailed(PermanentFailure):
    status, text = "5.7.8", "Authentication credentials invalid"


class MalformedAuthentication(PermanentFailure):
    """A SASL exchange broke its mechanism's grammar, or was cancelled (RFC 4954 §4, RFC 4422 §3)."""

    status, text = "5.5.2", "Malformed authentication exchange"


class AuthenticationRequired(PermanentFailure):
    status, text = "5.7.0", "Authentication required"


class EncryptionRequired(PermanentFailure):
    status, text = "5.7.11", "Encryption required for requested authentication mechanism"


class SenderNotOwned(PermanentFailure):
    status, text = "5.7.1", "Sender address not owned by the authenticated account"


class AccountDisabled(PermanentFailure):
    status, text = "5.7.13", "Account disabled"


class TooManyFailures(TransientFailure):
    """A delay or ban after failed authentication is in force."""

    status, text = "4.7.0", "Too many authentication failures, try again later"


class AuthenticationUnavailable(TransientFailure):
    status, text = "4.7.0", "Temporary authentication failure"


# -- Senders, and limits on them


class NotWanted(PermanentFailure):
    """Everything about the message speaks for junk, whomever it is for (RFC 5321 §7.9)."""

    status, text = "5.7.1", "Refused: the message looks like junk mail"


class NotWantedNow(TransientFailure):
    """Much about the message speaks for junk; what is known may be more when it comes again."""

    status, text = "4.7.1", "The message looks like junk mail: try again later"


class ComeAgain(TransientFailure):
    """Nothing is known of the sender: the message is held until it comes again (RFC 6647)."""

    status, text = "4.7.1", "You are not known here: try again in some minutes"


class ScreenerRefused(PermanentFailure):
    """A program that we ask about mail does not want it. `code`, `enhanced`: the reply it asks for, or 0 and ""."""

    status, text = "5.7.1", "Refused"

    def __init__(self, text: str | None = None, code: int = 0, enhanced: str = "") -> None:
        super().__init__(text)
        self.code, self.enhanced = code, enhanced

    def __str__(self) -> str:
        return f"{self.enhanced or self.status} {self.reason}"


class ScreenerDeferred(TransientFailure):
    """A program that we ask about mail wants it later, or does not answer. `code`, `enhanced`: as with a refusal."""

    status, text = "4.7.1", "Try again later"

    def __init__(self, text: str | None = None, code: int = 0, enhanced: str = "") -> None:
        super().__init__(text)
        self.code, self.enhanced = code, enhanced

    def __str__(self) -> str:
        return f"{self.enhanced or self.status} {self.reason}"


class SenderPolicyRefused(PermanentFailure):
    """The owner of the author's domain wants such mail refused (RFC 9989 §5.4, §7.2)."""

    status, text = "5.7.1", "Refused by the DMARC policy of the author's domain"


class SenderNotVerifiable(TransientFailure):
    """The DNS failed, and without it a forgery could get through (RFC 6376 §6.1.2, RFC 9989 §4.10.1)."""

    status, text = "4.7.5", "The sender could not be verified now, try again later"


class SenderBanned(PermanentFailure):
    """An administrator does not want mail from there."""

    status, text = "5.7.1", "Mail from this domain is not taken here"


class RateLimited(TransientFailure):
    """A stranger asks more of us than he may."""

    status, text = "4.7.0", "Too much, try again later"


class SendingLimit(TransientFailure):
    """An account has sent as much as it may."""

    status, text = "4.7.1", "Sending limit reached, try again later"


class SendingFrozen(TransientFailure):
    """An account may not send until somebody has looked."""

    status, text = "4.7.1", "Sending is frozen for this account; see the notice in your inbox"


class SigningKeyLocked(TransientFailure):
    """A key to sign with lies sealed in the store, and what opens it is not there."""

    status, text = "4.7.5", "Signing keys cannot be opened"


# -- Mailboxes


class NoSuchMailbox(PermanentFailure):
    status, text = "5.2.0", "No such mailbox"


class MailboxExists(PermanentFailure):
    status, text = "5.2.0", "Mailbox already exists"


class MailboxHasChildren(PermanentFailure):
    status, text = "5.2.0", "Mailbox has children"


class BadMailboxName(PermanentFailure):
    status, text = "5.2.0", "Bad mailbox name"


class MailboxNotPermitted(PermanentFailure):
    """Not with this mailbox: INBOX cannot be deleted, a `\\Noselect` name cannot be opened, …"""

    status, text = "5.2.0", "Not permitted on this mailbox"


class NotPermitted(PermanentFailure):
    """Somebody lacks a right to a mailbox that they may know of (RFC 4314)."""

    status, text = "5.7.1", "Permission denied"


class MailboxInUse(TransientFailure):
    """Another session holds the mailbox (POP3's exclusive lock, RFC 1939 §3)."""

    status, text = "4.2.0", "Mailbox is in use by another session"


class MailboxLimit(PermanentFailure):
    status, text = "5.2.0", "Too many mailboxes"


class TooManyAnnotations(PermanentFailure):
    status, text = "5.2.0", "Too many annotations"


class TooManyKeywords(PermanentFailure):
    status, text = "5.2.0", "Too many keywords"


# -- The server itself


class TooManyConnections(TransientFailure):
    status, text = "4.7.0", "Too many connections"


class ServerBusy(TransientFailure):
    status, text = "4.3.2", "Server busy, try again later"


class ServerFault(TransientFailure):
    """What a bug of ours looks like from outside; never carries an exception's text."""

    status, text = "4.3.0", "Internal error, try again later"


class ShuttingDown(TransientFailure):
    status, text = "4.3.2", "Service shutting down"


# -- Administration


class NoSuchDomain(PermanentFailure):
    status, text = "5.1.2", "No such domain here"


class NoSuchAccount(PermanentFailure):
    status, text = "5.1.1", "No such account"


class NoSuchCredential(PermanentFailure):
    status, text = "5.7.8", "No such credential"


class AlreadyExists(PermanentFailure):
    status, text = "5.3.0", "It exists already"


class StillInUse(PermanentFailure):
    status, text = "5.3.0", "It is still in use"


# -- Protocol machines


class ProtocolError(Exception):
    """Something broke a protocol. Raise one of its two subclasses: whose fault it is always matters."""

    def __init__(self, message: str) -> None:
        if type(self) is ProtocolError:
            raise TypeError("raise PeerError or UsageError")
        super().__init__(message)


class PeerError(ProtocolError):
    """The peer broke the protocol in a way that ends the connection. What can be answered is an event, not this."""


class UsageError(ProtocolError):
    """We called a machine in a state that does not allow it. Always a bug here."""


# -- Configuration


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One thing wrong. `key`: dotted path in the file ("listeners.smtp"), or "" for the whole file."""

    key: str
    problem: str


class ConfigError(Exception):
    """Every problem of one configuration file. `file`: its name, or "" when there is none."""

    def __init__(self, file: str, problems: tuple[ConfigProblem, ...]) -> None:
        self.file = file
        self.problems = problems
        where = f"{file}: " if file else ""
        super().__init__(
            "\n".join(f"{where}{p.key}: {p.problem}" if p.key else f"{where}{p.problem}" for p in problems)
        )
