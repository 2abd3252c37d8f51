"""One session with an SMTP or LMTP server, driven to its end.

Theory of operation. What may be sent together is written in one piece: MAIL, every RCPT and DATA, where the server
announced PIPELINING (RFC 2920); a small message goes along with them as a BDAT chunk where it announced CHUNKING, too
(RFC 3030), so that one round trip does it all. Replies are read as they come and matched by the machine. Each reply has
a deadline of its own, which a server that sends octet by octet does not move (RFC 5321 §4.5.3.2).
"""

import asyncio
import ssl
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from pennypost.clients.smtp.answers import Answer, SessionFailed, Stage, Transaction, said
from pennypost.clients.smtp.settings import SmtpTimeouts
from pennypost.model.envelope import BodyType, Envelope
from pennypost.model.errors import PeerError
from pennypost.net.connection import ConnectionEnded, PeerGone, PeerTimeout, TlsFailed
from pennypost.net.outbound import OutboundConnection
from pennypost.proto.smtp.announced import Announced
from pennypost.proto.smtp.client import Answered, ClientEvent, Dismissed, Greeted, SmtpClientSession
from pennypost.proto.smtp.reply import Reply
from pennypost.proto.smtp.requests import Chunk, Data, Hello, Mail, Quit, Rcpt, Request, Reset, StartTls, Text, Verb

ONE_FLIGHT_OCTETS = 64 * 1024
"""A message up to this size goes along with its envelope: were it refused, little is sent in vain."""

PIECE_OCTETS = 128 * 1024
"""A large text is written in such pieces; each has its own time."""

_SYNTAX = frozenset({500, 501, 502, 503, 504})
"""What a server says to BDAT that announces CHUNKING and cannot do it."""

_MOMENT = timedelta(milliseconds=1)


