"""What each expected outcome is called in POP3: the table from MailError to response codes (RFC 2449 §8, RFC 3206)."""

from pennypost.model import errors
from pennypost.model.errors import MailError, TransientFailure
from pennypost.proto.pop3 import Code, Err

CODES: dict[type[MailError], Code] = {
    # Addresses and routing: no command of POP3 names one.
    errors.NoSuchRecipient: Code.SYS_PERM,
    errors.BadAddress: Code.AUTH,
    errors.RelayDenied: Code.SYS_PERM,
    errors.RecipientDisabled: Code.SYS_PERM,
    errors.RoutingLoop: Code.SYS_PERM,
    errors.NullMx: Code.SYS_PERM,
    errors.NoSuchMailDomain: Code.SYS_PERM,
    errors.UnqualifiedDomain: Code.SYS_PERM,
    errors.Unroutable: Code.SYS_PERM,
    errors.Unreachable: Code.SYS_TEMP,
    errors.DirectoryFailure: Code.SYS_TEMP,
    errors.TooManyRecipients: Code.SYS_TEMP,
    # Messages and space
    errors.MessageTooLarge: Code.SYS_PERM,
    errors.OverQuota: Code.SYS_TEMP,
    errors.StorageFull: Code.SYS_TEMP,
    errors.BareLineEnding: Code.SYS_PERM,
    errors.BadMessage: Code.SYS_PERM,
    errors.NonAsciiAddress: Code.SYS_PERM,
    errors.ConversionImpossible: Code.SYS_PERM,
    errors.TlsPolicyFailure: Code.SYS_TEMP,
    errors.RequireTlsUnsupported: Code.SYS_PERM,
    errors.DeliverByUnsupported: Code.SYS_PERM,
    errors.RecipientSuppressed: Code.SYS_PERM,
    # Identity: RFC 3206 §5 has AUTH for what is wrong with the credentials, also when it is against a policy. A delay
    # after failures is none of it: a client would ask its user for another password.
    errors.AuthenticationFailed: Code.AUTH,
    errors.MalformedAuthentication: Code.AUTH,
    errors.AuthenticationRequired: Code.AUTH,
    errors.EncryptionRequired: Code.AUTH,
    errors.SenderNotOwned: Code.SYS_PERM,
    errors.AccountDisabled: Code.AUTH,
    errors.TooManyFailures: Code.SYS_TEMP,
    errors.AuthenticationUnavailable: Code.SYS_TEMP,
    errors.SigningKeyLocked: Code.SYS_TEMP,
    errors.NotWanted: Code.SYS_PERM,
    errors.ScreenerRefused: Code.SYS_PERM,
    errors.NotWantedNow: Code.SYS_TEMP,
    errors.ComeAgain: Code.SYS_TEMP,
    errors.ScreenerDeferred: Code.SYS_TEMP,
    errors.SenderPolicyRefused: Code.SYS_PERM,
    errors.SenderNotVerifiable: Code.SYS_TEMP,
    errors.SenderBanned: Code.SYS_PERM,
    errors.RateLimited: Code.SYS_TEMP,
    errors.SendingLimit: Code.SYS_TEMP,
    errors.SendingFrozen: Code.SYS_TEMP,
    # Mailboxes
    errors.NoSuchMailbox: Code.SYS_PERM,
    errors.MailboxExists: Code.SYS_PERM,
    errors.MailboxHasChildren: Code.SYS_PERM,
    errors.BadMailboxName: Code.SYS_PERM,
    errors.MailboxNotPermitted: Code.SYS_PERM,
    errors.NotPermitted: Code.SYS_PERM,
    errors.TooManyAnnotations: Code.SYS_PERM,
    errors.MailboxInUse: Code.IN_USE,
    errors.MailboxLimit: Code.SYS_PERM,
    errors.TooManyKeywords: Code.SYS_PERM,
    # The server itself
    errors.TooManyConnections: Code.SYS_TEMP,
    errors.ServerBusy: Code.SYS_TEMP,
    errors.ServerFault: Code.SYS_TEMP,
    errors.ShuttingDown: Code.SYS_TEMP,
    # Administration
    errors.NoSuchDomain: Code.SYS_PERM,
    errors.NoSuchAccount: Code.AUTH,
    errors.NoSuchCredential: Code.AUTH,
    errors.AlreadyExists: Code.SYS_PERM,
    errors.StillInUse: Code.SYS_PERM,
}


def refusal(problem: MailError) -> Err:
    """Write the -ERR of an expected outcome; a subclass without a row of its own has its parent's."""
    for kind in type(problem).__mro__:
        code = CODES.get(kind)
        if code is not None:
            return Err(problem.reason, code)
    return Err(problem.reason, Code.SYS_TEMP if isinstance(problem, TransientFailure) else Code.SYS_PERM)


class Refused(Exception):
    """A command cannot be carried out for a reason that POP3 alone knows. `response`: its -ERR."""

    def __init__(self, text: str, code: Code | None = None) -> None:
        self.response = Err(text, code)
        super().__init__(text)
