"""Open a session with a target: connect, TLS as it has to be, greeting, login."""

import asyncio
import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from ssl import SSLContext

from pennypost.clients.smtp.answers import SessionFailed, Stage
from pennypost.clients.smtp.client import SmtpClient
from pennypost.clients.smtp.log_in import log_in
from pennypost.clients.smtp.oauth import OAuthClient, TokenKeeper, TokenSource
from pennypost.mail.outgoing import Abilities
from pennypost.mail.relay_settings import RelaySettings
from pennypost.mail.targets import Target
from pennypost.mail.tls_record import TlsRecord, result_type
from pennypost.mail.transport_security import Proof
from pennypost.model.credentials import Login, PasswordLogin, TokenLogin
from pennypost.model.errors import AuthenticationUnavailable, MailError, RoutingLoop
from pennypost.model.relaying import HopKind, NextHop, TlsFacts
from pennypost.net.client_tls import ClientTls
from pennypost.net.outbound import connect
from pennypost.verify.dane import vouches

_NO_WAY = frozenset({errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
"""What a machine without IPv6 hears when it tries."""

NO_IPV6_SECONDS = 600.0
"""How long IPv6 is not tried then."""

_TLS_STAGES = frozenset({Stage.STARTTLS, Stage.HANDSHAKE})

Clock = Callable[[], datetime]

KeeperOf = Callable[[str, OAuthClient], TokenKeeper]
"""Gives the keeper of refresh tokens of a login."""


@dataclass(frozen=True, slots=True)
class Session:
    """A session that is ready for messages. `abilities`: what its server can do; `remote`: what it is called."""

    client: SmtpClient
    target: Target
    tls: TlsFacts | None
    abilities: Abilities
    remote: str


def _abilities(client: SmtpClient, tls: TlsFacts | None) -> Abilities:
    announced = client.announced
    return Abilities(
        announced.eight_bit_mime,
        announced.binary_mime and announced.chunking,
        announced.smtputf8,
        announced.require_tls and (tls is not None and bool(tls.authenticated_by)),
        announced.max_size,
        announced.deliver_by,
    )


class Connector:
    """Opens sessions. `hello_name`: ours; `own_names`: whatever we are called, lower case. `record`: hears what they
    were like, if anybody wants to know. `keeper_of`: None keeps refresh tokens in memory only."""

    def __init__(
        self,
        settings: RelaySettings,
        tls: ClientTls,
        hello_name: str,
        own_names: frozenset[str],
        record: TlsRecord | None,
        clock: Clock,
        keeper_of: KeeperOf | None = None,
    ) -> None:
        self._keeper_of = keeper_of
        self._settings = settings
        self._tls = tls
        self._name = hello_name
        self._own_names = own_names
        self._record = record
        self._clock = clock
        self._tokens: dict[str, TokenSource] = {}
        self._no_ipv6_until = 0.0

    def reaches(self, target: Target) -> bool:
        """Whether there is a way from here: not to IPv6 addresses from a machine that has none (RFC 8305 §4)."""
        return ":" not in target.address or asyncio.get_running_loop().time() >= self._no_ipv6_until

    async def open(self, hop: NextHop, target: Target) -> Session:
        """Open a session. Where TLS is only an opportunity and fails, try again in clear (RFC 7435 §3).

        Raises SessionFailed; RoutingLoop when it is we who answer; AuthenticationUnavailable.
        """
        security = target.security
        if security.testing:
            try:
                return await self._open_counted(hop, target, Proof.VALID)
            except SessionFailed as failure:
                if failure.stage not in _TLS_STAGES:
                    raise
        try:
            return await self._open_counted(hop, target, security.proof)
        except SessionFailed as failure:
            if failure.stage not in _TLS_STAGES:
                raise
            if security.proof is Proof.ENCRYPTED and self._record is not None:
                self._record.missed(hop.domain)
            if security.proof is not Proof.OPPORTUNISTIC:
                raise
        return await self._open(hop, target, Proof.CLEAR)

    async def _open_counted(self, hop: NextHop, target: Target, proof: Proof) -> Session:
        """Open a session, and have it counted."""
        policy = target.security.policy
        if policy is None or self._record is None:
            return await self._open(hop, target, proof)
        counts = proof is Proof.VALID or not target.security.testing
        try:
            session = await self._open(hop, target, proof)
        except SessionFailed as failure:
            if failure.stage in _TLS_STAGES and counts:
                self._record.failed(policy, result_type(failure), target.host, target.address, failure.reason)
            raise
        if session.tls is not None and counts:
            self._record.succeeded(policy)
        elif counts and policy.type != "no-policy-found":
            self._record.failed(policy, "starttls-not-supported", target.host, target.address)
        return session

    async def _open(self, hop: NextHop, target: Target, proof: Proof) -> Session:
        timeouts = self._settings.timeouts
        try:
            connection = await connect(
                target.address,
                target.port,
                patience=timeouts.connect,
                read_patience=timeouts.command,
                source=hop.source,
            )
        except TimeoutError:
            raise SessionFailed(Stage.CONNECT, "no answer when connecting") from None
        except OSError as problem:
            if problem.errno in _NO_WAY and ":" in target.address and not hop.source:
                self._no_ipv6_until = asyncio.get_running_loop().time() + NO_IPV6_SECONDS
            reason = os.strerror(problem.errno) if problem.errno else str(problem)
            raise SessionFailed(Stage.CONNECT, reason.lower()) from None
        client = SmtpClient(connection, timeouts, lmtp=target.lmtp, chunking=self._settings.chunking)
        try:
            await self._begin(client, hop, target, proof)
            facts = self._facts(client, target, proof)
            if hop.login:
                await self._log_in(client, hop.login, target)
        except BaseException:
            connection.close()
            raise
        return Session(client, target, facts, _abilities(client, facts), str(target))

    async def _begin(self, client: SmtpClient, hop: NextHop, target: Target, proof: Proof) -> None:
        if target.implicit_tls:
            await client.handshake(self._context(proof), target.host)
        await client.begin(self._name)
        if hop.kind is HopKind.MX and client.announced.name.lower() in self._own_names:
            raise RoutingLoop(f"{target} is we ourselves: mail for {hop.domain} would come back to us")
        if target.implicit_tls or proof is Proof.CLEAR:
            return
        if client.announced.starttls:
            await client.start_tls(self._context(proof), target.tls_name)
            if proof is Proof.DANE and not self._dns_vouches(client, target):
                client.close()
                raise SessionFailed(Stage.HANDSHAKE, "no TLSA record matches the certificate")
        elif proof > Proof.OPPORTUNISTIC:
            client.close()
            raise SessionFailed(Stage.STARTTLS, "TLS is needed, and the next host does not offer it")

    def _dns_vouches(self, client: SmtpClient, target: Target) -> bool:
        security = target.security
        return vouches(security.tlsa, client.connection.peer_chain(), security.names, self._clock())

    def _context(self, proof: Proof) -> SSLContext:
        return self._tls.verified if proof is Proof.VALID else self._tls.any

    def _facts(self, client: SmtpClient, target: Target, proof: Proof) -> TlsFacts | None:
        tls = client.connection.tls
        if tls is None:
            return None
        vouched_by = target.security.vouched_by or "pki" if proof >= Proof.VALID else ""
        return TlsFacts(tls.version, tls.cipher, vouched_by)

    async def _log_in(self, client: SmtpClient, name: str, target: Target) -> None:
        try:
            login = await self._login(name)
        except MailError:
            client.close()
            raise
        try:
            await log_in(client, login, target.host, target.port)
        except SessionFailed:
            if name in self._tokens:
                self._tokens[name].forget()
            raise

    async def _login(self, name: str) -> Login:
        settings = self._settings.logins.get(name)
        if settings is None:
            raise AuthenticationUnavailable(f"The configuration has no relay.logins.{name}")
        if settings.password is not None:
            return PasswordLogin(settings.user, settings.password)
        assert settings.oauth is not None
        source = self._tokens.get(name)
        if source is None:
            keeper = None if self._keeper_of is None else self._keeper_of(name, settings.oauth)
            source = self._tokens[name] = TokenSource(settings.oauth, self._tls.verified, keeper)
        return TokenLogin(settings.user, await source.token())