class SmtpClient:
    """A session. Call `begin` first, then `start_tls` and `log_in` as need be, then `send` any number of times.

    Every method raises SessionFailed, but for `send`, which tells of it; the session is closed then. `messages`: how
    many were sent. `opened_at`: the loop's time.
    """

    def __init__(
        self, connection: OutboundConnection, timeouts: SmtpTimeouts, *, lmtp: bool = False, chunking: bool = True
    ) -> None:
        self.connection = connection
        self.messages = 0
        self._timeouts = timeouts
        self._first_wait = (Stage.MAIL, timeouts.command)
        self._waits: dict[type[Request], tuple[Stage, timedelta]] = {
            Rcpt: (Stage.RCPT, timeouts.command),
            Data: (Stage.DATA, timeouts.data),
            Chunk: (Stage.END, timeouts.end),
        }
        self._lmtp = lmtp
        self._chunking = chunking
        self._loop = asyncio.get_running_loop()
        self.opened_at = self._loop.time()
        self._machine = SmtpClientSession(tls=connection.tls is not None)
        self._name = ""

    @property
    def announced(self) -> Announced:
        """What the server offers."""
        return self._machine.announced

    @property
    def usable(self) -> bool:
        """Whether another message may be sent."""
        return not self._machine.closed and self.connection.quiet

    # -- Beginning

    async def begin(self, name: str) -> None:
        """Read the greeting, and say EHLO, or HELO where that is not understood (RFC 5321 §3.2, §4.1.1.1).

        `name`: ours. A greeting that is no welcome fails the session.
        """
        self._name = name
        event = await self._event(Stage.GREETING, self._timeouts.greeting)
        assert isinstance(event, Greeted)
        if event.reply.code >= 400:
            raise self._end(Stage.GREETING, event.reply)
        await self._hello()

    async def _hello(self) -> None:
        reply = await self._ask(Hello(Verb.LHLO if self._lmtp else Verb.EHLO, self._name), Stage.HELLO)
        if reply.code >= 500 and not self._lmtp and not self._machine.closed:
            reply = await self._ask(Hello(Verb.HELO, self._name), Stage.HELLO)
        if reply.code >= 400:
            raise self._end(Stage.HELLO, reply)

    async def start_tls(self, context: ssl.SSLContext, server_name: str | None) -> None:
        """Become encrypted, and say EHLO again (RFC 3207). A refusal of STARTTLS fails the session, too."""
        reply = await self._ask(StartTls(), Stage.STARTTLS)
        if reply.code >= 300:
            raise self._end(Stage.STARTTLS, reply)
        await self.handshake(context, server_name)
        self._machine.tls_started()
        await self._hello()

    async def handshake(self, context: ssl.SSLContext, server_name: str | None) -> None:
        """Do a TLS handshake; alone it makes implicit TLS, before `begin` (RFC 8314 §3.3)."""
        try:
            await self.connection.become_client(context, server_name, self._timeouts.handshake)
        except TlsFailed as failure:
            self.connection.abort()
            cause = failure.__cause__
            if isinstance(cause, ssl.SSLCertVerificationError):
                raise SessionFailed(Stage.HANDSHAKE, cause.verify_message, None, cause.verify_code) from failure
            raise SessionFailed(Stage.HANDSHAKE, str(failure).lower().replace("_", " ")) from failure
        self._machine.tls = True

    async def exchange(self, request: Request) -> Reply:
        """Ask something and give the reply: for `log_in`."""
        return await self._ask(request, Stage.AUTH)

    # -- A message

    async def send(self, envelope: Envelope, octets: bytes) -> Transaction:
        """Send a message to all recipients of an envelope. Never raises SessionFailed: the result has it.

        `octets`: CRLF lines, not dot-stuffed. What the envelope asks for (body, SMTPUTF8, REQUIRETLS) must have been
        announced.
        """
        answers: list[Answer | None] = [None] * len(envelope.recipients)
        try:
            await self._transact(envelope, octets, answers)
        except SessionFailed as failure:
            return Transaction(tuple(answers), failure)
        self.messages += 1
        return Transaction(tuple(answers))

    async def _transact(self, envelope: Envelope, octets: bytes, answers: list[Answer | None]) -> None:
        machine = self._machine
        if machine.needs_reset:  # alone: were it refused, what follows would be about the transaction before
            reply = await self._ask(Reset(), Stage.MAIL)
            if reply.code >= 400:
                raise self._end(Stage.MAIL, reply)
        requests: list[Request] = [Mail(envelope, len(octets))]
        requests += [Rcpt(recipient, envelope.smtputf8) for recipient in envelope.recipients]
        binary = envelope.body is BodyType.BINARY_MIME
        chunked = binary or (self._chunking and machine.announced.chunking and not self._lmtp)
        one_flight = chunked and len(octets) <= ONE_FLIGHT_OCTETS and machine.announced.pipelining
        if one_flight:
            requests.append(Chunk(octets))
        elif not chunked:
            requests.append(Data())
        try:
            last = await self._envelope(requests, answers)
        except SessionFailed as failure:
            # The text went along: it may have been taken. A session that was idle has most likely been closed before.
            if one_flight and failure.said is None and not (self.messages and failure.stage is Stage.MAIL):
                raise SessionFailed(Stage.END, failure.reason) from failure
            raise
        if isinstance(last, Chunk):
            if self._chunk_was_not_understood(answers, binary):
                self._chunking = False
                await self._transact(envelope, octets, answers)
            return
        if chunked and self._hopeful(answers):
            await self._text(Chunk(octets), answers)
        elif isinstance(last, Data):
            # RFC 2920 §3.1: a server may say 354 though it took no recipient; an empty text ends that.
            await self._text(Text(octets if self._hopeful(answers) else b""), answers)

    async def _envelope(self, requests: Sequence[Request], answers: list[Answer | None]) -> Request | None:
        """Send what comes before the text, or with it. Gives the last request when it was answered positively.

        Fills in what was answered to recipients that were refused, or to all of them; and after Chunk to the others.
        """
        machine = self._machine
        together = machine.announced.pipelining
        if together:
            self.connection.write(b"".join(map(machine.send, requests)))
        number = 0
        going: Request | None = None
        for request in requests:
            if not together:
                if isinstance(request, Data | Rcpt) and not self._hopeful(answers):
                    break
                self.connection.write(machine.send(request))
            stage, patience = self._waits.get(type(request), self._first_wait)
            event = await self._event(stage, patience)
            assert isinstance(event, Answered)
            if machine.closed and not isinstance(request, Chunk):
                raise self._end(stage, event.reply)
            reply = event.reply
            good = reply.code < 400
            match request:
                case Mail() if not good:
                    self._fill(answers, Answer(said(reply), stage))
                case Rcpt():
                    if not good and answers[number] is None:
                        answers[number] = Answer(said(reply), stage)
                    number += 1
                case Data() if good:
                    going = request if reply.code == 354 else None
                case Data():
                    self._fill(answers, Answer(said(reply), stage))
                case Chunk():
                    going = request
                    self._fill(answers, Answer(said(reply), stage))
        return going

    async def _text(self, request: Text | Chunk, answers: list[Answer | None]) -> None:
        """Send the text and hear what is said of it: of all recipients together, or in LMTP of each."""
        waiting = [number for number, answer in enumerate(answers) if answer is None]
        octets = self._machine.send(request)
        if len(octets) <= PIECE_OCTETS:
            self.connection.write(octets)
        else:
            await self._pieces(octets)
        for number in waiting if self._lmtp else waiting[:1]:
            event = await self._event(Stage.END, self._timeouts.end)
            assert isinstance(event, Answered)
            answer = Answer(said(event.reply), Stage.END)
            if self._lmtp and event.recipient is not None:
                answers[number] = answer
            else:
                self._fill(answers, answer)
                break
        if not waiting:
            await self._event(Stage.END, self._timeouts.end)

    async def _pieces(self, octets: bytes) -> None:
        """Send a large text."""
        end = self._loop.time() + self._timeouts.whole_text.total_seconds()
        with suppress(PeerGone):  # perhaps it has said why
            for start in range(0, len(octets), PIECE_OCTETS):
                left = end - self._loop.time()
                if left <= 0:
                    raise self._lost(Stage.TEXT, "the next host takes the message too slowly")
                self.connection.write(octets[start : start + PIECE_OCTETS])
                self.connection.timeout = min(self._timeouts.text, max(_MOMENT, timedelta(seconds=left)))
                try:
                    await self.connection.drain()
                except PeerTimeout:
                    raise self._lost(Stage.TEXT, "the next host takes no more of the message") from None

    def _chunk_was_not_understood(self, answers: list[Answer | None], binary: bool) -> bool:
        """Whether BDAT itself was the trouble: then nothing was taken, and DATA may do. Forgets the answers to it."""
        about = [answer.said.code for answer in answers if answer is not None and answer.stage is Stage.END]
        if binary or self._machine.closed or not about or not _SYNTAX.issuperset(about):
            return False
        answers[:] = [None] * len(answers)
        return True

    @staticmethod
    def _hopeful(answers: Sequence[Answer | None]) -> bool:
        """Whether there is a recipient that was not refused."""
        return any(answer is None for answer in answers)

    @staticmethod
    def _fill(answers: list[Answer | None], answer: Answer) -> None:
        for number, known in enumerate(answers):
            if known is None:
                answers[number] = answer

    # -- Ending

    async def quit(self) -> None:
        """Say goodbye and close, without waiting for long (RFC 5321 §4.1.1.10)."""
        with suppress(SessionFailed, ConnectionEnded):
            if self.usable and not self._machine.replies_due:
                await self._ask(Quit(), Stage.END, self._timeouts.quit)
        self.close()

    def close(self) -> None:
        """Close, without a word."""
        self.connection.close()

    def _end(self, stage: Stage, reply: Reply) -> SessionFailed:
        """Close after a reply that leaves nothing to do, with a QUIT for which no answer is awaited."""
        with suppress(Exception):
            self.connection.write(self._machine.send(Quit()))
        self.connection.close()
        heard = said(reply)
        return SessionFailed(stage, heard.text, heard)

    def _lost(self, stage: Stage, reason: str) -> SessionFailed:
        self.connection.abort()
        return SessionFailed(stage, reason)

    # -- Octets

    async def _ask(self, request: Request, stage: Stage, patience: timedelta | None = None) -> Reply:
        self.connection.write(self._machine.send(request))
        event = await self._event(
            stage, patience or (self._timeouts.greeting if stage is Stage.HELLO else self._timeouts.command)
        )
        assert isinstance(event, Answered)
        return event.reply

    async def _event(self, stage: Stage, patience: timedelta) -> ClientEvent:
        """Wait for the next reply."""
        machine, connection = self._machine, self.connection
        deadline = 0.0
        try:
            while (event := machine.next_event()) is None:
                if machine.closed:
                    raise self._lost(stage, "the session is over")
                if not deadline:
                    deadline = self._loop.time() + patience.total_seconds()
                    connection.timeout = patience
                else:
                    connection.timeout = max(_MOMENT, timedelta(seconds=deadline - self._loop.time()))
                data = await connection.read()
                if not data:
                    raise self._lost(stage, f"the connection was closed at {stage.value}")
                machine.receive_data(data)
        except PeerTimeout:
            raise self._lost(stage, f"no answer in time to {stage.value}") from None
        except PeerError as error:
            raise self._lost(stage, f"the next host does not speak SMTP: {error}") from None
        if isinstance(event, Dismissed):
            raise self._end(stage, event.reply)
        return event
