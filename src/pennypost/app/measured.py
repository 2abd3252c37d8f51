"""Count what doors and intakes do, from outside: neither knows that it is counted."""

import time
from collections.abc import Callable

from pennypost.app.figures import DELIVERY_STATES, LOGIN_OUTCOMES, VERIFICATIONS, Figures
from pennypost.mail.authenticate import Authenticator
from pennypost.mail.reception import Acceptance, Intake, Reception, SmtpClient
from pennypost.mail.settings import AuthSettings
from pennypost.mail.verification import Verdicts
from pennypost.model.authentication import Authenticated, AuthenticationQuestion, ScramKeys
from pennypost.model.envelope import Envelope, Recipient
from pennypost.model.errors import MailError, TransientFailure
from pennypost.model.peer import Peer
from pennypost.model.verification import DkimResult
from pennypost.net.connection import Connection
from pennypost.net.listener import Handler
from pennypost.store.store import Store


def commit_observer(figures: Figures) -> Callable[[int, float], None]:
    """Count commits: how many operations each had, and how long it took."""
    group = figures.histogram("pennypost_commit_group")
    duration = figures.histogram("pennypost_commit_seconds")

    def observe(operations: int, seconds: float) -> None:
        group.observe(operations)
        duration.observe(seconds)

    return observe


def delivery_observer(figures: Figures) -> Callable[[str, float], None]:
    """Count what came of each recipient at each attempt, and how long mail took to leave."""
    states = {state: figures.counter("pennypost_deliveries", state) for state in DELIVERY_STATES}
    seconds = figures.histogram("pennypost_relay_seconds")

    def observe(state: str, age: float) -> None:
        states[state].add()
        if state == "sent":
            seconds.observe(age)

    return observe


def verification_observer(figures: Figures) -> Callable[[Verdicts], None]:
    """Count what checks of senders came to."""
    counters = {
        (method, result): figures.counter("pennypost_verifications", method, result)
        for method, results in VERIFICATIONS.items()
        for result in results
    }

    def observe(found: Verdicts) -> None:
        if found.spf is not None:
            counters["spf", found.spf.result.value].add()
        for signature in found.dkim:
            counters["dkim", signature.result.value].add()
        if not found.dkim:
            counters["dkim", DkimResult.NONE.value].add()
        if found.dmarc is not None:
            counters["dmarc", found.dmarc.result.value].add()
        if found.arc is not None:
            counters["arc", found.arc.result.value].add()
        if found.iprev is not None:
            counters["iprev", found.iprev.result.value].add()

    return observe


def measured_handler(handler: Handler, figures: Figures, door: str) -> Handler:
    """Count the connections of a door, and how many of them are open."""
    served = figures.counter("pennypost_connections", door)
    opened = figures.counter("pennypost_connections_open", door)

    async def serve(connection: Connection) -> None:
        served.add()
        opened.add()
        try:
            await handler(connection)
        finally:
            opened.add(-1)

    return serve


class MeasuredAuthenticator(Authenticator):
    """An Authenticator whose answers are counted: logins that succeeded, that failed, and those turned away unseen."""

    def __init__(self, store: Store, settings: AuthSettings, secret: bytes, figures: Figures) -> None:
        super().__init__(store, settings, secret)
        self._outcome = {name: figures.counter("pennypost_authentications", name) for name in LOGIN_OUTCOMES}

    async def answer(self, peer: Peer, question: AuthenticationQuestion) -> ScramKeys | Authenticated:
        try:
            answer = await super().answer(peer, question)
        except TransientFailure:
            self._outcome["refused"].add()
            raise
        except MailError:
            self._outcome["failure"].add()
            raise
        if isinstance(answer, Authenticated):
            self._outcome["success"].add()
        return answer


class MeasuredIntake:
    """An Intake whose transactions are counted under `name`: accepted, refused and why, and how long a commit took."""

    def __init__(self, intake: Intake, figures: Figures, name: str) -> None:
        self._intake = intake
        self._figures = figures
        self._name = name
        self.accepted = figures.counter("pennypost_messages_accepted", name)
        self.octets = figures.counter("pennypost_messages_octets", name)
        self.recipients = figures.counter("pennypost_recipients_accepted", name)
        self.seconds = figures.histogram("pennypost_accept_seconds", name)

    @property
    def max_message_size(self) -> int:
        return self._intake.max_message_size

    @property
    def max_recipients(self) -> int:
        return self._intake.max_recipients

    def begin(self, client: SmtpClient) -> Reception:
        return _MeasuredReception(self, self._intake.begin(client))

    def refused(self, stage: str, error: MailError) -> None:
        """Count a refusal by its cause."""
        self._figures.counter("pennypost_refusals", self._name, stage, type(error).__name__).add()


class _MeasuredReception:
    __slots__ = ("_inner", "_intake")

    def __init__(self, intake: MeasuredIntake, inner: Reception) -> None:
        self._intake = intake
        self._inner = inner

    async def sender(self, envelope: Envelope) -> None:
        try:
            await self._inner.sender(envelope)
        except MailError as error:
            self._intake.refused("sender", error)
            raise

    async def recipient(self, recipient: Recipient) -> None:
        try:
            await self._inner.recipient(recipient)
        except MailError as error:
            self._intake.refused("recipient", error)
            raise

    def write(self, chunk: bytes) -> None:
        self._inner.write(chunk)

    async def accept(self) -> Acceptance:
        begun = time.perf_counter()
        try:
            acceptance = await self._inner.accept()
        except MailError as error:
            self._intake.refused("message", error)
            raise
        intake = self._intake
        intake.seconds.observe(time.perf_counter() - begun)
        intake.accepted.add()
        intake.octets.add(acceptance.size)
        for outcome in acceptance.outcomes:
            if outcome is None:
                intake.recipients.add()
            else:
                intake.refused("message", outcome)
        return acceptance

    def discard(self) -> None:
        self._inner.discard()
