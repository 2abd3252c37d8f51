"""AUTH (RFC 4954): a SASL exchange between the client, the mechanism and who answers its questions."""

import secrets
from typing import TYPE_CHECKING

import structlog

from pennypost.model.authentication import Authenticated, ScramKeys
from pennypost.model.errors import AuthenticationFailed, AuthenticationUnavailable, MailError, TransientFailure
from pennypost.net.incident import log_incident
from pennypost.proto import sasl
from pennypost.proto.smtp.events import Answer, Authenticate, AuthResponse
from pennypost.proto.smtp.reply import Reply, challenge, reply_for

if TYPE_CHECKING:
    from pennypost.servers.smtp.session import Session

_log = structlog.stdlib.get_logger("pennypost.smtp")

_NONCE_OCTETS = 18

_WELCOME = Reply(235, "2.7.0", ("Authentication successful",))
_TOO_MANY = Reply(421, "4.7.0", ("Too many failed logins",))


class _Cancelled(Exception):
    """The client ended the exchange, or broke it: it is to be told so, and nothing else happens."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        super().__init__()


async def authenticate(session: "Session", event: Authenticate) -> Reply:
    """Carry one exchange to its end, and give the reply to it."""
    connection = session.connection
    end_point = connection.tls.server_end_point if connection.tls is not None else b""
    binding = sasl.Binding(secrets.token_urlsafe(_NONCE_OCTETS), end_point)
    try:
        session.authenticated = await _exchange(session, sasl.begin(event.mechanism, event.initial, binding))
    except _Cancelled as cancelled:
        return cancelled.reply
    except MailError as error:
        return _failed(session, event.mechanism, error)
    return _WELCOME


def _failed(session: "Session", mechanism: str, error: MailError) -> Reply:
    _log.info(
        "login failed", peer=str(session.connection.peer), mechanism=mechanism, verdict=str(error), door="submission"
    )
    if isinstance(error, AuthenticationFailed):
        session.login_failures += 1
        if session.login_failures >= session.door.settings.max_login_failures:
            return _TOO_MANY
    reply = reply_for(error)
    if isinstance(error, TransientFailure):
        return Reply(454, "4.7.0", reply.lines)  # RFC 4954 §6
    return reply


async def _exchange(session: "Session", exchange: sasl.Exchange) -> Authenticated:
    """Drive a mechanism: its challenges go to the client, its questions to the authenticator."""
    try:
        step = next(exchange)
        while True:
            answer: bytes | Authenticated | ScramKeys
            if isinstance(step, bytes):
                answer = await _ask_client(session, step)
            else:
                assert session.door.authenticator is not None
                try:
                    answer = await session.door.authenticator.answer(session.connection.peer, step)
                except MailError:
                    raise
                except Exception as problem:
                    log_incident("smtp.authenticate", problem, peer=str(session.connection.peer))
                    raise AuthenticationUnavailable from problem
            step = exchange.send(answer)
    except StopIteration as end:
        account: Authenticated = end.value
        return account


async def _ask_client(session: "Session", octets: bytes) -> bytes:
    session.send(challenge(sasl.encode(octets)))
    match await session.next_event():
        case AuthResponse(data):
            return data
        case Answer(reply):
            raise _Cancelled(reply)
        case unexpected:
            raise AssertionError(f"{type(unexpected).__name__} in an authentication exchange")
