"""One connection of a door for incoming mail, from its greeting to its end.

Theory of operation. One coroutine takes events from the machine one by one and carries each to its handler, which
gives the reply. Replies are gathered, and leave together when the client has to be waited for: so all that came in one
segment is handled in one go and answered in one write. No task is made and no timer is set for a command. Whatever
ends a session, a transaction that was not accepted is discarded: the client was not told otherwise.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import structlog

from pennypost.mail.reception import Language, SmtpClient
from pennypost.model.authentication import Authenticated
from pennypost.model.errors import AuthenticationRequired, MailError, PeerError, PermanentFailure, ServerFault
from pennypost.net.connection import Connection, ConnectionEnded, PeerTimeout
from pennypost.net.incident import log_incident
from pennypost.proto.smtp import Flavour, Reply, SmtpServerSession, reply_for
from pennypost.proto.smtp.events import (
    Answer,
    Authenticate,
    BodyChunk,
    BodyEnd,
    ChunkEnd,
    DataStart,
    Event,
    Hello,
    MailFrom,
    Quit,
    RcptTo,
    Reset,
    StartTls,
)
from pennypost.servers.smtp.authenticate import authenticate
from pennypost.servers.smtp.settings import EarlyTalker
from pennypost.servers.smtp.transaction import Transaction

if TYPE_CHECKING:
    from pennypost.servers.smtp.door import SmtpDoor

_log = structlog.stdlib.get_logger("pennypost.smtp")

_OK = Reply(250, "2.0.0", ("OK",))
_SENDER_OK = Reply(250, "2.1.0", ("Sender OK",))
_RECIPIENT_OK = Reply(250, "2.1.5", ("Recipient OK",))
_GO_AHEAD = Reply(354, None, ("Start mail input; end with <CRLF>.<CRLF>",))
_BYE = Reply(221, "2.0.0", ("Bye",))
_READY_FOR_TLS = Reply(220, "2.0.0", ("Ready to start TLS",))
_TIMEOUT = Reply(421, "4.4.2", ("Timeout, closing the connection",))
_TOO_LONG = Reply(421, "4.4.2", ("The session took too long",))
_SHUTTING_DOWN = Reply(421, "4.3.2", ("Service shutting down",))
_TOO_EARLY = Reply(554, "5.5.1", ("You spoke before you were greeted",))


class StartTlsFirst(AuthenticationRequired):
    """Nothing is taken in clear here (RFC 3207 §4: 530)."""

    status = "5.7.0"
    text = "Must issue a STARTTLS command first"


class _Finished(Exception):
    """The session is over, and all that had to be said was said."""


class Session:
    """The state of one connection. `authenticated`: set by AUTH. `login_failures`: on this connection."""

    __slots__ = (
        "_client",
        "_deadline",
        "_early",
        "_gathered",
        "_hello",
        "_loop",
        "_session_deadline",
        "_text_deadline",
        "authenticated",
        "connection",
        "door",
        "login_failures",
        "machine",
        "transaction",
    )

    def __init__(self, door: "SmtpDoor", connection: Connection) -> None:
        self.door = door
        self.connection = connection
        self.machine = SmtpServerSession(door.offer(connection), tls=connection.tls is not None)
        self.authenticated: Authenticated | None = None
        self.login_failures = 0
        self.transaction: Transaction | None = None
        self._client: SmtpClient | None = None
        self._early = False
        self._hello = Hello("", extended=False)
        self._gathered: list[bytes] = []
        self._loop = asyncio.get_running_loop()
        self._session_deadline = self._loop.time() + door.settings.session_time.total_seconds()
        self._text_deadline: float | None = None
        self._deadline: float | None = None

    # -- The way of a session

    async def run(self) -> None:
        """Serve the connection until it ends."""
        verdict = "abandoned"
        try:
            await self._greet()
            machine = self.machine
            while not machine.closed:
                event = machine.next_event()
                if event is None:
                    await self._receive()
                else:
                    await self._carry(event)
            self._write_gathered()
        except _Finished:
            pass
        except PeerTimeout:
            verdict = "timed out"
            self._farewell(_TIMEOUT)
        except PeerError as problem:
            verdict = "protocol broken"
            self._farewell(Reply(421, "4.7.0", (str(problem),)))
        finally:
            self._end_transaction(verdict)

    async def _greet(self) -> None:
        """Greet; but first see whether the client waits for it (RFC 5321 §4.3.1)."""
        settings = self.door.settings
        self.connection.timeout = settings.command_timeout
        if self.door.flavour is Flavour.SMTP and settings.greeting_delay and await self._speaks_early():
            self._early = True
            _log.info("early talker", peer=str(self.connection.peer), verdict=settings.early_talker.value)
            if settings.early_talker is EarlyTalker.REFUSE:
                self.send(_TOO_EARLY)
                return
        self.send(self.machine.greeting())

    async def _speaks_early(self) -> bool:
        self.connection.timeout = self.door.settings.greeting_delay
        try:
            data = await self.connection.read()
        except PeerTimeout:
            return False
        finally:
            self.connection.timeout = self.door.settings.command_timeout
        if data == b"":
            raise _Finished
        if data is None:
            self._heed_interrupt()
            return False
        self.machine.receive_data(data)
        return self.machine.spoken_early

    async def _carry(self, event: Event) -> None:
        """Carry one event, and answer it. A bug of ours is a transient failure for the client, and no more."""
        self._deadline = None
        try:
            await _HANDLERS[type(event)](self, event)
        except MailError as error:
            if isinstance(error, PermanentFailure):
                await self._note_failure(str(error))
            self._answer_all(reply_for(error))
        except (ConnectionEnded, PeerError, _Finished):
            raise
        except Exception as problem:
            self._incident(event, problem)

    async def _note_failure(self, why: str) -> None:
        """Count a refusal of a stranger's; who has had many waits for this one."""
        defence = self.door.defence if self.authenticated is None else None
        if defence is not None and (delay := defence.failed(self.connection.peer, why)):
            await asyncio.sleep(delay)

    def _incident(self, event: Event, problem: Exception) -> None:
        account = self.authenticated.name if self.authenticated is not None else None
        where = type(event).__name__
        incident = log_incident("smtp.command", problem, command=where, account=account, peer=str(self.connection.peer))
        if isinstance(event, BodyChunk):
            assert self.transaction is not None
            self.transaction.problem = ServerFault(f"{ServerFault.text} (incident {incident})")
            self.transaction.reception.discard()
            return
        if isinstance(event, BodyEnd | ChunkEnd | MailFrom):
            self._end_transaction(f"incident {incident}")
        self._answer_all(reply_for(ServerFault(f"{ServerFault.text} (incident {incident})")))

    def _answer_all(self, reply: Reply) -> None:
        """Give the same reply as often as one is due: in LMTP for each recipient of a message (RFC 2033 §4.2)."""
        while self.machine.replies_due:
            self.send(reply)

    # -- In and out

    def send(self, reply: Reply) -> None:
        """Gather the reply to the event in hand."""
        self._gathered.append(self.machine.send(reply))

    async def next_event(self) -> Event:
        """Give the next event, for a handler that needs more than one."""
        while (event := self.machine.next_event()) is None:
            await self._receive()
        return event

    async def _receive(self) -> None:
        """Send all replies so far, and wait for the client."""
        self._write_gathered()
        if self.machine.closed:
            raise _Finished
        connection = self.connection
        await connection.drain()
        if connection.shutting_down:
            self._heed_interrupt()
        self._watch_time()
        data = await connection.read()
        if data:
            self.machine.receive_data(data)
        elif data is None:
            self._heed_interrupt()
        else:
            raise _Finished

    def _write_gathered(self) -> None:
        gathered = self._gathered
        if gathered:
            self.connection.write(gathered[0] if len(gathered) == 1 else b"".join(gathered))
            gathered.clear()

    def _heed_interrupt(self) -> None:
        """When the server stops: leave, unless a message is being taken in (RFC 5321 §3.8)."""
        if self.connection.shutting_down and self._text_deadline is None:
            self._farewell(_SHUTTING_DOWN)
            raise _Finished

    def _watch_time(self) -> None:
        """Hold commands and texts against their deadlines: a client that sends an octet now and then has them too.

        Raises PeerTimeout.
        """
        now = self._loop.time()
        if self._text_deadline is not None:
            if now > self._text_deadline:
                raise PeerTimeout
            return
        if self._deadline is None:
            self._deadline = now + self.door.settings.command_timeout.total_seconds()
            if now > self._session_deadline:
                self._farewell(_TOO_LONG)
                raise _Finished
        elif now > self._deadline:
            raise PeerTimeout

    def _farewell(self, reply: Reply) -> None:
        """Say why the connection is closed, to whoever still listens."""
        self.send(reply)
        self._write_gathered()

    def _begin_text(self) -> None:
        settings = self.door.settings
        self._text_deadline = self._loop.time() + settings.text_time.total_seconds()
        self.connection.timeout = settings.text_timeout

    def _end_text(self) -> None:
        self._text_deadline = None
        self.connection.timeout = self.door.settings.command_timeout

    def _end_transaction(self, verdict: str) -> None:
        if self._text_deadline is not None:
            self._end_text()
        if self.transaction is not None:
            self.transaction.end(verdict)
            self.transaction = None

    def client(self) -> SmtpClient:
        """Say who is there, as `mail` wants to know it."""
        if self._client is None:
            language = Language.LMTP if self.door.flavour is Flavour.LMTP else Language.ESMTP
            self._client = SmtpClient(
                peer=self.connection.peer,
                hello=self._hello.name,
                language=language if self._hello.extended else Language.SMTP,
                tls=self.connection.tls,
                authenticated=self.authenticated,
                early=self._early,
            )
        return self._client

    # -- Handlers

    async def _on_answer(self, event: Answer) -> None:
        reply = event.reply
        if reply.code >= 400:
            # What was refused before a transaction had begun has no other line; the client's words could hold a secret.
            _log.info(
                "command refused",
                peer=str(self.connection.peer),
                verdict=f"{reply.code} {reply.enhanced} {reply.lines[0]}",
            )
            if reply.code >= 500:
                await self._note_failure(reply.lines[0])
        self.send(reply)

    async def _on_hello(self, event: Hello) -> None:
        self._end_transaction("abandoned")
        self._hello = event
        self._client = None
        self.send(self.machine.hello_reply(event.extended))

    async def _on_start_tls(self, _: StartTls) -> None:
        self.send(_READY_FOR_TLS)
        self._write_gathered()
        await self.connection.start_tls()
        self.machine.tls_started(self.door.offer(self.connection))  # now with the channel binding of this connection
        self.authenticated = None
        self._hello = Hello("", extended=False)
        self._client = None

    async def _on_authenticate(self, event: Authenticate) -> None:
        self.send(await authenticate(self, event))
        self._client = None

    async def _on_mail_from(self, event: MailFrom) -> None:
        client = self.client()
        self.transaction = transaction = Transaction(client, event.envelope, self.door.intake.begin(client))
        try:
            if client.tls is None and self.door.requires_tls(self.connection):
                raise StartTlsFirst
            if client.authenticated is None and self.door.flavour is Flavour.SUBMISSION:
                raise AuthenticationRequired
            await transaction.reception.sender(event.envelope)
        except MailError as error:
            self._end_transaction(str(error))
            raise
        self.send(_SENDER_OK)

    async def _on_rcpt_to(self, event: RcptTo) -> None:
        assert self.transaction is not None
        await self.transaction.recipient(event.recipient)
        self.send(_RECIPIENT_OK)

    async def _on_data_start(self, _: DataStart) -> None:
        self._begin_text()
        self.send(_GO_AHEAD)

    async def _on_body_chunk(self, event: BodyChunk) -> None:
        assert self.transaction is not None
        if self._text_deadline is None:
            self._begin_text()  # the first BDAT
        self.transaction.write(event.octets)

    async def _on_chunk_end(self, event: ChunkEnd) -> None:
        transaction = self.transaction
        assert transaction is not None
        problem = event.problem or transaction.problem
        if problem is not None:
            self._end_transaction(str(problem))
            raise problem
        self.send(Reply(250, "2.0.0", (f"{event.size} octets received",)))

    async def _on_body_end(self, event: BodyEnd) -> None:
        transaction = self.transaction
        assert transaction is not None
        transaction.size = event.size
        try:
            if event.problem is not None:
                raise event.problem
            acceptance = await transaction.accept()
        except MailError as error:
            self._end_transaction(str(error))
            raise
        if self.door.flavour is Flavour.LMTP:
            for outcome in acceptance.outcomes:
                self.send(_stored(acceptance.id) if outcome is None else reply_for(outcome))
        else:
            self.send(_stored(acceptance.id))
        self._end_transaction("accepted")

    async def _on_reset(self, _: Reset) -> None:
        self._end_transaction("reset")
        self.send(_OK)

    async def _on_quit(self, _: Quit) -> None:
        self._end_transaction("abandoned")
        self.send(_BYE)


def _stored(id_: str) -> Reply:
    return Reply(250, "2.0.0", (f"OK {id_}",))


_HANDLERS: dict[type[Event], Callable[[Session, Any], Awaitable[None]]] = {
    Answer: Session._on_answer,
    Hello: Session._on_hello,
    StartTls: Session._on_start_tls,
    Authenticate: Session._on_authenticate,
    MailFrom: Session._on_mail_from,
    RcptTo: Session._on_rcpt_to,
    DataStart: Session._on_data_start,
    BodyChunk: Session._on_body_chunk,
    ChunkEnd: Session._on_chunk_end,
    BodyEnd: Session._on_body_end,
    Reset: Session._on_reset,
    Quit: Session._on_quit,
}
