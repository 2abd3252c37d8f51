"""What becomes of each recipient after an attempt: gone, tried again, or given up, and what the sender is told."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pennypost.mail.bounce import Action, Fate, wants
from pennypost.mail.queue.routing import Router
from pennypost.mail.queue.schedule import Deadlines, deadlines, next_attempt
from pennypost.mail.queue.settings import QueueSettings
from pennypost.model.address import Address
from pennypost.model.relaying import RecipientResult, RelayState
from pennypost.store.dispatch import Deferral, Leased
from pennypost.store.queue import QueuedMessage

_GIVEN_UP = "{status} given up after {days:g} days; the last attempt: {reply}"


@dataclass(slots=True)
class Verdict:
    """What is to be written down. `gone`: deliveries that are done, sent or not. `fates`: what the sender may hear,
    with the delivery it is about. `bounced`: recipients that were refused for good by their host, with its reply."""

    gone: list[Leased] = field(default_factory=list)
    deferred: list[Deferral] = field(default_factory=list)
    fates: list[tuple[Leased, Fate]] = field(default_factory=list)
    bounced: list[tuple[Leased, Address, str]] = field(default_factory=list)


class Judge:
    """Applies the settings to results. `chance`: gives 0 ≤ x < 1."""

    def __init__(self, settings: QueueSettings, router: Router, chance: Callable[[], float]) -> None:
        self._settings = settings
        self._router = router
        self._chance = chance

    def judge(
        self,
        message: QueuedMessage,
        deliveries: Sequence[Leased],
        results: Sequence[RecipientResult],
        now: datetime,
        hop: str | None = None,
    ) -> Verdict:
        """Judge one attempt at one message. `results`: one for each delivery, in order. `hop`: the one to stay with."""
        limits = deadlines(self._settings, message.envelope, message.tried_since, message.seen_at or message.created_at)
        luck = self._chance()  # one for all: what failed together stays together
        verdict = Verdict()
        for delivery, result in zip(deliveries, results, strict=True):
            match result.state:
                case RelayState.SENT:
                    self._sent(verdict, delivery, result, now)
                case RelayState.FAILED:
                    self._failed(verdict, delivery, result, result.status, result.reply, now)
                    if not result.transaction_failed:
                        verdict.bounced.append((delivery, delivery.recipient.address, result.reply))
                case RelayState.DEFERRED:
                    if limits.expire_at <= now:
                        self._expired(verdict, message, delivery, result, now)
                    else:
                        self._deferred(verdict, message, delivery, result, limits, luck, now, hop)
        return verdict

    def _sent(self, verdict: Verdict, delivery: Leased, result: RecipientResult, now: datetime) -> None:
        verdict.gone.append(delivery)
        if not result.dsn_passed_on and wants(delivery.recipient, Action.RELAYED):
            status = result.status if result.status.startswith("2.") else "2.0.0"
            fate = Fate(delivery.recipient, Action.RELAYED, status, result.reply, result.remote, now)
            verdict.fates.append((delivery, fate))

    def _failed(
        self, verdict: Verdict, delivery: Leased, result: RecipientResult, status: str, reply: str, now: datetime
    ) -> None:
        verdict.gone.append(delivery)
        fate = Fate(delivery.recipient, Action.FAILED, status, reply, result.remote, now)
        verdict.fates.append((delivery, fate))

    def _expired(
        self, verdict: Verdict, message: QueuedMessage, delivery: Leased, result: RecipientResult, now: datetime
    ) -> None:
        days = (now - message.tried_since).total_seconds() / 86400
        status = "5.4.7"  # delivery time expired (RFC 3463 §3.5)
        reply = (
            result.reply if result.remote else _GIVEN_UP.format(status=status, days=round(days, 1), reply=result.reply)
        )
        self._failed(verdict, delivery, result, status, reply, now)

    def _deferred(
        self,
        verdict: Verdict,
        message: QueuedMessage,
        delivery: Leased,
        result: RecipientResult,
        limits: Deadlines,
        luck: float,
        now: datetime,
        hop: str | None,
    ) -> None:
        warned = delivery.warned
        if not warned and limits.warn_at is not None and limits.warn_at <= now:
            warned = True
            fate = Fate(
                delivery.recipient, Action.DELAYED, result.status, result.reply, result.remote, now, limits.expire_at
            )
            verdict.fates.append((delivery, fate))
        attempts = delivery.attempts + 1
        at = next_attempt(self._settings, attempts, now, limits, warned, lambda: luck)
        if hop is None:
            hop, _ = self._router.find(message.envelope.reverse_path, delivery.recipient.address, attempts)
        reply = f"{result.remote}: {result.reply}" if result.remote else result.reply
        verdict.deferred.append(Deferral(delivery.id, at, reply, hop, warned))
