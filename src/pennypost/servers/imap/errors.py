"""What each expected outcome is called in IMAP: the table from MailError to response codes (RFC 9051 §7.1, RFC 5530).

A `MailError` is always answered NO: the command was understood. BAD is for commands that break the grammar or come in
the wrong state; the machine answers those.
"""

from pennypost.model import errors
from pennypost.model.errors import MailError
from pennypost.proto.imap.responses import codes
from pennypost.proto.imap.responses.codes import ResponseCode
from pennypost.proto.imap.responses.status import Tagged, bad, no

CODES: dict[type[MailError], ResponseCode] = {
    # Addresses and routing: only through commands that send or name recipients.
    errors.NoSuchRecipient: codes.CANNOT,
    errors.BadAddress: codes.CANNOT,
    errors.RelayDenied: codes.NOPERM,
    errors.RecipientDisabled: codes.CONTACTADMIN,
    errors.RoutingLoop: codes.CANNOT,
    errors.NullMx: codes.CANNOT,
    errors.NoSuchMailDomain: codes.CANNOT,
    errors.UnqualifiedDomain: codes.CANNOT,
    errors.Unroutable: codes.CANNOT,
    errors.Unreachable: codes.UNAVAILABLE,
    errors.DirectoryFailure: codes.UNAVAILABLE,
    errors.TooManyRecipients: codes.LIMIT,
    # Messages and space
    errors.MessageTooLarge: codes.TOOBIG,  # RFC 7889 §4
    errors.OverQuota: codes.OVERQUOTA,
    errors.StorageFull: codes.UNAVAILABLE,
    errors.BareLineEnding: codes.CANNOT,
    errors.BadMessage: codes.CANNOT,
    errors.NonAsciiAddress: codes.CANNOT,
    errors.ConversionImpossible: codes.CANNOT,
    errors.TlsPolicyFailure: codes.UNAVAILABLE,
    errors.RequireTlsUnsupported: codes.CANNOT,
    errors.DeliverByUnsupported: codes.CANNOT,
    errors.RecipientSuppressed: codes.CANNOT,
    # Identity
    errors.AuthenticationFailed: codes.AUTHENTICATIONFAILED,
    errors.MalformedAuthentication: codes.AUTHENTICATIONFAILED,
    errors.AuthenticationRequired: codes.NOPERM,
    errors.EncryptionRequired: codes.PRIVACYREQUIRED,
    errors.SenderNotOwned: codes.NOPERM,
    errors.AccountDisabled: codes.CONTACTADMIN,
    errors.TooManyFailures: codes.UNAVAILABLE,
    errors.AuthenticationUnavailable: codes.UNAVAILABLE,
    errors.SigningKeyLocked: codes.UNAVAILABLE,
    errors.NotWanted: codes.CANNOT,
    errors.ScreenerRefused: codes.CANNOT,
    errors.NotWantedNow: codes.UNAVAILABLE,
    errors.ComeAgain: codes.UNAVAILABLE,
    errors.ScreenerDeferred: codes.UNAVAILABLE,
    errors.SenderPolicyRefused: codes.CANNOT,
    errors.SenderNotVerifiable: codes.UNAVAILABLE,
    errors.SenderBanned: codes.CANNOT,
    errors.RateLimited: codes.LIMIT,
    errors.SendingLimit: codes.LIMIT,
    errors.SendingFrozen: codes.LIMIT,
    # Mailboxes
    errors.NoSuchMailbox: codes.NONEXISTENT,
    errors.MailboxExists: codes.ALREADYEXISTS,
    errors.MailboxHasChildren: codes.HASCHILDREN,
    errors.BadMailboxName: codes.CANNOT,
    errors.MailboxNotPermitted: codes.CANNOT,
    errors.NotPermitted: codes.NOPERM,
    errors.MailboxInUse: codes.INUSE,
    errors.MailboxLimit: codes.LIMIT,
    errors.TooManyAnnotations: codes.METADATA_TOOMANY,  # RFC 5464 §4.3
    errors.TooManyKeywords: codes.LIMIT,
    # The server itself
    errors.TooManyConnections: codes.LIMIT,
    errors.ServerBusy: codes.UNAVAILABLE,
    errors.ServerFault: codes.SERVERBUG,
    errors.ShuttingDown: codes.UNAVAILABLE,
    # Administration
    errors.NoSuchDomain: codes.NONEXISTENT,
    errors.NoSuchAccount: codes.NONEXISTENT,
    errors.NoSuchCredential: codes.NONEXISTENT,
    errors.AlreadyExists: codes.ALREADYEXISTS,
    errors.StillInUse: codes.INUSE,
}


def response_code(problem: MailError) -> ResponseCode:
    """Give the response code that tells a client the cause; a subclass without its own has its parent's."""
    for kind in type(problem).__mro__:
        code = CODES.get(kind)
        if code is not None:
            return code
    raise AssertionError(f"no response code for {type(problem).__name__}")


def refusal(problem: MailError) -> Tagged:
    """Write the tagged NO that an expected outcome is answered with."""
    return no(problem.reason, response_code(problem))


class Refused(Exception):
    """A command cannot be carried out for a reason that IMAP alone knows. `tagged`: its NO or BAD."""

    def __init__(self, tagged: Tagged) -> None:
        self.tagged = tagged
        super().__init__(tagged.text)


def no_such_message() -> Refused:
    """A message number beyond the last message: the client miscounts (RFC 9051 §6.4.5: BAD)."""
    return Refused(bad("No such message number"))


def require_writable(read_only: bool) -> None:
    """Refuse a command that changes a mailbox opened by EXAMINE (RFC 9051 §6.3.3)."""
    if read_only:
        raise Refused(no("Mailbox is read-only", codes.NOPERM))
