"""The mechanisms that show the password: PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login)."""

from pennypost.model.authentication import Authenticated, PasswordQuestion
from pennypost.model.errors import AuthenticationFailed, MalformedAuthentication
from pennypost.proto.sasl.steps import MAX_NAME, MAX_PASSWORD, Exchange, authenticated, response, text


def plain(initial: bytes | None) -> Exchange:
    """Authenticate by one message, `[authzid] NUL authcid NUL passwd` (RFC 4616 §2)."""
    message = initial if initial is not None else response((yield b""))
    fields = message.split(b"\0")
    if len(fields) != 3:
        raise MalformedAuthentication
    authorization, authentication, password = fields
    return (
        yield from _ask(text(authentication, MAX_NAME), text(authorization, MAX_NAME), text(password, MAX_PASSWORD))
    )


def login(initial: bytes | None) -> Exchange:
    """Authenticate by two prompts. An initial response is the user name, as common clients take it to be."""
    name = initial if initial is not None else response((yield b"Username:"))
    password = response((yield b"Password:"))
    if b"\0" in name or b"\0" in password:
        raise MalformedAuthentication
    return (yield from _ask(text(name, MAX_NAME), "", text(password, MAX_PASSWORD)))


def _ask(authentication: str, authorization: str, password: str) -> Exchange:
    if not authentication or not password:
        # RFC 4616 §2: both fields hold at least one character; RFC 4013 may have left none.
        raise AuthenticationFailed
    verdict: Authenticated = authenticated((yield PasswordQuestion(authentication, authorization, password)))
    return verdict
