"""Send a message to its next hop: find the hosts, speak to them, say what came of each recipient (RFC 5321 §5).

Theory of operation. A session that was used a moment ago is used again. Else the targets of the hop are tried one after
the other until one takes the message or says no to it; a host that cannot be reached, greets badly or ends the session
before the text has come to its end passes the turn to the next one. When a connection is lost behind the end of the
text, nobody knows whether the message was taken: it is deferred, not sent to another host at once.

What the network and other hosts do is never an exception here: it is a result.
"""

import asyncio
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from pennypost.clients.smtp.answers import Answer, SessionFailed, Stage, Transaction
from pennypost.clients.smtp.pool import SmtpPool
from pennypost.mail.connecting import Clock, Connector, KeeperOf, Session
from pennypost.mail.outgoing import Outgoing
from pennypost.mail.relay_settings import RelaySettings
from pennypost.mail.security_judge import SecurityJudge
from pennypost.mail.targets import Target, Targets
from pennypost.mail.tls_record import TlsRecord
from pennypost.message import headers
from pennypost.model.envelope import Recipient
from pennypost.model.errors import (
    MailError,
    NonAsciiAddress,
    PermanentFailure,
    RequireTlsUnsupported,
    RoutingLoop,
    Unreachable,
)
from pennypost.model.relaying import (
    NextHop,
    OutgoingMessage,
    RecipientResult,
    RelayOutcome,
    RelayState,
    TlsFacts,
)
from pennypost.net.client_tls import ClientTls
from pennypost.net.resolver import Resolver
from pennypost.net.room import Room
from pennypost.store.engine import utc_now

_TOO_MANY = frozenset({452, 552})
"""RFC 5321 §4.5.3.1.10: what a host says to RCPT when it has enough of them. 552 is how it was said before."""

_STATUS = {
    Stage.CONNECT: "4.4.1",
    Stage.STARTTLS: "4.7.10",
    Stage.HANDSHAKE: "4.7.5",
    Stage.AUTH: "4.7.8",
}
"""RFC 3463 §3.5, RFC 5248: of failures that have no reply; else 4.4.2, a bad connection."""

