"""Who it is: USER and PASS (RFC 1939 §7), AUTH (RFC 5034 §4), and whether the maildrop is free."""

import secrets
from typing import TYPE_CHECKING

from pennypost.model.authentication import Authenticated
from pennypost.model.errors import AccountDisabled, AuthenticationFailed, MalformedAuthentication, TooManyFailures
from pennypost.net.connection import Connection
from pennypost.proto.pop3 import Authenticate, Challenge, Code, Login, Offer, Response, SaslResponse
from pennypost.proto.sasl import Binding, Exchange, begin, mechanisms
from pennypost.servers.pop3.errors import Refused
from pennypost.servers.pop3.maildrop import Maildrop, delay_login

if TYPE_CHECKING:
    from pennypost.servers.pop3.door import Pop3Door
    from pennypost.servers.pop3.session import Session

IMPLEMENTATION = "Pennypost"

_FAILURES = (AuthenticationFailed, MalformedAuthentication, AccountDisabled, TooManyFailures)
"""What counts as a failed login."""


def offer(door: "Pop3Door", connection: Connection) -> Offer:
    """Say what is offered on a connection as it is now."""
    settings = door.settings
    tls = connection.tls is not None
    ip = connection.peer.ip
    clear_text = settings.clear_text_login_on_loopback and ip is not None and ip.is_loopback
    return Offer(
        mechanisms=mechanisms(tls=tls, channel_binding=bool(_end_point(connection)), allow_cleartext=clear_text),
        user=tls or clear_text,
        stls=connection.can_start_tls,
        login_delay_seconds=int(settings.login_delay.total_seconds()),
        implementation=IMPLEMENTATION if settings.show_implementation else "",
    )


def _end_point(connection: Connection) -> bytes:
    return connection.tls.server_end_point if connection.tls is not None else b""


async def password(session: "Session", event: Login) -> Response:
    """Log in by USER and PASS: the same as SASL PLAIN, and prepared in the same way (RFC 6856 §2.2)."""
    message = b"\0%b\0%b" % (event.name.encode(), event.password.encode())
    return await _log_in(session, begin("PLAIN", message, Binding("")))


async def authenticate(session: "Session", event: Authenticate) -> Response:
    """Log in by a SASL mechanism."""
    binding = Binding(secrets.token_hex(16), _end_point(session.connection))
    return await _log_in(session, begin(event.mechanism, event.initial, binding))


async def _log_in(session: "Session", exchange: Exchange) -> Response:
    try:
        account = await _authenticated(session, exchange)
    except _FAILURES:
        session.login_failures += 1
        raise
    finally:
        exchange.close()
    if account.referral is not None:
        raise Refused(f"Your mailbox is on another server, {account.referral} in IMAP", Code.SYS_PERM)
    store, settings = session.door.store, session.door.settings
    maildrop = await Maildrop.open(store, account.account, settings.lock_time)
    try:
        if not await delay_login(store, account.account, settings.login_delay):
            raise Refused("Too soon after the last login", Code.LOGIN_DELAY)
    except BaseException:
        await maildrop.close()
        raise
    return session.opened(account, maildrop)


async def _authenticated(session: "Session", exchange: Exchange) -> Authenticated:
    """Bring challenges to the client and questions to those who know, until the exchange says who it is."""
    try:
        step = next(exchange)
        while True:
            if isinstance(step, bytes):
                session.answer(Challenge(step))
                event = await session.next_event()
                assert isinstance(event, SaslResponse)
                if event.response is None:
                    raise Refused("Authentication cancelled")
                step = exchange.send(event.response)
            else:
                step = exchange.send(await session.door.authenticator.answer(session.connection.peer, step))
    except StopIteration as end:
        account: Authenticated = end.value
        return account
