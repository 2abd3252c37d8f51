"""What a listener calls for each connection."""

from datetime import UTC, datetime, timedelta
from typing import Protocol

from pennypost.mail.limits import Defence
from pennypost.mail.reception import Intake
from pennypost.model.authentication import Authenticated, AuthenticationQuestion, ScramKeys
from pennypost.model.peer import Peer
from pennypost.net.connection import Connection
from pennypost.proto.sasl import mechanisms
from pennypost.proto.smtp import Flavour, Offer
from pennypost.servers.smtp.session import Session
from pennypost.servers.smtp.settings import BareCr, SmtpSettings

REFUSAL = b"421 4.7.0 Too many connections\r\n"
"""What a listener tells a connection that is one too many."""


class Answers(Protocol):
    """Who answers what SASL mechanisms ask: `mail.authenticate.Authenticator`."""

    async def answer(self, peer: Peer, question: AuthenticationQuestion) -> ScramKeys | Authenticated:
        """Raises AuthenticationFailed and other MailErrors."""


class SmtpDoor:
    """A door for incoming mail. `hostname`: our name, as greeting and EHLO give it.

    `max_hold`: how long a submission may wait for the time its sender names (RFC 4865).
    `flavour` SMTP takes `mail.receive`'s intake, as LMTP does; SUBMISSION takes `mail.submit`'s, and an authenticator.
    """

    def __init__(
        self,
        flavour: Flavour,
        intake: Intake,
        settings: SmtpSettings,
        hostname: str,
        authenticator: Answers | None = None,
        defence: Defence | None = None,
        max_hold: timedelta = timedelta(0),
    ) -> None:
        if (authenticator is not None) is not (flavour is Flavour.SUBMISSION):
            raise ValueError("submission, and only submission, needs an authenticator")
        self.flavour = flavour
        self.intake = intake
        self.settings = settings
        self.hostname = hostname
        self.authenticator = authenticator
        self.defence = defence
        self.max_hold = max_hold

    async def handler(self, connection: Connection) -> None:
        """Serve one connection until it ends. May raise ConnectionEnded."""
        await Session(self, connection).run()

    def offer(self, connection: Connection) -> Offer:
        """Say what a connection is offered."""
        in_clear: tuple[str, ...] = ()
        under_tls: tuple[str, ...] = ()
        settings = self.settings
        if self.authenticator is not None:
            tls = connection.tls
            # The binding of a connection that is yet to be encrypted is not known; the session offers again then.
            under_tls = mechanisms(tls=True, channel_binding=tls is not None and bool(tls.server_end_point))
            if not self.requires_tls(connection):
                in_clear = mechanisms(
                    tls=False, channel_binding=False, allow_cleartext=self.trusts_clear_text(connection)
                )
        return Offer(
            hostname=self.hostname,
            flavour=self.flavour,
            max_message_size=self.intake.max_message_size,
            max_recipients=self.intake.max_recipients,
            max_messages=settings.max_messages,
            starttls=connection.can_start_tls,
            mechanisms=in_clear,
            tls_mechanisms=under_tls,
            max_errors=settings.max_errors,
            max_idle_commands=settings.max_idle_commands,
            keep_bare_cr=settings.bare_cr is BareCr.KEEP,
            hold_most=self.max_hold,
            hold_until=datetime.now(UTC) + self.max_hold if self.max_hold else None,
        )

    def trusts_clear_text(self, connection: Connection) -> bool:
        """Whether a password may be seen on this connection without TLS."""
        ip = connection.peer.ip
        return self.settings.clear_text_login_on_loopback and (ip is None or ip.is_loopback)

    def requires_tls(self, connection: Connection) -> bool:
        """Whether nothing may be done on this connection before TLS is on."""
        match self.flavour:
            case Flavour.SUBMISSION:
                return self.settings.submission_requires_tls and not self.trusts_clear_text(connection)
            case Flavour.SMTP:
                return self.settings.receive_requires_tls
            case Flavour.LMTP:
                return False
