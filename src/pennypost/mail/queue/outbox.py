"""How new mail comes into the queue.

A message for other hosts is put into the queue by the transaction that accepts it. Each group of its recipients with
one next hop gets a place: when it may leave, and its turn among others for that hop. A sender of many messages is given
turns that lie ever later, so that whoever sends one now goes before what is left of them.

Where the queue manager of this worker has room, and nobody waits before the message, the place is leased to it at once:
then no other transaction, and nothing that has to be read again, lies between `250` and the next host.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from pennypost.mail.queue.routing import Router
from pennypost.mail.queue.schedule import RELEASE_STEP
from pennypost.model.envelope import Envelope, Recipient
from pennypost.model.ids import AccountId
from pennypost.store import queue
from pennypost.store.blobs import BlobDraft
from pennypost.store.engine import Transaction, to_microseconds
from pennypost.store.queue import LOCAL_HOP, Enqueued, Place, QueuedMessage

TURN_STEP_MICROSECONDS = 30_000_000
"""How much later each further recipient of one sender stands, as long as they come faster than one in this time."""

_MAX_SENDERS = 10_000


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message as it was put into the queue, with its body at hand."""

    enqueued: Enqueued
    places: tuple[Place, ...]
    message: QueuedMessage
    draft: BlobDraft


class Attendant(Protocol):
    """Who may send new mail at once: the queue manager."""

    @property
    def holder(self) -> str: ...

    def has_room(self, hop: str, *, light: bool) -> bool:
        """Whether something new for a hop can be sent at once. `light`: its sender sends little."""

    async def stay(self, tx: Transaction, holder: str) -> None:
        """See to it that what is leased to `holder`, a name of ours, in this transaction stays so: an operation."""

    def take_over(self, outgoing: Sequence[Outgoing]) -> None:
        """Send what was leased to us. Called when it is committed."""

    def reclaim(self) -> None:
        """Something may have been leased to us of which we shall not be told."""


class Outbox:
    """Puts messages into the queue. `attendant`: None where nobody sends from this process."""

    def __init__(self, router: Router, attendant: Attendant | None = None) -> None:
        self.router = router
        self.attendant = attendant
        self._turns: dict[str, int] = {}

    def places(
        self, envelope: Envelope, account: AccountId | None, now: datetime, here: Container[Recipient] = ()
    ) -> tuple[Place, ...]:
        """Give the recipients of a message their places. Call it once for a message, outside of the transaction.

        `here`: those who have mailboxes here, and whose mail has to wait (RFC 4865).
        """
        groups: dict[str, list[Recipient]] = {}
        for recipient in envelope.recipients:
            name = LOCAL_HOP if recipient in here else self.router.find(envelope.reverse_path, recipient.address)[0]
            groups.setdefault(name, []).append(recipient)
        present = to_microseconds(now)
        turn = self._turn(envelope, account, present)
        precedence = envelope.priority * (RELEASE_STEP // timedelta(microseconds=1))
        not_before = now + envelope.hold if isinstance(envelope.hold, timedelta) else envelope.hold
        attendant = self.attendant
        placed = []
        for name, recipients in groups.items():
            ours = attendant is not None and not_before is None and attendant.has_room(name, light=turn <= present)
            holder = attendant.holder if ours and attendant is not None else None
            placed.append(Place(name, tuple(recipients), turn, holder, not_before, precedence))
        return tuple(placed)

    def _turn(self, envelope: Envelope, account: AccountId | None, now: int) -> int:
        """Give a sender's next turn. Each worker counts for itself, and anew when it starts: it is an order, no
        more."""
        sender = (
            str(account)
            if account is not None
            else ""
            if envelope.reverse_path is None
            else envelope.reverse_path.domain
        )
        turns = self._turns
        turn = max(now, turns.get(sender, 0))
        if len(turns) >= _MAX_SENDERS and sender not in turns:
            for known in [known for known, at in turns.items() if at <= now] or list(turns)[: _MAX_SENDERS // 2]:
                del turns[known]
        turns[sender] = turn + TURN_STEP_MICROSECONDS * len(envelope.recipients)
        return turn

    async def put(self, tx: Transaction, message: QueuedMessage, places: tuple[Place, ...]) -> Enqueued:
        """Put a message into the queue: an operation."""
        holder = next((place.holder for place in places if place.holder is not None), None)
        if self.attendant is not None and holder is not None:
            await self.attendant.stay(tx, holder)
        return await queue.enqueue(tx, message, places)

    def committed(self, outgoing: Sequence[Outgoing]) -> None:
        """Say that messages are in the queue, durably."""
        if self.attendant is not None and outgoing:
            self.attendant.take_over(outgoing)

    def cut_off(self) -> None:
        """Say that a transaction was handed over, and that nobody waits for its end any more."""
        if self.attendant is not None:
            self.attendant.reclaim()
