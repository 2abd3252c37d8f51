"""Log in at the next host (RFC 4954): SASL as a client."""

import secrets

from pennypost.clients.smtp.answers import SessionFailed, Stage, said
from pennypost.clients.smtp.client import SmtpClient
from pennypost.model.credentials import Login
from pennypost.model.errors import MailError
from pennypost.proto.sasl import Binding, decode
from pennypost.proto.sasl.client import ClientExchange, begin_as_client, choose
from pennypost.proto.smtp.reply import Reply
from pennypost.proto.smtp.requests import Auth, AuthResponse

MAX_STEPS = 10
"""Challenges after which nobody believes in an end."""

MAX_INITIAL = 9000
"""Octets of an initial response; a longer one waits to be asked for (RFC 4954 §4: the line has its limit)."""


async def log_in(client: SmtpClient, login: Login, host: str, port: int) -> None:
    """Log in by the strongest mechanism both sides know. Raises SessionFailed; the session is of no use then."""
    tls = client.connection.tls
    binding = Binding(secrets.token_urlsafe(24), tls.server_end_point if tls is not None else b"")
    offered = client.announced.mechanisms
    mechanism = choose(offered, login, tls=tls is not None, binding=binding)
    if mechanism is None:
        client.close()
        listed = " ".join(offered) or "none"
        raise SessionFailed(Stage.AUTH, f"no way to log in that we would use; offered {listed}")
    exchange = begin_as_client(mechanism, login, binding, offered, host, port)
    try:
        await _converse(client, mechanism, exchange)
    except MailError as problem:
        client.close()
        raise SessionFailed(Stage.AUTH, problem.reason) from None


async def _converse(client: SmtpClient, mechanism: str, exchange: ClientExchange) -> None:
    initial = next(exchange)
    response = initial
    late = initial is None or len(initial) > MAX_INITIAL
    reply = await client.exchange(Auth(mechanism, None if late else initial))
    if late and initial is not None and reply.code == 334:
        reply = await client.exchange(AuthResponse(initial))
    for _ in range(MAX_STEPS):
        if reply.code != 334:
            break
        challenge = decode("".join(reply.lines).strip().encode())
        try:
            response = exchange.send(challenge or b"")
        except StopIteration:  # the mechanism has nothing more to say
            response = None
        except MailError:
            await client.exchange(AuthResponse(None))
            raise
        reply = await client.exchange(AuthResponse(response))
    _finish(client, exchange, reply)


def _finish(client: SmtpClient, exchange: ClientExchange, reply: Reply) -> None:
    if reply.code != 235:
        client.close()
        heard = said(reply)
        raise SessionFailed(Stage.AUTH, heard.text, heard)
    try:
        exchange.send(None)
    except StopIteration:
        return
    client.close()
    raise SessionFailed(Stage.AUTH, "the server declares success before the exchange is over")
