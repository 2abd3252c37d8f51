"""LOGIN (RFC 9051 §6.2.3), and what becomes of an account whose mailboxes are elsewhere (RFC 2221)."""

from pennypost.model.authentication import Authenticated, PasswordQuestion
from pennypost.model.errors import AuthenticationFailed, EncryptionRequired
from pennypost.model.ids import AccountId
from pennypost.model.rights import Rights
from pennypost.model.saslprep import saslprep
from pennypost.proto.imap.commands.login import Login
from pennypost.proto.imap.responses import codes
from pennypost.proto.imap.responses.server import capability as capability_response
from pennypost.proto.imap.responses.status import Tagged, no, ok
from pennypost.servers.imap.capabilities import clear_text_allowed, offered
from pennypost.servers.imap.session import Session
from pennypost.store import acl


async def login(session: Session, command: Login) -> Tagged:
    """Check a name and a password. Refused where the password would travel in clear (RFC 9051 §6.2.3)."""
    if not clear_text_allowed(session.connection, session.door.settings):
        raise EncryptionRequired
    try:
        name, password = saslprep(command.name), saslprep(command.password)
    except ValueError:
        raise AuthenticationFailed from None
    question = PasswordQuestion(name, "", password)
    answer = await session.door.authenticator.answer(session.connection.peer, question)
    assert isinstance(answer, Authenticated)
    return await welcome(session, answer)


async def welcome(session: Session, account: Authenticated) -> Tagged:
    """Let an account in, and say what it can do now (RFC 9051 §7.1).

    One whose mailboxes are elsewhere is told so, now that it is known who asks (RFC 2221 §6), and comes in only if
    others let it read theirs here (§4).
    """
    if account.referral is not None and not await _reads_others(session, account.account):
        return no("Your mailboxes are on another server", codes.referral(account.referral))
    session.account = account
    session.connection.timeout = session.door.settings.idle_timeout
    if account.referral is None:
        return ok("Logged in", codes.capabilities(offered(session)))
    session.write(capability_response(offered(session)))
    return ok("Logged in, your own mailboxes are on another server", codes.referral(account.referral))


async def _reads_others(session: Session, user: AccountId) -> bool:
    """Whether there are mailboxes of others, or shared ones, that a user may read."""
    visible = await session.door.store.read(lambda tx: acl.visible(tx, user))
    return any(rights & Rights.READ for mailboxes in visible.values() for rights in mailboxes.values())
