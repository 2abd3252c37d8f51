"""LOGIN (RFC 9051 §6.2.3)."""

from pennypost.model.authentication import Authenticated, PasswordQuestion
from pennypost.model.errors import AuthenticationFailed, EncryptionRequired
from pennypost.model.saslprep import saslprep
from pennypost.proto.imap.commands.login import Login
from pennypost.proto.imap.responses import codes
from pennypost.proto.imap.responses.status import Tagged, ok
from pennypost.servers.imap.capabilities import clear_text_allowed, offered
from pennypost.servers.imap.session import Session


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
    return welcome(session, answer)


def welcome(session: Session, account: Authenticated) -> Tagged:
    """Let an account in, and say what it can do now (RFC 9051 §7.1)."""
    session.account = account
    session.connection.timeout = session.door.settings.idle_timeout
    return ok("Logged in", codes.capabilities(offered(session)))
