"""What an administrator does to the queue. All are operations of the store, and are told in the timeline."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta

from pennypost.mail.bounce import Action, Fate
from pennypost.mail.queue import recall
from pennypost.mail.queue.settlement import Clerk
from pennypost.mail.queue.verdict import Verdict
from pennypost.model.ids import DeliveryId, QueuedId
from pennypost.model.relaying import RecipientResult, RelayState
from pennypost.store import dispatch, queue, queue_view, timeline
from pennypost.store.dispatch import Leased
from pennypost.store.engine import Transaction
from pennypost.store.queue_view import Delivery
from pennypost.store.timeline import EventKind

RETURNED = "returned by the administrator"
_STATUS = "5.7.0"
_LEASE = timedelta(minutes=1)

Change = Callable[[Transaction, Sequence[DeliveryId]], Awaitable[list[DeliveryId]]]

CHANGES: Mapping[str, Change] = {
    "held": queue_view.hold,
    "released": queue_view.release,
    "sent now": queue_view.retry,
    "removed": queue_view.remove,
}
"""What can be done without telling the sender, by the word for it."""


async def change(tx: Transaction, what: str, chosen: Sequence[Delivery]) -> list[Delivery]:
    """Do one of CHANGES to deliveries. Gives those it was done to: what is being sent now is left alone."""
    done = set(await CHANGES[what](tx, [delivery.id for delivery in chosen]))
    changed = [delivery for delivery in chosen if delivery.id in done]
    for queued, group in _by_message(changed).items():
        recipients = [str(delivery.recipient.address) for delivery in group]
        facts = {"queue": f"q{queued}", "done": what, "recipients": recipients}
        await timeline.record(tx, group[0].trace, EventKind.ADMINISTERED, facts)
        await _forget_copy(tx, queued)
    return changed


async def bounce(tx: Transaction, clerk: Clerk, holder: str, chosen: Sequence[Delivery], why: str) -> list[Delivery]:
    """Give deliveries up and tell their senders. `holder`: a name as a sender that nobody else has."""
    await dispatch.stay(tx, holder, _LEASE)
    ours = set(await queue_view.take_for_bounce(tx, holder, [delivery.id for delivery in chosen]))
    returned = [delivery for delivery in chosen if delivery.id in ours]
    for queued, group in _by_message(returned).items():
        message = await queue.message(tx, queued, recipients=False)
        assert message is not None
        verdict = Verdict()
        results = []
        for delivery in group:
            leased = Leased(delivery.id, queued, delivery.recipient, delivery.attempts, True)
            fate = Fate(delivery.recipient, Action.FAILED, _STATUS, why, "", tx.now)
            verdict.gone.append(leased)
            verdict.fates.append((leased, fate))
            results.append(RecipientResult(delivery.recipient, RelayState.FAILED, _STATUS, why))
        await clerk.write(tx, holder, queued, message, verdict, results, group[0].hop)
        await _forget_copy(tx, queued)
    await dispatch.leave(tx, holder)
    return returned


async def _forget_copy(tx: Transaction, queued: QueuedId) -> None:
    """What is not in the queue any more is not shown to its sender as to be sent, either."""
    if await queue.message(tx, queued, recipients=False) is None:
        await recall.forget_copy(tx, queued)


def _by_message(deliveries: Sequence[Delivery]) -> dict[QueuedId, list[Delivery]]:
    groups: dict[QueuedId, list[Delivery]] = {}
    for delivery in deliveries:
        groups.setdefault(delivery.queued, []).append(delivery)
    return groups
