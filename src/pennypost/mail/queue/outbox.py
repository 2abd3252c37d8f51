"""How new mail comes into the queue.

A message for other hosts is put into the queue by the transaction that accepts it. Each group of its recipients with
one next hop gets a place: when it may leave, and its turn among others for that hop. A sender of many messages is given
turns that lie ever later, so that whoever sends one now goes before what is left of them.

Where the queue manager of this worker has room, and nobody waits before the message, the place is leased to it at once:
then no other transaction, and nothing that has to be read again, lies between `250` and the next host. And where the
next host is quick it may have the message before it is in the queue at all (`passage`).
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from pennypost.mail.queue.passage import Passage
from pennypost.mail.queue.routing import Router
from pennypost.mail.queue.schedule import RELEASE_STEP
from pennypost.model.address import Address
from pennypost.model.envelope import Envelope, Notify, Recipient
from pennypost.model.ids import AccountId
from pennypost.store import queue
from pennypost.store.blob_drafts import BlobDraft
from pennypost.store.engine import Operation, Transaction, to_microseconds
from pennypost.store.queue import LOCAL_HOP, Enqueued, Place, QueuedMessage
from pennypost.store.timeline import EventKind

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


@dataclass(frozen=True, slots=True)
class Passed:
    """A message that was taken by its next host while its sender waited. `came`: what the timeline tells of its
    reception. `more`: writes what else is to be remembered, and refuses nothing."""

    trace: int
    sender: Address | None
    created_at: datetime
    came: tuple[EventKind, Mapping[str, object]]
    more: Operation[None] | None = None


class Passages(Protocol):
    """Who sends messages that are not in the queue."""

    def may_begin(self, place: Place, envelope: Envelope) -> bool:
        """Whether a message can be sent at once to whom it is placed with."""

    def begin(self, place: Place, name: str, envelope: Envelope, octets: bytes) -> Passage | None:
        """Begin to send it, if it still can be. `octets`: all of it; `name`: for logs."""

    def taken(self, passage: Passage, message: Passed) -> None:
        """Take note of a message that went well, and is not in the queue."""

    def forsake(self, passage: Passage, message: Passed) -> None:
        """Let a passage come to its end whose message nobody puts into the queue; take note if it goes well."""


class Attendant(Protocol):
    """Who may send new mail at once: the queue manager."""

    @property
    def passages(self) -> Passages: ...

    @property
    def holder(self) -> str: ...

    def has_room(self, hop: str, *, light: bool) -> bool:
        """Whether something new for a hop can be sent at once. `light`: its sender sends little."""

    async def stay(self, tx: Transaction, holder: str) -> None:
        """See to it that what is leased to `holder`, a name of ours, in this transaction stays so: an operation."""

    def write_along(self) -> None:
        """Something will be written now: what waits for a transaction to be part of may go along."""

    def take_over(self, outgoing: Sequence[Outgoing], passage: Passage | None = None) -> None:
        """Send what was leased to us. Called when it is committed. `passage`: it is under way already."""

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

    def may_pass(self, places: Sequence[Place], envelope: Envelope) -> bool:
        """Whether a message may be offered to its next host before it is put into the queue: if it has one host, which
        is quick."""
        if self.attendant is None or len(places) != 1 or places[0].holder is None or places[0].hop == LOCAL_HOP:
            return False
        if envelope.deliver_by is not None or any(Notify.SUCCESS in r.notify for r in envelope.recipients):
            return False  # somebody may have to be told, which takes a transaction
        return self.attendant.passages.may_begin(places[0], envelope)

    def pass_on(self, places: Sequence[Place], name: str, envelope: Envelope, octets: bytes) -> Passage | None:
        """Offer such a message, if it still may be: see to it that the passage comes to its end then, by `passed`,
        `committed` or `forsake`."""
        attendant = self.attendant
        return None if attendant is None else attendant.passages.begin(places[0], name, envelope, octets)

    def write_along(self) -> None:
        """Say that something is about to be written: what else is to be may go into the same commit."""
        if self.attendant is not None:
            self.attendant.write_along()

    def passed(self, passage: Passage, message: Passed) -> None:
        """Say that a message was taken by its next host, and is not in the queue."""
        if self.attendant is not None:
            self.attendant.passages.taken(passage, message)

    def forsake(self, passage: Passage, message: Passed) -> None:
        """Say that the message of a passage will not be in the queue, whatever comes of it."""
        if self.attendant is not None:
            self.attendant.passages.forsake(passage, message)

    def committed(self, outgoing: Sequence[Outgoing], passage: Passage | None = None) -> None:
        """Say that messages are in the queue, durably. `passage`: the attempt that is under way with them already."""
        if self.attendant is not None and outgoing:
            self.attendant.take_over(outgoing, passage)

    def cut_off(self) -> None:
        """Say that a transaction was handed over, and that nobody waits for its end any more."""
        if self.attendant is not None:
            self.attendant.reclaim()
