"""AUTHENTICATE (RFC 9051 §6.2.2, RFC 4959)."""

import secrets

from pennypost.model.authentication import Authenticated, ScramKeys
from pennypost.model.errors import EncryptionRequired, MalformedAuthentication
from pennypost.proto import sasl
from pennypost.proto.imap.commands.authenticate import Authenticate
from pennypost.proto.imap.events import AuthenticateCancelled, AuthenticateResponse, BadCommand
from pennypost.proto.imap.responses.status import Tagged, bad, no
from pennypost.servers.imap.capabilities import mechanisms
from pennypost.servers.imap.errors import Refused
from pennypost.servers.imap.login import welcome
from pennypost.servers.imap.session import Session

_CLEAR_TEXT = ("PLAIN", "LOGIN")
_NONCE_OCTETS = 18


async def authenticate(session: Session, command: Authenticate) -> Tagged:
    """Carry a SASL exchange between the client, the mechanism and the authenticator."""
    connection = session.connection
    if command.mechanism not in mechanisms(connection, session.door.settings):
        if command.mechanism in _CLEAR_TEXT:
            raise EncryptionRequired
        return no("Unknown authentication mechanism")
    end_point = connection.tls.server_end_point if connection.tls is not None else b""
    binding = sasl.Binding(secrets.token_urlsafe(_NONCE_OCTETS), end_point)
    try:
        account = await _exchange(session, sasl.begin(command.mechanism, command.initial_response, binding))
    except MalformedAuthentication:
        return bad("Malformed authentication exchange")
    return await welcome(session, account)


async def _exchange(session: Session, exchange: sasl.Exchange) -> Authenticated:
    """Drive a mechanism to its end: its challenges go to the client, its questions to the authenticator."""
    try:
        step = next(exchange)
        while True:
            answer: bytes | Authenticated | ScramKeys
            if isinstance(step, bytes):
                answer = await _ask_client(session, step)
            else:
                answer = await session.door.authenticator.answer(session.connection.peer, step)
            step = exchange.send(answer)
    except StopIteration as end:
        account: Authenticated = end.value
        return account


async def _ask_client(session: Session, challenge: bytes) -> bytes:
    session.write(session.machine.challenge(challenge))
    while True:
        match await session.next_event():
            case AuthenticateResponse(data=data):
                return data
            case AuthenticateCancelled():
                raise Refused(bad("Authentication cancelled"))  # RFC 9051 §6.2.2
            case BadCommand(reason=reason):
                raise Refused(bad(reason))
            case None:
                continue
            case unexpected:
                raise AssertionError(f"{type(unexpected).__name__} in an authentication exchange")