_HEADER_LOOK = 64 * 1024
"""Octets in which TLS-Required is looked for before the header is read for it."""


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why nobody took the message; it is told of every recipient that has no result of its own."""

    state: RelayState
    status: str
    reply: str
    remote: str = ""
    tls: TlsFacts | None = None

    def of(self, recipient: Recipient) -> RecipientResult:
        return RecipientResult(
            recipient, self.state, self.status, self.reply, self.remote, self.tls, transaction_failed=True
        )


_NOBODY = _Failure(RelayState.DEFERRED, "4.4.1", "there is no host that could be tried")


class Relayer:
    """Sends messages; `relay` is a `model.relaying.Relay`. One for each event loop.

    `hostname`: ours. `judge` decides what TLS a host has to have; `record` hears what sessions were like. `keeper_of`:
    gives who keeps refresh tokens.
    """

    def __init__(
        self,
        settings: RelaySettings,
        hostname: str,
        resolver: Resolver,
        tls: ClientTls,
        judge: SecurityJudge,
        record: TlsRecord | None = None,
        clock: Clock = utc_now,
        keeper_of: KeeperOf | None = None,
    ) -> None:
        name = settings.hello_name or hostname
        self._settings = settings
        self._room = Room(settings.max_memory)
        self._pool: SmtpPool[Session] = SmtpPool(settings.pool)
        own_names = frozenset({hostname.lower(), name.lower()})
        self._targets = Targets(settings, resolver, judge, own_names)
        self._connector = Connector(settings, tls, name, own_names, record, clock, keeper_of)

    async def relay(self, hop: NextHop, message: OutgoingMessage) -> RelayOutcome:
        """Try to send a message once. Raises only what `message.octets` raises, and CancelledError."""
        async with self._room.taken(message.size):
            attempt = _Attempt(self, hop, message, await message.octets())
            await attempt.run()
        return attempt.outcome()

    async def close(self) -> None:
        """End the sessions that wait to be used again."""
        await self._pool.close()


class _Attempt:
    """One attempt. `_results` has what is known of each recipient, by its place in the envelope."""

    def __init__(self, relayer: Relayer, hop: NextHop, message: OutgoingMessage, octets: bytes) -> None:
        self._relayer = relayer
        self._hop = hop
        self._message = message
        self._recipients = message.envelope.recipients
        self._outgoing = Outgoing(message.envelope, octets)
        self._results: dict[int, RecipientResult] = {}
        self._last: _Failure | None = None
        # RFC 8689 §3: TLS-Required: No means nothing where REQUIRETLS was asked for.
        self._ignore_policy = not message.envelope.require_tls and _tls_is_not_required(octets)
        # RFC 8689 §5: of a report REQUIRETLS asks for what can be had.
        self._require_tls = message.envelope.require_tls and message.envelope.reverse_path is not None
        self._key: Hashable = (hop, self._require_tls, self._ignore_policy)

    async def run(self) -> None:
        """Go on until every recipient has a result or nobody is left to try."""
        if await self._reuse():
            return
        loop = asyncio.get_running_loop()
        settings = self._relayer._settings
        end = loop.time() + settings.max_time.total_seconds()
        tried = 0
        try:
            async for target in self._relayer._targets.of(
                self._hop, require_tls=self._require_tls, ignore_policy=self._ignore_policy
            ):
                if isinstance(target, MailError):
                    self._note_failure(target, "")
                    continue
                if not self._relayer._connector.reaches(target):
                    self._note_failure(Unreachable(f"{target} has an IPv6 address, and this machine has none"), "")
                    continue
                if tried >= settings.max_addresses or loop.time() >= end:
                    break
                tried += 1
                if await self._try(target):
                    return
        except MailError as problem:
            self._note_failure(problem, "")

    def outcome(self) -> RelayOutcome:
        """Give the results; those that have none get the last failure."""
        return RelayOutcome(
            tuple(
                self._results.get(number) or (self._last or _NOBODY).of(recipient)
                for number, recipient in enumerate(self._recipients)
            )
        )

    # -- Sessions

    async def _reuse(self) -> bool:
        """Send over a session that waits, if there is one. Gives whether nothing is left to do."""
        session = self._relayer._pool.take(self._key)
        if session is None:
            return False
        done = await self._over(session)
        self._last = None  # that an old session ended says nothing
        return done

    async def _try(self, target: Target) -> bool:
        """Send to one target. Gives whether nothing is left to do here or elsewhere."""
        try:
            session = await self._relayer._connector.open(self._hop, target)
        except SessionFailed as failure:
            self._note_session_failure(failure, str(target), None)
            return False
        except MailError as problem:
            self._note_failure(problem, str(target))
            return isinstance(problem, RoutingLoop)  # RFC 5321 §5.1: behind ourselves nobody is tried
        return await self._over(session)

    async def _over(self, session: Session) -> bool:
        """Send all that is unresolved over a session, in as many transactions as it takes."""
        client = session.client
        kept = False
        try:
            while waiting := self._waiting():
                most = min(client.announced.max_recipients or len(waiting), self._relayer._settings.max_recipients)
                settled = await self._transact(session, waiting[:most])
                if settled is None:
                    return not self._waiting()
                if not settled:
                    break
            kept = True
        finally:
            if kept:
                self._relayer._pool.put(self._key, session)
            else:
                client.close()  # also when we are cancelled within a transaction
        return not self._waiting()

    async def _transact(self, session: Session, numbers: Sequence[int]) -> bool | None:
        """Do one transaction. Gives whether it brought us forward; None when the session is over."""
        everybody = len(numbers) == len(self._recipients)
        recipients = self._recipients if everybody else tuple(self._recipients[number] for number in numbers)
        try:
            fitted = self._outgoing.fit(recipients, session.abilities)
        except MailError as problem:
            return self._unfit(problem, numbers, session)
        going = numbers
        if fitted.refused:
            going = [number for place, number in enumerate(numbers) if place not in fitted.refused]
            refusal = NonAsciiAddress("The next host does not take the address, which is not ASCII")
            self._fail(refusal, [numbers[place] for place in fitted.refused], session)
        if not going:
            return True
        done = await session.client.send(fitted.envelope, fitted.octets)
        return self._settle(done, going, session)

    def _unfit(self, problem: MailError, numbers: Sequence[int], session: Session) -> bool | None:
        """The host cannot take this message. Another one may be able to do REQUIRETLS (RFC 8689 §4.2.1)."""
        if isinstance(problem, RequireTlsUnsupported):
            self._note_failure(problem, session.remote)
            return None
        self._fail(problem, numbers, session)
        return True

    def _fail(self, problem: MailError, numbers: Sequence[int], session: Session) -> None:
        failure = _failed(problem, session.remote, session.tls)
        for number in numbers:
            self._results[number] = failure.of(self._recipients[number])

    def _settle(self, done: Transaction, numbers: Sequence[int], session: Session) -> bool | None:
        """Note what a transaction led to."""
        some_taken = any(answer is not None and answer.said.good for answer in done.answers)
        for number, answer in zip(numbers, done.answers, strict=True):
            if answer is None:
                continue
            if answer.stage is Stage.RCPT and answer.said.code in _TOO_MANY and some_taken:
                continue  # in the next transaction
            self._results[number] = self._result(number, answer, session)
        failure = done.failure
        if failure is None:
            return any(number in self._results for number in numbers)
        self._note_session_failure(failure, session.remote, session.tls)
        if failure.stage in (Stage.TEXT, Stage.END):
            assert self._last is not None
            for number in numbers:
                self._results.setdefault(number, self._last.of(self._recipients[number]))
        return None

    # -- Results

    def _waiting(self) -> list[int]:
        if len(self._results) == len(self._recipients):
            return []
        return [number for number in range(len(self._recipients)) if number not in self._results]

    def _result(self, number: int, answer: Answer, session: Session) -> RecipientResult:
        heard = answer.said
        state = RelayState.SENT if heard.good else RelayState.FAILED if heard.permanent else RelayState.DEFERRED
        status = heard.status
        if answer.stage is Stage.RCPT and heard.code == 552:
            state, status = RelayState.DEFERRED, f"4{status[1:]}"
        return RecipientResult(
            self._recipients[number],
            state,
            status,
            heard.text,
            session.remote,
            session.tls,
            session.client.announced.dsn,
            transaction_failed=answer.stage is not Stage.RCPT and not heard.good,
        )

    def _note_failure(self, problem: MailError, remote: str) -> None:
        """Keep a failure for the recipients that nobody takes. A transient one outweighs permanent ones before it."""
        failure = _failed(problem, remote, None)
        if self._last is None or self._last.state is RelayState.FAILED or failure.state is RelayState.DEFERRED:
            self._last = failure

    def _note_session_failure(self, failure: SessionFailed, remote: str, tls: TlsFacts | None) -> None:
        heard = failure.said
        permanent = heard is not None and heard.permanent and failure.stage in (Stage.GREETING, Stage.HELLO)
        if permanent and self._last is not None and self._last.state is RelayState.DEFERRED:
            return
        status = heard.status if heard is not None and permanent else _STATUS.get(failure.stage, "4.4.2")
        if heard is not None and not heard.permanent:
            status = heard.status
        self._last = _Failure(
            RelayState.FAILED if permanent else RelayState.DEFERRED,
            status,
            heard.text if heard is not None else failure.reason,
            remote,
            tls,
        )


def _failed(problem: MailError, remote: str, tls: TlsFacts | None) -> _Failure:
    state = RelayState.FAILED if isinstance(problem, PermanentFailure) else RelayState.DEFERRED
    return _Failure(state, problem.status, problem.reason, remote, tls)


def _tls_is_not_required(octets: bytes) -> bool:
    """RFC 8689 §3: the field says No, and nothing else means anything."""
    if b"tls-required" not in octets[:_HEADER_LOOK].lower():
        return False
    header, _ = headers.split(octets)
    values = headers.values(header, b"tls-required")
    return len(values) == 1 and values[0].strip().lower() == b"no"
